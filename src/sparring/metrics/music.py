"""Numbers of music, each of one piece or of many bars. Dong et al. 2018, "MuseGAN", arXiv:1709.06298, section 5.3; Yu et al.
2021, arXiv:1908.05551, section 5; Yang & Lerch 2020, "On the Evaluation of Generative Models in Music".

Rolls are ... x steps x pitches, 0 silent, 2 struck, 1 going on; their lowest pitch is `low`. Octaves are folded as they sound:
pitches an octave apart are one class (the first MuseGAN code took seven neighbouring semitones for one). Bars in which nothing
sounds count as empty, and nowhere else.
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from sparring.core import chords
from sparring.core.score import STRUCK

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
RADII = ((7 / 6, 1.0), (3 / 2, 1.0), (2 / 3, 0.5))
"""angle of a semitone in turns of pi, and radius, on the circles of fifths, minor thirds and major thirds. Harte et al. 2006"""


def chroma(roll: Tensor, low: int) -> Tensor:
    """How many steps each pitch class sounds: ... x steps x pitches to ... x 12, float32."""
    sounds = (roll > 0).sum(-2).float()
    found = sounds.new_zeros(*sounds.shape[:-1], 12)
    return found.index_add(-1, (torch.arange(sounds.shape[-1], device=roll.device) + low) % 12, sounds)


def empty_bars(roll: Tensor) -> float:
    """EB: share of bars in which nothing sounds."""
    return 1 - (roll > 0).any(-1).any(-1).float().mean().item()


def used_pitch_classes(roll: Tensor, low: int) -> float:
    """UPC: mean number of different pitch classes, 1 to 12, in bars that are not empty; NaN if all are."""
    used = (chroma(roll, low) > 0).sum(-1).float().flatten()
    return used[used > 0].mean().item()


def notes_per_bar(roll: Tensor) -> float:
    """Mean number of notes struck, in bars that are not empty."""
    struck = (roll == STRUCK).sum((-1, -2)).float().flatten()
    return struck[(roll > 0).any(-1).any(-1).flatten()].mean().item()


def polyphony(roll: Tensor) -> float:
    """Mean number of pitches that sound at a step where any does."""
    sounding = (roll > 0).sum(-1).float().flatten()
    return sounding[sounding > 0].mean().item()


def note_lengths(roll: Tensor) -> Tensor:
    """Steps of each note of a piece, time x pitches: int64 (notes,)."""
    struck = (roll == STRUCK) | ((roll > 0) & (torch.nn.functional.pad(roll, (0, 0, 1, 0))[:-1] == 0))
    number = struck.T.flatten().cumsum(0)
    return torch.bincount(number[(roll > 0).T.flatten()], minlength=1)[1:]


def qualified_notes(lengths: Tensor, least: float) -> float:
    """QN: share of notes that last at least so many steps; the paper takes a 32nd note, below which music is fragmented."""
    return (lengths >= least).float().mean().item()


def onset_steps(roll: Tensor) -> Tensor:
    """Steps of a piece, time x pitches, at which a note is struck: int64."""
    return (roll == STRUCK).any(-1).nonzero().flatten()


def drum_pattern(roll: Tensor, steps: int) -> float:
    """DP: share of drum strokes on the beats of a sixteenth's grid, a third of the weight for those a step off it.

    Args:
        roll: bars x steps x pitches of drums.
        steps: of a quarter note.
    """
    period = max(1, steps // 4)
    weight = torch.zeros(period)
    weight[0] = 1.0
    if period >= 3:
        weight[1] = weight[-1] = 0.3
    struck = (roll == STRUCK).sum((0, 2)).float()
    mask = weight.repeat(-(-len(struck) // period))[: len(struck)]
    best = max((struck * mask.roll(turn)).sum().item() for turn in range(period))
    return best / max(struck.sum().item(), 1e-9)


def tonal_centroid(chroma: Tensor) -> Tensor:
    """... x 12 to ... x 6: where a mixture of pitch classes lies among fifths and thirds. Harte, Sandler & Gasser 2006."""
    angles = torch.arange(12.0, device=chroma.device)
    circles = [
        radius * wave(angles * turn * math.pi) for turn, radius in RADII for wave in (torch.sin, torch.cos)
    ]  # fmt: skip
    share = chroma / chroma.sum(-1, keepdim=True).clamp(min=1e-9)
    return share @ torch.stack(circles, 1)


def tonal_distance(first: Tensor, second: Tensor, low: int) -> float:
    """TD: mean distance of two tracks' tonal centroids over bars in which both sound: 0 for the same pitch classes."""
    ours, theirs = chroma(first, low).flatten(0, -2), chroma(second, low).flatten(0, -2)
    both = (ours.sum(-1) > 0) & (theirs.sum(-1) > 0)
    return (tonal_centroid(ours[both]) - tonal_centroid(theirs[both])).norm(dim=-1).mean().item()


def scale_share(chroma: Tensor) -> float:
    """Share of what sounds in a piece that lies in the major (or relative minor) scale that holds most of it."""
    scales = torch.stack([torch.roll(_scale(), turn) for turn in range(12)]).to(chroma)
    return (scales @ chroma).max().item() / max(chroma.sum().item(), 1e-9)


def _scale() -> Tensor:
    found = torch.zeros(12)
    found[list(MAJOR_SCALE)] = 1
    return found


def entropy(counts: Tensor) -> float:
    """Of a histogram, in bits: 0 where all is one, log2(12) for twelve equal pitch classes."""
    share = counts.float() / counts.sum().clamp(min=1)
    return max(0.0, -(share * share.clamp(min=1e-12).log2()).sum().item())


def chord_tones(roll: Tensor, chord: Tensor, low: int, every: int) -> float:
    """Share of strong beats with a note, whose highest note is a tone of the bar's chord; 1/4 by chance, for three of twelve.

    Args:
        roll: bars x steps x pitches of the melody.
        chord: int64 (bars,), -1 where there is none; such bars do not count.
        low: the lowest pitch.
        every: steps from one strong beat to the next.
    """
    strong = roll[:, ::every] > 0
    places = torch.arange(1, roll.shape[-1] + 1, device=roll.device)
    highest = (strong * places).amax(-1) - 1
    inside = torch.from_numpy(chords.tones()).to(roll.device)[chord.clamp(min=0)]
    right = inside.gather(1, (highest.clamp(min=0) + low) % 12)
    counts = (highest >= 0) & (chord >= 0)[:, None]
    return right[counts].float().mean().item()


def boundary_interval(before: Tensor, after: Tensor) -> float:
    """Mean semitones from the last pitch of a bar to the first of the next, over pairs in which both sound.

    Args:
        before, after: N x steps x pitches.
    """
    (last, some), (first, any_) = _edge(before.flip(1)), _edge(after)
    return (last - first).abs().float()[some & any_].mean().item()


def _edge(roll: Tensor) -> tuple[Tensor, Tensor]:
    """The highest pitch at the first step where any sounds, and whether one does."""
    sounds = (roll > 0).any(-1)
    step = sounds.int().argmax(1)
    at = roll[torch.arange(len(roll), device=roll.device), step] > 0
    places = torch.arange(1, roll.shape[-1] + 1, device=roll.device)
    return (at * places).amax(-1) - 1, sounds.any(1)


def repetitions(symbols: Tensor, length: int) -> float:
    """Share of a sequence's runs of so many symbols that occurred in it before."""
    runs = symbols.unfold(0, length, 1)
    return 1 - len(torch.unique(runs, dim=0)) / max(1, len(runs))


def self_bleu(pieces: list[list[int]], longest: int = 4) -> float:
    """Mean BLEU of each piece against all others: 1 where they are alike, near 0 where they share nothing. Zhu et al.
    2018. Modified precisions of runs of 1 to `longest` symbols, their geometric mean, with the brevity penalty of Papineni
    et al. 2002; a run that never matches counts as half a match.
    """
    counts = [
        [Counter(tuple(piece[i : i + n]) for i in range(len(piece) - n + 1)) for n in range(1, longest + 1)]
        for piece in pieces
    ]
    scores = []
    for number, own in enumerate(counts):
        logs = 0.0
        for n in range(longest):
            most: Counter[tuple[int, ...]] = Counter()
            for other, theirs in enumerate(counts):
                if other != number:
                    most |= theirs[n]
            total = sum(own[n].values())
            matched = sum(min(count, most[run]) for run, count in own[n].items())
            logs += math.log((matched or 0.5) / max(total, 1))
        length = len(pieces[number])
        nearest = min((abs(len(p) - length), len(p)) for i, p in enumerate(pieces) if i != number)[1]
        scores.append(math.exp(logs / longest) * min(1.0, math.exp(1 - nearest / max(length, 1))))
    return sum(scores) / len(scores)
