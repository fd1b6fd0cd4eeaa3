"""bfloat16 against float32: speed must not cost quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results.judge import digit_report
from results.training import spread, trained
from sparring import api
from sparring.core.config import Config, to_json

ORDER = 20
TITLE = "bfloat16 costs no quality"
CLAIM = (
    "The same short `dcgan` training on MNIST, 1,200 steps, three seeds in each precision: Fréchet distance in the digit "
    "judge's features, and the share of samples that the judge is sure of."
)
SEEDS = (0, 1, 2)


def config(seed: int, precision: str) -> Config:
    base = api.with_data(api.starting_point("dcgan"), "mnist")
    return base.replace(seed=seed, precision=precision, steps=1200)


def inputs() -> Any:
    return [to_json(config(seed, precision)) for seed in SEEDS for precision in ("bfloat16", "float32")]


def compute(work: Path) -> Any:
    found: dict[str, list[dict[str, Any]]] = {}
    for precision in ("bfloat16", "float32"):
        for seed in SEEDS:
            model, seconds = trained("dcgan", config(seed, precision), work / f"{precision}-{seed}")
            report = digit_report(model.sample(10_000, seed=1))
            found.setdefault(precision, []).append({"seed": seed, "training_seconds": round(seconds), **report})
    return found


def render(value: Any) -> str:
    lines = ["| precision | Fréchet, mean (range) | sure, mean (range) | training, s |", "|---|---|---|---|"]
    for precision, runs in value.items():
        columns = [spread([run[name] for run in runs]) for name in ("digit_frechet", "sure", "training_seconds")]
        lines.append(f"| {precision} | {' | '.join(columns)} |")
    return "\n".join(lines)
