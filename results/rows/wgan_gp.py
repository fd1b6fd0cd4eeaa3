"""WGAN-GP: is the critic's slope one where it is asked to be, and what do its weights look like?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from results.training import arena, cell, spread, stops
from sparring import api
from sparring.core.config import Config, to_json
from sparring.losses import penalties

ORDER = 56
TITLE = "WGAN-GP keeps the critic's slope at one, and its weights alive"
CLAIM = (
    "*Slope*: length of the critic's gradient at points between real and forged examples, mean of the last tenth of "
    "the run (as trained), and at the end the median and the 5 % and 95 % quantiles over 2,560 fresh such points. *At "
    "the ends*: share of the critic's weights within 2 % of its largest weight, in either direction, over all weight "
    "matrices (each beside its own largest). Control: `wgan`, whose weights are clipped; for it the slope is measured "
    "in the same way."
)
PLACES = {"grid": ("grid", None), "mnist": ("default", "mnist")}
SEEDS = {"grid": (0, 1, 2), "mnist": (0,)}
METHODS = ("wgan_gp", "wgan")


def config(method: str, place: str, seed: int) -> Config:
    preset, data = PLACES[place]
    chosen = api.starting_point(method, preset)
    chosen = api.with_data(chosen, data) if data else chosen
    return chosen.replace(seed=seed, watch=False, preview_every=10**9, steps=6000 if place == "grid" else 2000)


def inputs() -> Any:
    return [to_json(config(method, place, seed)) for place in PLACES for method in METHODS for seed in SEEDS[place]]


def compute(work: Path) -> Any:
    return {
        f"{place}/{method}": [
            cell("wgan_gp", to_json(config(method, place, seed)),
                 lambda method=method, place=place, seed=seed: measure(method, config(method, place, seed), work / "now"))
            for seed in SEEDS[place]
        ]
        for place in PLACES for method in METHODS
    }  # fmt: skip


def measure(method: str, chosen: Config, folder: Path) -> dict[str, Any]:
    loop = arena(method, chosen, folder)
    *_, (_, last) = stops(loop, chosen.steps // 10)
    slopes = penalties.slope_of(steepness(loop, 40 * 64)).detach()
    low, middle, high = slopes.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    return {
        "slope": round(last.get("slope", slopes.mean().item()), 3),
        "quantiles": [round(value, 3) for value in (low, middle, high)],
        "at_ends": round(at_ends(loop.game.critic), 4),
        "histogram": histogram(loop.game.critic),
    }


def steepness(loop: Any, count: int) -> Tensor:
    game, dataset = loop.game, loop.dataset
    real = dataset.prepare(dataset.batch(torch.arange(count), torch.Generator().manual_seed(0)))[0]
    torch.manual_seed(0)
    with torch.no_grad():
        fake = torch.cat([game.model.generator(game.model.noise(64)) for _ in range(count // 64)])
    parts = zip(real.split(64), fake.split(64))
    return torch.cat(
        [penalties.scores_and_steepness(game.critic, penalties.between(*pair))[1].detach() for pair in parts]
    )


def matrices(critic: nn.Module) -> list[Tensor]:
    return [weight.detach().flatten() for weight in critic.parameters() if weight.dim() > 1]


def at_ends(critic: nn.Module) -> float:
    shares = [(weight.abs() > 0.98 * weight.abs().max()).float() for weight in matrices(critic)]
    return torch.cat(shares).mean().item()


def histogram(critic: nn.Module) -> list[float]:
    """Shares of all weights, each divided by the largest of its matrix, in 20 bins from -1 to 1."""
    values = torch.cat([weight / weight.abs().max() for weight in matrices(critic)])
    return [round(share, 4) for share in (torch.histc(values, 20, -1, 1) / len(values)).tolist()]


def render(value: Any) -> str:
    lines = [
        "| | slope, mean (range) | 5 %, median, 95 % | weights at the ends | weights from -max to max | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in value.items():
        if found := [run for run in runs if run]:
            quantiles = ", ".join(f"{number:.3g}" for number in found[0]["quantiles"])
            ends = sum(run["at_ends"] for run in found) / len(found)
            lines.append(
                f"| {name} | {spread([run['slope'] for run in found])} | {quantiles} | {ends:.1%} | "
                f"{bars(found[0]['histogram'])} | {len(found)} |"
            )
    return "\n".join(lines)


def bars(shares: list[float]) -> str:
    """A histogram as a line of text."""
    top = max(shares)
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * share / top))] for share in shares)
