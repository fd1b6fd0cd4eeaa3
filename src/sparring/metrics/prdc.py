"""Precision and recall (Kynkäänniemi et al. 2019. arXiv:1904.06991, equations 1 and 2), density and coverage (Naeem et al.
2020. arXiv:2002.09797, section 3).

Balls around the examples of a set, each reaching to its k-th nearest other example, stand for the set's manifold.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparring.metrics.distances import BLOCK, Points, neighbour_radii_squared, squared_distances
from sparring.metrics.value import checked_pair


class Prdc(NamedTuple):
    """How good and how varied the samples are."""

    precision: float
    """share of samples that lie within a ball of a real example, 0 to 1"""
    recall: float
    """share of real examples that lie within a ball of a sample, 0 to 1"""
    density: float
    """mean number of real balls a sample lies in, divided by k; about 1 for equal distributions, and may exceed it"""
    coverage: float
    """share of real balls that hold a sample, 0 to 1"""


def prdc(real: Tensor, fake: Tensor, neighbours: int = 5) -> Prdc:
    """All four, in float64 and in blocks. A ball is open: a point on its surface is not in it, as in the authors' code.

    Args:
        real, fake: features, n x d and m x d.
        neighbours: k; papers on precision and recall alone take 3.

    Raises:
        UserError: not more than k examples, other widths, or values that are not finite.
    """
    real, fake = checked_pair(real, fake, neighbours + 1)
    here, there = Points.of(real), Points.of(fake)
    real_radii, fake_radii = neighbour_radii_squared(here, neighbours), neighbour_radii_squared(there, neighbours)
    balls = real_radii.new_zeros(len(fake))
    recalled = covered = 0
    for start in range(0, len(real), BLOCK):
        rows = slice(start, start + BLOCK)
        squares = squared_distances(here.part(rows), there)
        within = squares < real_radii[rows, None]
        balls += within.view(torch.uint8).sum(0, dtype=torch.int32)
        covered += int(within.any(1).sum())
        recalled += int((squares < fake_radii).any(1).sum())
    precision = (balls > 0).double().mean().item()
    density = balls.mean().item() / neighbours
    return Prdc(precision, recalled / len(real), density, covered / len(real))
