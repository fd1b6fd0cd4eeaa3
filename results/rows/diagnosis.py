"""How often the diagnosis is right: healthy and deliberately sick games, twenty of each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from results.training import trained
from sparring.core import Adam
from sparring.core.config import Config, to_json
from sparring.data.images import Images
from sparring.methods import dcgan, gan

ORDER = 60
TITLE = "The diagnosis sees a sick game, and leaves a healthy one alone"
CLAIM = (
    "Twenty healthy and twenty sick games, in the plane and on digits, ten seeds of each, none of which the thresholds were "
    "chosen on. Sick: a generator of a few units against a discriminator that learns too fast, with the saturating "
    "objective. *Recall*: share of the sick games that are called collapsed before a fifth of their steps; *false alarms*: "
    "share of the healthy games that raise any alarm at any time."
)
SEEDS = range(20, 30)
"""fresh ones: the thresholds were chosen on others"""
FAST = Adam(lr=5e-3, betas=(0.9, 0.999))


def games() -> dict[str, tuple[str, Config]]:
    """Method and config of each kind of game by name."""
    ring = gan.Config.ring().replace(steps=1500, log_every=25)
    digits = dcgan.Config(
        data=Images("digits"), width=16, discriminator_width=8, depth=0, steps=1000, log_every=20, latent=64
    )
    return {
        "healthy ring": ("gan", ring),
        "healthy digits": ("dcgan", digits),
        "sick ring": ("gan", replace(ring, steps=800, hidden=(3,), objective="minimax", rounds=2, optimizer=FAST)),
        "sick digits": (
            "gan",
            gan.Config.small().replace(
                data=Images("digits"),
                steps=500,
                log_every=10,
                hidden=(4,),
                objective="minimax",
                rounds=2,
                optimizer=FAST,
            ),
        ),
    }


def inputs() -> Any:
    return {name: to_json(config) for name, (_, config) in games().items()}


def compute(work: Path) -> Any:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, (method, config) in games().items():
        for seed in SEEDS:
            folder = work / f"{name.replace(' ', '-')}-{seed}"
            trained(method, config.replace(seed=seed), folder)
            lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
            told = {line["alarm"]: line["step"] / config.steps for line in lines if "alarm" in line}
            found.setdefault(name, []).append({"seed": seed, "told": told})
    return found


def render(value: Any) -> str:
    lines = ["| games | called collapsed before 20 % | first called at | any alarm | alarms |", "|---|---|---|---|---|"]
    right = wrong = sick = healthy = 0
    for name, runs in value.items():
        first = [run["told"].get("generator collapsed", 1.0) for run in runs]
        early = sum(share < 0.2 for share in first)
        alarmed = [set(run["told"]) - {"equilibrium"} for run in runs]
        counted = ", ".join(
            f"{alarm} {sum(alarm in told for told in alarmed)}" for alarm in sorted(set().union(*alarmed))
        )
        if name.startswith("sick"):
            right, sick = right + early, sick + len(runs)
            when = f"{min(first):.0%} to {max(first):.0%}"
        else:
            wrong, healthy, when = wrong + sum(map(bool, alarmed)), healthy + len(runs), "-"
        lines.append(
            f"| {name} | {early} of {len(runs)} | {when} | {sum(map(bool, alarmed))} of {len(runs)} | {counted} |"
        )
    recall, false = f"{right / sick:.0%}** ({right} of {sick})", f"{wrong / healthy:.0%}** ({wrong} of {healthy})"
    return "\n".join([*lines, "", f"Recall **{recall}, false alarms **{false}."])
