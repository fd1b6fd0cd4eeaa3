"""The pictures of docs/pictures.md, from the runs that the rows have trained: python -m results.pictures [NAME ...]

What is given to the models is from sets with open licences alone: MNIST, emoji (Noto, Apache-2.0; Twemoji, CC BY 4.0), cartoon
faces (Lorelei by Lisa Wischofsky, CC0), and faces of the GRID corpus (Cooke et al. 2006, CC BY 4.0).
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import sparring
from results.real import home, place
from results.rows import cyclegan, inpainting, pix2pix
from sparring.core.data import hold_out
from sparring.core.media import grid, resized, save_image
from sparring.data import faces
from sparring.data.images import Images
from sparring.judging.samples import read
from sparring.metrics.pairs import as_saved
from sparring.tasks.upscale import lowered, raised

RUNS, OUT = Path("build/results"), Path("docs/pictures")
CLIPS = "video/grid-talking-heads-128.zip"
FRAMES = (10, 60)
"""of each clip: the first of every talker, then the second of as many as are wanted"""


def talkers(count: int) -> list[Image.Image]:
    """Frames of 128 px of talking heads."""
    with zipfile.ZipFile(place(CLIPS)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        folders = sorted({name.split("/")[0] for name in names})
        wanted = [[name for name in names if name.startswith(f"{each}/")][at] for at in FRAMES for each in folders]
        found = []
        for name in wanted[:count]:
            with archive.open(name) as stream, Image.open(stream) as image:
                found.append(image.convert("RGB"))
        return found


def tensors(pictures: list[Image.Image]) -> Tensor:
    """N x 3 x H x W in [-1, 1]."""
    return cyclegan.floats(np.stack([np.asarray(picture) for picture in pictures]))


def each(verb: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    return torch.cat([verb(picture[None]).cpu() for picture in pictures])


def sheet(rows: list[Tensor], name: str, scale: int = 1) -> None:
    side = scale * rows[0].shape[2]
    shown = torch.cat(rows) if scale == 1 else resized(torch.cat(rows), side, side).clamp(-1, 1)
    save_image(grid(shown, len(rows[0]), gap=4), OUT / f"{name}.png")


def cartoons() -> None:
    """Talking heads and their cartoons; cartoons and their portraits."""
    model = sparring.load(RUNS / "cyclegan/faces")
    size = model.config.data.size
    heads = tensors([faces.cut(photo, faces.find(photo)[0], size) for photo in talkers(10)])
    drawn = cyclegan.floats(Images(str(cyclegan.aligned()), size=size, channels=3).open().images[::59][:10])
    sheet([heads, each(model.translate, heads), drawn, each(model.back, drawn)], "cartoons")


def colours() -> None:
    """Digits, coloured, and taken back."""
    model = sparring.load(RUNS / "cyclegan/digits")
    given = read(Images("digits").resolved().open(), 12, 3)[0].expand(-1, 3, -1, -1)
    made = each(model.translate, given)
    sheet([given, made, each(model.back, made)], "colours", scale=2)


def emoji() -> None:
    """Emoji of one hand, what was made of them, and the other hand's, of the pairs that were held out."""
    model = sparring.load(RUNS / "pix2pix/emoji-patches-of-34-px")
    data = pix2pix.config("emoji", {}, home()).data.plain()
    _, held = hold_out(data.open(), 0.1)
    assert held is not None
    given, wanted = held.prepare(held.batch(torch.arange(0, len(held), len(held) // 12)[:12], torch.Generator()))
    sheet([given, each(model.translate, given), wanted], "emoji")


def filled() -> None:
    """Talking heads with a hole, filled, and as they were."""
    model = sparring.load(RUNS / "inpainting/portraits-default")
    heads = tensors([faces.cut(photo, faces.find(photo)[0], inpainting.SIDE) for photo in talkers(9)])
    hole = inpainting.hole()
    sheet(
        [torch.lerp(heads, torch.ones_like(heads), hole), each(lambda one: model.inpaint(one, hole), heads), heads],
        "filled",
    )


def sharper() -> None:
    """Talking heads of 32 px, enlarged by bicubic and by each network, and as they were."""
    whole = tensors(talkers(6))
    small = lowered(whole, 4)
    rows = [raised(small, 4).clamp(-1, 1)]
    for title in ("SRResNet", "SRGAN", "ENet-E", "ENet-PAT"):
        rows.append(as_saved(each(sparring.load(RUNS / "upscaling" / title).upscale, small)))
    sheet([*rows, whole], "sharper")


PICTURES = {made.__name__: made for made in (cartoons, colours, emoji, filled, sharper)}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
        print(OUT / f"{name}.png")
