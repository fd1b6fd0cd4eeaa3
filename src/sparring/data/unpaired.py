"""Two sets of pictures of which none belongs to another: photos and paintings, faces and cartoons.

Two folders, or one place that holds both.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError
from sparring.data.cropping import crops, to_floats
from sparring.data.images import SIZE_LIMIT, Images, ImageSet
from sparring.data.listing import Arrays, shared_folder, stamp_of
from sparring.data.sources import open_source

COLOURED = "coloured:"
TRAINING = (("trainA", "trainB"), ("A", "B"), ("a", "b"))
"""names of two folders that are taken where a place holds more than two"""


class DomainBatch(NamedTuple):
    """Pictures of each set, float32 N x C x H x W in [-1, 1], channels last in memory; none belongs to another."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Domains(Data):
    """Two sets of pictures."""

    source: str = "coloured:digits"
    """where the pictures lie: a folder or archive with a folder for each set (trainA and trainB are taken if there are more);
    with --data.other, the first set alone. coloured: and any source of grey images makes a set of half of them and a set
    of the others, dark on a colour"""
    other: str = ""
    """the second set, if it lies elsewhere"""
    size: int = 128
    """side in pixels, square, of what is trained on"""
    channels: int = 0
    """1 for grey, 3 for colour; 0: 1 when every picture of both sets is grey, else 3"""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """how a picture becomes square: crop the middle, pad with black bars, or stretch"""
    jitter: float = 0.117
    """by how much larger than `size` pictures are kept, to be cropped at random; 0: not at all"""
    flip: bool = True
    """mirror half of the pictures at random, left to right"""
    bad: float = 0.05
    """largest share of unreadable files that is tolerated (1: any)"""
    workers: int = 4
    """threads that decode while preparing"""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= SIZE_LIMIT:
            raise UserError(f"data.size is {self.size}; it goes from 1 to {SIZE_LIMIT}")
        if self.channels not in {0, 1, 3}:
            raise UserError(f"data.channels is {self.channels}; it is 1, 3, or 0 for the sets' own")
        if not 0 <= self.jitter <= 1:
            raise UserError(f"data.jitter is {self.jitter}; it is a share from 0 to 1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a picture of either set.

        Raises:
            UserError: the channels are not known before `resolved`.
        """
        if not self.channels:
            raise UserError(f"the shape of {self.source!r} is not known yet: set data.channels")
        return self.channels, self.size, self.size

    @property
    def kept_size(self) -> int:
        """Side at which pictures are kept."""
        return round(self.size * (1 + self.jitter))

    def images(self) -> tuple[Images, Images]:
        """Each set by itself, as it is kept.

        Raises:
            UserError: the place does not hold two sets.
        """
        side = self.kept_size
        return tuple(  # type: ignore[return-value]
            Images(place, side, self.channels, self.fit, bad=self.bad, workers=self.workers) for place in self.places()
        )

    def places(self) -> tuple[str, str]:
        """The source of each set."""
        if self.other:
            return self.source, self.other
        with closing(open_source(self.source)) as source:
            if isinstance(source, Arrays):
                raise UserError(f"{self.source}: an array holds one set of pictures; name the second with --data.other")
            names = source.class_names
            pair = next((pair for pair in TRAINING if set(pair) <= set(names)), None)
            if pair is None and len(names) != 2:
                held = f"holds {', '.join(names[:6])}" if names else "has no folders"
                raise UserError(
                    f"{self.source}: two sets of pictures are needed, in two folders (trainA and trainB, say), and it {held}; "
                    "or name the second with --data.other"
                )
            files = [np.flatnonzero(source.labels == names.index(name)).tolist() for name in pair or names]
            first, second = ("/".join(shared_folder([source.names[index] for index in each])) for each in files)
        return f"{self.source}/{first}", f"{self.source}/{second}"

    def at(self, source: str) -> Self:
        """The same, from a place that holds both sides."""
        return self.replace(source=source, other="")

    def plain(self) -> Self:
        """Whole pictures, not mirrored."""
        return self.replace(jitter=0.0, flip=False)

    def resolved(self) -> Self:
        """The same with the channels filled in from the sets."""
        if self.source.startswith(COLOURED):
            return self.replace(channels=3)
        if self.channels:
            return self
        return self.replace(channels=max(images.resolved().channels for images in self.images()))

    def open(self) -> Dataset:
        """Open for reading. Pictures are decoded, brought to their size and kept in the cache on first use.

        Raises:
            UserError: a set is missing, empty or damaged.
        """
        data = self.resolved()
        if self.source.startswith(COLOURED):
            return ColouredSet(Images(self.source.removeprefix(COLOURED), self.kept_size, 1).open(), data)
        first, second = data.images()
        return DomainSet(first.open(), second.open(), data)

    def picture(self, examples: Tensor) -> Tensor:
        from sparring.core import media

        return media.grid(examples)


class DomainSet(Dataset):
    """As many examples as the larger set has pictures; which of the second set stands beside one of the first is chance.

    Args:
        first, second: the sets, at the size at which they are kept.
        data: resolved.
    """

    def __init__(self, first: ImageSet, second: ImageSet, data: Domains):
        self.sets, self.data = (first, second), data
        self.fingerprint = stamp_of(first.fingerprint, second.fingerprint, data.size, data.flip)

    def __len__(self) -> int:
        return max(map(len, self.sets))

    def batch(self, index: Tensor, chance: torch.Generator) -> DomainBatch:
        """uint8 N x H x W x C."""
        first, second = self.sets
        rows = index % len(first), torch.randint(len(second), index.shape, generator=chance)
        return DomainBatch(
            *(crops(each.images, row, self.data.size, self.data.flip, chance) for each, row in zip(self.sets, rows))
        )

    def prepare(self, batch: DomainBatch) -> DomainBatch:
        return DomainBatch(*(to_floats(each) for each in batch))


class ColouredSet(Dataset):
    """Grey images, and others of them dark on a colour: the toy of its kind.

    The first set are the images of even index. The second are those of odd index, inverted, on a colour that depends on the
    index alone.
    """

    def __init__(self, images: ImageSet, data: Domains):
        self.images, self.data = images, data
        self.fingerprint = stamp_of(images.fingerprint, COLOURED, data)
        self.colours = colours(len(images), seed=0)

    def __len__(self) -> int:
        return len(self.images) // 2

    def batch(self, index: Tensor, chance: torch.Generator) -> DomainBatch:
        """uint8 N x H x W x 3."""
        others = torch.randint(len(self), index.shape, generator=chance)
        first, second = (
            crops(self.images.images, rows, self.data.size, self.data.flip, chance)
            for rows in (2 * index, 2 * others + 1)
        )
        return DomainBatch(first.expand(-1, -1, -1, 3).contiguous(), coloured(second, self.colours[2 * others + 1]))

    def prepare(self, batch: DomainBatch) -> DomainBatch:
        return DomainBatch(*(to_floats(each) for each in batch))


def colours(count: int, seed: int) -> Tensor:
    """Light colours of any hue: uint8 count x 3."""
    turns = torch.rand(count, 1, generator=torch.Generator().manual_seed(seed)) + torch.tensor([0, 1 / 3, 2 / 3])
    return ((0.65 + 0.35 * torch.cos(2 * torch.pi * turns)) * 255).round().to(torch.uint8)


def coloured(images: Tensor, colours: Tensor) -> Tensor:
    """Light strokes on black, turned to dark strokes on a colour.

    Args:
        images: uint8 N x H x W x 1.
        colours: uint8 N x 3.

    Returns:
        uint8 N x H x W x 3.
    """
    ground = 255 - images.to(torch.int32)
    return (ground * colours[:, None, None, :].to(torch.int32) // 255).to(torch.uint8)
