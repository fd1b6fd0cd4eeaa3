"""Sliced Wasserstein distance. Rabin et al. 2011; needs no feature network."""

from __future__ import annotations

import torch
from torch import Tensor


def sliced_wasserstein(first: Tensor, second: Tensor, directions: int = 512, seed: int = 0) -> float:
    """sqrt of the mean over random directions of the squared 2-Wasserstein distance between the projections.

    In one dimension the optimal transport pairs sorted values, which is exact. 0 for equal sets.

    Args:
        first, second: N x ... with the same N.
        directions: random unit vectors.

    Raises:
        ValueError: the sets differ in size.
    """
    if first.shape != second.shape:
        raise ValueError(f"two sets of one shape are needed, not {tuple(first.shape)} and {tuple(second.shape)}")
    first, second = first.flatten(1).float(), second.flatten(1).float()
    chance = torch.Generator().manual_seed(seed)
    axes = torch.randn(first.shape[1], directions, generator=chance).to(first.device)
    axes = axes / axes.norm(dim=0)
    gap = (first @ axes).sort(0).values - (second @ axes).sort(0).values
    return gap.square().mean().sqrt().item()
