"""Pictures in time: a run's previews, or any sequence of frames, as a video."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from sparring.core.errors import UserError

Item = TypeVar("Item")

HOLD = 2.0  # seconds for which the last frame of a training stays: it is the one to look at
SLOWEST, FASTEST = 2.0, 30.0  # frames a second
SMALL, LARGE = 480, 1920  # pixels: smaller pictures are magnified, larger ones reduced, when previews are animated


def animate(frames: list[Path], out_stem: Path, seconds: float = 8) -> Path:
    """The training as a film: MP4 where PyAV is installed, else GIF. Unreadable frames are passed over.

    Args:
        frames: pictures in order. Those of another size than the last are brought to it.
        out_stem: the file to write, without its suffix.
        seconds: how long it runs, besides the last frame's hold; less or more where that would be too slow or fast.

    Raises:
        UserError: no frame could be read.
    """
    chosen = evenly(frames, round(seconds * FASTEST))
    size = next((picture.size for picture in map(_opened, reversed(chosen)) if picture), None)
    if size is None:
        raise UserError(f"{out_stem}: no picture to animate could be read")
    path = out_stem.with_name(out_stem.name + (".mp4" if pyav() else ".gif"))
    fps = min(FASTEST, max(SLOWEST, len(chosen) / seconds))
    write_video(_fitted(chosen, size), path, fps, HOLD)
    return path


def write_video(frames: Iterable[np.ndarray], path: Path, fps: float, hold: float = 0.0) -> None:
    """Write frames as MP4 (H.264, which every browser plays), GIF or WebP, by the file's suffix.

    Args:
        frames: uint8 arrays of shape (H, W, 3), all of one size, at least one. MP4 wants even sizes: the last row or
            column is repeated where one is odd.
        fps: frames a second. GIF counts in hundredths of a second, at least two.
        hold: seconds for which the last frame stays longer.

    Raises:
        UserError: there is no frame, the suffix is none of these, or PyAV is missing for MP4.
    """
    writers = {".mp4": _write_mp4, ".gif": _write_gif, ".webp": _write_webp}
    if path.suffix.lower() not in writers:
        raise UserError(f"{path}: a video ends in .mp4, .gif or .webp")
    if path.suffix.lower() == ".mp4" and not pyav():
        raise UserError(f"{path}: MP4 needs PyAV: pip install 'sparring[video]' or use .gif")
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise UserError(f"{path}: no frames to write")
    with replacing(path) as draft:
        writers[path.suffix.lower()](chain([first], rest), draft, fps, hold)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place once it is whole, and is removed if it never is."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def evenly(items: list[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly picked, with the first and the last."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return items[-1:]
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def pyav() -> ModuleType | None:
    """PyAV, or None where it is not installed."""
    try:
        import av
    except ImportError:
        return None
    return av


def _opened(path: Path) -> Image.Image | None:
    """The picture in RGB, or None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    # Pillow's readers raise all of these on files cut short or that are no pictures.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


def _fitted(paths: list[Path], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The readable pictures in one size that looks well on a screen."""
    longest = max(size)
    # Whole factors upwards keep pixels square and sharp, and keep colours that 4:2:0 video would smear.
    scale = Fraction(max(1, round(SMALL / longest))) if longest < LARGE else Fraction(LARGE, longest)
    target = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    for picture in map(_opened, paths):
        if picture is None:
            continue
        larger = picture.width < target[0]
        yield np.asarray(picture.resize(target, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS))


def _write_mp4(frames: Iterable[np.ndarray], path: Path, fps: float, hold: float) -> None:
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "h264"
    # The index in front, so that a browser starts before it has all.
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        # Any: PyAV's types tell a video stream from an audio stream only by a literal codec name.
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "medium"}
        even = map(_even, _held(frames, round(hold * fps)))
        first = next(even)
        stream.height, stream.width = first.shape[:2]
        for frame in chain([first], even):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _even(frame: np.ndarray) -> np.ndarray:
    """With even sides, as halved colour planes want them."""
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _held(frames: Iterable[np.ndarray], times: int) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame
    yield from [frame] * times


def _write_gif(frames: Iterable[np.ndarray], path: Path, fps: float, hold: float) -> None:
    pictures = [Image.fromarray(frame) for frame in frames]
    if all(_is_grey(picture) for picture in pictures):
        # GIF holds 256 colours: every grey there is.
        pictures = [picture.convert("L") for picture in pictures]
    else:
        palette = _shared_palette(pictures)
        pictures = [picture.quantize(palette=palette) for picture in pictures]
    # Browsers slow anything faster than a fiftieth of a second down to a tenth.
    _save(pictures, path, "GIF", max(20, round(100 / fps) * 10), hold, optimize=False)


def _write_webp(frames: Iterable[np.ndarray], path: Path, fps: float, hold: float) -> None:
    pictures = [Image.fromarray(frame) for frame in frames]
    _save(pictures, path, "WEBP", round(1000 / fps), hold, quality=85, method=4)


def _save(pictures: list[Image.Image], path: Path, format: str, duration: int, hold: float, **options: int) -> None:
    durations = [duration] * len(pictures)
    durations[-1] += round(hold * 100) * 10
    first, *rest = pictures
    first.save(path, format=format, save_all=True, append_images=rest, duration=durations, loop=0, **options)


def _is_grey(picture: Image.Image) -> bool:
    pixels = np.asarray(picture)
    return bool((pixels[..., :1] == pixels).all())


def _shared_palette(pictures: list[Image.Image]) -> Image.Image:
    """256 colours fit for all frames; one palette for each frame would flicker."""
    samples = [np.asarray(picture).reshape(-1, 3) for picture in evenly(pictures, 16)]
    # The last frame is the one to look at, and the first may hold colours of no other: evenly keeps both.
    pixels = np.concatenate([sample[:: max(1, len(sample) // 40_000)] for sample in samples])
    return Image.fromarray(pixels[None]).quantize(256, method=Image.Quantize.MEDIANCUT)
