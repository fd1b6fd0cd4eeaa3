"""Fréchet distance between Gaussians fitted to two sets of features. Heusel et al. 2017. arXiv:1706.08500, equation 6.

With Inception features it is the FID. It is biased upwards by few examples: compare only at equal counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.metrics.statistics import Moments
from sparring.metrics.value import checked_pair


def frechet(real: Tensor, fake: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64; from 0 for equal moments upwards, in squared units of features.

    Args:
        real, fake: features, n x d and m x d; n and m should be well above d.

    Raises:
        UserError: fewer than two examples, other widths, or values that are not finite.
    """
    real, fake = checked_pair(real, fake)
    return _distance(*_mean_and_factor(real), *_mean_and_factor(fake))


def frechet_of_moments(real: Moments, fake: Moments) -> float:
    """The same from moments: streamed, merged over processes, or kept from an earlier run.

    Raises:
        UserError: fewer than two examples, or other widths.
    """
    real._fits(len(fake.mean))
    return _distance(real.mean, _factor(real.covariance()), fake.mean, _factor(fake.covariance()))


def _distance(mean_1: Tensor, factor_1: Tensor, mean_2: Tensor, factor_2: Tensor) -> float:
    # With C = F F^T the eigenvalues of C1 C2 are the squares of the singular values of F1^T F2, so that the trace of the root
    # is their sum. No root of a matrix is taken, nothing imaginary is thrown away, and the digits that rounding the
    # product would cost its small eigenvalues are kept.
    overlap = torch.linalg.svdvals(factor_1.T @ factor_2).sum()
    spread = factor_1.square().sum() + factor_2.square().sum()
    return ((mean_1 - mean_2).square().sum() + spread - 2 * overlap).clamp(min=0).item()


def _mean_and_factor(features: Tensor) -> tuple[Tensor, Tensor]:
    count, width = features.shape
    if count > width:
        moments = Moments.of(features)
        return moments.mean, _factor(moments.covariance())
    # Fewer examples than dimensions: they are themselves the factor, and a slim one.
    features = features.double()
    mean = features.mean(0)
    return mean, (features - mean).T / (count - 1) ** 0.5


def _factor(covariance: Tensor) -> Tensor:
    """F, d x rank, with F F^T = covariance."""
    rounding = torch.finfo(torch.float64).eps * len(covariance) ** 0.5
    triangle, failed = torch.linalg.cholesky_ex(covariance)
    pivots = triangle.diagonal().square()
    if not failed and pivots.min() > rounding * pivots.max():
        return triangle
    # A flat direction: Cholesky would fill it with rounding, whose root is large.
    values, vectors = torch.linalg.eigh(covariance)
    keep = values > rounding * values[-1]
    return vectors[:, keep] * values[keep].sqrt()
