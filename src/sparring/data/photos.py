"""Photos of any size, of which small squares are looked at: what sharpening and filling in learn from.

Each photo is cut into overlapping tiles once. Where these are larger than half as much again as the squares that are trained
on, every such square lies whole in one of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError
from sparring.data.cache import cached_store
from sparring.data.cropping import crops, to_floats
from sparring.data.decoding import Recipe, check_bad, each_picture, own_shape
from sparring.data.images import SIZE_LIMIT, ImageBatch
from sparring.data.listing import Arrays, Pictures, Source, stamp_of
from sparring.data.pictures import header, opened, upright
from sparring.data.sources import open_source
from sparring.data.store import Contents, Skipped

LARGEST = 3
"""side of a tile over that of a square, where the photos are large enough"""


class Extent(NamedTuple):
    """A photo's sides."""

    width: int
    height: int


@dataclass(frozen=True)
class Photos(Data):
    """Squares of photos at their own resolution."""

    source: str = ""
    """folder, zip, tar, npy, table, ... of photos, which need not be of one size; or a known name"""
    size: int = 96
    """side in pixels, square, of what is trained on; smaller photos are left out"""
    channels: int = 0
    """1 for grey, 3 for colour; 0: 1 when every photo is grey, else 3"""
    flip: bool = True
    """mirror half of the squares at random, left to right"""
    bad: float = 0.05
    """largest share of photos that are unreadable or too small that is tolerated (1: any)"""
    workers: int = 4
    """threads that decode while preparing"""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= SIZE_LIMIT:
            raise UserError(f"data.size is {self.size}; it goes from 1 to {SIZE_LIMIT}")
        if self.channels not in {0, 1, 3}:
            raise UserError(f"data.channels is {self.channels}; it is 1, 3, or 0 for the photos' own")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a square.

        Raises:
            UserError: the channels are not known before `resolved`.
        """
        if not self.channels:
            raise UserError(f"the shape of {self.source!r} is not known yet: set data.channels")
        return self.channels, self.size, self.size

    def resolved(self) -> Self:
        """The same with the channels filled in from the source."""
        if self.channels:
            return self
        with closing(self._opened()) as source:
            return self.replace(channels=min(own_shape(source, self.workers)[1], 3))

    def open(self) -> PhotoSet:
        """Open for reading. Photos are decoded, cut and kept in the cache on first use.

        Raises:
            UserError: the source is missing or damaged, or too many of its photos are too small.
        """
        data = self.resolved()
        with closing(self._opened()) as source:
            recipe = Recipe(data.source, data.size, data.channels, "tiles", data.bad, data.workers)
            extents = _extents(source, recipe)
            side = tile_side(list(extents.values()), data.size)
            count = sum(len(corners(extent, side, data.size)) for extent in extents.values())
            settings = {**recipe.settings, "tile": side}
            work = partial(_fill, source, extents, side, recipe, settings)
            store = cached_store(stamp_of(source.stamp, settings), (count, side, side, data.channels), work)
            if left_out := check_bad(store.skipped, len(source.labels), recipe):
                warnings.warn(left_out, stacklevel=2)
        return PhotoSet(store.images, stamp_of(store.fingerprint, data.flip), data)

    def _opened(self) -> Source:
        if not self.source:
            raise UserError("photos to learn from are needed: --data FOLDER, or a .zip, .tar, .csv, ... of them")
        return open_source(self.source)

    def picture(self, examples: Tensor) -> Tensor:
        from sparring.core import media

        return media.grid(examples)


class PhotoSet(Dataset):
    """Tiles of photos; an example is a square of one, from anywhere in it.

    Args:
        tiles: uint8 N x H x W x C.
        fingerprint: changes when the content changes.
        data: resolved.
    """

    def __init__(self, tiles: np.ndarray, fingerprint: str, data: Photos):
        self.tiles, self.fingerprint, self.data = tiles, fingerprint, data

    def __len__(self) -> int:
        return len(self.tiles)

    def batch(self, index: Tensor, chance: torch.Generator) -> ImageBatch:
        """uint8 N x H x W x C; no labels."""
        found = crops(self.tiles, index, self.data.size, self.data.flip, chance)
        return ImageBatch(found, torch.full((len(index),), -1))

    def prepare(self, batch: ImageBatch) -> ImageBatch:
        return ImageBatch(to_floats(batch.image), batch.label)


def tile_side(extents: list[Extent], size: int) -> int:
    """Side of the tiles: of the shortest side of any photo, but no more than a few squares."""
    return min(LARGEST * size, *(min(extent) for extent in extents))


def corners(extent: Extent, side: int, size: int) -> list[tuple[int, int]]:
    """Left and top of every tile of a photo; neighbours overlap by a square's side, where that leaves enough of them."""

    def along(length: int) -> list[int]:
        step = max(size // 2, side - size + 1, 1)
        return [*range(0, length - side, step), length - side]

    return [(left, top) for top in along(extent.height) for left in along(extent.width)]


def _extents(source: Source, recipe: Recipe) -> dict[int, Extent]:
    """The sides of each photo that is large enough, from the headers alone.

    Raises:
        UserError: there is none.
    """
    if isinstance(source, Arrays):
        height, width = source.images.shape[1:3]
        found = {index: Extent(width, height) for index in range(len(source.images))}
    else:
        found = {}
        for index, result in each_picture(source, _upright_extent, recipe.workers, "reading headers"):
            if not isinstance(result, Skipped):
                found[index] = result
    kept = {index: extent for index, extent in found.items() if min(extent) >= recipe.size}
    if not kept:
        largest = max((min(extent) for extent in found.values()), default=0)
        raise UserError(
            f"{recipe.source}: no photo is at least {recipe.size} px on its shorter side (the largest has {largest}); use a "
            "smaller --data.size"
        )
    return kept


def _upright_extent(stream: BinaryIO) -> Extent:
    found = header(stream)
    stream.seek(0)
    with opened(stream) as image:
        turned = image.getexif().get(0x0112, 1) >= 5
    return Extent(found.height, found.width) if turned else Extent(found.width, found.height)


def _fill(
    source: Source,
    extents: dict[int, Extent],
    side: int,
    recipe: Recipe,
    settings: dict[str, object],
    tiles: np.ndarray,
) -> Contents:
    """Write the tiles of every photo, one after another."""
    place, skipped = 0, []
    for index, photo in _photos(source, recipe):
        if index not in extents and not isinstance(photo, Skipped):
            name = source.names[index] if isinstance(source, Pictures) else f"row {index}"
            photo = Skipped(
                name, f"{photo.shape[1]} x {photo.shape[0]} pixels are too few for squares of {recipe.size}"
            )
        if isinstance(photo, Skipped):
            skipped.append(photo)
            continue
        for left, top in corners(extents[index], side, recipe.size):
            tiles[place] = photo[top : top + side, left : left + side]
            place += 1
    check_bad(skipped, len(source.labels), recipe)
    return Contents(np.full(place, -1, np.int64), [], recipe.source, settings, skipped)


def _photos(source: Source, recipe: Recipe) -> Iterator[tuple[int, np.ndarray | Skipped]]:
    """Index and pixels, uint8 H x W x C, of each photo; or why it cannot be read."""
    if isinstance(source, Arrays):
        for index, image in enumerate(source.images):
            yield index, _channels(image, recipe.channels)
        return
    yield from each_picture(
        source, partial(_decoded, channels=recipe.channels), recipe.workers, f"preparing {recipe.source}"
    )


def _decoded(stream: BinaryIO, channels: int) -> np.ndarray:
    with opened(stream) as image:
        pixels = np.asarray(upright(image).convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _channels(image: np.ndarray, channels: int) -> np.ndarray:
    return image if image.shape[2] == channels else np.repeat(image[:, :, :1], channels, axis=2)
