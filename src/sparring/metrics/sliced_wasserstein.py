"""Sliced Wasserstein distance. Rabin et al. 2011; needs no feature network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sparring.metrics.value import checked_pair


def sliced_wasserstein(first: Tensor, second: Tensor, directions: int = 512, seed: int = 0) -> float:
    """sqrt of the mean over random directions of the squared 2-Wasserstein distance between the projections.

    In one dimension the optimal transport pairs equal quantiles (of equally many: sorted values), which is exact.
    0 for equal sets; in units of the examples.

    Args:
        first, second: n x ... and m x ..., float64 or else worked on in float32.
        directions: random unit vectors.
        seed: of the directions.

    Raises:
        UserError: no examples, other widths, or values that are not finite.
    """
    first, second = checked_pair(first, second, least=1)
    dtype = torch.float64 if torch.float64 in (first.dtype, second.dtype) else torch.float32
    axes = torch.randn(first.shape[1], directions, generator=torch.Generator().manual_seed(seed)).to(
        first.device, dtype
    )
    axes = axes / axes.norm(dim=0)
    values_1, values_2 = (_sorted(axes.T @ side.to(dtype).T) for side in (first, second))
    if len(first) == len(second):
        return (values_1 - values_2).square().mean().sqrt().item()
    index_1, index_2, share = (part.to(first.device) for part in _shared_quantiles(len(first), len(second)))
    gaps = (values_1[:, index_1] - values_2[:, index_2]).square()
    return (gaps @ share.to(dtype)).mean().sqrt().item()


def _sorted(rows: Tensor) -> Tensor:
    # On the host numpy's sort takes a fifth of the time of torch's.
    return rows.sort(1).values if rows.is_cuda else torch.from_numpy(np.sort(rows.numpy(force=True))).to(rows.device)


def _shared_quantiles(count_1: int, count_2: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where both quantile functions are constant: the rank in either set, and the width of the interval."""
    # In units of 1 / (n m) all steps are whole numbers.
    steps = torch.cat([torch.arange(count_1 + 1) * count_2, torch.arange(count_2 + 1) * count_1]).unique()
    return steps[:-1] // count_2, steps[:-1] // count_1, steps.diff().double() / (count_1 * count_2)
