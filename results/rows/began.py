"""BEGAN: the thermostat, the measure of convergence, and what gamma does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from results.judge import judge_of
from results.training import arena, cell, stops
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.images import Images
from sparring.judging.extractors import extract
from sparring.metrics.nearest import diversity

ORDER = 60
TITLE = "BEGAN holds its balance, and gamma sets the variety"
CLAIM = (
    "`sparring train began --data mnist --data.size 32` at three values of gamma. *M*: the convergence measure, mean "
    "of steps 50 to 100 and of the last 500. *Balance*: L(G(z)) / L(x) over the last 500 steps (mean of one over mean "
    "of the other), which is to be gamma. *Variety*: mean distance of two of 2,000 samples, in pixels and in the "
    "features of a judge of digits of this size, over that of real digits."
)
GAMMAS, SEEDS = (0.3, 0.5, 0.7), (0, 1)


def config(gamma: float, seed: int) -> Config:
    chosen = api.starting_point("began").replace(data=Images("mnist", size=32), gamma=gamma, seed=seed)
    return chosen.replace(watch=False, preview_every=10**9, log_every=50)


def inputs() -> Any:
    return [to_json(config(gamma, seed)) for gamma in GAMMAS for seed in SEEDS]


def compute(work: Path) -> Any:
    return {
        str(gamma): [cell("began", to_json(config(gamma, seed)),
                          lambda gamma=gamma, seed=seed: measure(config(gamma, seed), work / "now")) for seed in SEEDS]
        for gamma in GAMMAS
    }  # fmt: skip


def measure(chosen: Config, folder: Path) -> dict[str, float]:
    loop, judge = arena("began", chosen, folder), judge_of("mnist", 32)
    lines = [means for _, means in stops(loop, 50)]
    last = lines[-10:]
    real = loop.dataset.prepare(loop.dataset.batch(torch.arange(2000), torch.Generator().manual_seed(0)))[0]
    made = loop.shipped.sample(2000, seed=1)

    def features(images: Any) -> Any:
        return extract(judge, images).features

    return {
        "M_start": round(lines[1]["M"], 4),
        "M_end": round(sum(line["M"] for line in last) / len(last), 4),
        "balance": round(sum(line["L(G(z))"] for line in last) / sum(line["L(x)"] for line in last), 4),
        "pixels": round(diversity(made.flatten(1)) / diversity(real.flatten(1)), 3),
        "features": round(diversity(features(made)) / diversity(features(real)), 3),
    }


def render(value: Any) -> str:
    lines = [
        "| gamma, seed | M, start | M, end | end / start | balance | variety, pixels | variety, features |",
        "|---|---|---|---|---|---|---|",
    ]
    for gamma, runs in value.items():
        for seed, run in zip(SEEDS, runs):
            if run:
                lines.append(
                    f"| {gamma}, {seed} | {run['M_start']:.3f} | {run['M_end']:.3f} | {run['M_end'] / run['M_start']:.2f} | "
                    f"{run['balance']:.3f} | {run['pixels']:.2f} | {run['features']:.2f} |"
                )
    return "\n".join(lines)
