"""Semi-supervised learning: a hundred labels of sixty thousand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from results.training import arena, cell, spread, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.model import Model
from sparring.data.images import Images
from sparring.judging.samples import read

ORDER = 62
TITLE = "SGAN classifies digits with a hundred labels"
CLAIM = (
    "`sparring train sgan --data mnist --labelled 100`: ten labels of each digit are known, the other 59,900 training "
    "digits have none. Error on the 10,000 test digits, which nothing of the training has seen, for five draws of the "
    "labels. The paper reports 0.93 % (standard deviation 0.065 % over ten draws, with 180,000 steps). Control: the "
    "same network, noise and optimizer with the same labels alone, in a twentieth of the steps, by when it makes no "
    "error on them."
)
DRAWS = (0, 1, 2, 3, 4)


def config(draw: int) -> Config:
    chosen = api.with_data(api.starting_point("sgan"), "mnist")
    return chosen.replace(labelled=100, label_seed=draw, seed=draw, watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(draw)) for draw in DRAWS]


def compute(work: Path) -> Any:
    def measure(draw: int) -> dict[str, float]:
        model, seconds = trained("sgan", config(draw), work / f"draw-{draw}")
        return {"error": round(error(model), 4), "training_seconds": round(seconds)}

    return {
        "runs": [cell("sgan", to_json(config(draw)), lambda draw=draw: measure(draw)) for draw in DRAWS],
        "supervised": [
            cell("sgan", ["supervised", to_json(config(draw))], lambda draw=draw: supervised(draw, work))
            for draw in DRAWS
        ],
    }


def error(model: Model) -> float:
    images, labels = read(Images("digits").resolved().open(), 10_000, 0)
    assert labels is not None
    with model.using():
        guesses = [model.classifier(part).argmax(1) for part in images.split(1000)]  # type: ignore[operator]
    return (torch.cat(guesses) != labels).float().mean().item()


def supervised(draw: int, work: Path) -> dict[str, float]:
    """The classifier on its hundred labelled digits and nothing else."""
    loop = arena("sgan", config(draw), work / "supervised")
    game = loop.game
    steps = config(draw).steps // 20
    for step in range(steps):
        torch.manual_seed(step)
        game.clock = step
        batch = game.draw()
        loss = torch.nn.functional.cross_entropy(game.model.classifier(batch.image), batch.label)
        game.classifier_player.minimize(loss, lr=3e-3 * (1 - step / steps))
    return {"error": round(error(game.model), 4), "loss": round(loss.item(), 5)}


def render(value: Any) -> str:
    lines = ["| draw of the labels | error | control: labels alone | training, s |", "|---|---|---|---|"]
    for draw, run, control in zip(DRAWS, value["runs"], value["supervised"]):
        if run:
            alone = f"{control['error']:.1%}" if control else "-"
            lines.append(f"| {draw} | {run['error']:.2%} | {alone} | {run['training_seconds']} |")
    found, controls = ([100 * run["error"] for run in value[name] if run] for name in ("runs", "supervised"))
    return "\n".join(lines) + f"\n\nMean and range: **{spread(found)} %**; labels alone {spread(controls)} %."
