"""Large pictures through a network in overlapping tiles, so that memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LARGE = 2**27
"""numbers in a result from which on it is kept in half precision: one part in 2,000, below a step of 8 bits"""


def tiled(
    network: Callable[[Tensor], Tensor], image: Tensor, tile: int, margin: int, scale: int = 1, multiple: int = 1
) -> Tensor:
    """What a convolutional network makes of a picture of any size.

    A tile's margin is seen but thrown away; half of what is left over between neighbours is faded over. Where the network
    looks no further than the margin, the result is what it would make of the whole picture.

    Args:
        network: N x C x h x w to N x C' x scale h x scale w.
        image: N x C x H x W.
        tile: side of a tile with its margins, a multiple of `multiple`; a picture that is no larger goes through in one piece.
        margin: of each tile, in pixels of the input, a multiple of `multiple`; tiles overlap by three of them.
        multiple: sides that the network takes; others are filled up with the picture's mirror image.

    Returns:
        N x C' x scale H x scale W, on the picture's device; half precision where it is very large.
    """
    height, width = image.shape[2:]
    image = filled(image, multiple)
    rows, columns = (starts(side, tile, margin) for side in image.shape[2:])
    if len(rows) == len(columns) == 1:
        return network(image)[:, :, : scale * height, : scale * width]
    result: Tensor | None = None
    for row, top in enumerate(rows):
        strip: Tensor | None = None
        for column, left in enumerate(columns):
            made = network(image[:, :, top : top + tile, left : left + tile])
            if strip is None:
                strip = made.new_empty(*made.shape[:3], scale * image.shape[3])
            _lay(strip, made, scale * left, scale * margin, column > 0, column < len(columns) - 1, 3)
        assert strip is not None
        if result is None:
            shape = (*strip.shape[:2], scale * image.shape[2], strip.shape[3])
            kind = torch.float16 if shape[0] * shape[1] * shape[2] * shape[3] > LARGE else strip.dtype
            result = torch.empty(shape, dtype=kind, device=strip.device)
        _lay(result, strip, scale * top, scale * margin, row > 0, row < len(rows) - 1, 2)
    assert result is not None
    return result[:, :, : scale * height, : scale * width]


def filled(image: Tensor, multiple: int) -> Tensor:
    """The picture with its mirror image added below and to the right, up to sides that are multiples."""
    below, right = -image.shape[2] % multiple, -image.shape[3] % multiple
    while below or right:
        # A mirror image is at most as large as the picture.
        step = min(below, image.shape[2] - 1) or min(1, below), min(right, image.shape[3] - 1) or min(1, right)
        kind = "reflect" if min(image.shape[2:]) > 1 else "replicate"
        image = functional.pad(image, (0, step[1], 0, step[0]), mode=kind)
        below, right = below - step[0], right - step[1]
    return image


def starts(side: int, tile: int, margin: int) -> list[int]:
    """Where tiles begin along a side; the last ends at its end."""
    if side <= tile:
        return [0]
    step = tile - 3 * margin
    assert step > 0, "a tile holds more than three margins"
    return [*range(0, side - tile, step), side - tile]


def _lay(onto: Tensor, made: Tensor, start: int, margin: int, after: bool, before: bool, axis: int) -> None:
    """Lay a tile (or a strip of them) down from `start` on, faded over what lies there already."""
    first, last = (margin if after else 0), made.shape[axis] - (margin if before else 0)
    made = made.narrow(axis, first, last - first)
    under = onto.narrow(axis, start + first, last - first)
    if not after:
        under.copy_(made)
        return
    fade = margin
    ramp = (torch.arange(fade, device=made.device, dtype=torch.float32) + 0.5) / max(fade, 1)
    ramp = ramp.view(-1, *(1,) * (made.dim() - 1 - axis))
    faded = under.narrow(axis, 0, fade).float().lerp(made.narrow(axis, 0, fade).float(), ramp)
    under.copy_(made)
    under.narrow(axis, 0, fade).copy_(faded)
