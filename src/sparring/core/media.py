"""Media: tensors with a face. What a verb takes and gives, and how each is loaded from and saved to a file.

A medium is written into a verb's type (`def translate(self, image: Image) -> Image`); the value is a plain tensor. The
command line, the Python interface and the studio read loading and saving off the type.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.core.score import Score

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
DEEP = (".png", ".tif", ".tiff")
LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601: what red, green and blue add to grey"""
STRIP = 2**24
"""numbers that are turned into bytes at a time"""
CLIPS = (".mp4", ".gif", ".webp")
MUSIC = (".mid", ".midi", ".abc", ".musicxml", ".mxl", ".npz")
SOUNDS = (".wav", ".ogg")


class Medium(ABC):
    """How one kind of tensor is loaded and saved."""

    default: str
    """suffix of a file when the user names none"""
    suffixes: tuple[str, ...] = PICTURES
    """of files that are taken from a folder"""

    def deep(self, path: Path) -> bool:
        """Whether a file holds more than 8 bits for each value."""
        return False

    @abstractmethod
    def load(self, path: Path) -> Any:
        """The tensor (or score) in a file. Raises UserError when it cannot be read."""

    @abstractmethod
    def save(self, value: Any, path: Path, deep: bool = False) -> Path:
        """Write the tensor (or score) and say where. The suffix chooses the format; `.npy` keeps the raw numbers.

        Args:
            deep: with more than 8 bits for each value, where the format can.
        """


class Pictures(Medium):
    """N x C x H x W in [-1, 1]: one picture, or several as a grid (or one file each, into a folder)."""

    default = ".png"

    def load(self, path: Path) -> Tensor:
        return load_image(path)

    def deep(self, path: Path) -> bool:
        from sparring.core.pictures import is_deep

        return is_deep(path)

    def save(self, value: Tensor, path: Path, deep: bool = False) -> Path:
        return save_image(value, path, deep=deep)


class Masks(Medium):
    """1 x 1 x H x W, 1 in a hole and 0 elsewhere: a black picture with white holes, or one that is transparent there."""

    default = ".png"

    def load(self, path: Path) -> Tensor:
        image = load_image(path)
        hole = image[:, 3:] < 0
        if not hole.any():
            hole = in_channels(image, 1) >= 0
        if not hole.any():
            raise UserError(f"{path}: the mask has no hole; holes are white, or transparent")
        return hole.float()

    def save(self, value: Tensor, path: Path, deep: bool = False) -> Path:
        return save_image(value.float() * 2 - 1, path)


class Clip(Medium):
    """T x C x H x W in [-1, 1], one after another: a video by suffix .mp4, .gif or .webp; otherwise a grid."""

    default = ".png"
    fps = 12.0

    def load(self, path: Path) -> Tensor:
        raise UserError(f"{path}: no model takes a clip as input yet")

    def save(self, value: Tensor, path: Path, deep: bool = False) -> Path:
        if path.suffix.lower() not in CLIPS:
            return save_image(value, path, deep=deep)
        from sparring.core.animation import write_video

        path.parent.mkdir(parents=True, exist_ok=True)
        write_video((_rgb(frame) for frame in value), path, self.fps)
        return path


class Scores(Medium):
    """Music: a MIDI file by default; .png and the like draw it as a piano roll, .wav and .ogg sound."""

    default = ".mid"
    suffixes = MUSIC

    def load(self, path: Path) -> Score:
        from sparring.core.midi import read_score

        return read_score(path)

    def save(self, value: Score, path: Path, deep: bool = False) -> Path:
        return save_score(value, path)


Image = Annotated[Tensor, Pictures()]
"""N x C x H x W in [-1, 1]"""
Mask = Annotated[Tensor, Masks()]
"""1 x 1 x H x W: 1 in a hole, 0 elsewhere"""
Frames = Annotated[Tensor, Clip()]
"""T x C x H x W in [-1, 1]"""
Music = Annotated[Score, Scores()]
"""notes on tracks"""


def medium(hint: Any) -> Medium | None:
    """The medium that a type hint names, if any."""
    if get_origin(hint) is Annotated:
        return next((item for item in get_args(hint)[1:] if isinstance(item, Medium)), None)
    return None


def to_uint8(images: Tensor) -> np.ndarray:
    """... x C x H x W in [-1, 1] as uint8 ... x H x W x C in host memory; strip by strip, so that a large picture is not copied
    whole in between."""
    images = images.detach().movedim(-3, -1)
    made = torch.empty(images.shape, dtype=torch.uint8)
    rows = max(1, STRIP * images.shape[-3] // max(1, images.numel()))
    for strip, place in zip(images.split(rows, -3), made.split(rows, -3)):
        place.copy_(((strip.float() + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8))
    return made.numpy()


def _rgb(image: Tensor) -> np.ndarray:
    return np.array(to_pil(image[:3]).convert("RGB"))


def to_pil(image: Tensor) -> PIL.Image.Image:
    """One picture, C x H x W in [-1, 1]. One channel is grey, two are drawn as red and green, four carry alpha."""
    pixels = to_uint8(image)
    channels = pixels.shape[-1]
    if channels == 1:
        return PIL.Image.fromarray(pixels[..., 0])
    if channels == 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)
    return PIL.Image.fromarray(np.ascontiguousarray(pixels[..., : 4 if channels == 4 else 3]))


def fit(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Pictures of any size as a network takes them: their square middle, brought to its side and channels.

    Args:
        images: N x C x H x W in [-1, 1].
        shape: channels, height and width, a square.
    """
    channels, side, _ = shape
    images = in_channels(images, channels)
    height, width = images.shape[2:]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    images = images[:, :, top : top + least, left : left + least]
    if least == side:
        return images
    return resized(images, side, side).clamp(-1, 1)


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Pictures brought to other sides by bicubic interpolation, antialiased, by the kernel of Pillow and MATLAB (a = -1/2); it
    may go a little beyond [-1, 1].

    Args:
        images: N x C x H x W.
    """
    return functional.interpolate(images, (height, width), mode="bicubic", antialias=True)


def in_channels(images: Tensor, channels: int) -> Tensor:
    """Pictures in as many channels as a network takes: on white where they were transparent, in grey, or grey in colours.

    Args:
        images: N x C x H x W in [-1, 1]; with four channels, the last is how opaque they are.
        channels: of the result.
    """
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 4:
        opaque = (images[:, 3:] + 1) / 2
        images = images[:, :3] * opaque + (1 - opaque)
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 3:
        images = (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return images.mean(1, keepdim=True).expand(-1, channels, -1, -1)


def load_image(path: str | Path) -> Tensor:
    """A picture file as 1 x C x H x W in [-1, 1]: grey, colour, or colour and opacity; upright; with all its bits.

    Raises:
        UserError: it cannot be read as a picture.
    """
    from sparring.core.pictures import read

    values = torch.from_numpy(read(Path(path)))
    return values.permute(2, 0, 1)[None].contiguous().mul_(2).sub_(1)


def grid(images: Tensor, columns: int | None = None, gap: int = 2) -> Tensor:
    """N x C x H x W as one picture, 1 x C x H' x W', row by row on black. `columns` defaults to a near square."""
    count, channels, height, width = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    sheet = images.new_full((1, channels, rows * (height + gap) - gap, columns * (width + gap) - gap), -1.0)
    for number, image in enumerate(images):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[0, :, top : top + height, left : left + width] = image
    return sheet


def save_image(images: Tensor, path: str | Path, columns: int | None = None, deep: bool = False) -> Path:
    """Write pictures to a file.

    Args:
        images: C x H x W or N x C x H x W in [-1, 1]; several become a grid.
        path: a picture file (.png, .jpg, .webp, ...), `.npy` for the raw numbers, or a folder (no suffix), which
            receives one numbered .png for each.
        columns: of the grid; a near square by default.
        deep: in 16 bits for each value, where the format is PNG or TIFF.

    Raises:
        UserError: the suffix is unknown, or the file cannot be written.
    """
    from sparring.core.pictures import write_deep

    path = Path(path)
    images = images[None] if images.dim() == 3 else images
    suffix = path.suffix.lower()
    if suffix not in (*PICTURES, ".npy", ""):
        raise UserError(f"{path}: unknown suffix; use one of {', '.join(PICTURES)}, .npy, or a folder name")
    try:
        (path if not suffix else path.parent).mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(path, images.detach().float().cpu().numpy())
        elif suffix:
            one = images[0] if len(images) == 1 else grid(images, columns)[0]
            if deep and suffix in DEEP and one.shape[0] in (1, 3, 4):
                write_deep(one, path)
            else:
                to_pil(one).save(path)
        else:
            for number, image in enumerate(images):
                to_pil(image).save(path / f"{number:05d}.png")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def save_score(score: Score, path: str | Path) -> Path:
    """Write music to a file.

    Args:
        score: what to write.
        path: .mid or .midi; .npz for the notes as arrays; .wav or .ogg for sound; a picture's suffix for a piano roll; or a
            folder (no suffix), which receives song.mid, song.png and song.wav.

    Raises:
        UserError: the suffix is unknown, a library is missing, or the file cannot be written.
    """
    from sparring.core import midi, pianoroll, synthesis

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".mid", ".midi", ".npz", *SOUNDS, *PICTURES, ""):
        raise UserError(f"{path}: unknown suffix; use .mid, .npz, {', '.join((*SOUNDS, *PICTURES))}, or a folder name")
    try:
        (path if not suffix else path.parent).mkdir(parents=True, exist_ok=True)
        if not suffix:
            for each in (".mid", ".png", ".wav"):
                save_score(score, path / f"song{each}")
        elif suffix in (".mid", ".midi"):
            midi.write_midi(score, path)
        elif suffix == ".npz":
            midi.write_npz(score, path)
        elif suffix in SOUNDS:
            synthesis.write_sound(score, path)
        else:
            pianoroll.draw(score).save(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
