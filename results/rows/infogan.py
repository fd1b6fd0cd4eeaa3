"""InfoGAN: do its categories come to be the digits, without a label?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from results.training import cell, spread, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.model import Model
from sparring.data.images import Images
from sparring.judging.samples import read
from sparring.metrics.matching import matching

ORDER = 52
TITLE = "InfoGAN finds the digits without a label"
CLAIM = (
    "`sparring train infogan --data mnist`; then the category that its recogniser Q gives each of the 10,000 test "
    "digits, categories and digits matched one to one as best they can be (Hungarian algorithm). The paper reports 95 "
    "%. Controls: the same game with lambda = 0, without the noise (seeds 0 and 1), and k-means (10 centres, best of "
    "10 starts) on the pixels of the 60,000 training digits."
)
SEEDS = (0, 1, 2, 3, 4)


def config(seed: int, weight: float = 1.0, noise: float = 0.5) -> Config:
    chosen = api.with_data(api.starting_point("infogan"), "mnist").replace(noise_input=noise)
    return chosen.replace(seed=seed, categorical_weight=weight, continuous_weight=weight)


def inputs() -> Any:
    games = [config(seed) for seed in SEEDS] + [config(0, 0.0)] + [config(seed, noise=0.0) for seed in SEEDS[:2]]
    return [to_json(game) for game in games]


def compute(work: Path) -> Any:
    images, labels = read(Images("digits").resolved().open(), 10_000, 0)
    assert labels is not None

    def measure(seed: int, weight: float = 1.0, noise: float = 0.5) -> dict[str, float]:
        model, seconds = trained("infogan", config(seed, weight, noise), work / f"seed-{seed}-{weight:g}-{noise:g}")
        return {"accuracy": round(accuracy(model, images, labels), 4), "training_seconds": round(seconds)}

    def means() -> dict[str, float]:
        from sklearn.cluster import KMeans

        train, _ = read(Images("mnist").resolved().open(), 60_000, 0)
        found = KMeans(10, n_init=10, random_state=0).fit(train.flatten(1).numpy())
        groups = torch.from_numpy(found.predict(images.flatten(1).numpy())).long()
        return {"accuracy": round(matching(groups, labels).accuracy, 4), "training_seconds": 0}

    return {
        "runs": [cell("infogan", to_json(config(seed)), lambda seed=seed: measure(seed)) for seed in SEEDS],
        "no information": cell("infogan", to_json(config(0, 0.0)), lambda: measure(0, 0.0)),
        "k-means": cell("infogan", "k-means", means),
        "no noise": [
            cell("infogan", to_json(config(seed, noise=0.0)), lambda seed=seed: measure(seed, noise=0.0))
            for seed in SEEDS[:2]
        ],
    }


def accuracy(model: Model, images: Tensor, labels: Tensor) -> float:
    """Of Q's categories, matched to the digits."""
    with model.using():
        codes = [model.split(model.recognise(part))[0][0].argmax(1) for part in images.split(500)]  # type: ignore[operator]
    return matching(torch.cat(codes), labels).accuracy


def render(value: Any) -> str:
    lines = ["| | matched accuracy | training, s |", "|---|---|---|"]
    named = [(f"seed {seed}", run) for seed, run in zip(SEEDS, value["runs"])]
    plain = [(f"control: without the noise, seed {seed}", run) for seed, run in zip(SEEDS, value["no noise"])]
    controls = [*plain, ("control: lambda = 0", value["no information"]), ("control: k-means", value["k-means"])]
    for name, run in [*named, *controls]:
        if run:
            lines.append(f"| {name} | {run['accuracy']:.1%} | {run['training_seconds'] or '-'} |")
    mean = spread([100 * run["accuracy"] for run in value["runs"] if run])
    return "\n".join(lines) + f"\n\nMean and range over seeds: **{mean} %**."
