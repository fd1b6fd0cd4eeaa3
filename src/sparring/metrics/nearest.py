"""Distances between examples: has it memorised, and does it vary?"""

from __future__ import annotations

import torch
from torch import Tensor


def nearest(queries: Tensor, examples: Tensor, count: int = 1, chunk: int = 4096) -> tuple[Tensor, Tensor]:
    """The nearest examples of each query by Euclidean distance, nearest first.

    Args:
        queries: N x ...
        examples: M x ...; worked on in chunks.
        count: neighbours of each query.

    Returns:
        distances, N x count, and int64 indices into `examples`, N x count.
    """
    queries = queries.flatten(1).float()
    best = queries.new_full((len(queries), 0), torch.inf)
    where = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(examples), chunk):
        part = examples[start : start + chunk].flatten(1).float()
        distance = torch.cdist(queries, part, compute_mode="use_mm_for_euclid_dist")
        index = torch.arange(start, start + len(part), device=queries.device).expand(len(queries), -1)
        joined = torch.cat([best, distance], 1)
        best, order = joined.topk(min(count, joined.shape[1]), largest=False)
        where = torch.cat([where, index], 1).gather(1, order)
    return best, where


def diversity(examples: Tensor) -> float:
    """Mean Euclidean distance between two different examples, N x ...; near 0 when all are alike."""
    return torch.pdist(examples.flatten(1).float()).mean().item()
