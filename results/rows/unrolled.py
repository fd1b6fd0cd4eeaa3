"""Unrolled GAN: more modes with every look ahead, when the discriminator is small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results.rows.stacked import found
from results.training import cell, spread, trained
from sparring import api
from sparring.core.config import Config, to_json

ORDER = 58
TITLE = "Unrolled GAN: more modes with every update looked ahead"
STEPS, SAMPLES = 2000, 2600
CLAIM = (
    "Two stacked digits (100 modes), a discriminator of a quarter of the generator's channels: `sparring train "
    f"unrolled --preset stacked`, {STEPS:,} generator steps for every K, {SAMPLES:,} samples (a perfect sampler: 100 "
    "modes, KL 0.019). The paper, with 1,000 modes: 30.6, 65.4, 236.4, 327.2 modes for K = 0, 1, 5, 10."
)
LOOKAHEADS, SEEDS = (0, 1, 5, 10), (0, 1, 2)


def config(lookahead: int, seed: int) -> Config:
    chosen = api.starting_point("unrolled", "stacked").replace(lookahead=lookahead, seed=seed, steps=STEPS)
    return chosen.replace(watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(lookahead, seed)) for seed in SEEDS for lookahead in LOOKAHEADS]


def compute(work: Path) -> Any:
    def measure(lookahead: int, seed: int) -> dict[str, Any]:
        model, seconds = trained("unrolled", config(lookahead, seed), work / f"{lookahead}-{seed}")
        modes, kl, sure = found(model, SAMPLES)
        return {"modes": modes, "kl": kl, "sure": sure, "training_seconds": round(seconds)}

    return {
        f"{lookahead}/{seed}": cell("unrolled", to_json(config(lookahead, seed)),
                                    lambda lookahead=lookahead, seed=seed: measure(lookahead, seed))
        for seed in SEEDS for lookahead in LOOKAHEADS
    }  # fmt: skip


def render(value: Any) -> str:
    lines = [
        "| K | modes of 100, mean (range) | KL, mean (range) | both digits sure | s | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for lookahead in LOOKAHEADS:
        if runs := [run for seed in SEEDS if (run := value[f"{lookahead}/{seed}"])]:
            modes, kl, sure, seconds = (
                [run[name] for run in runs] for name in ("modes", "kl", "sure", "training_seconds")
            )
            lines.append(
                f"| {lookahead} | {spread(modes)} | {spread(kl)} | {sum(sure) / len(sure):.1%} | "
                f"{sum(seconds) / len(seconds):.0f} | {len(runs)} |"
            )
    return "\n".join(lines)
