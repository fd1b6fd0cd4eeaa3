"""Upscale: make a picture larger, with detail that its pixels do not hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core import Dataset, Image, Model, verb
from sparring.core.media import grid, in_channels, resized
from sparring.core.tiles import tiled
from sparring.metrics.pairs import as_saved
from sparring.tasks.compared import Compared
from sparring.tasks.sample import read_examples

TILE = 256
"""side of the pieces of a large picture, so that any size fits the memory"""
ROWS = 4
"""photos in a preview"""


class Upscale(Model):
    """A generator of larger pictures. A subclass sets `generator` (small pictures to large ones), `scale` and `reach`."""

    generator: nn.Module
    scale: int
    """how many times as long the sides become"""
    reach: int
    """how far the generator looks, in pixels of the small picture"""

    @verb("image.png --out upscaled.png")
    def upscale(self, image: Image) -> Image:
        """A larger picture with sharp detail.

        Args:
            image: a picture of any size: grey, colour, or colour and opacity, as which it comes back.
        """
        tile = max(TILE, 4 * self.reach)
        with self.using():
            return tiled(self._enlarged, image.to(self.device), tile, self.reach, self.scale).clamp_(-1, 1)

    def _enlarged(self, image: Tensor) -> Tensor:
        """Colours by the network, opacity by bicubic."""
        if image.shape[1] != 4:
            return self._painted(image)
        return torch.cat([self._painted(image[:, :3]), raised(image[:, 3:], self.scale)], 1)

    def _painted(self, image: Tensor) -> Tensor:
        """Grey or colour, whatever the network knows."""
        known, given = self.config.data.shape[0], image.shape[1]
        if known == 1:
            parts = self.generator(image.flatten(0, 1)[:, None]).float()
            return parts.view(len(image), given, *parts.shape[2:])
        return in_channels(self.generator(in_channels(image, known)).float(), given)

    def compare(self, dataset: Dataset, index: Tensor, chance: torch.Generator) -> list[Compared]:
        original = dataset.prepare(dataset.batch(index, chance))[0]
        small = lowered(original, self.scale)
        control = raised(small, self.scale).clamp(-1, 1)
        made = self.upscale(small).cpu()
        return [Compared("upscale", made, original, control, paired=True, border=self.scale)]

    def preview(self, seed: int) -> Tensor:
        """A row for each of a few photos: the small one enlarged by bicubic, by the generator, and the original."""
        original = read_examples(self.config.data.open(), ROWS, seed).to(self.device)
        small = lowered(original, self.scale)
        columns = [raised(small, self.scale).clamp(-1, 1), self.upscale(small), original]
        return grid(torch.stack(columns, 1).flatten(0, 1), len(columns))


def lowered(images: Tensor, scale: int) -> Tensor:
    """Pictures with sides of 1 / scale, as a file of 8 bits would hold them: antialiased bicubic.

    Args:
        images: N x C x H x W in [-1, 1]; H and W are multiples of `scale`.
        scale: how many times as short the sides become.
    """
    height, width = images.shape[2:]
    return as_saved(resized(images, height // scale, width // scale))


def raised(images: Tensor, scale: int) -> Tensor:
    """Pictures with sides of `scale` times theirs, by bicubic: what every network has to beat."""
    height, width = images.shape[2:]
    return resized(images, height * scale, width * scale)
