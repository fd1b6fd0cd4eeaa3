"""Stacked MNIST: how many of a thousand modes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from results.judge import digit_judge
from results.training import arena, cell, stops
from sparring import api
from sparring.core.config import Config, to_json
from sparring.metrics.modes import class_modes, stacked_labels

ORDER = 44
TITLE = "A thousand modes: Stacked MNIST"
CLAIM = (
    "Three random digits in the three channels, 128,000 fixed examples at 28 px; 26,000 samples, each channel seen by "
    "the digit judge; modes hit at least once, and the KL divergence of their histogram from the uniform one in nats "
    "(a perfect sampler of as many gets 0.019). One thread. Published, with far larger budgets: R3GAN 1000 / 0.029, "
    "WGAN-GP 959 / 0.73, DCGAN 99 / 3.40, PacDCGAN 1000 / 0.06."
)
GAMES: dict[str, tuple[str, dict[str, Any], int]] = {
    "dcgan": ("dcgan", {}, 20),
    "dcgan --pack 2": ("dcgan", {"pack": 2}, 20),
    "wgan_gp": ("wgan_gp", {}, 28),
    "r3gan": ("r3gan", {}, 45),
}
SAMPLES = 26_000


def config(game: str) -> Config:
    method, changes, _ = GAMES[game]
    chosen = api.with_data(api.starting_point(method), "stacked:mnist").replace(seed=0, **changes)
    return chosen.replace(watch=False, preview_every=10**9, log_every=1, checkpoint_seconds=3600.0)


def key(game: str) -> Any:
    return [GAMES[game][2], SAMPLES, to_json(config(game).replace(steps=1))]


def inputs() -> Any:
    return [key(game) for game in GAMES]


def compute(work: Path) -> Any:
    return {game: cell("stacked", key(game), lambda game=game: measure(game, work / game)) for game in GAMES}


def measure(game: str, folder: Path) -> dict[str, Any]:
    method, _, minutes = GAMES[game]
    loop = arena(method, config(game).replace(steps=10**6), folder)
    loop.open_stream()
    for _ in range(3):
        loop.advance()
    began, count = time.process_time(), 0
    while time.process_time() - began < 10:
        loop.advance()
        count += 1
    loop.stream.close()
    steps = int(60 * minutes * count / (time.process_time() - began))
    steps -= steps % 8
    loop = arena(method, config(game).replace(steps=steps, log_every=steps // 8), folder)
    curve, began = [], time.process_time()
    spent = 0.0
    for _ in stops(loop, steps // 8):
        spent += time.process_time() - began
        curve.append([round(spent / 60, 1), *found(loop.shipped, 2600)[:2]])
        began = time.process_time()
    captured, kl, sure = found(loop.shipped, SAMPLES)
    return {"modes": captured, "kl": kl, "sure": sure, "minutes": round(spent / 60, 1), "steps": steps, "curve": curve}


def found(model: Any, count: int) -> tuple[int, float, float]:
    """Modes, KL divergence, and the share of samples all of whose digits the judge is sure of."""
    judge = digit_judge()[0]
    codes, sure = [], []
    for part in model.sample(count, seed=1).split(1000):
        chances = torch.stack([judge.classify(part[:, channel : channel + 1]) for channel in range(part.shape[1])], 1)
        codes.append(stacked_labels(chances.argmax(2)))
        sure.append((chances.amax(2) > 0.9).all(1).float())
    result = class_modes(torch.cat(codes), 10 ** part.shape[1])
    return result.captured, round(result.kl, 4), round(torch.cat(sure).mean().item(), 4)


def render(value: Any) -> str:
    lines = ["| | modes of 1,000 | KL | all digits sure | minutes | steps |", "|---|---|---|---|---|---|"]
    for game, run in value.items():
        if run:
            lines.append(
                f"| {game} | {run['modes']} | {run['kl']:.3f} | {run['sure']:.1%} | {run['minutes']:.0f} | {run['steps']} |"
            )
    curves = [
        f"{game}: " + ", ".join(f"{minutes:.0f} min {modes} / {kl:.2f}" for minutes, modes, kl in run["curve"])
        for game, run in value.items() if run
    ]  # fmt: skip
    return (
        "\n".join(lines)
        + "\n\nOver time, of 2,600 samples (a perfect sampler: 926 modes, KL 0.21): "
        + "; ".join(curves)
        + "."
    )
