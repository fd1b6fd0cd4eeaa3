"""How a model that writes music is judged: numbers of what it writes, beside the same numbers of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.core import UserError
from sparring.core.data import Dataset
from sparring.data.scores import Scores
from sparring.metrics import music
from sparring.metrics.value import Protocol, Value
from sparring.tasks.compose import Compose

MOST = 500
"""pieces that are written, and phrases of the data that are looked at, at most"""


def judge(model: Compose, data: Scores, dataset: Dataset, count: int, seed: int) -> tuple[list[Value], list[Value]]:
    """Values of the model, and of the data.

    Raises:
        UserError: there are too few phrases.
    """
    if len(dataset) < 2:
        raise UserError("evaluation needs at least 2 phrases of data")
    count = min(count, MOST)
    real = phrases(dataset, count, seed)
    written = torch.stack([model.write(real.shape[2], seed + number) for number in range(count)])
    protocol = Protocol(
        metric="music", data=f"{data.source} {dataset.fingerprint[:8]}", real=len(real), fake=count, seed=seed,
        extractor="scores", settings=f"phrases of {real.shape[2]} bars",
    )  # fmt: skip
    ours, theirs = (
        [Value(name, number, protocol) for name, number in _numbers(rolls, data)] for rolls in (written, real)
    )
    return ours, theirs


def phrases(dataset: Dataset, count: int, seed: int) -> Tensor:
    """Up to so many phrases, as they are: N x tracks x bars x steps x pitches, uint8."""
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(dataset), generator=chance)[:count]
    batch = dataset.prepare(dataset.batch(order, chance))
    return batch.roll


def _numbers(rolls: Tensor, data: Scores) -> Iterator[tuple[str, float]]:
    """Each number of each track, drums but for their bars left out; and how far apart neighbouring tracks are."""
    for number, track in enumerate(data.instruments[: rolls.shape[1]]):
        own, prefix = rolls[:, number], f"track_{number + 1}_"
        yield f"{prefix}empty_bars", music.empty_bars(own)
        if not (own > 0).any():
            continue
        yield f"{prefix}notes_per_bar", music.notes_per_bar(own)
        if track.drums:
            yield f"{prefix}drum_pattern", music.drum_pattern(own.flatten(0, 1), data.steps)
            continue
        lengths = torch.cat([music.note_lengths(piece) for piece in own.flatten(1, 2)])
        heard = music.chroma(own.flatten(1, 2), data.low)
        sounding = heard[heard.sum(1) > 0]
        yield f"{prefix}used_pitch_classes", music.used_pitch_classes(own, data.low)
        yield f"{prefix}qualified_notes", music.qualified_notes(lengths, data.steps / 8)
        yield f"{prefix}polyphony", music.polyphony(own)
        yield f"{prefix}pitch_class_entropy", sum(map(music.entropy, sounding)) / len(sounding)
        yield f"{prefix}duration_entropy", music.entropy(torch.bincount(lengths))
        yield f"{prefix}scale_share", sum(map(music.scale_share, sounding)) / len(sounding)
    for number in range(rolls.shape[1] - 1):
        first, second = (rolls[:, place].flatten(0, 1) for place in (number, number + 1))
        distance = music.tonal_distance(first, second, data.low)
        if not math.isnan(distance):
            yield f"tonal_distance_{number + 1}_{number + 2}", distance
