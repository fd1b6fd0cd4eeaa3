"""Maximum mean discrepancy with Gaussian kernels. Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13, equation 3.

How far apart two sets are for the function, smooth on the scale of the kernel, that tells them apart best.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.distances import Points, squared_distances
from sparring.metrics.kernel import Kernel, Kernels, discrepancy
from sparring.metrics.value import Estimate, checked_pair


def mmd(real: Tensor, fake: Tensor, widths: Sequence[float] = ()) -> Estimate:
    """Unbiased MMD^2 with k(x, y) = mean over widths s of exp(-|x - y|^2 / 2 s^2): about 0 for equal distributions, at most 2.

    The spread is its standard error (see `kernel.discrepancy`).

    Args:
        real, fake: features, n x d and m x d.
        widths: of the kernels; the median distance of the pooled examples if none are given (Gretton et al., section 8).

    Raises:
        UserError: fewer than two examples, other widths of features, values that are not finite, or a width below 0.
    """
    real, fake = checked_pair(real, fake)
    widths = widths or (median_distance(real, fake),)
    if min(widths) <= 0:
        raise UserError(
            f"widths of a Gaussian kernel must be positive, not {', '.join(f'{width:g}' for width in widths)}"
        )

    def between(left: Points, right: Points) -> Kernel:
        def kernel(rows: slice, columns: slice) -> Tensor:
            squares = squared_distances(left.part(rows), right.part(columns))
            if len(widths) == 1:
                return squares.mul_(-0.5 / widths[0] ** 2).exp_()
            return torch.stack([(squares * (-0.5 / width**2)).exp_() for width in widths]).mean(0)

        return kernel

    first, second = Points.of(real.cpu()), Points.of(fake.cpu())
    kernels = Kernels(between(first, first), between(second, second), between(first, second))
    return discrepancy(kernels, len(real), len(fake))


def median_distance(real: Tensor, fake: Tensor, limit: int = 4000, seed: int = 0) -> float:
    """Median Euclidean distance between two different examples of both sets together (the lower of two middle ones).

    Args:
        real, fake: features, n x d and m x d.
        limit: of more examples than this, so many are drawn.
        seed: of the drawing.

    Raises:
        UserError: it is 0: at least half of all pairs are equal.
    """
    pooled = torch.cat([real, fake])
    if len(pooled) > limit:
        pooled = pooled[
            torch.randperm(len(pooled), generator=torch.Generator().manual_seed(seed))[:limit].to(pooled.device)
        ]
    squares = squared_distances(Points.of(pooled), Points.of(pooled))
    median = squares[torch.ones_like(squares, dtype=torch.bool).triu(1)].median().sqrt().item()
    if median == 0:
        raise UserError("at least half of all pairs of examples are equal: give the kernel's widths")
    return median
