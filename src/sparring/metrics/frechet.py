"""Fréchet distance between Gaussians fitted to two sets of features. Heusel et al. 2017. arXiv:1706.08500, equation 6."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64.

    Args:
        first, second: features, n x d and m x d; n and m should be well above d.
    """
    first, second = first.double(), second.double()
    shift = (first.mean(0) - second.mean(0)).square().sum()
    covariance_1, covariance_2 = first.T.cov(), second.T.cov()
    # The trace of the root of C1 C2 is the sum of the roots of its eigenvalues, which are those of the
    # symmetric R C2 R with R = C1^(1/2): real and non-negative, so nothing imaginary has to be thrown away.
    root = _root(covariance_1)
    values = torch.linalg.eigvalsh(root @ covariance_2 @ root).clamp(min=0)
    return (shift + covariance_1.trace() + covariance_2.trace() - 2 * values.sqrt().sum()).item()


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
