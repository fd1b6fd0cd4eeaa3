"""Images, with a label each where the source has labels: the commonest kind of data.

Whatever the source is, its images are decoded and resized once, kept as bytes, and gathered by index from then on.
"""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError
from sparring.data.cache import cached_store
from sparring.data.cropping import to_floats
from sparring.data.decoding import Recipe, check_bad, fill, own_shape
from sparring.data.listing import Arrays, Source, stamp_of
from sparring.data.sources import open_source
from sparring.data.store import content_hash

SIZE_LIMIT = 4096
HASH_LIMIT = 2**28


class ImageBatch(NamedTuple):
    """Images and their labels."""

    image: Tensor
    """float32 N x C x H x W in [-1, 1], channels last in memory; uint8 N x H x W x C before `ImageSet.prepare`"""
    label: Tensor
    """int64 (N,), -1 where unknown"""


class ImageSet(Dataset):
    """Images of one size, in memory or memory-mapped."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, class_names: list[str], fingerprint: str, flip: bool = False
    ):
        """Wrap arrays.

        Args:
            images: uint8 N x H x W x C.
            labels: int64 (N,), -1 where unknown.
            class_names: name of each class.
            fingerprint: changes when the content changes.
            flip: mirror half of the images at random.
        """
        # The subclass memmap makes every batch slower; a plain view of it maps the same file.
        self.images = np.asarray(images)
        self.labels = labels
        self.class_names = class_names
        self.fingerprint = fingerprint
        self.flip = flip

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def batch(self, index: Tensor, chance: torch.Generator) -> ImageBatch:
        """The images of these indices as uint8 N x H x W x C, and their labels.

        Args:
            index: int64 (N,).
            chance: decides which images are mirrored, if any are.
        """
        rows = index.numpy()
        image = torch.from_numpy(np.ascontiguousarray(self.images[rows]))
        if self.flip:
            mirrored = torch.rand(len(image), generator=chance) < 0.5
            image[mirrored] = image[mirrored].flip(2)
        return ImageBatch(image, torch.from_numpy(self.labels[rows]))

    def prepare(self, batch: ImageBatch) -> ImageBatch:
        """Bytes to float32 in [-1, 1], N x C x H x W, on whichever device they are; channels stay last in memory."""
        return ImageBatch(to_floats(batch.image), batch.label)


@dataclass(frozen=True)
class Images(Data):
    """Images from a folder, an archive, an array, a table or a known name."""

    source: str = "digits"
    """folder, zip, tar, idx, npy, npz, parquet, csv, jsonl or prepared store of images; or digits, mnist,
    fashion_mnist, cifar10"""
    size: int = 0
    """side in pixels, square; 0: the source's own if all its images share one square size up to 256, else 64"""
    channels: int = 0
    """1 for grey, 3 for colour (or as many as a .npy file has); 0: 1 when every image is grey, else 3"""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """how an image becomes square: crop the middle, pad with black bars, or stretch"""
    flip: bool = False
    """mirror half of the images at random, left to right"""
    bad: float = 0.05
    """largest share of unreadable files that is tolerated (1: any)"""
    workers: int = 4
    """threads that decode while preparing"""
    class_names: tuple[str, ...] = ()
    """name of each class, in the order of the labels' numbers; none: the source's own"""

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_LIMIT:
            raise UserError(f"data.size is {self.size}; it goes from 1 to {SIZE_LIMIT}, or 0 for the source's own")
        if self.channels < 0:
            raise UserError(f"data.channels is {self.channels}; it is 1, 3, or 0 for the source's own")
        if self.fit not in {"crop", "pad", "stretch"}:
            raise UserError(f"data.fit is {self.fit!r}; it is crop, pad or stretch")
        if not 0 <= self.bad <= 1:
            raise UserError(f"data.bad is {self.bad}; it is a share from 0 to 1")
        if self.workers < 1:
            raise UserError(f"data.workers is {self.workers}; it is at least 1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width.

        Raises:
            UserError: size or channels is still 0: `resolved` fills them in.
        """
        if not self.size or not self.channels:
            raise UserError(f"the shape of {self.source!r} is not known yet: set data.size and data.channels")
        return self.channels, self.size, self.size

    @property
    def classes(self) -> int:
        """Number of classes; 0 where the source has no labels, or before `resolved` has filled in their names."""
        return len(self.class_names)

    def resolved(self) -> Self:
        """The same with size, channels and the names of the classes filled in from the source."""
        if self.size and self.channels and self.class_names:
            return self
        with closing(open_source(self.source)) as source:
            return self.resolved_for(source)

    def resolved_for(self, source: Source) -> Self:
        """`resolved`, for a source that is open already."""
        names = self.class_names or tuple(source.class_names)
        if self.size and self.channels:
            return replace(self, class_names=names)
        size, channels = own_shape(source, self.workers)
        return replace(self, size=self.size or size, channels=self.channels or channels, class_names=names)

    def recipe(self) -> Recipe:
        """How the images are made of the source; size and channels must be filled in."""
        channels, size, _ = self.shape
        return Recipe(self.source, size, channels, self.fit, self.bad, self.workers)

    def open(self) -> ImageSet:
        """Open for reading. Images that are not of the right size yet are prepared and kept in the cache.

        Raises:
            UserError: the source is missing, damaged or unfit, or too many of its files are.
        """
        with closing(open_source(self.source)) as source:
            return self.resolved_for(source)._open(source)

    def _open(self, source: Source) -> ImageSet:
        recipe = self.recipe()
        check_channels(source, recipe)
        if isinstance(source, Arrays) and source.images.shape[1:] == (self.size, self.size, self.channels):
            # Hashing all pixels of a large file at every start would take long; where and when it was written must do.
            small = source.images.nbytes <= HASH_LIMIT
            content = content_hash(source.images, source.labels) if small else source.stamp
            return self._wrap(source.images, source.labels, source.class_names, content)
        key = stamp_of(source.stamp, source.kind, recipe.settings)
        shape = (len(source.labels), self.size, self.size, self.channels)
        store = cached_store(key, shape, partial(fill, source, recipe))
        left_out = check_bad(store.skipped, len(source.labels), recipe)
        if left_out:
            warnings.warn(left_out, stacklevel=3)
        return self._wrap(store.images, store.labels, store.class_names, store.fingerprint)

    def _wrap(self, images: np.ndarray, labels: np.ndarray, class_names: list[str], content: str) -> ImageSet:
        fingerprint = stamp_of(content, self.size, self.channels, self.fit, self.flip)
        return ImageSet(images, labels, class_names, fingerprint, self.flip)

    def picture(self, examples: Tensor) -> Tensor:
        """A grid of images (N x C x H x W in [-1, 1]) as one image, 1 x C x H x W."""
        from sparring.core import media

        return media.grid(examples)


def check_channels(source: Source, recipe: Recipe) -> None:
    """Refuse channels that this source cannot give."""
    have = source.images.shape[3] if isinstance(source, Arrays) else 3
    if recipe.channels not in {1, 3, have} or (have > 4 and recipe.channels != have):
        raise UserError(
            f"{recipe.source}: its images cannot be given {recipe.channels} channels; set data.channels to 1 or 3"
            if have <= 4
            else f"{recipe.source}: its images have {have} channels, so data.channels is {have} (or 0)"
        )
