"""Context Encoders: what a network knows of a hole that its rim does not."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from results.real import home, middles, place
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.data import hold_out
from sparring.data.images import Images
from sparring.data.photos import Photos
from sparring.metrics.sharpness import gradient_energy
from sparring.tasks.inpaint import membrane

ORDER = 72
TITLE = "Context Encoders fill a hole better than its rim does"
PHOTOS, FACES = "photos/bsds500-256.zip", "faces/portraits-96.zip"
CLAIM = (
    "`sparring train context_encoder` on the 300 photos of BSDS500's training and validation sets at 256 px, and "
    "`inpaint` of a hole of 64 px in the middle of the middle 128 px of the 200 test photos; and on portraits at 128 "
    "px (made from 96 px), judged on a tenth of them that was held out. *PSNR* of the hole alone (mean over "
    "pictures), *sharpness*: gradient energy in it over the original's. Controls: the mean colour of the training "
    "pictures, that of the rest of each picture, the rim's colours joined by straight lines (bilinear), biharmonic "
    "filling (scikit-image), a soap film from rim to rim (what the network is shown), and training without the "
    "adversarial term. The paper has 18.58 dB on Paris StreetView, of which its nearest neighbour has 14.70 (15,000 "
    "pictures of one city). Training time is that of a shared core, which was paused at times."
)
CASES = {"joint": "default", "squared error alone": "reconstruction"}
SETS = {"photos": 9000, "portraits": 5000}
"""steps of each"""
SIDE, HOLE = 128, 64


def config(preset: str, kind: str, root: str = "") -> Config:
    """`root`: below which the sets lie; the key of a cell does not depend on it."""
    start = api.starting_point("context_encoder", preset).replace(steps=SETS[kind], watch=False, preview_every=10**9)
    if kind == "photos":
        return start.replace(data=Photos(str(learned()) if root else f"{PHOTOS} train val", size=SIDE, channels=3))
    return start.replace(data=Images(f"{root}{FACES}", size=SIDE, channels=3, flip=True), held_out=0.1)


def inputs() -> Any:
    return [to_json(config(preset, kind)) for kind in SETS for preset in CASES.values()]


def compute(work: Path) -> Any:
    found = {}
    for kind in SETS:
        runs = {
            title: cell(
                "inpainting", to_json(config(preset, kind)),
                lambda kind=kind, preset=preset: measure(preset, kind, work / f"{kind}-{preset}"),
            )
            for title, preset in CASES.items()
        }  # fmt: skip
        found[kind] = {**runs, "controls": cell("inpainting", ["controls", kind], lambda kind=kind: controls(kind))}
    return found


def learned() -> Path:
    """A folder of the photos of the training and of the validation set."""
    folder = Path("build/results/inpainting/photos")
    if not folder.exists():
        with zipfile.ZipFile(place(PHOTOS)) as archive:
            names = [name for name in archive.namelist() if name.startswith(("train/", "val/"))]
            archive.extractall(folder, names)
    return folder


def pictures(kind: str) -> tuple[Tensor, Tensor]:
    """Pictures to judge on, and those to learn from: N x 3 x 128 x 128."""
    if kind == "photos":
        return middles(f"{PHOTOS}/test", SIDE), middles(f"{PHOTOS}/train", SIDE)
    rest, held = hold_out(config("default", kind, home()).data.replace(flip=False).open(), 0.1)
    return tuple(each.prepare(each.batch(torch.arange(len(each)), torch.Generator())).image for each in (held, rest))


def hole() -> Tensor:
    """1 x 1 x 128 x 128."""
    found = torch.zeros(1, 1, SIDE, SIDE)
    edge = (SIDE - HOLE) // 2
    found[:, :, edge : edge + HOLE, edge : edge + HOLE] = 1
    return found


def judged(real: Tensor, made: Tensor) -> dict[str, float]:
    edge = (SIDE - HOLE) // 2
    inside = slice(edge, edge + HOLE)
    real, made = real[:, :, inside, inside], made[:, :, inside, inside]
    error = (real - made).square().mean((1, 2, 3)).double()
    return {
        "psnr": round((10 * torch.log10(4 / error)).mean().item(), 2),
        "sharpness": round((gradient_energy(made).sum() / gradient_energy(real).sum()).item(), 3),
    }


def measure(preset: str, kind: str, work: Path) -> dict[str, Any]:
    model, seconds = trained("context_encoder", config(preset, kind, home()), work)
    real, _ = pictures(kind)
    made = torch.cat([model.inpaint(image[None], hole()).cpu() for image in real])
    return {**judged(real, made), "seconds": round(seconds)}


def controls(kind: str) -> dict[str, Any]:
    import numpy as np
    from skimage.restoration import inpaint_biharmonic

    real, others = pictures(kind)
    mask = hole()
    known = 1 - mask
    mean = (real * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    usual = others.mean((0, 2, 3), keepdim=True)
    edge = (SIDE - HOLE) // 2
    inside = slice(edge, edge + HOLE)
    share = (torch.arange(HOLE) + 1.0) / (HOLE + 1)
    left, right = real[:, :, inside, edge - 1, None], real[:, :, inside, edge + HOLE, None]
    above, below = real[:, :, edge - 1, None, inside], real[:, :, edge + HOLE, None, inside]
    lines = real.clone()
    lines[:, :, inside, inside] = (torch.lerp(left, right, share) + torch.lerp(above, below, share[:, None])) / 2
    smooth = [
        inpaint_biharmonic(image.permute(1, 2, 0).numpy(), mask[0, 0].numpy() > 0, channel_axis=2) for image in real
    ]
    biharmonic = torch.from_numpy(np.stack(smooth)).permute(0, 3, 1, 2).clamp(-1, 1).float()
    return {
        "mean colour of the training pictures": judged(real, torch.lerp(real, usual.expand_as(real), mask)),
        "mean colour of the rest": judged(real, torch.lerp(real, mean.expand_as(real), mask)),
        "straight lines": judged(real, lines),
        "biharmonic": judged(real, biharmonic),
        "soap film": judged(real, membrane(real, known)),
    }


def render(value: Any) -> str:
    parts = []
    for kind, cases in value.items():
        lines = [f"**{kind}**\n", "| | PSNR | sharpness | training, s |", "|---|---|---|---|"]
        controls = {f"control: {title}": run for title, run in (cases["controls"] or {}).items()}
        for title, run in ({title: cases[title] for title in CASES} | controls).items():
            if run:
                lines.append(f"| {title} | {run['psnr']:.2f} | {run['sharpness']:.2f} | {run.get('seconds', '-')} |")
        if any(cases.values()):
            parts.append("\n".join(lines))
    return "\n\n".join(parts)
