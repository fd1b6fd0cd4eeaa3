"""cGAN: does it draw the label that was asked for?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from results.judge import digit_judge, digit_report
from results.training import cell, spread, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.images import Images
from sparring.judging.samples import read

ORDER = 50
TITLE = "cGAN draws the digit that is asked for"
CLAIM = (
    "10,000 samples of `sparring train cgan --data mnist`, the ten labels in turn. *Agreement*: the judge's most likely class "
    "is the label that was asked for. Controls: an unconditional `dcgan` (2,000 steps), whose samples know nothing of the "
    "label, and the real test digits with their own labels."
)
SEEDS = (0, 1, 2)


def config(method: str, seed: int) -> Config:
    chosen = api.with_data(api.starting_point(method), "mnist").replace(seed=seed)
    return chosen.replace(steps=2000) if method == "dcgan" else chosen


def inputs() -> Any:
    return [to_json(config("cgan", seed)) for seed in SEEDS] + [to_json(config("dcgan", 0))]


def compute(work: Path) -> Any:
    def measure(method: str, seed: int) -> dict[str, Any]:
        model, seconds = trained(method, config(method, seed), work / f"{method}-{seed}")
        samples = model.sample(10_000, seed=1)
        wanted = torch.arange(10_000) % 10
        agreement = (digit_judge()[0].classify(samples).argmax(1) == wanted).float().mean().item()
        return {"agreement": round(agreement, 4), "training_seconds": round(seconds), **digit_report(samples)}

    images, labels = read(Images("digits").resolved().open(), 10_000, 0)
    assert labels is not None
    real = (digit_judge()[0].classify(images).argmax(1) == labels).float().mean().item()
    return {
        "runs": [
            cell("cgan", to_json(config("cgan", seed)), lambda seed=seed: measure("cgan", seed)) for seed in SEEDS
        ],
        "unconditional": cell("cgan", to_json(config("dcgan", 0)), lambda: measure("dcgan", 0)),
        "real": round(real, 4),
    }


def render(value: Any) -> str:
    lines = ["| | agreement | sure | Fréchet | training, s |", "|---|---|---|---|---|"]
    named = [(f"seed {seed}", run) for seed, run in zip(SEEDS, value["runs"])]
    for name, run in [*named, ("control: unconditional", value["unconditional"])]:
        if run:
            lines.append(
                f"| {name} | {run['agreement']:.1%} | {run['sure']:.1%} | {run['digit_frechet']:.2f} | "
                f"{run['training_seconds']} |"
            )
    lines.append(f"| control: real test digits | {value['real']:.1%} | - | - | - |")
    mean = spread([100 * run["agreement"] for run in value["runs"] if run])
    return "\n".join(lines) + f"\n\nAgreement, mean and range over seeds: **{mean} %**."
