"""Euclidean distances in float64, and how far the nearest neighbours are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 512
"""rows of a matrix of distances at a time"""


class Points(NamedTuple):
    """Points with what each distance needs of them."""

    place: Tensor
    """n x d, float64: distances by products cost digits that float32 does not have"""
    square: Tensor
    """|x|^2 of each"""

    @classmethod
    def of(cls, features: Tensor) -> Points:
        place = features.double()
        return cls(place, torch.linalg.vecdot(place, place))

    def part(self, rows: slice) -> Points:
        return Points(self.place[rows], self.square[rows])


def squared_distances(first: Points, second: Points) -> Tensor:
    """|x - y|^2 = |x|^2 + |y|^2 - 2 x.y, n x m, not below 0."""
    squares = torch.addmm(second.square, first.place, second.place.T, alpha=-2)
    return squares.add_(first.square[:, None]).clamp_(min=0)


def nearest_squared(queries: Tensor, examples: Tensor) -> Tensor:
    """Squared distance from each query (n x d) to its nearest example (m x d), float64, in blocks."""
    there = Points.of(examples)
    return torch.cat([squared_distances(Points.of(part), there).amin(1) for part in queries.split(BLOCK)])


def neighbour_radii_squared(points: Points, neighbours: int) -> Tensor:
    """Squared distance from each point to its k-th nearest other point, in blocks.

    Args:
        points: more than k.
        neighbours: k.
    """
    count = len(points.place)
    best = points.place.new_full((count, neighbours), torch.inf)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        squares = squared_distances(points.part(slice(start, stop)), points.part(slice(start, count)))
        squares.diagonal().fill_(torch.inf)
        best[start:stop] = _smallest(best[start:stop], squares, neighbours)
        if stop < count:
            best[stop:] = _smallest(best[stop:], squares[:, stop - start :].T, neighbours)
    radii = best.amax(1)
    # Equal points are at distance 0; rounding must not open a ball around them.
    radii[radii <= 1e-13 * points.square] = 0
    return radii


def _smallest(best: Tensor, more: Tensor, count: int) -> Tensor:
    found = more.topk(min(count, more.shape[1]), largest=False, sorted=False).values
    return torch.cat([best, found], 1).topk(count, largest=False, sorted=False).values
