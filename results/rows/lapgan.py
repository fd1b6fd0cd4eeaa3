"""LAPGAN: an exact pyramid, and detail that is better than none at every level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from results.judge import digit_judge
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.media import fit
from sparring.core.model import Model
from sparring.data.images import Images
from sparring.judging.extractors import extract
from sparring.judging.samples import read
from sparring.metrics.frechet import frechet
from sparring.networks import pyramid

ORDER = 51
TITLE = "LAPGAN: exact pyramid, and learned detail beats none"
CLAIM = (
    "`sparring train lapgan --data mnist` (7, 14 and 28 px). *Pyramid*: largest difference between 1,000 digits and "
    "what is put together from their pyramids. *Detail*: real digits of one level, doubled, with the detail that the "
    "next level's generator adds, against doubling alone: Fréchet distance to the real digits of that level in the "
    "digit judge's features, 5,000 of each, all enlarged to 28 px in the same way. Below: whole samples beside those "
    "of `gan` (preset `small`) on the same data."
)
SEEDS = (0, 1)


def config(method: str, seed: int) -> Config:
    chosen = api.starting_point(method, "small" if method == "gan" else "default")
    return api.with_data(chosen, "mnist").replace(seed=seed, watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(method, seed)) for method in ("lapgan", "gan") for seed in SEEDS]


def compute(work: Path) -> Any:
    def measure(method: str, seed: int) -> dict[str, Any]:
        model, seconds = trained(method, config(method, seed), work / f"{method}-{seed}")
        real = digits(5000, 1)
        found = {"frechet": round(apart(real, model.sample(5000, seed=1)), 3), "training_seconds": round(seconds)}
        return found | ({"levels": levels(model, real, digits(5000, 2))} if method == "lapgan" else {})

    found = {
        method: [cell("lapgan", to_json(config(method, seed)), lambda method=method, seed=seed: measure(method, seed))
                 for seed in SEEDS]
        for method in ("lapgan", "gan")
    }  # fmt: skip
    images = digits(1000, 0)
    return found | {"exact": (pyramid.join(pyramid.split(images, 3)) - images).abs().max().item()}


def digits(count: int, seed: int) -> Tensor:
    return read(Images("mnist").resolved().open(), count, seed)[0]


def apart(real: Tensor, made: Tensor) -> float:
    """The Fréchet distance; smaller pictures are enlarged to what the judge sees."""
    judge = digit_judge()[0]
    features = [extract(judge, fit(images, (1, 28, 28))).features for images in (real, made)]
    return frechet(*features)


def levels(model: Model, real: Tensor, given: Tensor) -> list[dict[str, float]]:
    """At each level above the base: digits that were halved, and doubled again with detail and without."""
    generator = model.generator
    assert isinstance(generator, pyramid.Generator)
    sides, found = generator.sides, []
    sizes, wanted = pyramid.copies(given, len(sides)), pyramid.copies(real, len(sides))
    noise = model.noise(len(given), torch.Generator().manual_seed(1))  # type: ignore[operator]
    for number in range(1, len(sides)):
        with model.using():
            told = generator.given(number, noise, sizes[number - 1])
            made = torch.cat([generator.levels[number](part).float() for part in told.split(500)]).clamp(-1, 1)
        plain = pyramid.double(sizes[number - 1])
        learned, zero = apart(wanted[number], made), apart(wanted[number], plain)
        found.append({"side": sides[number], "learned": round(learned, 3), "zero": round(zero, 3)})
    return found


def render(value: Any) -> str:
    lines = ["| level, seed | with learned detail | doubled alone | less by |", "|---|---|---|---|"]
    for seed, run in zip(SEEDS, value["lapgan"]):
        for level in run["levels"] if run else ():
            less = 1 - level["learned"] / level["zero"]
            lines.append(f"| {level['side']} px, {seed} | {level['learned']:.2f} | {level['zero']:.2f} | {less:.0%} |")
    parts = ["\n".join(lines)]
    lines = ["| whole samples, seed | Fréchet | training, s |", "|---|---|---|"]
    for method in ("lapgan", "gan"):
        for seed, run in zip(SEEDS, value[method]):
            if run:
                lines.append(f"| `{method}`, {seed} | {run['frechet']:.2f} | {run['training_seconds']} |")
    return "\n\n".join([*parts, "\n".join(lines), f"Largest difference of the pyramid: {value['exact']:.1e}."])
