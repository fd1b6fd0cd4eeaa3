"""Picture files with all that is in them: how they were turned, what is transparent, and 16 bits where there are 16."""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageOps
from torch import Tensor

from sparring.core.animation import pyav
from sparring.core.errors import UserError

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000")
"""that Pillow decodes itself: EPS, for one, would run another program on what may be a stranger's file"""
BROKEN = (OSError, SyntaxError, ValueError, EOFError, PIL.Image.DecompressionBombError)
"""what Pillow's readers raise on files that are cut short or are no pictures"""


@functools.cache
def known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with."""
    PIL.Image.init()
    return tuple(name for name in FORMATS if name in PIL.Image.OPEN)


def read(path: Path) -> np.ndarray:
    """float32 H x W x C in [0, 1]: 1 channel for grey, 3 for colour, 4 where something is transparent.

    Raises:
        UserError: it cannot be read as a picture.
    """
    try:
        with PIL.Image.open(path, formats=known_formats()) as image:
            deep = _deep_colour(image)
            turned = ImageOps.exif_transpose(image)
            if deep and (av := pyav()) is not None:
                return _read_deep(av, path, "png_pipe" if image.format == "PNG" else "tiff_pipe")
            return _values(turned)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except BROKEN as error:
        raise UserError(f"{path}: not a readable picture ({error})") from None


def is_deep(path: Path) -> bool:
    """Whether a picture's file holds more than 8 bits for each value that can be read here."""
    try:
        with PIL.Image.open(path, formats=known_formats()) as image:
            return image.mode[0] in "IF" or (_deep_colour(image) and pyav() is not None)
    except BROKEN:
        return False


def write_deep(image: Tensor, path: Path) -> None:
    """C x H x W in [-1, 1], of 1, 3 or 4 channels, in 16 bits; colour needs PyAV, and without it has 8.

    Raises:
        OSError: the file cannot be written.
    """
    from sparring.core.media import to_pil

    values = ((image.detach().float() + 1) * 32767.5).round_().clamp_(0, 65535).cpu().numpy().astype(np.uint16)
    if len(values) == 1:
        PIL.Image.fromarray(values[0]).save(path)
    elif (av := pyav()) is not None:
        _write_deep(av, np.ascontiguousarray(values.transpose(1, 2, 0)), path)
    else:
        to_pil(image).save(path)


def _values(image: PIL.Image.Image) -> np.ndarray:
    if image.mode[0] in "IF":
        values = np.asarray(image).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("holds values that are not finite")
        white = next(
            (white for white in (1.0, 255.0, 65535.0) if values.max(initial=0) <= white), values.max(initial=1)
        )
        if image.mode[0] == "I":
            white = max(white, 65535.0)
        return (values / white).clip(0, 1)[:, :, None]
    if image.has_transparency_data or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}:
        image = image.convert("RGBA")
    else:
        image = image.convert("L" if image.mode in {"1", "L"} else "RGB")
    pixels = np.asarray(image, np.float32) / 255
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _deep_colour(image: PIL.Image.Image) -> bool:
    """Pillow reads colours of 16 bits as 8, and says so only in the name of the decoder that it would use."""
    tiles: list[Any] = getattr(image, "tile", [])
    layouts = [str(part) for tile in tiles for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    return any(";16" in layout for layout in layouts) and image.mode in {"RGB", "RGBA"}


def _read_deep(av: ModuleType, path: Path, kind: str) -> np.ndarray:
    with av.open(str(path), format=kind, options={"protocol_whitelist": "file"}) as container:
        frame = next(container.decode(video=0))
        layout = "rgba64le" if "a" in frame.format.name else "rgb48le"
        return frame.to_ndarray(format=layout).astype(np.float32) / 65535


def _write_deep(av: ModuleType, values: np.ndarray, path: Path) -> None:
    png = path.suffix.lower() == ".png"
    channels = values.shape[2]
    kind = {(True, 3): "rgb48be", (True, 4): "rgba64be", (False, 3): "rgb48le", (False, 4): "rgba64le"}[png, channels]
    frame = av.VideoFrame.from_ndarray(values, format="rgb48le" if channels == 3 else "rgba64le").reformat(format=kind)
    codec = av.CodecContext.create("png" if png else "tiff", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = values.shape[1], values.shape[0], kind, 1
    packets = [*codec.encode(frame), *codec.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
