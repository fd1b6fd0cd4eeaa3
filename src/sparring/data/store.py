"""A prepared store: images decoded and resized once, memory-mapped ever after.

A folder of three files:
    store.json   what it is: format, count, shape, class names, source, settings, fingerprint, files left out
    images.npy   uint8 N x H x W x C
    labels.npy   int64 (N,), -1 where unknown
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sparring.core.errors import UserError

FORMAT = 1


class Skipped(NamedTuple):
    """A file that was left out."""

    name: str
    reason: str


@dataclass(frozen=True)
class Contents:
    """All that a store holds beside its images."""

    labels: np.ndarray
    """int64 (N,), -1 where unknown"""
    class_names: list[str]
    source: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True)
class Store(Contents):
    """A store, opened."""

    images: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.uint8))
    """uint8 N x H x W x C, memory-mapped where it comes from disk"""
    fingerprint: str = ""


Fill = Callable[[np.ndarray], Contents]
"""Writes images into the front of a uint8 N x H x W x C array; how many it wrote is the length of the labels."""


def is_store(folder: Path) -> bool:
    """Whether a folder claims to be a prepared store."""
    return (folder / "store.json").is_file()


def content_hash(images: np.ndarray, labels: np.ndarray) -> str:
    """A hash of every pixel and label."""
    digest = hashlib.sha256(str(images.shape).encode())
    for start in range(0, len(images), 1024):
        digest.update(images[start : start + 1024].tobytes())
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()[:32]


def fill_memory(shape: tuple[int, int, int, int], fill: Fill) -> Store:
    """A store that lives in memory only."""
    images = np.empty(shape, np.uint8)
    contents = fill(images)
    images = images[: len(contents.labels)]
    return Store(**vars(contents), images=images, fingerprint=content_hash(images, contents.labels))


def write_store(folder: Path, shape: tuple[int, int, int, int], fill: Fill) -> Store:
    """Write a store, all or nothing: it is made beside its place and then renamed.

    Args:
        folder: where; an existing store there is replaced.
        shape: N x H x W x C, with room for every image.
        fill: writes the images and says what they are.

    Raises:
        UserError: the folder holds something that is not a store.
        OSError: it cannot be written.
    """
    if folder.exists() and not is_store(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty and not a prepared store, so it is left alone; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = _beside(folder)
    making.mkdir()
    try:
        _write_files(making, shape, fill)
        _put_in_place(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return read_store(folder)


def _write_files(folder: Path, shape: tuple[int, int, int, int], fill: Fill) -> None:
    path = folder / "images.npy"
    _reserve(path, shape)
    images = np.lib.format.open_memmap(path, mode="r+")
    contents = fill(images)
    images.flush()
    count = len(contents.labels)
    fingerprint = content_hash(images[:count], contents.labels)
    del images  # Windows will not shorten a file that is mapped
    _shorten(path, (count, *shape[1:]))
    np.save(folder / "labels.npy", contents.labels.astype(np.int64))
    about = {
        "format": FORMAT,
        "count": count,
        "shape": shape[1:],
        "class_names": contents.class_names,
        "labels": bool((contents.labels >= 0).any()),
        "source": contents.source,
        "settings": contents.settings,
        "fingerprint": fingerprint,
        "skipped": [each._asdict() for each in contents.skipped],
    }
    (folder / "store.json").write_text(json.dumps(about, indent=1), "utf-8")


def _write_header(stream: Any, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """Make room for all images now: a full disk must be an error here, not a bus error in a memory map later."""
    size = math.prod(shape)
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(f"not enough room for {size:,} bytes")
    with path.open("wb") as stream:
        _write_header(stream, shape)
        start = stream.tell()
        stream.truncate(start + size)
        stream.flush()
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, start + size)


def _shorten(path: Path, shape: tuple[int, ...]) -> None:
    # A .npy header leaves room for the count to change, so the images stay where they are.
    with path.open("r+b") as stream:
        _write_header(stream, shape)
        stream.truncate(stream.tell() + math.prod(shape))


def _beside(folder: Path) -> Path:
    """An unused hidden name next to a folder."""
    return folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")


def _put_in_place(making: Path, folder: Path) -> None:
    if folder.exists():
        old = _beside(folder)
        folder.rename(old)
        making.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        making.rename(folder)


def read_store(folder: Path) -> Store:
    """Open a store; its images are memory-mapped.

    Raises:
        UserError: damaged, or written by a newer version.
    """
    try:
        about = json.loads((folder / "store.json").read_text("utf-8"))
        if about["format"] != FORMAT:
            raise UserError(f"{folder}: a store of format {about['format']}; this Sparring reads format {FORMAT}")
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        _check(about, images, labels)
        return Store(
            labels=labels,
            class_names=[str(name) for name in about["class_names"]],
            source=about["source"],
            settings=about["settings"],
            skipped=[Skipped(str(each["name"]), str(each["reason"])) for each in about["skipped"]],
            # The subclass memmap makes every batch slower; a plain view of it maps the same file.
            images=np.asarray(images),
            fingerprint=str(about["fingerprint"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise UserError(f"{folder}: the prepared store is damaged ({error}); delete it and prepare it again") from None


def _check(about: dict[str, Any], images: np.ndarray, labels: np.ndarray) -> None:
    shape = (about["count"], *about["shape"])
    if images.shape != shape or images.dtype != np.uint8 or not images.flags.c_contiguous:
        raise ValueError(f"images.npy is {images.dtype} {images.shape}, not uint8 {shape}")
    if labels.shape != (about["count"],) or labels.dtype != np.int64:
        raise ValueError(f"labels.npy is {labels.dtype} {labels.shape}, not int64 ({about['count']},)")
    if len(labels) and not -1 <= labels.min() <= labels.max() < len(about["class_names"]):
        raise ValueError("a label has no class name")
