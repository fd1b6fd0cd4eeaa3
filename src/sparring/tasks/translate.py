"""Translate: turn a picture into another kind of picture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sparring.core import Image, Model, UserError, verb
from sparring.core.media import grid, in_channels, resized
from sparring.core.tiles import tiled

TILE = 512
"""side of the pieces in which a large picture is worked on"""
LEAST = 16
"""the fewest pixels that a side may have"""
Network = Callable[[Tensor], Tensor]


class Translate(Model):
    """A network from pictures to pictures. A subclass sets the fields below, and says how a picture is translated."""

    channels: tuple[int, int]
    """of what is taken, and of what is made"""
    multiple: int
    """what both sides of a picture must be multiples of"""
    reach: int = 0
    """how far away a pixel may lie that has a say in another; 0 for a network that looks at the whole picture"""

    @abstractmethod
    def forth(self, image: Tensor) -> Tensor:
        """N x C x H x W as the network takes it to what it makes of it; sides are multiples of `multiple`."""

    @contextmanager
    def steadied(self, network: Network, image: Tensor) -> Iterator[None]:
        """While a large picture is worked on in pieces: what is measured of this small copy of it holds for all of them."""
        yield

    @verb("image.png --out translated.png")
    def translate(self, image: Image, size: int = 0) -> Image:
        """Turn a picture into what the model has learned to make of one.

        Args:
            image: a picture of any size.
            size: its shorter side while it is worked on: textures come out as large as in training when it is what the
                model was trained at; 0: that for a model that looks at whole pictures, the picture's own for others.
        """
        return self.through(self.forth, image, size, *self.channels)

    def through(self, network: Network, image: Tensor, size: int, given: int, made: int) -> Tensor:
        """What a network makes of pictures of any size and channels.

        Args:
            network: N x given x H x W to N x made x H x W.
            image: N x C x H x W in [-1, 1].
            size: shorter side while it is worked on; 0: as `translate` has it.

        Returns:
            N x made x H x W, as large as the picture.
        """
        height, width = image.shape[2:]
        if min(height, width) < LEAST:
            raise UserError(f"the picture has {width} x {height} pixels; it takes at least {LEAST} on each side")
        if size < 0 or 0 < size < LEAST:
            raise UserError(f"--size is {size}; it is at least {LEAST}, or 0")
        seen = in_channels(image, given).to(self.device)
        if not size and not self.reach:
            size = self.config.data.shape[1]
        if size:
            seen = scaled(seen, size / min(height, width))
        with self.using():
            found = self._in_pieces(network, seen)
        if found.shape[2:] != (height, width):
            found = resized(found.float(), height, width).clamp(-1, 1)
        return found

    def _in_pieces(self, network: Network, image: Tensor) -> Tensor:
        if not self.reach:
            return tiled(network, image, 10**9, 0, multiple=self.multiple)
        margin = -(-self.reach // self.multiple) * self.multiple
        tile = max(TILE, 6 * margin)
        if max(image.shape[2:]) <= tile:
            return tiled(network, image, tile, margin, multiple=self.multiple)
        small = scaled(image, min(1.0, tile / max(image.shape[2:])))
        with self.steadied(network, small[:, :, : small.shape[2] // self.multiple * self.multiple,
                                          : small.shape[3] // self.multiple * self.multiple]):  # fmt: skip
            return tiled(network, image, tile, margin, multiple=self.multiple)

    def preview(self, seed: int) -> Tensor:
        """Rows of training pictures and what becomes of them."""
        rows = self.shown(seed)
        wide = max(row.shape[1] for row in rows)
        return grid(torch.cat([in_channels(row, wide) for row in rows]), len(rows[0]))

    @abstractmethod
    def shown(self, seed: int) -> list[Tensor]:
        """The rows of the preview, each N x C x H x W on the host."""


def scaled(image: Tensor, scale: float) -> Tensor:
    """A picture with its sides multiplied."""
    if scale == 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[2:])
    return resized(image, height, width).clamp(-1, 1)
