"""Sums over kernel matrices that are too large to be held: what the kernel distances (`kid`, `mmd`) are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.metrics.value import Estimate

Kernel = Callable[[slice, slice], Tensor]
"""k(rows, columns): that part of a kernel matrix, float64, free to be written on"""
TILE = 512
"""rows and columns of a part: few enough to stay in the cache"""


class Kernels(NamedTuple):
    """The three kernel matrices of two sets."""

    of_first: Kernel
    of_second: Kernel
    across: Kernel


def discrepancy(kernels: Kernels, count_1: int, count_2: int) -> Estimate:
    """Unbiased squared maximum mean discrepancy of everything with everything. Gretton et al. 2012, equation 3.

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y), over pairs of different examples: it may be negative.
    The spread is the standard error by the first-order terms of both U-statistics, sqrt(var(2(a - b)) / n + var(2(c - d)) / m)
    with a, b an example's mean kernel with its own set and with the other one: too large (by about sqrt 2) where the two
    distributions agree, where those terms vanish.
    """
    own_1, own_2 = _own_sums(kernels.of_first, count_1), _own_sums(kernels.of_second, count_2)
    cross_1, cross_2 = torch.zeros_like(own_1), torch.zeros_like(own_2)
    for rows in _tiles(0, count_1):
        for columns in _tiles(0, count_2):
            part = kernels.across(rows, columns)
            cross_1[rows] += part.sum(1)
            cross_2[columns] += part.sum(0)
    gap_1, gap_2 = own_1 / (count_1 - 1) - cross_1 / count_2, own_2 / (count_2 - 1) - cross_2 / count_1
    spread = (4 * gap_1.var() / count_1 + 4 * gap_2.var() / count_2).sqrt()
    return Estimate((gap_1.mean() + gap_2.mean()).item(), spread.item())


def subset_discrepancies(kernels: Kernels, members_1: Tensor, members_2: Tensor) -> Tensor:
    """The same estimate of many pairs of subsets, each part of the kernel matrices computed once for all of them.

    Args:
        members_1, members_2: n x subsets and m x subsets, float64: 1 for those in a subset, all of one size.

    Returns:
        a value for each subset.
    """
    own = torch.zeros_like(members_1[0])
    for kernel, members in ((kernels.of_first, members_1), (kernels.of_second, members_2)):
        for rows in _tiles(0, len(members)):
            for columns in _tiles(rows.start, len(members)):
                part = _without_self(kernel, rows, columns)
                twice = 1 if rows == columns else 2
                own += twice * (members[rows] * (part @ members[columns])).sum(0)
    cross = torch.zeros_like(own)
    for rows in _tiles(0, len(members_1)):
        for columns in _tiles(0, len(members_2)):
            cross += (members_1[rows] * (kernels.across(rows, columns) @ members_2[columns])).sum(0)
    size = members_1[:, 0].sum()
    return own / (size * (size - 1)) - 2 * cross / size**2


def _own_sums(kernel: Kernel, count: int) -> Tensor:
    """For each example the sum over all others."""
    sums = torch.zeros(count, dtype=torch.float64)
    for rows in _tiles(0, count):
        for columns in _tiles(rows.start, count):
            part = _without_self(kernel, rows, columns)
            sums[rows] += part.sum(1)
            if rows != columns:
                sums[columns] += part.sum(0)
    return sums


def _without_self(kernel: Kernel, rows: slice, columns: slice) -> Tensor:
    part = kernel(rows, columns)
    if rows == columns:
        part.fill_diagonal_(0)
    return part


def _tiles(start: int, count: int) -> Iterator[slice]:
    for first in range(start, count, TILE):
        yield slice(first, min(first + TILE, count))
