"""Look at a source before training on it, and prepare it ahead of time."""

from __future__ import annotations

import hashlib
import io
import shlex
import statistics
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from sparring.core.errors import UserError
from sparring.data.decoding import each_picture, fill, suitable_size
from sparring.data.images import Images, check_channels
from sparring.data.listing import FILE_LIMIT, Arrays, Pictures
from sparring.data.pictures import BIT_DEPTHS, Header, decode, header
from sparring.data.sources import open_source
from sparring.data.store import Skipped, write_store

THREADS = 4


class Extent(NamedTuple):
    """Width and height in pixels, and how many images have them."""

    width: int
    height: int
    images: int


@dataclass(frozen=True)
class Report:
    """What a source holds."""

    source: str
    kind: str
    count: int
    """pictures that can be read"""
    smallest: tuple[int, int]
    """least width and least height, in pixels"""
    median: tuple[int, int]
    largest: tuple[int, int]
    common: list[Extent]
    """the five most common sizes"""
    modes: dict[str, int]
    """Pillow's names: L is grey, P palette, RGB colour"""
    bit_depths: dict[int, int]
    formats: dict[str, int]
    classes: dict[str, int]
    """images of each class; unlabelled ones are not counted"""
    unlabelled: int
    bad: list[Skipped]
    duplicates: int
    """images whose content is the same as an earlier one's"""
    prepared_bytes: int
    """of a prepared store at the suggested size"""
    note: str
    suggestion: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON: dicts, tuples, strings and numbers only."""
        named = {"common": [each._asdict() for each in self.common], "bad": [each._asdict() for each in self.bad]}
        return asdict(self) | named

    def render(self) -> str:
        """For people: a few lines of text."""
        rows = [
            ("source", f"{self.source} ({self.kind}{', ' + self.note if self.note else ''})"),
            ("images", f"{self.count:,}"),
            ("sizes", " to ".join(f"{w} x {h}" for w, h in sorted({self.smallest, self.largest}))),
            ("median", f"{self.median[0]} x {self.median[1]}"),
            ("commonest", ", ".join(f"{each.width} x {each.height} ({each.images:,})" for each in self.common)),
            ("modes", _counts(self.modes)),
            ("bits", _counts(self.bit_depths)),
            ("formats", _counts(self.formats)),
            ("classes", f"{len(self.classes)}: {_counts(self.classes)}" if self.classes else "none"),
            ("unlabelled", f"{self.unlabelled:,}"),
            ("duplicates", f"{self.duplicates:,}"),
            ("unreadable", f"{len(self.bad):,}"),
            *(("", f"{each.name}: {each.reason}") for each in self.bad[:20]),
            ("prepared", f"{self.prepared_bytes / 2**20:,.1f} MiB"),
            ("try", self.suggestion),
        ]
        return "\n".join(f"{name:<11} {text}".rstrip() for name, text in rows)


def _counts(counts: dict[Any, int]) -> str:
    shown = [f"{name} ({count:,})" for name, count in list(counts.items())[:20]]
    return ", ".join(shown) + (f", and {len(counts) - 20} more" if len(counts) > 20 else "")


class Look(NamedTuple):
    """What is learned from one picture."""

    header: Header
    digest: bytes


def inspect(source: str) -> Report:
    """Read every picture of a source, and report.

    Args:
        source: anything that `open_source` takes.

    Raises:
        UserError: missing, damaged as a whole, or empty.
    """
    with closing(open_source(source)) as opened:
        looks, bad = _look_at_array(opened) if isinstance(opened, Arrays) else _look_at_pictures(opened)
        size = suitable_size({look.header[:2] for look in looks.values()}, opened.kind == "store")
        grey = all(look.header.grey for look in looks.values())
        channels = opened.images.shape[3] if isinstance(opened, Arrays) else 1 if grey else 3
        labels = [int(opened.labels[index]) for index in looks]
        counted = Counter(label for label in labels if label >= 0)
        widths = [look.header.width for look in looks.values()] or [0]
        heights = [look.header.height for look in looks.values()] or [0]
        modes = _most_common(look.header.mode for look in looks.values())
        return Report(
            source=source,
            kind=opened.kind,
            count=len(looks),
            smallest=(min(widths), min(heights)),
            median=(round(statistics.median(widths)), round(statistics.median(heights))),
            largest=(max(widths), max(heights)),
            common=[Extent(*extent, n) for extent, n in Counter(zip(widths, heights)).most_common(5) if looks],
            modes=modes,
            bit_depths=_most_common(BIT_DEPTHS.get(look.header.mode, 8) for look in looks.values()),
            formats=_most_common(look.header.format for look in looks.values()),
            classes={opened.class_names[label]: counted[label] for label in sorted(counted)},
            unlabelled=labels.count(-1),
            bad=bad,
            duplicates=len(looks) - len({look.digest for look in looks.values()}),
            prepared_bytes=len(looks) * size * size * channels,
            note=opened.note if isinstance(opened, Arrays) else "",
            suggestion=f"sparring train dcgan --data {shlex.quote(source)} --data.size {size}",
        )


def _most_common(values: Any) -> dict[Any, int]:
    return dict(Counter(values).most_common())


def _look_at_array(source: Arrays) -> tuple[dict[int, Look], list[Skipped]]:
    height, width, channels = source.images.shape[1:]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")
    about = Header(width, height, mode, source.kind, channels == 1)
    rows = enumerate(source.images)
    return {index: Look(about, hashlib.blake2b(row.tobytes()).digest()) for index, row in rows}, []


def _look_at_pictures(source: Pictures) -> tuple[dict[int, Look], list[Skipped]]:
    looks: dict[int, Look] = {}
    bad: dict[int, Skipped] = {}
    for index, result in each_picture(source, _look, THREADS, "looking"):
        if isinstance(result, Skipped):
            bad[index] = result
        else:
            looks[index] = result
    return dict(sorted(looks.items())), [bad[index] for index in sorted(bad)]


def _look(stream: BinaryIO) -> Look:
    content = stream.read(FILE_LIMIT)
    about = header(io.BytesIO(content))
    decode(io.BytesIO(content), 16, 3, "crop")  # only decoding shows whether a file is cut short
    return Look(about, hashlib.blake2b(content).digest())


@dataclass(frozen=True)
class StoreSummary:
    """A store that was prepared."""

    folder: str
    count: int
    shape: tuple[int, ...]
    """height, width, channels"""
    class_names: list[str]
    skipped: list[Skipped]
    size: int
    """bytes"""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"skipped": [each._asdict() for each in self.skipped]}

    def render(self) -> str:
        """For people: one line, and one for each file that was left out."""
        height, width, channels = self.shape
        what = f"{self.count:,} images of {width} x {height} x {channels}, {len(self.class_names)} classes"
        left_out = [f"left out {each.name}: {each.reason}" for each in self.skipped]
        return "\n".join([f"{self.folder}: {what}, {self.size / 2**20:,.1f} MiB", *left_out])


def prepare(source: str, out: str | Path, images: Images) -> StoreSummary:
    """Decode and resize a source into a store of one's own, which is then a source itself.

    Args:
        source: anything that `open_source` takes; stands in for `images.source`.
        out: the store's folder: new, empty, or an older store, which is replaced.
        images: size, channels and fit.

    Raises:
        UserError: the source cannot be used, or the folder holds something else or cannot be written.
    """
    with closing(open_source(source)) as opened:
        data = replace(images, source=source).resolved_for(opened)
        recipe = data.recipe()
        check_channels(opened, recipe)
        shape = (len(opened.labels), recipe.size, recipe.size, recipe.channels)
        try:
            store = write_store(Path(out), shape, partial(fill, opened, recipe))
        except OSError as error:
            raise UserError(f"{out}: cannot be written ({error.strerror or error})") from None
    return StoreSummary(
        str(out), len(store.labels), store.images.shape[1:], store.class_names, store.skipped, store.images.nbytes
    )
