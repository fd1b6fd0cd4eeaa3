"""Structural similarity. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.

Compares local means, contrasts and structures, each within a Gaussian window of 11 px.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.pairs import checked_pairs

WINDOW, SIGMA = 11, 1.5
LUMINANCE_FLOOR, CONTRAST_FLOOR = 0.01**2, 0.03**2
"""C1 = (K1 L)^2 and C2 = (K2 L)^2 at a range L of 1"""
TOGETHER = 2**17
"""pixels that are worked on at a time: what stays in a processor's cache"""


class Similarity(NamedTuple):
    """Means over the places where the whole window is inside the picture, float64 N."""

    whole: Tensor
    """SSIM: luminance x contrast x structure"""
    contrast: Tensor
    """contrast x structure alone, which MS-SSIM wants of all scales but the coarsest"""


@torch.no_grad()
def ssim(real: Tensor, fake: Tensor, border: int = 0) -> Tensor:
    """Mean SSIM of each pair: equation 13, in the window of section III-C, on pixels brought to [0, 1].

    SSIM = (2 m1 m2 + C1) (2 s12 + C2) / ((m1^2 + m2^2 + C1) (s1^2 + s2^2 + C2)), averaged over channels and over all
    places that have the whole window. The super-resolution field takes it of `luma`, as in `psnr`.

    Args:
        real, fake: N x C x H x W in [-1, 1], sides of at least 11 px within the border.
        border: pixels at each edge that do not count.

    Returns:
        float64 N, at most 1 (equal pictures); below 0 where structures are opposite.

    Raises:
        UserError: not pictures, not of one shape, not finite, or too small.
    """
    real, fake = checked_pairs(real, fake, border)
    check_side(real, WINDOW)
    return similarity(unit(real), unit(fake)).whole


def check_side(pictures: Tensor, least: int, advice: str = "") -> None:
    """Refuse pictures that are smaller than that. Raises UserError."""
    height, width = pictures.shape[2:]
    if min(height, width) < least:
        raise UserError(f"pictures of {height} x {width} px are too small: sides of {least} px are needed{advice}")


def unit(pictures: Tensor) -> Tensor:
    """[-1, 1] to [0, 1] in float64: the variance of a nearly flat window has no digits left in float32."""
    return pictures.contiguous().double().add_(1).div_(2)


def similarity(real: Tensor, fake: Tensor) -> Similarity:
    """SSIM and its contrast term of pictures in [0, 1], float64 N x C x H x W."""
    count = max(1, TOGETHER // real[0].numel())
    parts = [_similarity(first, second) for first, second in zip(real.split(count), fake.split(count))]
    return Similarity(*(torch.cat(values) for values in zip(*parts)))


def _similarity(real: Tensor, fake: Tensor) -> Similarity:
    mean_1, mean_2 = blurred(real), blurred(fake)
    squares, product = mean_1.square() + mean_2.square(), mean_1 * mean_2
    # Only the sum of the two variances is ever wanted: one blur for both.
    variances = blurred(real.square() + fake.square()) - squares
    covariance = blurred(real * fake) - product
    contrast = (2 * covariance + CONTRAST_FLOOR) / (variances + CONTRAST_FLOOR)
    luminance = (2 * product + LUMINANCE_FLOOR) / (squares + LUMINANCE_FLOOR)
    return Similarity((luminance * contrast).flatten(1).mean(1), contrast.flatten(1).mean(1))


def blurred(pictures: Tensor) -> Tensor:
    """The Gaussian window of 11 x 11, as one pass down and one across; 10 px smaller on each side.

    Sums of shifted copies take a twentieth of the time of torch's convolution with one channel.
    """
    place = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-place.square() / (2 * SIGMA**2))
    weights = (window / window.sum()).tolist()
    for dimension in (2, 3):
        length = pictures.shape[dimension] - WINDOW + 1
        total = pictures.narrow(dimension, 0, length) * weights[0]
        for shift in range(1, WINDOW):
            total.add_(pictures.narrow(dimension, shift, length), alpha=weights[shift])
        pictures = total
    return pictures
