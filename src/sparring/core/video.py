"""Films, frame by frame: read, worked on and written again with their sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparring.core.animation import pyav, replacing, write_video
from sparring.core.errors import UserError
from sparring.core.media import to_uint8

FILMS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".gif")
WRITTEN = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".gif": "gif"}
"""what films are written as, by suffix"""
SAFE = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,gif"}
"""a stranger's film may be a playlist in disguise, which would have other files or addresses opened"""
AT_ONCE = 512**2
"""pixels that are worked on together: small frames go in groups"""
GROUP = 8


def is_film(path: Path) -> bool:
    return path.suffix.lower() in FILMS


def rework(source: Path, out: Path, work: Callable[[Tensor], Tensor], advance: Callable[[int], None]) -> Path:
    """Write a film whose frames were worked on; its sound is copied as it is.

    Args:
        source: a film.
        out: .mp4, .m4v, .mov, .mkv (which takes any sound) or .gif (which has none).
        work: N x 3 x H x W in [-1, 1] to N x C x H' x W'.
        advance: is told how many frames were done.

    Raises:
        UserError: PyAV is missing, the film cannot be read, or it holds no frames.
    """
    av = pyav()
    if av is None:
        raise UserError(f"{source}: films need PyAV: pip install 'sparring[video]'")
    if out.suffix.lower() not in WRITTEN:
        raise UserError(f"{out}: a film is written as {', '.join(WRITTEN)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        film = av.open(str(source), options=SAFE)
    except av.FFmpegError as error:
        raise UserError(f"{source}: not a readable film ({error})") from None
    try:
        with film:
            if not film.streams.video:
                raise UserError(f"{source}: there is no picture in it")
            if out.suffix.lower() == ".gif":
                return _rework_gif(film, out, work, advance, source)
            with replacing(out) as draft:
                _rework(av, film, draft, WRITTEN[out.suffix.lower()], work, advance, source)
    except av.FFmpegError as error:
        raise UserError(
            f"{source}: could not be made into {out} ({error}); it is damaged, or its sound does not fit: --out "
            f"{out.with_suffix('.mkv').name} takes any"
        ) from None
    return out


def _rework(
    av: ModuleType, film: Any, draft: Path, kind: str, work: Callable[[Tensor], Tensor],
    advance: Callable[[int], None], source: Path,
) -> None:  # fmt: skip
    pictures = film.streams.video[0]
    rate = pictures.average_rate or pictures.guessed_rate or Fraction(25)
    with av.open(str(draft), "w", format=kind) as written:
        stream, sounds = None, {}
        for group in _groups(film, source):
            made = to_uint8(work(group))
            if stream is None:
                height, width = made.shape[1:3]
                stream = written.add_stream("libx264", rate=rate, options={"crf": "18"})
                stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
                sounds = {each.index: written.add_stream_from_template(each) for each in film.streams.audio}
            for frame in made:
                even = np.pad(_rgb(frame), ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
                written.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            advance(len(made))
        assert stream is not None
        written.mux(stream.encode())
        _copy_sound(av, source, written, sounds)


def _copy_sound(av: ModuleType, source: Path, written: Any, sounds: dict[int, Any]) -> None:
    if not sounds:
        return
    with av.open(str(source), options=SAFE) as film:
        for packet in film.demux(film.streams.audio):
            if packet.dts is not None:
                packet.stream = sounds[packet.stream.index]
                written.mux(packet)


def _rework_gif(
    film: Any, out: Path, work: Callable[[Tensor], Tensor], advance: Callable[[int], None], source: Path
) -> Path:
    rate = film.streams.video[0].average_rate or Fraction(12)

    def frames() -> Iterator[np.ndarray]:
        for group in _groups(film, source):
            made = to_uint8(work(group))
            yield from (_rgb(frame) for frame in made)
            advance(len(made))

    write_video(frames(), out, float(rate))
    return out


def _groups(film: Any, source: Path) -> Iterator[Tensor]:
    """Frames N x 3 x H x W in [-1, 1], as many together as is quick."""
    held: list[Tensor] = []
    seen = False
    for frame in film.decode(video=0):
        pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))
        held.append(pixels.permute(2, 0, 1).float().div_(127.5).sub_(1))
        seen = True
        if len(held) * frame.width * frame.height >= AT_ONCE or len(held) == GROUP:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)
    if not seen:
        raise UserError(f"{source}: there are no frames in it")


def _rgb(frame: np.ndarray) -> np.ndarray:
    return np.repeat(frame[:, :, :1], 3, 2) if frame.shape[2] < 3 else np.ascontiguousarray(frame[:, :, :3])
