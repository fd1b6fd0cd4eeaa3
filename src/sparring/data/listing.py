"""What a source of images offers before anything is decoded: names, labels, and a way to read.

A source is either `Pictures` (encoded files, read one at a time) or `Arrays` (all pixels at once). How labels are
numbered and which files count as pictures is decided here, once, so that a folder, an archive and a table with the
same content give the same data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
FILE_LIMIT = 2**29
"""bytes: no single encoded picture may be larger"""


def nothing() -> None:
    """The `close` of a source that holds nothing open."""


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures, read one at a time."""

    kind: str
    names: list[str]
    labels: np.ndarray
    """int64 (N,), -1 where unknown"""
    class_names: list[str]
    stamp: str
    """changes when a file is added, removed or written"""
    open: Callable[[int], BinaryIO]
    """the file of one picture; raises OSError or ValueError where it cannot be read"""
    order: Sequence[int] | None = None
    """set where reading is cheap only from front to back: the indices in that order"""
    close: Callable[[], None] = nothing


@dataclass(frozen=True)
class Arrays:
    """All pixels at once, in memory or memory-mapped."""

    kind: str
    images: np.ndarray
    """uint8 N x H x W x C"""
    labels: np.ndarray
    """int64 (N,), -1 where unknown"""
    class_names: list[str]
    stamp: str
    note: str = ""
    """what was detected: layout, range of values"""
    close: Callable[[], None] = nothing


Source = Pictures | Arrays


def is_picture(name: str) -> bool:
    """Whether a relative path names a picture: a known suffix, nothing hidden, no macOS leftovers."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in PICTURE_SUFFIXES


def folder_labels(names: Sequence[str]) -> list[str | None]:
    """The label of each file: its topmost folder, below the folders that all files share.

    `birds/train/owl/1.png` and `birds/train/wren/2.png` are `owl` and `wren`; files lying beside labelled folders have
    no label. Where all files lie in the same folder, that folder is the label.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    if not folders:
        return []
    shared = len(shared_folder(names))
    if min(folders) == max(folders) and shared:
        shared -= 1
    return [folder[shared] if len(folder) > shared else None for folder in folders]


def shared_folder(names: Sequence[str]) -> tuple[str, ...]:
    """The parts of the innermost folder in which all these files lie, at least one."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    first, last = min(folders), max(folders)
    shared = next((i for i, pair in enumerate(zip(first, last)) if pair[0] != pair[1]), min(len(first), len(last)))
    return first[:shared]


def number_labels(labels: Sequence[str | int | None]) -> tuple[np.ndarray, list[str]]:
    """Labels as int64 (N,), -1 where there is none, and the name of each class.

    Small whole numbers stay what they are. Anything else is numbered in sorted order ("2" before "10").
    """
    known: set[str | int] = {label for label in labels if label not in {None, "", -1}}
    if all(isinstance(label, int) and 0 <= label < 10_000 for label in known):
        numbers = {label: int(label) for label in known}
        names = [str(number) for number in range(max(numbers.values(), default=-1) + 1)]
    else:
        ordered = sorted(known, key=_reading_order)
        numbers = {label: number for number, label in enumerate(ordered)}
        names = [str(label) for label in ordered]
    return np.array([numbers.get(label, -1) if label is not None else -1 for label in labels], np.int64), names


def _reading_order(label: str | int) -> tuple[bool, int, str]:
    text = str(label)
    number = text.isascii() and text.isdigit()
    return not number, int(text) if number and len(text) < 100 else 0, text


def stamp_of(*parts: object) -> str:
    """A short hash of anything printable."""
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def stamp_of_file(path: Path) -> str:
    """A hash of where a file is, how large it is and when it was written."""
    status = path.stat()
    return stamp_of(path.resolve(), status.st_size, status.st_mtime_ns)
