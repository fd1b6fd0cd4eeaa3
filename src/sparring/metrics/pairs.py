"""Pictures two by two: what the metrics of pairs (psnr, ssim, ms_ssim, feature_distance, gram, sharpness) share.

Each of them takes the real and the generated pictures in the same order, N x C x H x W in [-1, 1], and gives one float64 value
for each pair, N. Values of several batches are joined with `torch.cat`; `estimate` makes a mean and its standard error of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.value import Estimate, checked

Features = Callable[[Tensor], Sequence[Tensor]]
"""pictures, N x C x H x W in [-1, 1], to maps of features, each N x channels x height x width"""


def estimate(values: Tensor) -> Estimate:
    """Mean over the pairs, and its standard error: standard deviation / sqrt(N); not a number for a single pair.

    Args:
        values: one for each pair, N.

    Raises:
        UserError: there is none.
    """
    if not len(values):
        raise UserError("the mean of no pairs is not defined")
    values = values.double()
    spread = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Estimate(values.mean().item(), spread)


def luma(pictures: Tensor) -> Tensor:
    """Y of BT.601 as the super-resolution field (and MATLAB's rgb2ycbcr) computes it: Y = 16 + 65.481 R + 128.553 G + 24.966 B.

    R, G and B go from 0 to 1 and Y from 16 to 235 on a scale of 255, which is the peak that the field takes for its PSNR and
    SSIM: so both come out as they are reported when they are computed on what this gives. Y is not rounded.

    Args:
        pictures: N x 3 x H x W in [-1, 1].

    Returns:
        float64 N x 1 x H x W on the scale of all pictures here: Y = 0 is -1, Y = 255 is 1.

    Raises:
        UserError: not three channels.
    """
    if pictures.dim() != 4 or pictures.shape[1] != 3:
        raise UserError(f"luma is of pictures with three channels, N x 3 x H x W, not of {tuple(pictures.shape)}")
    red, green, blue = ((pictures.double() + 1) / 2).unbind(1)
    return ((16 + 65.481 * red + 128.553 * green + 24.966 * blue) / 127.5 - 1)[:, None]


def as_saved(pictures: Tensor) -> Tensor:
    """What a file of 8 bits would keep of pictures in [-1, 1]: published numbers are of saved pictures."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def checked_pictures(pictures: Tensor, whose: str, least: int = 1) -> Tensor:
    """Pictures in float32 or float64, after a look at what would silently spoil a number. Raises UserError."""
    if pictures.dim() != 4 or not pictures.is_floating_point():
        found = f"{str(pictures.dtype).removeprefix('torch.')} {tuple(pictures.shape)}"
        raise UserError(f"{whose}: pictures are floats in [-1, 1], N x C x H x W, not {found}")
    # A sum sees NaN and infinity in a fraction of the time that a look at every number takes.
    if len(pictures) < least or not pictures.sum(dtype=torch.float32).isfinite():
        checked(pictures, whose, least)
    return pictures.to(torch.promote_types(pictures.dtype, torch.float32))


def checked_pairs(real: Tensor, fake: Tensor, border: int = 0) -> tuple[Tensor, Tensor]:
    """Both sets checked, of one shape, and without so many pixels at each edge. Raises UserError."""
    real, fake = checked_pictures(real, "the real pictures"), checked_pictures(fake, "the generated pictures")
    if real.shape != fake.shape:
        raise UserError(f"pictures of {tuple(real.shape)} and of {tuple(fake.shape)} are not pairs")
    if border < 0 or min(real.shape[2:]) <= 2 * border:
        raise UserError(f"a border of {border} px cannot be taken off pictures of {real.shape[2]} x {real.shape[3]} px")
    if not border:
        return real, fake
    inside = slice(border, -border)
    return real[:, :, inside, inside], fake[:, :, inside, inside]


def feature_maps(real: Tensor, fake: Tensor, features: Features) -> list[tuple[Tensor, Tensor]]:
    """Layer by layer the maps of both, float64. Raises UserError: not maps, none, or not finite."""
    real, fake = checked_pairs(real, fake)
    maps = list(zip(features(real), features(fake)))
    if not maps or any(first.dim() != 4 or first.shape != second.shape for first, second in maps):
        shapes = [tuple(first.shape) for first, _ in maps]
        raise UserError(f"features must be maps, N x channels x height x width, at least one; they are {shapes}")
    return [(_checked_map(first, "real"), _checked_map(second, "generated")) for first, second in maps]


def _checked_map(features: Tensor, which: str) -> Tensor:
    return checked_pictures(features, f"the features of the {which} pictures").double()
