"""Stacked images: two or three random grey images of a labelled set, one in each channel, so that the modes can be counted.

Three digits of MNIST make 1,000 modes, each about as likely as any other; two make 100. Metz et al. 2017, arXiv:1611.02163;
128,000 fixed examples are the protocol of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761). How many modes a generator finds,
`metrics.modes.class_modes` says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError
from sparring.data.images import ImageBatch, Images, ImageSet
from sparring.data.listing import stamp_of

PREFIX = "stacked:"


@dataclass(frozen=True)
class Stacked(Data):
    """Images whose channels are images of another source."""

    source: str = "stacked:mnist"
    """stacked: and any source of images with labels: stacked:mnist, stacked:digits, stacked:FOLDER, ..."""
    channels: int = 3
    """images in each example: 3 (1,000 modes of ten digits) or 2 (100 modes; shown as red and green)"""
    count: int = 128_000
    """examples; which images are in each is drawn once"""
    seed: int = 0
    """of that draw"""
    size: int = 0
    """side in pixels, square; 0: the source's own"""

    def __post_init__(self) -> None:
        if self.channels not in {2, 3}:
            raise UserError(f"data.channels is {self.channels}; images are stacked by 2 or 3")
        if self.count < 1:
            raise UserError(f"data.count is {self.count}; it is at least 1")
        self.images()

    @classmethod
    def claims(cls, source: str) -> bool:
        return source.startswith(PREFIX)

    def images(self) -> Images:
        """What is stacked: the source without its prefix, in grey."""
        return Images(self.source.removeprefix(PREFIX), size=self.size, channels=1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width.

        Raises:
            UserError: size is still 0: `resolved` fills it in.
        """
        return self.channels, *self.images().shape[1:]

    def resolved(self) -> Self:
        """The same with the size filled in from the source."""
        return replace(self, size=self.images().resolved().size)

    def open(self) -> StackedSet:
        """Open the images and draw which are stacked; no stack is made until its batch is asked for.

        Raises:
            UserError: as `Images.open`; or there are images without a label.
        """
        images = self.images().open()
        unknown = int((images.labels < 0).sum())
        if unknown:
            raise UserError(
                f"{self.source}: {unknown} of {len(images)} images have no label; a stack's is made of theirs"
            )
        chance = torch.Generator().manual_seed(self.seed)
        members = torch.randint(len(images), (self.count, self.channels), generator=chance)
        return StackedSet(images, members, stamp_of(images.fingerprint, self.channels, self.count, self.seed))

    def picture(self, examples: Tensor) -> Tensor:
        """A grid of the examples in colour, 1 x 3 x H x W; two channels are red and green."""
        from sparring.core import media

        missing = examples.new_full((len(examples), 3 - examples.shape[1], *examples.shape[2:]), -1.0)
        return media.grid(torch.cat([examples, missing], 1))


class StackedSet(Dataset):
    """Stacks of images, put together batch by batch.

    Args:
        images: grey images, each with a label.
        members: int64 examples x channels, the image in each channel.
        fingerprint: changes when the content changes.
    """

    def __init__(self, images: ImageSet, members: Tensor, fingerprint: str):
        self.images, self.members, self.fingerprint = images, members, fingerprint
        self.classes = len(images.class_names)
        """of one channel; there are classes^channels modes"""

    def __len__(self) -> int:
        return len(self.members)

    def batch(self, index: Tensor, chance: torch.Generator) -> ImageBatch:
        """uint8 N x H x W x channels, and the codes of their labels: 3, 1, 4 is 314."""
        members = self.members[index]
        image, label = self.images.batch(members.flatten(), chance)
        stacks = image.view(*members.shape, *image.shape[1:3]).permute(0, 2, 3, 1)
        places = self.classes ** torch.arange(members.shape[1] - 1, -1, -1)
        return ImageBatch(stacks.contiguous(), (label.view(members.shape) * places).sum(1))

    def prepare(self, batch: ImageBatch) -> ImageBatch:
        """Bytes to float32 in [-1, 1], N x channels x H x W, as `ImageSet.prepare`."""
        return self.images.prepare(batch)
