"""Context Encoders: what a network knows of a hole that its rim does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from results.real import home, middles
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.photos import Photos
from sparring.metrics.sharpness import gradient_energy
from sparring.tasks.inpaint import membrane

ORDER = 72
TITLE = "Context Encoders fill a hole better than its rim does"
TRAIN, TEST = "photos/bsds500-256.zip/train", "photos/bsds500-256.zip/test"
CLAIM = (
    "`sparring train context_encoder` on the 200 training photos of BSDS500 at 256 px, and `inpaint` of a hole of "
    "64 px in the middle of the middle 128 px of the 200 test photos. *PSNR* of the hole alone (mean over photos), "
    "*sharpness*: gradient energy in it over the original's. Controls: the mean colour of the training photos, that"
    " of the rest of each picture, the rim's colours joined by straight lines (bilinear), biharmonic filling "
    "(scikit-image), a soap film from rim to rim (what the network is shown), and training without the adversarial "
    "term. The paper has 18.58 dB on Paris StreetView, of which its nearest neighbour has 14.70 (15,000 pictures of"
    " one city)."
)
CASES = {"joint": "default", "squared error alone": "reconstruction"}
SIDE, HOLE = 128, 64


def config(preset: str, root: str = "") -> Config:
    """`root`: below which the set lies; the key of a cell does not depend on it."""
    start = api.starting_point("context_encoder", preset)
    data = Photos(f"{root}{TRAIN}", size=SIDE, channels=3)
    return start.replace(data=data, watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(preset)) for preset in CASES.values()]


def compute(work: Path) -> Any:
    runs = {
        title: cell(
            "inpainting", to_json(config(preset)), lambda title=title, preset=preset: measure(preset, work / title)
        )
        for title, preset in CASES.items()
    }
    return {**runs, "controls": cell("inpainting", "controls", controls)}


def pictures() -> tuple[Tensor, Tensor]:
    """The middles of the test photos, and the hole: N x 3 x 128 x 128, 1 x 1 x 128 x 128."""
    hole = torch.zeros(1, 1, SIDE, SIDE)
    edge = (SIDE - HOLE) // 2
    hole[:, :, edge : edge + HOLE, edge : edge + HOLE] = 1
    return middles(TEST, SIDE), hole


def judged(real: Tensor, made: Tensor) -> dict[str, float]:
    edge = (SIDE - HOLE) // 2
    inside = slice(edge, edge + HOLE)
    real, made = real[:, :, inside, inside], made[:, :, inside, inside]
    error = (real - made).square().mean((1, 2, 3)).double()
    return {
        "psnr": round((10 * torch.log10(4 / error)).mean().item(), 2),
        "sharpness": round((gradient_energy(made).sum() / gradient_energy(real).sum()).item(), 3),
    }


def measure(preset: str, work: Path) -> dict[str, Any]:
    model, seconds = trained("context_encoder", config(preset, home()), work)
    real, hole = pictures()
    made = torch.cat([model.inpaint(image[None], hole).cpu() for image in real])
    return {**judged(real, made), "seconds": round(seconds)}


def controls() -> dict[str, Any]:
    import numpy as np
    from skimage.restoration import inpaint_biharmonic

    real, hole = pictures()
    known = 1 - hole
    mean = (real * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    usual = middles(TRAIN, 171).mean((0, 2, 3), keepdim=True)
    edge = (SIDE - HOLE) // 2
    inside = slice(edge, edge + HOLE)
    share = (torch.arange(HOLE) + 1.0) / (HOLE + 1)
    left, right = real[:, :, inside, edge - 1, None], real[:, :, inside, edge + HOLE, None]
    above, below = real[:, :, edge - 1, None, inside], real[:, :, edge + HOLE, None, inside]
    lines = real.clone()
    lines[:, :, inside, inside] = (torch.lerp(left, right, share) + torch.lerp(above, below, share[:, None])) / 2
    smooth = [
        inpaint_biharmonic(image.permute(1, 2, 0).numpy(), hole[0, 0].numpy() > 0, channel_axis=2) for image in real
    ]
    biharmonic = torch.from_numpy(np.stack(smooth)).permute(0, 3, 1, 2).clamp(-1, 1).float()
    return {
        "mean colour of the training photos": judged(real, torch.lerp(real, usual.expand_as(real), hole)),
        "mean colour of the rest": judged(real, torch.lerp(real, mean.expand_as(real), hole)),
        "straight lines": judged(real, lines),
        "biharmonic": judged(real, biharmonic),
        "soap film": judged(real, membrane(real, known)),
    }


def render(value: Any) -> str:
    lines = ["| | PSNR | sharpness | training, s |", "|---|---|---|---|"]
    runs = {title: run for title, run in value.items() if title != "controls"} | {
        f"control: {title}": run for title, run in (value["controls"] or {}).items()
    }
    for title, run in runs.items():
        if run:
            lines.append(f"| {title} | {run['psnr']:.2f} | {run['sharpness']:.2f} | {run.get('seconds', '-')} |")
    return "\n".join(lines)
