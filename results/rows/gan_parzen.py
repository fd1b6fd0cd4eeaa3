"""The 2014 paper's own number: Parzen-window log-likelihood on MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results.training import trained, untrained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.images import Images
from sparring.metrics.parzen import parzen
from sparring.tasks.sample import read_examples

ORDER = 30
TITLE = "GAN: Parzen-window log-likelihood on MNIST"
CLAIM = (
    "The protocol of Goodfellow et al. 2014: 10,000 samples as centres, sigma from ten log-spaced values by 1,000 "
    "validation digits, mean log-likelihood of the 10,000 test digits in [0, 1]^784, in nats. The paper reports 225 ± 2."
)
SEEDS = (0, 1)


def config(seed: int) -> Config:
    return api.with_data(api.starting_point("gan"), "mnist").replace(seed=seed)


def inputs() -> Any:
    return [to_json(config(seed)) for seed in SEEDS]


def compute(work: Path) -> Any:
    train = read_examples(Images("mnist").resolved().open(), 11_000, 0)
    test = read_examples(Images("digits").resolved().open(), 10_000, 0)
    found: dict[str, Any] = {"runs": []}

    def score(samples: Any) -> dict[str, float]:
        centres, validation, real = ((part.flatten(1) + 1) / 2 for part in (samples, train[:1000], test))
        result = parzen(centres, validation, real)
        return {name: round(number, 3) for name, number in vars(result).items()}

    for seed in SEEDS:
        model, seconds = trained("gan", config(seed), work / f"seed-{seed}")
        result = score(model.sample(10_000, seed=1))
        found["runs"].append({"seed": seed, "training_seconds": round(seconds), **result})
    found["untrained"] = score(untrained("gan", config(0)).sample(10_000, seed=1))
    found["real"] = score(train[1000:])
    return found


def render(value: Any) -> str:
    lines = ["| | log-likelihood, nats | sigma | training, s |", "|---|---|---|---|"]
    for run in value["runs"]:
        lines.append(_line(f"`sparring train gan --data mnist`, seed {run['seed']}", run, run["training_seconds"]))
    lines.append(_line("control: untrained", value["untrained"], "-"))
    lines.append(_line("control: 10,000 real training digits as centres", value["real"], "-"))
    lines.append("| the paper (Goodfellow et al. 2014) | 225 ± 2 | | |")
    return "\n".join(lines)


def _line(name: str, score: dict[str, float], seconds: Any) -> str:
    return f"| {name} | {score['value']:.1f} ± {score['standard_error']:.1f} | {score['sigma']:.3f} | {seconds} |"
