"""Pairs of pictures, one to be turned into the other: label map and photo, sketch and drawing, grey and colour.

Two folders whose files bear the same names, pictures that show both side by side, a table of two columns, or two arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, NamedTuple, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError
from sparring.data.cache import cached_store
from sparring.data.cropping import crops, to_floats
from sparring.data.decoding import Recipe, check_bad, compact, in_threads, own_shape
from sparring.data.images import SIZE_LIMIT, Images, ImageSet
from sparring.data.listing import Arrays, Pictures, Source, is_picture, shared_folder, stamp_of
from sparring.data.pictures import array_pixels, opened, pixels, upright
from sparring.data.sources import open_source, picked
from sparring.data.store import Contents, Skipped
from sparring.data.tables import open_columns

OUTLINED = "outlined:"
COLUMNS = (("input", "a", "from", "source"), ("target", "b", "to", "output"))
TOLERANCE = 0.03
"""by how much the shapes (width over height) of two partners may differ"""


class PairBatch(NamedTuple):
    """Pictures and what is to be made of them, each float32 N x C x H x W in [-1, 1], channels last in memory."""

    input: Tensor
    target: Tensor


@dataclass(frozen=True)
class Pairs(Data):
    """Pairs of pictures, cropped and mirrored alike."""

    source: str = "outlined:digits"
    """where the pairs lie: a folder or archive with two folders of files of the same names, or of pictures that show both
    side by side; a .csv or .jsonl table with columns `input` and `target`; with --data.other, the inputs alone. outlined: and
    any source of images makes pairs of an image's outline and itself"""
    other: str = ""
    """where the targets lie, if apart from the inputs: a folder or archive with files of the same names, or a .npy file"""
    swap: bool = False
    """learn the other way round: turn targets into inputs"""
    size: int = 256
    """side in pixels, square, of what is trained on"""
    channels: int = 0
    """of the inputs: 1 for grey, 3 for colour (or as many as a .npy file has); 0: what they have"""
    target_channels: int = 0
    """of the targets; 0: what they have"""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """how a picture becomes square: crop the middle, pad with black bars, or stretch"""
    jitter: float = 0.117
    """by how much larger than `size` pictures are kept, to be cropped at random: 286 px for 256 in the paper; 0: not at all"""
    flip: bool = True
    """mirror half of the pairs at random, left to right"""
    bad: float = 0.05
    """largest share of unusable pairs that is tolerated (1: any)"""
    workers: int = 4
    """threads that decode while preparing"""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= SIZE_LIMIT:
            raise UserError(f"data.size is {self.size}; it goes from 1 to {SIZE_LIMIT}")
        if min(self.channels, self.target_channels) < 0:
            raise UserError("data.channels and data.target_channels are 1, 3, or 0 for the source's own")
        if not 0 <= self.jitter <= 1:
            raise UserError(f"data.jitter is {self.jitter}; it is a share from 0 to 1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of a target: what is made.

        Raises:
            UserError: the channels are not known before `resolved`.
        """
        return self._known(self.target_channels), self.size, self.size

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of an input."""
        return self._known(self.channels), self.size, self.size

    def _known(self, channels: int) -> int:
        if not channels:
            raise UserError(
                f"the shape of {self.source!r} is not known yet: set data.channels and data.target_channels"
            )
        return channels

    @property
    def kept_size(self) -> int:
        """Side at which pictures are kept."""
        return round(self.size * (1 + self.jitter))

    def at(self, source: str) -> Self:
        """The same, from a place that holds both sides."""
        return self.replace(source=source, other="")

    def plain(self) -> Self:
        """Whole pictures, not mirrored."""
        return self.replace(jitter=0.0, flip=False)

    def resolved(self) -> Self:
        """The same with the channels filled in from the source."""
        if self.channels and self.target_channels:
            return self
        if self.source.startswith(OUTLINED):
            first = second = Images(self.source.removeprefix(OUTLINED), self.kept_size).resolved().channels
        else:
            with closing(open_pairs(self)) as pairs:
                first, second = pairs.channels(self.workers)
        return replace(self, channels=self.channels or first, target_channels=self.target_channels or second)

    def open(self) -> Dataset:
        """Open for reading. Pairs are decoded, brought to their size and kept in the cache on first use.

        Raises:
            UserError: the source is missing or damaged, or partners are missing or do not fit.
        """
        data = self.resolved()
        if self.source.startswith(OUTLINED):
            images = Images(self.source.removeprefix(OUTLINED), data.kept_size, data.target_channels).open()
            return OutlinedSet(images, data)
        with closing(open_pairs(data)) as pairs:
            side, channels = data.kept_size, data.channels + data.target_channels
            both = [data.channels, data.target_channels]
            settings = {"size": side, "channels": both, "fit": data.fit, "swap": data.swap}
            recipe = Recipe(data.source, side, channels, data.fit, data.bad, data.workers)
            store = cached_store(
                stamp_of(pairs.stamp, settings),
                (len(pairs.names), side, side, channels),
                partial(_fill, pairs, data, recipe, settings),
            )
            if left_out := check_bad(store.skipped, len(pairs.names), recipe):
                warnings.warn(left_out, stacklevel=2)
        return PairSet(store.images, stamp_of(store.fingerprint, data.size, data.flip), data)

    def picture(self, examples: Tensor) -> Tensor:
        from sparring.core import media

        return media.grid(examples)


class PairSet(Dataset):
    """Pairs of one size, memory-mapped: the channels of the input and then those of the target.

    Args:
        images: uint8 N x H x W x C.
        fingerprint: changes when the content changes.
        data: resolved.
    """

    def __init__(self, images: np.ndarray, fingerprint: str, data: Pairs):
        self.images, self.fingerprint, self.data = images, fingerprint, data

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Tensor, chance: torch.Generator) -> PairBatch:
        """uint8 N x H x W x C, cropped and mirrored alike."""
        both = crops(self.images, index, self.data.size, self.data.flip, chance)
        return PairBatch(*both.split([self.data.channels, self.data.target_channels], dim=3))

    def prepare(self, batch: PairBatch) -> PairBatch:
        return PairBatch(*(to_floats(each) for each in batch))


class OutlinedSet(Dataset):
    """Images and their outlines: the toy of its kind."""

    def __init__(self, images: ImageSet, data: Pairs):
        self.images, self.data = images, data
        self.fingerprint = stamp_of(images.fingerprint, OUTLINED, data)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Tensor, chance: torch.Generator) -> PairBatch:
        found = crops(self.images.images, index, self.data.size, self.data.flip, chance)
        return PairBatch(found, found)

    def prepare(self, batch: PairBatch) -> PairBatch:
        image = to_floats(batch.target)
        pair = PairBatch(outline(image), image)
        return PairBatch(*reversed(pair)) if self.data.swap else pair


def outline(image: Tensor) -> Tensor:
    """How far the lightest and the darkest of each pixel's neighbours are apart, in the picture's range."""
    lightest, darkest = functional.max_pool2d(image, 3, 1, 1), -functional.max_pool2d(-image, 3, 1, 1)
    return lightest - darkest - 1


@dataclass(frozen=True)
class Listed:
    """Pairs of which nothing is decoded yet."""

    names: list[str]
    stamp: str
    read: Callable[[int], tuple[Image.Image | np.ndarray, Image.Image | np.ndarray]]
    """input and target, upright; raises where they cannot be read"""
    channels: Callable[[int], tuple[int, int]]
    """of inputs and targets, found with so many threads"""
    close: Callable[[], None]

    def swapped(self) -> Listed:
        def back(index: int) -> tuple[Image.Image | np.ndarray, Image.Image | np.ndarray]:
            first, second = self.read(index)
            return second, first

        return replace(self, read=back, channels=lambda workers: self.channels(workers)[::-1])


def open_pairs(data: Pairs) -> Listed:
    """Find out how the pairs are laid out, and list them.

    Raises:
        UserError: no such source, or partners are missing.
    """
    if data.other:
        listed = _apart(open_source(data.source), open_source(data.other), data)
    elif data.source.lower().endswith((".csv", ".tsv", ".jsonl")):
        listed = _matched(*open_columns(Path(data.source).expanduser(), COLUMNS))
    else:
        listed = _together(open_source(data.source), data)
    return listed.swapped() if data.swap else listed


def _apart(first: Source, second: Source, data: Pairs) -> Listed:
    """Two sources: files of the same names, or arrays of the same length."""
    if isinstance(first, Arrays) and isinstance(second, Arrays):
        if len(first.images) != len(second.images):
            raise UserError(
                f"{data.source} holds {len(first.images):,} pictures and {data.other} {len(second.images):,}; "
                "pairs need as many of both"
            )
        one, two = first.images, second.images
        names = [f"row {number}" for number in range(len(one))]
        return Listed(names, stamp_of(first.stamp, second.stamp), lambda index: (one[index], two[index]),
                      lambda workers: (one.shape[3], two.shape[3]), lambda: None)  # fmt: skip
    if isinstance(first, Arrays) or isinstance(second, Arrays):
        raise UserError(
            f"{data.source} and {data.other}: one is an array and the other is not; pairs need two of a kind"
        )
    return _matched(first, _partners(first, second, data.source, data.other))


def _together(source: Source, data: Pairs) -> Listed:
    """Two folders in one place, or pictures that show both sides."""
    if isinstance(source, Arrays):
        raise UserError(f"{data.source}: an array holds no pairs; name the array of the targets with --data.other")
    if len(source.class_names) == 2 and (source.labels >= 0).all():
        places = [np.flatnonzero(source.labels == label).tolist() for label in (0, 1)]
        folders = ["/".join(shared_folder([source.names[index] for index in place])) for place in places]
        sides = [picked(source, place, folder) for place, folder in zip(places, folders)]
        stems = [{_stem(name) for name in side.names} for side in sides]
        if len(stems[0] & stems[1]) > 0.5 * min(map(len, stems)):
            first, second = (f"{data.source}/{name}" for name in source.class_names)
            return _matched(sides[0], _partners(sides[0], sides[1], first, second))

    def channels(workers: int) -> tuple[int, int]:
        return (own_shape(source, workers)[1],) * 2

    return Listed(source.names, source.stamp, lambda index: _halves(source.open(index)), channels, source.close)


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if is_picture(name) else name


def _partners(first: Pictures, second: Pictures, here: str, there: str) -> Pictures:
    """The second source in the order of the first.

    Raises:
        UserError: a partner is missing.
    """
    place = {_stem(name): index for index, name in enumerate(second.names)}
    lonely = [f"{here}: {name}" for name in first.names if _stem(name) not in place]
    stems = {_stem(name) for name in first.names}
    lonely += [f"{there}: {name}" for name in second.names if _stem(name) not in stems]
    if lonely:
        more = f" and {len(lonely) - 3:,} more" if len(lonely) > 3 else ""
        raise UserError(
            f"{len(first.names):,} pictures in {here} and {len(second.names):,} in {there} are matched by name, but these have "
            f"no partner: {', '.join(lonely[:3])}{more}"
        )
    return picked(second, [place[_stem(name)] for name in first.names])


def _matched(first: Pictures, second: Pictures) -> Listed:
    """Two lists of files in the same order."""

    def read(index: int) -> tuple[Image.Image, Image.Image]:
        one = _picture(first, index)
        try:
            two = _picture(second, index)
        except Exception as error:  # Pillow raises nearly anything at a damaged file
            raise ValueError(f"its partner {second.names[index]}: {error or type(error).__name__}") from error
        shapes = [one.width / one.height, two.width / two.height]
        if abs(shapes[0] / shapes[1] - 1) > TOLERANCE:
            raise ValueError(f"{one.width} x {one.height} pixels, but its partner {two.width} x {two.height}")
        return one, two

    def channels(workers: int) -> tuple[int, int]:
        return own_shape(first, workers)[1], own_shape(second, workers)[1]

    def close() -> None:
        first.close()
        second.close()

    return Listed(first.names, stamp_of(first.stamp, second.stamp), read, channels, close)


def _picture(side: Pictures, index: int) -> Image.Image:
    with side.open(index) as stream, opened(stream) as image:
        return upright(image)


def _halves(stream: BinaryIO) -> tuple[Image.Image, Image.Image]:
    with stream, opened(stream) as image:
        whole = upright(image)
    if whole.width < 2 or abs(whole.width / whole.height - 2) > 2 * TOLERANCE:
        raise ValueError(
            f"{whole.width} x {whole.height} pixels: not two squares side by side; pairs in two places need folders of "
            "the same file names, or --data.other"
        )
    middle = whole.width // 2
    return whole.crop((0, 0, middle, whole.height)), whole.crop((whole.width - middle, 0, whole.width, whole.height))


def _fill(pairs: Listed, data: Pairs, recipe: Recipe, settings: dict[str, object], images: np.ndarray) -> Contents:
    """Write all pairs into an array; the good ones come first, in order."""

    def one(index: int) -> np.ndarray | Skipped:
        try:
            sides = zip(pairs.read(index), (data.channels, data.target_channels))
            return np.concatenate([_pixels(side, recipe.size, channels, data.fit) for side, channels in sides], axis=2)
        except Exception as error:  # Pillow raises nearly anything at a damaged file
            return Skipped(pairs.names[index], str(error) or type(error).__name__)

    good, skipped = np.zeros(len(images), bool), []
    for index, result in enumerate(in_threads(range(len(images)), one, data.workers)):
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            images[index], good[index] = result, True
    check_bad(skipped, len(images), recipe)
    if skipped:
        compact(images, np.flatnonzero(good))
    return Contents(np.full(int(good.sum()), -1, np.int64), [], data.source, settings, skipped)


def _pixels(side: Image.Image | np.ndarray, size: int, channels: int, fit: str) -> np.ndarray:
    if isinstance(side, np.ndarray):
        return array_pixels(side, size, channels, fit)
    return pixels(side, size, channels, fit)
