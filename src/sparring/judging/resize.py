"""Resizing as the clean protocol asks for. Parmar et al., "On Aliased Resizing ... in GAN Evaluation", 2021. arXiv:2104.11222

A picture becomes 8 bit, as it would be in a file; then an antialiased bicubic (Pillow's, in floating point) brings it to the
extractor's size, and nothing is rounded or cut off after that.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHARPNESS = -0.5
"""a of the cubic kernel, as Pillow has it"""


def eight_bit(images: Tensor) -> Tensor:
    """N x C x H x W in [-1, 1] as whole numbers from 0 to 255, still float32, as a file would hold them."""
    return ((images + 1) * 127.5).round().clamp(0, 255)


def bicubic(images: Tensor, size: int) -> Tensor:
    """N x C x H x W to N x C x size x size, antialiased; overshoots the range of the input at sharp edges."""
    height, width = images.shape[2:]
    if (height, width) == (size, size):
        return images
    columns = _weights(width, size).to(images)
    rows = _weights(height, size).to(images)
    # The pass that leaves less for the other one comes first.
    return (rows @ images) @ columns.T if height > size else rows @ (images @ columns.T)


def _weights(before: int, after: int) -> Tensor:
    """What each of `before` pixels gives to each of `after`, after x before in float64.

    Keys's cubic of radius 2, widened when shrinking; what falls outside the picture is left out of the mean.
    """
    scale = before / after
    stretch = max(scale, 1.0)
    centre = (torch.arange(after, dtype=torch.float64) + 0.5) * scale
    pixel = torch.arange(before, dtype=torch.float64) + 0.5
    # Pillow takes the pixels whose centres lie within the radius, rounded to whole pixels at both ends.
    first = (centre - 2 * stretch + 0.5).floor().clamp(min=0)[:, None]
    last = (centre + 2 * stretch + 0.5).floor().clamp(max=before)[:, None]
    inside = (pixel - 0.5 >= first) & (pixel - 0.5 < last)
    weights = _cubic((pixel - centre[:, None]) / stretch) * inside
    return weights / weights.sum(1, keepdim=True)


def _cubic(distance: Tensor) -> Tensor:
    """Keys 1981, equation 15."""
    x, a = distance.abs(), SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
