"""CycleGAN: does it keep what a picture shows, and does it reach the kind that it aims at?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from results.judge import digit_judge, judge_of_pictures
from results.real import home
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.images import Images
from sparring.data.unpaired import Domains, coloured, colours
from sparring.judging import likeness
from sparring.judging.samples import read

ORDER = 71
TITLE = "CycleGAN: another look, the same content"
CLAIM = (
    "`sparring train cyclegan`. **Digits**: MNIST in grey and others of them dark on a colour, 28 px. *Kept*: a test digit is "
    "coloured, taken back to grey by its strokes alone (dark is light), and the judge of MNIST still sees its label; *cycle*: "
    "mean absolute difference between a test digit and itself there and back, on a scale of 2. Control: no cycle and no "
    "identity term. **Pictures**, 64 px: Fréchet distance to the kind that is aimed at, in the features of a judge trained on "
    "that kind (to tell how pictures were turned), for what the model made and for the untouched input."
)
PAINTINGS = "unpaired/impressionism2photo-128.zip"
FACES = ("faces/portraits-96.zip/colour", "faces/cartoon-faces-96.zip/lorelei")
SEEDS = (0,)


def config(name: str, seed: int = 0, root: str = "") -> Config:
    """`root`: below which the sets lie; the key of a cell does not depend on it."""
    start = api.starting_point("cyclegan").replace(seed=seed, watch=False, preview_every=10**9)
    if name.startswith("digits"):
        data = Domains("coloured:mnist", size=28, jitter=0, flip=False, channels=3)
        changes = {"cycle": 0.0, "identity": 0.0} if name.endswith("without") else {}
        return start.replace(
            data=data, width=16, blocks=3, batch=16, discriminator_width=24, field=16, steps=3000, **changes
        )
    if name == "paintings":
        return start.replace(data=Domains(f"{root}{PAINTINGS}", size=64, channels=3), steps=6000)
    first, second = (f"{root}{part}" for part in FACES)
    return start.replace(data=Domains(first, second, size=64, channels=3), steps=8000)


NAMES = ("digits", "digits without", "faces", "paintings")


def inputs() -> Any:
    return [to_json(config(name)) for name in NAMES]


def compute(work: Path) -> Any:
    return {
        name: cell("cyclegan", to_json(config(name)), lambda name=name: measure(name, work / name.replace(" ", "-")))
        for name in NAMES
    }


def measure(name: str, work: Path) -> dict[str, Any]:
    if name.startswith("digits"):
        return digits(config(name), work)
    chosen = config(name, root=home())
    model, seconds = trained("cyclegan", chosen, work)
    data = chosen.data.plain()
    if name == "paintings":
        data = data.replace(source=f"{chosen.data.source}/testA", other=f"{chosen.data.source}/testB")
    learned, dataset = chosen.data.plain().open(), data.open()
    experts = [judge_of_pictures(kind.images, work / "judge") for kind in reversed(learned.sets)]
    found: dict[str, Any] = {"seconds": round(seconds)}
    for verb, expert in zip(("translate", "back"), experts):
        ours, control = likeness.judge(model, data, dataset, expert, 500, 0)
        for kind, values in (("ours", ours), ("untouched", control)):
            known = {value.name: value.value for value in values}
            found[f"{verb} {kind}"] = round(known[f"{verb}_feature_fid"], 2)
            found[f"{verb} cycle"] = found.get(f"{verb} cycle") or round(known.get(f"{verb}_cycle_l1", 0.0), 3)
    return found


def digits(chosen: Config, work: Path) -> dict[str, Any]:
    model, seconds = trained("cyclegan", chosen, work)
    expert, _ = digit_judge()
    images, labels = read(Images("digits").resolved().open(), 10_000, 0)
    assert labels is not None
    given = images.expand(-1, 3, -1, -1)
    with model.using():
        there = torch.cat([model.there(part) for part in given.split(500)])
        home = torch.cat([model.home(part) for part in there.split(500)])
        ground = coloured(((images + 1) * 127.5).byte().permute(0, 2, 3, 1), colours(len(images), seed=1))
        found = ground.permute(0, 3, 1, 2).float() / 127.5 - 1
        back = torch.cat([model.home(part) for part in found.split(500)])
    return {
        "kept": round(agreement(expert, strokes(there), labels), 4),
        "kept_back": round(agreement(expert, back.mean(1, keepdim=True), labels), 4),
        "cycle": round((home - given).abs().mean().item(), 4),
        "colour": round(there.flatten(2).median(2).values.std(0).mean().item(), 3),
        "seconds": round(seconds),
    }


def strokes(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures of dark strokes on a colour to light strokes on black: how much darker than the ground each pixel is."""
    brightest = pictures.amax(1, keepdim=True)
    ground = brightest.flatten(1).median(1).values.view(-1, 1, 1, 1)
    return (2 * (ground - brightest) / (ground + 1).clamp(min=0.1) - 1).clamp(-1, 1)


def agreement(expert: Any, pictures: torch.Tensor, labels: torch.Tensor) -> float:
    return (expert.classify(pictures).argmax(1) == labels).float().mean().item()


def render(value: Any) -> str:
    lines = [
        "| digits | label kept, grey to colour | label kept, colour to grey | cycle | spread of colours | training, s |",
        "|---|---|---|---|---|---|",
    ]
    for name, title in (("digits", "CycleGAN"), ("digits without", "control: no cycle, no identity")):
        if run := value.get(name):
            lines.append(
                f"| {title} | {run['kept']:.1%} | {run['kept_back']:.1%} | {run['cycle']:.3f} | {run['colour']:.2f} | "
                f"{run['seconds']} |"
            )
    parts = ["\n".join(lines)]
    lines = ["| pictures | Fréchet, ours | Fréchet, untouched | cycle | training, s |", "|---|---|---|---|---|"]
    titles = {
        "faces": ("portrait to cartoon", "cartoon to portrait"),
        "paintings": ("painting to photo", "photo to painting"),
    }
    for name, both in titles.items():
        if run := value.get(name):
            for verb, title in zip(("translate", "back"), both):
                lines.append(
                    f"| {title} | {run[f'{verb} ours']:.1f} | {run[f'{verb} untouched']:.1f} | {run[f'{verb} cycle']:.3f} | "
                    f"{run['seconds']} |"
                )
    return "\n\n".join([*parts, "\n".join(lines)])
