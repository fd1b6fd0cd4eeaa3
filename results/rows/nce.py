"""NCE: how well the learned density agrees with the true one, its constant included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from results.training import cell, spread, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.points import Points

ORDER = 66
TITLE = "NCE recovers densities and their constant, where noise meets the data"
CLAIM = (
    "`sparring train nce` on mixtures whose density is known. *Error*: total variation distance between the learned "
    "density and the true one, by quadrature (0: equal, 1: disjoint). *Constant*: the learned Z over the integral of "
    "the unnormalised density. Control: the fixed noise itself in the density's place. The last row is the ring that "
    "the other methods learn: its modes are so narrow that noise hardly ever meets one, and there the adversary that "
    "follows the data is what is missing."
)
SEEDS = (0, 1, 2)
SETS = {
    "three Gaussians on a line": (Points("mixture"), 2000),
    "a Gaussian in the plane": (Points("gaussian"), 2000),
    "ring of 8, sigma 0.2": (Points("ring", sigma=0.2), 4000),
    "ring of 8, sigma 0.1": (Points("ring", sigma=0.1), 4000),
    "grid of 25, sigma 0.1": (Points("grid", sigma=0.1), 4000),
    "ring of 8, sigma 0.01": (Points("ring"), 4000),
}


def config(place: str, seed: int) -> Config:
    data, steps = SETS[place]
    return api.starting_point("nce").replace(data=data, seed=seed, steps=steps, watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(place, seed)) for place in SETS for seed in SEEDS]


def compute(work: Path) -> Any:
    return {
        place: [cell("nce", to_json(config(place, seed)), lambda seed=seed, place=place: measure(work, place, seed))
                for seed in SEEDS]
        for place in SETS
    }  # fmt: skip


def measure(work: Path, place: str, seed: int) -> dict[str, float]:
    model, seconds = trained("nce", config(place, seed), work / f"{place}-{seed}")
    data, (count, reach) = SETS[place][0], (1201, 3.0)
    side = torch.linspace(-reach, reach, count)
    points = torch.cartesian_prod(*[side] * data.shape[0]).view(-1, data.shape[0])
    volume = (2 * reach / (count - 1)) ** data.shape[0]
    true, learned = data.log_density(points).double().exp(), model.judge(points).double().exp()  # type: ignore[operator]
    with torch.no_grad():
        noise = model.log_noise(points).double().exp()  # type: ignore[operator]
    return {
        "error": round(((learned - true).abs().sum() / 2 * volume).item(), 4),
        # p = p0 / Z is what was learned; where Z is right, p has mass 1.
        "constant": round(1 / (learned.sum() * volume).item(), 4),
        "noise_error": round(((noise - true).abs().sum() / 2 * volume).item(), 4),
        "training_seconds": round(seconds),
    }


def render(value: Any) -> str:
    lines = [
        "| | error, mean (range) | constant, mean (range) | control: the noise's error | training, s |",
        "|---|---|---|---|---|",
    ]
    for place, runs in value.items():
        if found := [run for run in runs if run]:
            error, constant = (spread([run[name] for run in found]) for name in ("error", "constant"))
            lines.append(
                f"| {place} | {error} | {constant} | {found[0]['noise_error']:.3f} | {found[0]['training_seconds']} |"
            )
    return "\n".join(lines)
