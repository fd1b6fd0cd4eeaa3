"""SRGAN and EnhanceNet: how near to the original, and how sharp."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from results.judge import judge_of_pictures
from results.real import home, middles, place
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.media import load_image
from sparring.core.model import Model
from sparring.data.photos import Photos
from sparring.judging.extractors import Extractor, extract
from sparring.metrics.gram import gram_distance
from sparring.metrics.pairs import as_saved, luma
from sparring.metrics.psnr import psnr
from sparring.metrics.sharpness import gradient_energy
from sparring.networks import vgg
from sparring.tasks.upscale import lowered, raised

ORDER = 73
TITLE = "Four times as large: SRGAN and EnhanceNet"
TRAIN, TEST, SET5 = "photos/bsds500-256.zip/train", "photos/bsds500-256.zip/test", "photos/set5-x4.zip"
CLAIM = (
    "Trained on the 200 training photos of BSDS500 at 256 px, x4, 8,000 steps. *Set5*: PSNR of the Y channel of saved pictures "
    "without 4 px at each edge, from the set's own small pictures. *Test*: the 200 test photos of BSDS500, their "
    "middle 168 x 168 px: PSNR (Y), *sharpness*: gradient energy over the original's (1 is right), *features*: mean"
    " distance of features at unit length, of a judge trained on the training photos (to tell how they were "
    "turned), *texture*: distance of Gram matrices of patches, in fixed random features, over bicubic's. Without "
    "VGG19's weights, content is compared in fixed random features, too. Set5, published: bicubic 28.43, SRResNet "
    "32.05, SRGAN 29.40, ENet-E 31.74, ENet-PAT 28.56 (350,000 or more pictures)."
)
SIDE, STEPS = 168, 8000
CASES: dict[str, tuple[str, str]] = {
    "SRResNet": ("srgan", "resnet"), "SRGAN": ("srgan", "default"), "ENet-E": ("enhancenet", "e"),
    "ENet-P": ("enhancenet", "p"), "ENet-PA": ("enhancenet", "pa"), "ENet-PAT": ("enhancenet", "pat"),
}  # fmt: skip


def config(title: str, root: str = "") -> Config:
    """`root`: below which the sets lie; the key of a cell does not depend on it."""
    method, preset = CASES[title]
    start = api.starting_point(method, preset)
    data = start.data.replace(source=f"{root}{TRAIN}", channels=3)
    return start.replace(data=data, steps=STEPS, watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(title)) for title in CASES]


def compute(work: Path) -> Any:
    found = {
        title: cell("upscaling", to_json(config(title)), lambda title=title: measure(title, work)) for title in CASES
    }
    return {"bicubic": cell("upscaling", "bicubic", lambda: judged(None, work)), **found}


def measure(title: str, work: Path) -> dict[str, Any]:
    root = home()
    model, seconds = trained(CASES[title][0], config(title, root), work / title)
    return {**judged(model, work), "seconds": round(seconds)}


def judged(model: Model | None, work: Path) -> dict[str, Any]:
    def larger(small: Tensor) -> Tensor:
        return raised(small, 4).clamp(-1, 1) if model is None else model.upscale(small)  # type: ignore[operator]

    real = middles(TEST, SIDE)
    made = torch.cat([as_saved(larger(lowered(part, 4))).cpu() for part in real.split(20)])
    sharp = gradient_energy(made).sum() / gradient_energy(real).sum()
    return {
        "set5": round(set5(larger), 2),
        "psnr": round(psnr(luma(made), luma(real), 4).mean().item(), 2),
        "sharpness": round(sharp.item(), 3),
        "features": round(apart(expert(work), real, made), 4),
        "texture": texture(real, made),
    }


def set5(larger: Any) -> float:
    """Mean PSNR (Y) over the five pictures."""
    values = []
    with zipfile.ZipFile(place(SET5)) as archive:
        folder = Path("build/results/upscaling/set5")
        archive.extractall(folder)
        for path in sorted(folder.rglob("*_HR.png")):
            real, small = load_image(path), load_image(path.with_name(path.name.replace("_HR", "_LR")))
            real = real.expand(-1, 3, -1, -1)
            made = as_saved(larger(small.expand(-1, 3, -1, -1))).cpu()
            sides = [min(a, b) for a, b in zip(real.shape[2:], made.shape[2:])]
            parts = (luma(each[:, :, : sides[0], : sides[1]]) for each in (as_saved(real), made))
            values.append(psnr(*parts, 4).item())
    return sum(values) / len(values)


def expert(work: Path) -> Extractor:
    train = Photos(place(TRAIN), size=64, channels=3, flip=False).open()
    return judge_of_pictures(train.tiles[:, :64, :64].copy(), work / "judge")


def apart(extractor: Extractor, real: Tensor, made: Tensor) -> float:
    sides = [
        torch.nn.functional.normalize(extract(extractor, squares(images)).features, dim=1) for images in (real, made)
    ]
    return (sides[0] - sides[1]).norm(dim=1).mean().item()


def squares(images: Tensor) -> Tensor:
    """The middle 64 px, at their own resolution."""
    start = (images.shape[2] - 64) // 2
    return images[:, :, start : start + 64, start : start + 64].contiguous()


def texture(real: Tensor, made: Tensor) -> float:
    network = vgg.random_features(["1_1", "2_1", "3_1"])
    pairs = zip(real.split(10), made.split(10))
    return torch.cat([gram_distance(one, other, network, patch=16) for one, other in pairs]).mean().item()


def render(value: Any) -> str:
    lines = [
        "| | Set5 | test, PSNR | sharpness | features | texture | training, s |",
        "|---|---|---|---|---|---|---|",
    ]
    control = value["bicubic"]
    for title, run in value.items():
        if run:
            lines.append(
                f"| {title} | {run['set5']:.2f} | {run['psnr']:.2f} | {run['sharpness']:.2f} | {run['features']:.3f} | "
                f"{run['texture'] / control['texture']:.2f} | {run.get('seconds', '-')} |"
                if control
                else f"| {title} | {run['set5']:.2f} | {run['psnr']:.2f} | {run['sharpness']:.2f} | - | - | - |"
            )
    return "\n".join(lines)
