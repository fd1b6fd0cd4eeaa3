"""pix2pix: what the adversarial term adds to the difference, and how large a patch it should judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results.judge import judge_of_pictures
from results.real import home
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.data.paired import Pairs
from sparring.judging import likeness

ORDER = 70
TITLE = "pix2pix: sharp where the difference alone is blurred"
FACADES, EMOJI = "paired/facades.zip/facades", "paired/emoji-noto-twemoji-72.zip"
STEPS = {"facades": 3000, "facades, longer": 9000, "emoji": 12_000}
CLAIM = (
    "`sparring train pix2pix` on 400 facades at 128 px (label map to photo), judged on the 106 of the test set, and "
    "on emoji in one hand to the same in another at 64 px, judged on a tenth of the pairs that was held out. "
    "*Difference alone*: the same without the adversarial term; *weight 3*: with three times as much of it. "
    "*Sharpness*: gradient energy over that of the real pictures (1 is right). *Fréchet*: in the features of a judge "
    "trained on the real pictures of the set (to tell how they were turned), of few pictures: to be compared with "
    "each other only. *Untouched*: the input itself."
)
CASES = {
    "emoji": {"difference alone": {"rivalry": 0.0, "field": 34}, "patches of 34 px": {"field": 34}},
    "facades": {
        "difference alone": {"rivalry": 0.0}, "patches of 1 px": {"field": 1}, "patches of 16 px": {"field": 16},
        "patches of 34 px": {"field": 34}, "patches of 70 px": {},
    },
    "facades, longer": {
        "difference alone": {"rivalry": 0.0}, "patches of 34 px, weight 3": {"rivalry": 3.0, "field": 34},
    },
}  # fmt: skip
SEED = 0


def config(name: str, changes: dict[str, Any], where: str = "") -> Config:
    """`where`: the root below which the sets lie; the key of a cell does not depend on it."""
    if name.startswith("facades"):
        data = Pairs(f"{where}{FACADES}/train", swap=True, size=128, channels=3, target_channels=3)
        chosen = api.starting_point("pix2pix").replace(data=data)
    else:
        data = Pairs(f"{where}{EMOJI}", size=64, channels=3, target_channels=3)
        chosen = api.starting_point("pix2pix").replace(data=data, held_out=0.1, batch=8)
    return chosen.replace(steps=STEPS[name], seed=SEED, watch=False, preview_every=10**9, **changes)


def inputs() -> Any:
    return [to_json(config(name, changes)) for name, cases in CASES.items() for changes in cases.values()]


def compute(work: Path) -> Any:
    return {
        name: {
            title: cell("pix2pix", to_json(config(name, changes)),
                        lambda name=name, title=title, changes=changes: measure(name, title, changes, work))
            for title, changes in cases.items()
        }
        for name, cases in CASES.items()
    }  # fmt: skip


def measure(name: str, title: str, changes: dict[str, Any], work: Path) -> dict[str, Any]:
    root = home()
    chosen = config(name, changes, root)
    model, seconds = trained("pix2pix", chosen, work / f"{name}-{title}".replace(",", "").replace(" ", "-"))
    data = chosen.data.at(f"{root}{FACADES}/test") if name.startswith("facades") else chosen.data
    dataset = data.plain().open()
    held = None
    if name == "emoji":
        from sparring.core.data import hold_out

        dataset, held = hold_out(dataset, chosen.held_out)
    learned = chosen.data.plain().open().images[..., chosen.data.channels :]
    expert = judge_of_pictures(learned, work / f"{name.partition(',')[0]}-judge")
    ours, control = likeness.judge(model, chosen.data, held or dataset, expert, 500, 0)
    found = {value.name: round(value.value, 4) for value in ours}
    return {**found, "untouched": {value.name: round(value.value, 4) for value in control}, "seconds": round(seconds)}


def render(value: Any) -> str:
    parts = []
    for name, cases in value.items():
        if not any(cases.values()):
            continue
        lines = [
            f"**{name}** ({STEPS[name]:,} steps)\n",
            "| | L1 | PSNR | SSIM | sharpness | Fréchet | training, s |",
            "|---|---|---|---|---|---|---|",
        ]
        for title, run in cases.items():
            if run:
                lines.append(f"| {title} | {_line(run)} | {run['seconds']} |")
        if run := next((run for run in cases.values() if run), None):
            lines.append(f"| control: untouched | {_line(run['untouched'])} | - |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(run: dict[str, float]) -> str:
    return (
        f"{run['l1']:.3f} | {run['psnr']:.2f} | {run['ssim']:.3f} | {run['sharpness']:.2f} | {run['feature_fid']:.2f}"
    )
