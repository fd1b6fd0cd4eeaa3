"""Kernel Inception distance. Bińkowski et al. 2018, "Demystifying MMD GANs". arXiv:1801.01401, section 4.

The squared maximum mean discrepancy with a cubic kernel: unlike the Fréchet distance it is unbiased, also for few examples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.kernel import Kernel, Kernels, discrepancy, subset_discrepancies
from sparring.metrics.value import Estimate, checked_pair


def kid(real: Tensor, fake: Tensor, subsets: int = 100, size: int = 1000, seed: int = 0) -> Estimate:
    """Mean over random subsets of the unbiased MMD^2 with k(x, y) = (x.y / d + 1)^3; about 0 for equal distributions.

    The spread is a standard error of that mean. Subsets overlap, so their standard deviation s is scaled as for the
    jackknife that deletes all but `size` examples (Shao and Wu 1989): s sqrt(size / (n - size)), n the smaller count.
    Tables elsewhere often give s itself.

    Args:
        real, fake: features, n x d and m x d.
        subsets: how many.
        size: examples of either side in each, without repetition.
        seed: of the choice.

    Raises:
        UserError: not more than `size` examples, other widths, or values that are not finite.
    """
    real, fake = checked_pair(real, fake)
    count = min(len(real), len(fake))
    if subsets < 2 or not 2 <= size < count:
        raise UserError(
            f"{subsets} subsets of {size} cannot be drawn from {len(real)} real examples and {len(fake)} samples: at least 2 "
            f"subsets are needed, each of at least 2 and fewer than {count}"
        )
    values = subset_values(real, fake, subsets, size, seed)
    return Estimate(values.mean().item(), values.std().item() * (size / (count - size)) ** 0.5)


def kid_of_all(real: Tensor, fake: Tensor) -> Estimate:
    """Unbiased MMD^2 of all examples at once, in blocks, with its standard error (see `kernel.discrepancy`).

    Args:
        real, fake: features, n x d and m x d.

    Raises:
        UserError: fewer than two examples, other widths, or values that are not finite.
    """
    real, fake = checked_pair(real, fake)
    return discrepancy(_kernels(real, fake), len(real), len(fake))


def subset_values(real: Tensor, fake: Tensor, subsets: int, size: int, seed: int) -> Tensor:
    """The estimate of each subset, float64."""
    chance = torch.Generator().manual_seed(seed)
    chosen = [[torch.randperm(len(side), generator=chance)[:size] for side in (real, fake)] for _ in range(subsets)]
    # The kernel matrices of everything cost less than those of all subsets, unless the sets are very large.
    if len(real) ** 2 / 2 + len(fake) ** 2 / 2 + len(real) * len(fake) <= 2 * subsets * size**2:
        members = [_members(len(side), [pair[place] for pair in chosen]) for place, side in enumerate((real, fake))]
        return subset_discrepancies(_kernels(real, fake), *members)
    pairs = (discrepancy(_kernels(real[left], fake[right]), size, size) for left, right in chosen)
    return torch.tensor([pair.value for pair in pairs], dtype=torch.float64)


def _members(count: int, chosen: list[Tensor]) -> Tensor:
    members = torch.zeros(count, len(chosen), dtype=torch.float64)
    return members.scatter_(0, torch.stack(chosen, 1), 1.0)


def _kernels(real: Tensor, fake: Tensor) -> Kernels:
    """(x.y / d + 1)^3 within the real side, within the fake side, and across.

    With c the common mean and x = c + u, y = c + v: x.y = u.v + (c.u + c.c / 2) + (c.v + c.c / 2). Only u.v, which is small and
    whose rounding averages out over a million pairs, is left in the features' own float32; all else is float64.
    """
    width = real.shape[1]
    plain = torch.float64 if torch.float64 in (real.dtype, fake.dtype) else torch.float32
    centre = (real.mean(0, dtype=torch.float64) + fake.mean(0, dtype=torch.float64)) / 2

    def prepare(side: Tensor) -> tuple[Tensor, Tensor]:
        rest = side.double() - centre
        line = (rest @ centre + centre.square().sum() / 2) / width + 0.5
        return (rest / width**0.5).to(plain).cpu(), line.cpu()

    def between(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> Kernel:
        def kernel(rows: slice, columns: slice) -> Tensor:
            base = (left[0][rows] @ right[0][columns].T).double()
            base.add_(left[1][rows, None]).add_(right[1][columns])
            return base.square().mul_(base)

        return kernel

    first, second = prepare(real), prepare(fake)
    return Kernels(between(first, first), between(second, second), between(first, second))
