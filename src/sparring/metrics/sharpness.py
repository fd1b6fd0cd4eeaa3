"""Sharpness: how much gradient energy generated pictures have beside the real ones.

The energy of the gradient is the focus measure of Subbarao et al. 1993 ("Focusing techniques"). Blurred pictures, which a
mean squared error favours, have too little of it; noisy or over-sharpened ones too much.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sparring.metrics.pairs import checked_pairs, checked_pictures
from sparring.metrics.value import Estimate


@torch.no_grad()
def gradient_energy(pictures: Tensor) -> Tensor:
    """Mean squared difference of neighbours across plus that of neighbours down, of pictures in [-1, 1].

    Args:
        pictures: N x C x H x W in [-1, 1]; a side of 1 px has no differences along it.

    Returns:
        float64 N, 0 (flat) to 8 (a chessboard of single pixels).

    Raises:
        UserError: not pictures, or not finite.
    """
    pictures = checked_pictures(pictures, "the pictures").double()
    return sum((_energy(pictures, side) for side in (2, 3)), pictures.new_zeros(len(pictures)))


def _energy(pictures: Tensor, side: int) -> Tensor:
    squares = pictures.diff(dim=side).square_().flatten(1)
    return squares.sum(1) / max(1, squares.shape[1])


def sharpness(real: Tensor, fake: Tensor) -> Tensor:
    """Gradient energy of each generated picture / that of its real one: 1 as sharp, below 1 blurred, above 1 noisy.

    Args:
        real, fake: N x C x H x W in [-1, 1].

    Returns:
        float64 N; 1 where both are flat, infinite where only the real one is.

    Raises:
        UserError: not pictures, not of one shape, or not finite.
    """
    real, fake = checked_pairs(real, fake)
    below, above = gradient_energy(real), gradient_energy(fake)
    return torch.where((below == 0) & (above == 0), 1.0, above / below)


def mean_sharpness(real: Tensor, fake: Tensor) -> Estimate:
    """Total gradient energy of the generated pictures / that of the real ones, so that nearly flat pictures do not rule it.

    The standard error of the ratio r of two means is that of the mean of (above - r below), over the mean below (Cochran 1977,
    "Sampling Techniques"); not a number for a single pair.

    Args:
        real, fake: pairs, N x C x H x W in [-1, 1].

    Raises:
        UserError: as `sharpness`.
    """
    real, fake = checked_pairs(real, fake)
    below, above = gradient_energy(real), gradient_energy(fake)
    ratio = (above.mean() / below.mean()).item()
    count = len(below)
    spread = ((above - ratio * below).std() / below.mean()).item() / math.sqrt(count) if count > 1 else math.nan
    return Estimate(ratio, spread)
