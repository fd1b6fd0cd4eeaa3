"""Random crops and mirror images of many pictures at once: augmentation that costs a copy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def crops(images: np.ndarray, rows: Tensor, size: int, flip: bool, chance: torch.Generator) -> Tensor:
    """A square of each of these pictures, from a place of its own.

    Args:
        images: uint8 N x H x W x C, contiguous.
        rows: int64 (M,), which pictures.
        size: side of the squares, at most H and W.
        flip: mirror half of them, left to right.
        chance: decides where, and which are mirrored.

    Returns:
        uint8 M x size x size x C.
    """
    height, width, channels = images.shape[1:]
    count, side = len(rows), torch.arange(size)
    top = torch.randint(height - size + 1, (count, 1), generator=chance)
    left = torch.randint(width - size + 1, (count, 1), generator=chance)
    columns = (left + side)[:, None, :]
    if flip:
        mirrored = torch.rand(count, 1, 1, generator=chance) < 0.5
        columns = torch.where(mirrored, columns.flip(2), columns)
    pixels = (rows[:, None, None] * height + (top + side)[:, :, None]) * width + columns
    found = images.reshape(-1, channels).take(pixels.flatten().numpy(), axis=0)
    return torch.from_numpy(found).view(count, size, size, channels)


def to_floats(images: Tensor) -> Tensor:
    """uint8 N x H x W x C to float32 N x C x H x W in [-1, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)
