"""MidiNet: bars that are as the data's, that fit their chord, and that follow the bar before."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from results.real import home
from results.training import cell, spread, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.data import hold_out
from sparring.data.scores import Scores
from sparring.metrics import music

ORDER = 80
TITLE = "MidiNet writes bars that fit their chords and the bar before"
TUNES = "music/nottingham-abc-midi.zip/MIDI"
CLAIM = (
    "`sparring train midinet` on the tunes of the Nottingham collection in 4/4, 4,000 steps; the judge gives it "
    "chords and bars before from a tenth that was held out (phrases, not whole tunes), and looks at what it writes "
    "beside what follows there. *Scale*: share of the sound in the scale that holds most of a bar. *Chord tones*: "
    "share of the first and third beats whose note is of the bar's chord; *shuffled*: of another bar's chord. "
    "*Boundary*: mean semitones from the last note of the bar before to the first; *shuffled*: the model was given "
    "another bar before. Three seeds: mean (least to largest)."
)
SEEDS = (0, 1, 2)
COLUMNS = {
    "notes": "notes a bar", "entropy": "pitch-class entropy, bits", "classes": "pitch classes", "scale": "scale",
    "chord tones": "chord tones", "other chords": "shuffled", "boundary": "boundary", "other past": "shuffled",
}  # fmt: skip


def config(seed: int, root: str = "") -> Config:
    """`root`: below which the sets lie; the key of a cell does not depend on it."""
    start = api.starting_point("midinet")
    data = Scores(f"{root}{TUNES}", tracks=2, bars=2, low=54, high=90, transpose=5)
    return start.replace(data=data, seed=seed, steps=4000, held_out=0.1, watch=False, preview_every=10**9)


def inputs() -> Any:
    return [to_json(config(seed)) for seed in SEEDS]


def compute(work: Path) -> Any:
    return {
        str(seed): cell("midinet", to_json(config(seed)), lambda seed=seed: measure(seed, work / f"seed-{seed}"))
        for seed in SEEDS
    }


def measure(seed: int, work: Path) -> dict[str, Any]:
    chosen = config(seed, home())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bars of other metres are left out, as the row says
        model, seconds = trained("midinet", chosen, work)
        _, held = hold_out(chosen.data.open(), chosen.held_out)
    assert held is not None
    batch = held.prepare(held.batch(torch.arange(len(held)), torch.Generator().manual_seed(seed)))
    before, real = batch.roll[:, 0].unbind(1)
    chord = batch.chord[:, 1]
    other = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    low = chosen.data.low

    noise = torch.randn(len(real), model.latent, generator=torch.Generator().manual_seed(seed))

    def written(past: Tensor) -> Tensor:
        bars = model.follow(noise, chord, model.symbols(past))
        return torch.cat([model.heard(bar[None]) for bar in bars])

    made, astray = written(before), written(before[other])
    found = {}
    for name, bars in (("data", real), ("made", made)):
        sound = music.chroma(bars, low)
        sound = sound[sound.sum(1) > 0]
        found[name] = {
            "notes": music.notes_per_bar(bars),
            "entropy": sum(map(music.entropy, sound)) / len(sound),
            "classes": music.used_pitch_classes(bars, low),
            "scale": sum(map(music.scale_share, sound)) / len(sound),
            "chord tones": music.chord_tones(bars, chord, low, chosen.data.bar // 2),
            "other chords": music.chord_tones(bars, chord[other], low, chosen.data.bar // 2),
            "boundary": music.boundary_interval(before, bars),
            "other past": music.boundary_interval(before, astray if name == "made" else real[other]),
        }
    return {name: {key: round(value, 4) for key, value in each.items()} for name, each in found.items()} | {
        "seconds": round(seconds), "bars": len(real),
    }  # fmt: skip


def render(value: Any) -> str:
    runs = [run for run in value.values() if run]
    if not runs:
        return ""
    lines = [f"| | {' | '.join(COLUMNS.values())} | training, s |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name, title in (("made", "MidiNet"), ("data", "the data")):
        numbers = " | ".join(spread([run[name][key] for run in runs]) for key in COLUMNS)
        lines.append(f"| {title} | {numbers} | {spread([run['seconds'] for run in runs]) if name == 'made' else '-'} |")
    return "\n".join(lines)
