"""WGAN: does the critic's estimate tell how good the pictures are? And what it estimates between two Gaussians."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from scipy.stats import linregress, spearmanr
from torch import Tensor

from results.judge import digit_judge
from results.training import arena, cell, spread, stops
from sparring import api
from sparring.core.config import Adam, Config, RmsProp, to_json
from sparring.core.game import Player
from sparring.data.images import Images
from sparring.judging.extractors import extract
from sparring.judging.samples import read
from sparring.losses import adversarial
from sparring.metrics.frechet import frechet
from sparring.networks import critic

ORDER = 54
TITLE = "WGAN: the critic's estimate follows the quality of the pictures"
CLAIM = (
    "On MNIST, with three tenths of the preset's learning rate, steady as in the paper, so that the pictures improve "
    "to the end; 25 stops of a run, evenly spaced: Spearman's rank correlation of the critic's estimate (mean since "
    "the stop before) with the Fréchet distance of 5,000 samples of the generator as it then is, in the digit judge's "
    "features. Control: a GAN with the same two networks (`dcgan`, no deeper map, equal widths), its D loss turned "
    "into an estimate of the Jensen-Shannon divergence, log 2 - loss / 2. Below: both estimates between two Gaussians "
    "of standard deviation 0.5, trained to the end at each shift (a critic of three layers of 64, clipped at 0.1; the "
    "same network as a discriminator)."
)
SEEDS = (0, 1, 2)
STOPS, SAMPLES, RATE = 25, 5000, 0.3
SHIFTS = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0)


def config(method: str, seed: int) -> Config:
    chosen = api.with_data(api.starting_point(method), "mnist").replace(final_rate=1.0)
    name = "adam" if method == "dcgan" else "optimizer"
    optimizer = getattr(chosen, name)
    chosen = chosen.replace(**{name: dataclasses.replace(optimizer, lr=optimizer.lr * RATE)})
    if method == "dcgan":
        chosen = chosen.replace(width=24, discriminator_width=24, depth=0, steps=4000)
    return chosen.replace(seed=seed, watch=False, preview_every=10**9, log_every=20)


def inputs() -> Any:
    games = [to_json(config(method, seed)) for method in ("wgan", "dcgan") for seed in SEEDS]
    return [*games, STOPS, SAMPLES, list(SHIFTS)]


def compute(work: Path) -> Any:
    found = {
        method: [cell("wgan", [STOPS, SAMPLES, to_json(config(method, seed))],
                      lambda method=method, seed=seed: follow(method, config(method, seed), work / "now")) for seed in SEEDS]
        for method in ("wgan", "dcgan")
    }  # fmt: skip
    return found | {"gaussians": cell("wgan", ["gaussians", list(SHIFTS)], gaussians)}


def follow(method: str, chosen: Config, folder: Path) -> dict[str, Any]:
    loop, judge = arena(method, chosen, folder), digit_judge()[0]
    real = extract(judge, read(Images("mnist").resolved().open(), 10_000, 1)[0]).features
    estimates, distances = [], []
    for _, means in stops(loop, chosen.steps // STOPS):
        estimates.append(means["distance"] if method == "wgan" else math.log(2) - means["discriminator"] / 2)
        samples = loop.game.model.sample(SAMPLES, seed=1)
        distances.append(frechet(real, extract(judge, samples).features))
    correlation = spearmanr(estimates, distances).statistic
    return {"correlation": round(float(correlation), 3), "estimates": estimates, "distances": distances}


def gaussians() -> list[dict[str, float]]:
    """At each shift: what the critic and the discriminator estimate, and the truth."""
    return [{"shift": shift, **between(shift)} for shift in SHIFTS]


def between(shift: float) -> dict[str, float]:
    torch.manual_seed(0)
    critics = [critic.Dense((1,), (64, 64, 64)) for _ in range(2)]
    clipped = Player(critics[0], optimizer=RmsProp(lr=1e-3))
    judge = Player(critics[1], optimizer=Adam(lr=1e-3, betas=(0.5, 0.999)))

    def pair(count: int) -> tuple[Tensor, Tensor]:
        return torch.randn(count, 1) / 2 - shift / 2, torch.randn(count, 1) / 2 + shift / 2

    for step in range(1500):
        rate = 1e-3 * (1 - step / 1500)
        real, fake = pair(256)
        clipped.minimize(adversarial.wasserstein(critics[0](real), critics[0](fake)), lr=rate)
        with torch.no_grad():
            for weight in clipped.weights:
                weight.clamp_(-0.1, 0.1)
        judge.minimize(adversarial.discriminator_loss(critics[1](real), critics[1](fake)), lr=rate)
    real, fake = pair(50_000)
    with torch.no_grad():
        wasserstein = -adversarial.wasserstein(critics[0](real), critics[0](fake)).item()
        loss = adversarial.discriminator_loss(critics[1](real), critics[1](fake)).item()
    return {"critic": wasserstein, "discriminator": math.log(2) - loss / 2, "jensen_shannon": truth(shift)}


def truth(shift: float) -> float:
    """The Jensen-Shannon divergence of the two Gaussians, by quadrature, in nats."""
    place = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    left, right = (torch.distributions.Normal(mean, 0.5).log_prob(place) for mean in (-shift / 2, shift / 2))
    middle = torch.logaddexp(left, right) - math.log(2)
    parts = (left.exp() * (left - middle) + right.exp() * (right - middle)) / 2
    return torch.trapezoid(parts, place).item()


def render(value: Any) -> str:
    lines = ["| | Spearman's correlation with the Fréchet distance, mean (range) | seeds |", "|---|---|---|"]
    for method, name in (("wgan", "`wgan`: critic's estimate"), ("dcgan", "control: a GAN's D loss")):
        found = [run["correlation"] for run in value[method] if run]
        lines.append(f"| {name} | {spread(found)} | {len(found)} |")
    parts = ["\n".join(lines)]
    if rows := value["gaussians"]:
        line = linregress([row["shift"] for row in rows], [row["critic"] for row in rows])
        unit = line.slope
        lines = [
            "| shift | critic's estimate / its slope | discriminator's estimate | true divergence |",
            "|---|---|---|---|",
        ]
        for row in rows:
            lines.append(
                f"| {row['shift']:g} | {row['critic'] / unit:.2f} | {row['discriminator']:.3f} | {row['jensen_shannon']:.3f} |"
            )
        parts.append("\n".join(lines))
        parts.append(f"The critic's estimate is linear in the shift: R² = {line.rvalue**2:.4f}; log 2 = 0.693.")
    return "\n\n".join(parts)
