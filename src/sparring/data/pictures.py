"""Any picture a person may have, as plain 8-bit pixels: grey or colour, upright, of the size asked for."""

from __future__ import annotations

import math
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from sparring.core.pictures import known_formats

PIXEL_LIMIT = 178_956_970
"""no picture may claim more pixels: a decompression bomb"""
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
BIT_DEPTHS = {"1": 1, "I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16, "I": 32, "F": 32}


class Header(NamedTuple):
    """What a picture says about itself before it is decoded."""

    width: int
    height: int
    mode: str
    format: str
    grey: bool


def opened(stream: BinaryIO) -> Image.Image:
    """A picture whose header was read and found sane; its pixels are not decoded yet.

    Raises:
        ValueError, OSError: not a picture, or one of an absurd size.
    """
    if not stream.read(1):
        raise ValueError("the file is empty")
    stream.seek(0)
    try:
        image = Image.open(stream, formats=known_formats())
    except Image.UnidentifiedImageError:
        raise ValueError("not a picture of a known format, or damaged") from None
    if image.width * image.height > PIXEL_LIMIT:
        raise ValueError(f"{image.width} x {image.height} pixels are too many (a decompression bomb?)")
    return image


def header(stream: BinaryIO) -> Header:
    """Read only a picture's header."""
    with opened(stream) as image:
        return Header(image.width, image.height, image.mode, image.format or "", _is_grey(image))


def decode(stream: BinaryIO, size: int, channels: int, fit: str) -> np.ndarray:
    """Read a picture as uint8 size x size x channels.

    Args:
        stream: the encoded picture, seekable.
        size: side in pixels.
        channels: 1 or 3.
        fit: "crop" the middle square, "pad" with black, or "stretch".

    Raises:
        Exception: whatever Pillow makes of a damaged file.
    """
    with opened(stream) as image:
        if image.format == "JPEG":
            # Let the JPEG decoder skip detail that would be thrown away; twice the size keeps Lanczos honest.
            width, height = _target(image.size, size, fit)
            image.draft(None, (2 * width, 2 * height))
        return pixels(upright(image), size, channels, fit)


def upright(image: Image.Image) -> Image.Image:
    """Mode "L" or "RGB": rotated as EXIF says, on white where it was transparent, 16 bits scaled down to 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        return Image.fromarray(eight_bits(np.asarray(image)))
    if image.has_transparency_data or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}:
        grey = _is_grey(image)
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, coloured).convert("L" if grey else "RGB")
    return image.convert("L" if _is_grey(image) else "RGB")


def _is_grey(image: Image.Image) -> bool:
    if image.mode in {"P", "PA"} and image.palette is not None:
        # Until a picture is decoded, its palette is as the file has it: "BGRX", say, or "RGB;L" for colour by colour.
        layout = image.palette.rawmode or image.palette.mode
        width = len(layout.partition(";")[0])
        entries = np.frombuffer(bytes(image.palette.palette), np.uint8)
        entries = entries[: len(entries) // width * width]
        entries = entries.reshape(width, -1).T if layout.endswith(";L") else entries.reshape(-1, width)
        return bool((entries[:, :1] == entries[:, :3]).all())
    return image.mode in GREY_MODES


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey values of 16 or more bits as uint8.

    White is 65535 among whole numbers, and among floats the first of 1, 255 and 65535 that is not exceeded. Values
    beyond that are stretched from the lowest to the highest.

    Raises:
        ValueError: a value is not finite.
    """
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError("holds values that are not finite")
    whites = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
    white = next((white for white in whites if 0 <= low <= high <= white), None)
    return scaled(values.astype(np.float64), *((low, high) if white is None else (0.0, white)))


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] to uint8 0 ... 255, rounding to nearest."""
    span = high - low
    return np.clip(np.rint((values - low) * (255 / span if span else 0.0)), 0, 255).astype(np.uint8)


def pixels(image: Image.Image, size: int, channels: int, fit: str) -> np.ndarray:
    """A picture of mode "L" or "RGB" (or one channel of many) as uint8 size x size x channels."""
    image = resized(image.convert("L" if channels == 1 else "RGB"), size, fit)
    return np.asarray(image).reshape(size, size, channels)


def resized(image: Image.Image, size: int, fit: str) -> Image.Image:
    """Square a picture of mode "L" or "RGB": scale it, then crop, pad with black, or stretch."""
    target = _target(image.size, size, fit)
    if fit == "pad":
        canvas = Image.new(image.mode, (size, size))
        canvas.paste(_scale(image, target, None), ((size - target[0]) // 2, (size - target[1]) // 2))
        return canvas
    if fit == "stretch":
        return _scale(image, target, None)
    # Only the middle square is scaled, so that a picture of 1 x 10,000 pixels costs no more than any other.
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _scale(image, (size, size), (left, top, left + side, top + side))


def _target(extent: tuple[int, int], size: int, fit: str) -> tuple[int, int]:
    """Width and height to which the whole picture is scaled."""
    if fit == "stretch":
        return size, size
    scale = size / (min(extent) if fit == "crop" else max(extent))
    return max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale))


def _scale(image: Image.Image, target: tuple[int, int], box: tuple[float, float, float, float] | None) -> Image.Image:
    left, top, right, bottom = box or (0, 0, *image.size)
    if (right - left, bottom - top) == target:
        return image.crop((round(left), round(top), round(left) + target[0], round(top) + target[1]))
    shrinks = target[0] < right - left or target[1] < bottom - top
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    return image.resize(target, method, box=box, reducing_gap=3.0 if shrinks else None)


def array_pixels(image: np.ndarray, size: int, channels: int, fit: str) -> np.ndarray:
    """The same for one uint8 H x W x C array of any number of channels.

    Raises:
        ValueError: these channels cannot be turned into those asked for.
    """
    have = image.shape[2]
    if have == channels and have not in {1, 3}:
        layers = [pixels(Image.fromarray(np.ascontiguousarray(image[..., i])), size, 1, fit) for i in range(have)]
        return np.concatenate(layers, axis=2)
    if have > 4 or channels not in {1, 3}:
        raise ValueError(f"images of {have} channels cannot become images of {channels}")
    flat = np.ascontiguousarray(image[..., 0] if have == 1 else image)
    return pixels(upright(Image.fromarray(flat)), size, channels, fit)
