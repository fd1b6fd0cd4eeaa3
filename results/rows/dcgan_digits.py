"""DCGAN on MNIST, judged by a classifier that it has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results.judge import digit_report
from results.training import spread, trained, untrained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.images import Images
from sparring.tasks.sample import read_examples

ORDER = 10
TITLE = "DCGAN draws digits that a classifier recognises"
CLAIM = (
    "10,000 samples of `sparring train dcgan --data mnist`. *Sure*: the judge, a classifier trained on MNIST's 60,000 "
    "training digits, puts them into a class at confidence 0.9 or more; *shares*: of each digit among those. *Fréchet*: "
    "distance between the judge's 128 features of the samples and of 10,000 training digits. Controls: the same networks "
    "before training, and MNIST's real test digits."
)
SEEDS = (0, 1, 2)


def config(seed: int) -> Config:
    return api.with_data(api.starting_point("dcgan"), "mnist").replace(seed=seed)


def inputs() -> Any:
    return [to_json(config(seed)) for seed in SEEDS]


def compute(work: Path) -> Any:
    runs = []
    for seed in SEEDS:
        model, seconds = trained("dcgan", config(seed), work / f"seed-{seed}")
        runs.append({"seed": seed, "training_seconds": round(seconds), **digit_report(model.sample(10_000, seed=1))})
    test = read_examples(Images("digits").resolved().open(), 10_000, 0)
    return {
        "runs": runs,
        "untrained": digit_report(untrained("dcgan", config(0)).sample(10_000, seed=1)),
        "test": digit_report(test),
    }


def render(value: Any) -> str:
    lines = ["| | sure | least and largest share of a digit | Fréchet | training, s |", "|---|---|---|---|---|"]
    for run in value["runs"]:
        lines.append(_line(f"seed {run['seed']}", run, run["training_seconds"]))
    lines.append(_line("control: untrained", value["untrained"], "-"))
    lines.append(_line("control: real test digits", value["test"], "-"))
    sure = spread([100 * run["sure"] for run in value["runs"]])
    accuracy = value["test"]["judge_accuracy"]
    return (
        "\n".join(lines)
        + f"\n\nSure, mean and range over seeds: **{sure} %**. The judge's test accuracy: {accuracy:.2%}."
    )


def _line(name: str, report: dict[str, Any], seconds: Any) -> str:
    shares = f"{min(report['shares']):.1%} / {max(report['shares']):.1%}"
    return f"| {name} | {report['sure']:.1%} | {shares} | {report['digit_frechet']:.2f} | {seconds} |"
