"""Are samples copies of training examples? Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying in Generative
Models". arXiv:2004.05675, section 3.

Fresh real examples lie at some distance from the training examples; samples that lie nearer were copied.
Differs from the paper in: one cell for all (its test for the whole space), and a variance that allows for ties.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.distances import Points, nearest_squared, neighbour_radii_squared
from sparring.metrics.value import checked, checked_pair


class Memorisation(NamedTuple):
    """Samples' distances to their nearest training examples beside those of real examples."""

    share: float
    """of samples that are nearer to the training examples than the quantile q of the real ones; about q if none is copied"""
    rank: float
    """probability that a sample is farther from the training examples than a real one (ties half); 0.5 if none is copied"""
    z: float
    """Mann-Whitney: rank in standard errors from 0.5; below -3 samples are copies, above 3 they miss the data"""


def memorisation(
    samples: Tensor, training: Tensor, held_out: Tensor | None = None, quantile: float = 0.05
) -> Memorisation:
    """Compares distances to the nearest training example: of samples, and of real examples that were not trained on.

    Args:
        samples: n x d features or pixels.
        training: m x d, the examples that the model has seen.
        held_out: l x d, real examples it has not seen. Without them each training example is compared with the others,
            which makes the real distances slightly too large (by the gap that one example of m leaves).
        quantile: q of the real distances.

    Raises:
        UserError: fewer than two examples, other widths, or values that are not finite.
    """
    training, samples = checked_pair(training, samples)
    if not 0 < quantile < 1:
        raise UserError(f"the quantile must lie between 0 and 1, not at {quantile:g}")
    of_samples = nearest_squared(samples, training)
    if held_out is None:
        of_real = neighbour_radii_squared(Points.of(training), 1)
    else:
        held_out = checked(held_out, "the held-out examples")
        of_real = nearest_squared(checked_pair(training, held_out)[1], training)
    share = (of_samples.sqrt() < of_real.sqrt().quantile(quantile)).double().mean().item()
    return Memorisation(share, *_mann_whitney(of_samples, of_real))


def _mann_whitney(first: Tensor, second: Tensor) -> tuple[float, float]:
    """U / n m and its z-score, U the pairs in which the first is larger, with the variance that allows for ties."""
    n, m = len(first), len(second)
    _, place, ties = torch.cat([first, second]).unique(return_inverse=True, return_counts=True)
    ties = ties.double()
    ranks = ties.cumsum(0) - (ties - 1) / 2
    larger = ranks[place[:n]].sum() - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    rank = larger / (n * m)
    return rank.item(), ((larger - n * m / 2) / variance.sqrt().clamp(min=1e-300)).item()
