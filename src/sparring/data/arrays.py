"""Images that come as one block of numbers: idx (MNIST's format), npy, npz, CIFAR-10's binary files."""

from __future__ import annotations

import gzip
import math
import re
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from sparring.core.errors import UserError
from sparring.data.listing import Arrays, number_labels, stamp_of, stamp_of_file
from sparring.data.pictures import scaled

IDX_LIMIT = 2**31
NPZ_LIMIT = 2**35
IDX_IMAGES = re.compile(r".*images[-.]idx3-ubyte(\.gz)?", re.IGNORECASE)
NPZ_KEYS = (("images", "labels"), ("x", "y"), ("x_train", "y_train"), ("image", "label"), ("arr_0", "arr_1"))
UNREADABLE = (
    OSError, EOFError, ValueError, KeyError, TypeError, SyntaxError, OverflowError, MemoryError, RuntimeError,
    NotImplementedError, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


def open_idx(path: Path) -> Arrays:
    """An idx file of images, with the labels file that lies beside it, if any."""
    images = _read_idx(path, 3)
    beside = _labels_beside(path)
    stamp = stamp_of_file(path)
    if beside is None:
        return Arrays("idx", images[..., None], np.full(len(images), -1, np.int64), [], stamp)
    labels, class_names = _numbered(_read_idx(beside, 1), len(images), beside)
    return Arrays("idx", images[..., None], labels, class_names, stamp_of(stamp, stamp_of_file(beside)))


def find_idx(folder: Path) -> Path | None:
    """The idx file of images in a folder: the training set where there are several."""
    found = sorted(path for path in folder.iterdir() if IDX_IMAGES.fullmatch(path.name) and path.is_file())
    return min(found, key=lambda path: not path.name.lower().startswith("train"), default=None)


def _labels_beside(path: Path) -> Path | None:
    plain = re.sub(r"\.gz$", "", path.name).replace("images", "labels").replace("idx3", "idx1")
    names = [plain, plain + ".gz"]
    return next((path.with_name(name) for name in names if name != path.name and path.with_name(name).is_file()), None)


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
                raise UserError(f"{path}: not an idx file of {dimensions} dimension(s) of unsigned bytes")
            shape = [int(number) for number in np.frombuffer(header, ">u4", offset=4)]
            claimed = math.prod(shape)
            if claimed > IDX_LIMIT:
                raise UserError(f"{path}: its header claims {claimed:,} bytes, more than {IDX_LIMIT:,}: refused")
            content = stream.read(claimed)
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read ({error or type(error).__name__})") from None
    if len(content) < claimed:
        raise UserError(f"{path}: its header claims {claimed:,} bytes, but it holds {len(content):,}")
    values = np.frombuffer(content, np.uint8).reshape(shape)
    if dimensions == 3:
        _check_extent(values, path)
    return values


def open_npy(path: Path) -> Arrays:
    """A .npy file of images: see `image_layout` and `image_bytes` for what goes."""
    try:
        with path.open("rb") as stream:
            _check_npy(stream, path.stat().st_size, str(path))
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise UserError(f"{path}: not a readable npy file ({error or type(error).__name__})") from None
    images, note = _images(values, path)
    return Arrays("npy", images, np.full(len(images), -1, np.int64), [], stamp_of_file(path), note)


def open_npz(path: Path) -> Arrays:
    """A .npz file: images and labels under one of the usual pairs of keys."""
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
            pair = next((pair for pair in NPZ_KEYS if pair[0] in keys), None)
            if pair is None:
                wanted = ", ".join(pair[0] for pair in NPZ_KEYS)
                raise UserError(f"{path}: none of the keys {wanted} in it, only {', '.join(keys)}")
            values = _read_member(archive, pair[0], path)
            numbers = _read_member(archive, pair[1], path) if pair[1] in keys else None
    except UNREADABLE as error:
        raise UserError(f"{path}: not a readable npz file ({error or type(error).__name__})") from None
    images, note = _images(values, path)
    if numbers is None:
        return Arrays("npz", images, np.full(len(images), -1, np.int64), [], stamp_of_file(path), note)
    return Arrays("npz", images, *_numbered(numbers, len(images), path), stamp_of_file(path), note)


def open_cifar(path: Path, class_names: Iterable[str]) -> Arrays:
    """CIFAR-10's training set, from the official `cifar-10-binary.tar.gz`: records of a label and 3 x 32 x 32 bytes."""
    blocks = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for number in range(1, 6):
                member = archive.extractfile(f"cifar-10-batches-bin/data_batch_{number}.bin")
                assert member is not None
                blocks.append(np.frombuffer(member.read(10_000 * 3073), np.uint8).reshape(-1, 3073))
    except (*UNREADABLE, tarfile.TarError, AssertionError) as error:
        raise UserError(f"{path}: not the binary version of CIFAR-10 ({error})") from None
    records = np.concatenate(blocks)
    images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return Arrays("cifar", images, records[:, 0].astype(np.int64), list(class_names), stamp_of_file(path))


def _read_member(archive: zipfile.ZipFile, key: str, path: Path) -> np.ndarray:
    names = archive.namelist()
    member = archive.getinfo(key + ".npy" if key + ".npy" in names else key)
    with archive.open(member) as stream:
        claimed = _check_npy(stream, member.file_size, f"{path}[{key}]")
    if claimed > NPZ_LIMIT:
        raise UserError(f"{path}[{key}]: {claimed:,} bytes do not go into memory; save it as .npy")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_npy(stream: IO[bytes], size: int, name: str) -> int:
    """Refuse a header before anything is allocated for it; gives the bytes that it claims."""
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise UserError(f"{name}: holds Python objects (a pickle), which could run code: refused. Save it as numbers")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed > size - stream.tell():
        raise UserError(f"{name}: its header claims {claimed:,} bytes, but it holds {size - stream.tell():,}")
    return claimed


def _images(values: np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    values, layout = image_layout(values, path)
    _check_extent(values, path)
    images, scale = image_bytes(values, path)
    return images, f"{layout}, {scale}"


def _check_extent(images: np.ndarray, path: Path) -> None:
    if 0 in images.shape:
        raise UserError(f"{path}: holds no images (its shape is {' x '.join(map(str, images.shape))})")


def image_layout(values: np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    """A view as N x H x W x C, and the layout that was found.

    Of four dimensions, the square pair is height and width; failing that, the smaller of the outer two is channels.
    """
    if values.ndim == 3:
        return values[..., None], "N x H x W"
    if values.ndim != 4:
        raise UserError(f"{path}: has {values.ndim} dimensions; images are N x H x W, N x H x W x C or N x C x H x W")
    _, second, third, fourth = values.shape
    square_first, square_last = second == third, third == fourth
    first = square_first if square_first != square_last else fourth <= second
    return (values, "N x H x W x C") if first else (values.transpose(0, 2, 3, 1), "N x C x H x W")


def image_bytes(values: np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    """As uint8, and the scale that was found: bool, uint8, uint16, or floats in [0, 1] or [-1, 1]."""
    if values.dtype == np.uint8:
        return values, "8 bits"
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255), "1 bit"
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        wide = bool(values.max() > 255)
        return _converted(values, 0, 65535 if wide else 255), "16 bits" if wide else "8 bits in 16"
    if values.dtype.kind != "f":
        raise UserError(f"{path}: holds {values.dtype}; images are uint8, uint16, or floats in [0, 1] or [-1, 1]")
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise UserError(f"{path}: holds values that are not finite (nan or infinity)")
    slack = 1e-3  # resampling and rounding overshoot a little
    if low < -1 - slack or high > 1 + slack:
        raise UserError(f"{path}: its floats go from {low:g} to {high:g}; scale them to [0, 1] or [-1, 1]")
    black = 0 if low >= -slack else -1
    return _converted(values, black, 1), f"floats in [{black}, 1]"


def _converted(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Block by block, since the float copy of a large array would not go into memory."""
    images = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 256):
        images[start : start + 256] = scaled(values[start : start + 256].astype(np.float32), low, high)
    return images


def _numbered(values: np.ndarray, count: int, path: Path) -> tuple[np.ndarray, list[str]]:
    if values.shape not in {(count,), (count, 1)}:
        raise UserError(f"{path}: {count} images, but labels of shape {' x '.join(map(str, values.shape))}")
    if values.dtype.kind not in "iuU":
        raise UserError(f"{path}: labels are whole numbers or text, not {values.dtype}")
    return number_labels(values.reshape(-1).tolist())
