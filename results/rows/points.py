"""All games that can be played in the plane, on equal terms."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from results.training import cell, spread, trained
from sparring import api
from sparring.core.config import Adam, Config, to_json
from sparring.data.points import Points
from sparring.metrics.modes import modes

ORDER = 40
TITLE = "Eight modes and twenty-five, on equal terms"
STEPS, SECONDS = 10_000, 120
SETS, SEEDS = ("ring", "grid"), (0, 1, 2, 3, 4)
CLAIM = (
    "Ring of 8 Gaussians (sigma 0.01 of the radius) and grid of 25 (sigma a fortieth of the spacing). Both players of "
    "every game have three hidden layers of 128 units, batches of 256 (packed: of 256 pairs), noise of length 2, "
    "falling learning rates and a running average of 0.999; each method has its preset's optimizer, but for the packed "
    f"game's higher rate. Two budgets: {STEPS:,} generator steps, and "
    f"{SECONDS} s of processor time on one thread (wall time where nothing else runs) (the steps that fit are found by "
    "timing the first; what was really taken stands beside). 2,500 samples; *high quality*: within 3 sigma of a "
    "centre (98.9 % of real points are); a mode is captured if a high-quality sample is nearest to it; reverse KL of "
    "their histogram from the uniform one, in nats. Means over the seeds, in brackets the worst."
)
GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "gan": ("gan", {}),
    "gan --pack 2": ("gan", {"pack": 2, "batch": 512, "optimizer": Adam(lr=4e-3, betas=(0.0, 0.9))}),
    "unrolled (K = 5)": ("unrolled", {"hidden": (128, 128, 128)}),
    "wgan": ("wgan", {}),
    "wgan_gp": ("wgan_gp", {}),
    "r3gan": ("r3gan", {}),
}


def config(game: str, place: str, seed: int, steps: int) -> Config:
    method, changes = GAMES[game]
    quiet = {"watch": False, "preview_every": 10**9, "log_every": 200}
    return starting_point(method, place).replace(seed=seed, steps=steps, **quiet, **changes)


def starting_point(method: str, place: str) -> Config:
    """The preset; on the ring `gan` has smaller networks, of maxout, unless it is given those of the grid."""
    if (method, place) == ("gan", "ring"):
        return api.starting_point("gan", "grid").replace(data=Points("ring"))
    return api.starting_point(method, place)


def key(game: str, place: str, seed: int, budget: str) -> Any:
    return [budget, SECONDS if budget == "seconds" else STEPS, to_json(config(game, place, seed, STEPS))]


def inputs() -> Any:
    return [key(game, place, seed, budget) for budget, seed, place, game in order()]


def order() -> list[tuple[str, int, str, str]]:
    return [(budget, seed, place, game)
            for budget in ("seconds", "steps") for seed in SEEDS for place in SETS for game in GAMES]  # fmt: skip


def compute(work: Path) -> Any:
    return {
        f"{budget}/{place}/{game}/{seed}": cell(
            "points", key(game, place, seed, budget), lambda cell=(game, place, seed, budget): measure(work, *cell)
        )
        for budget, seed, place, game in order()
    }


def measure(work: Path, game: str, place: str, seed: int, budget: str) -> dict[str, Any]:
    method, folder = GAMES[game][0], work / "now"
    steps = STEPS if budget == "steps" else fitting(method, config(game, place, seed, 400), folder)
    chosen = config(game, place, seed, steps)
    shutil.rmtree(folder, ignore_errors=True)
    began = time.process_time()
    model, _ = trained(method, chosen, folder)
    seconds = time.process_time() - began
    found = modes(model.sample(2500, seed=1), chosen.data.centres(), chosen.data.spread)  # type: ignore[attr-defined]
    return {
        "modes": found.captured,
        "high_quality": round(found.high_quality, 4),
        "kl": round(found.reverse_kl, 4),
        "steps": steps,
        "seconds": round(seconds, 1),
    }


def fitting(method: str, short: Config, folder: Path) -> int:
    """The steps that `SECONDS` allow. WGAN's warm-up, which comes once, is timed apart from what follows."""
    shutil.rmtree(folder, ignore_errors=True)
    warm = 20
    api.start(method, short.replace(steps=warm, log_every=warm), folder, show=False)
    shutil.rmtree(folder)
    began = time.process_time()
    api.start(method, short.replace(steps=warm, log_every=warm), folder, show=False)
    start = time.process_time() - began
    shutil.rmtree(folder)
    began = time.process_time()
    api.start(method, short, folder, show=False)
    rate = (short.steps - warm) / (time.process_time() - began - start)
    return warm + round((SECONDS - start) * rate)


def render(value: Any) -> str:
    parts = []
    for budget, title in (("seconds", f"{SECONDS} s on one thread"), ("steps", f"{STEPS:,} generator steps")):
        for place in SETS:
            lines = [
                f"**{place}, {title}**\n",
                "| | modes | high quality | reverse KL | steps/s | steps | s | seeds |",
                "|---|---|---|---|---|---|---|---|",
            ]
            for game in GAMES:
                found = [run for seed in SEEDS if (run := value.get(f"{budget}/{place}/{game}/{seed}"))]
                if found:
                    lines.append(_line(game, found))
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(game: str, runs: list[dict[str, Any]]) -> str:
    def column(name: str) -> list[float]:
        return [run[name] for run in runs]

    def mean(name: str) -> float:
        return sum(column(name)) / len(runs)

    rate = sum(run["steps"] / run["seconds"] for run in runs) / len(runs)
    return (
        f"| {game} | {mean('modes'):.1f} ({min(column('modes'))}) | {mean('high_quality'):.1%} "
        f"({min(column('high_quality')):.1%}) | {mean('kl'):.3f} ({max(column('kl')):.3f}) | {rate:.0f} | "
        f"{spread(column('steps'))} | {mean('seconds'):.0f} | {len(runs)} |"
    )
