"""A score as a picture: time to the right, pitch upwards, a colour for each track, bars as lines, words under their notes."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from torch import Tensor

from sparring.core.score import PITCHES, Score, pitch_name

COLOURS = ("#2f6fb0", "#d06a1c", "#3c8f4d", "#9a4fa3", "#b03a48", "#4a9aa8", "#8a7a2f", "#6b6b6b")
QUARTER, ROW = 32, 6
"""pixels of a quarter note and of a semitone"""
LEFT, TOP, BOTTOM = 34, 20, 16
WIDEST = 12_000
"""pixels; longer scores are drawn more closely"""
BLACK_KEYS = frozenset({1, 3, 6, 8, 10})


def draw(score: Score, span: tuple[int, int] | None = None, end: int = 0) -> PIL.Image.Image:
    """The piano roll.

    Args:
        score: what to draw.
        span: pitches from the first to before the last; by default from the lowest note's octave to the highest's.
        end: the tick to which it goes at least.
    """
    pitches = score.notes["pitch"]
    low = int(pitches.min(initial=PITCHES)) // 12 * 12 if len(pitches) else 48
    high = min(PITCHES, (int(pitches.max(initial=0)) // 12 + 1) * 12) if len(pitches) else 72
    low, high = span or (low, high)
    bars = score.bars(end)
    quarters = bars[-1] / score.resolution
    scale = min(QUARTER, (WIDEST - LEFT) / quarters) / score.resolution
    width, height = LEFT + round(bars[-1] * scale) + 1, TOP + (high - low) * ROW + BOTTOM
    sheet = PIL.Image.new("RGB", (width, height), "white")
    pen = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.load_default(10)

    for pitch in range(low, high):
        top = TOP + (high - 1 - pitch) * ROW
        if pitch % 12 in BLACK_KEYS:
            pen.rectangle((LEFT, top, width, top + ROW - 1), "#f2f2f2")
        if pitch % 12 == 0:
            pen.line((LEFT, top + ROW, width, top + ROW), "#bbbbbb")
            pen.text((4, top - 4), pitch_name(pitch), "#555555", font)
    for number, bar in enumerate(bars.tolist()):
        left = LEFT + round(bar * scale)
        pen.line((left, TOP, left, height - BOTTOM), "#888888")
        if number < len(bars) - 1 and (bars[number + 1] - bar) * scale > 20:
            pen.text((left + 3, height - BOTTOM + 2), str(number + 1), "#888888", font)
    place = LEFT
    for number, track in enumerate(score.tracks):
        title = track.name or f"track {number + 1}"
        pen.rectangle((place, 6, place + 8, 14), COLOURS[number % len(COLOURS)])
        pen.text((place + 12, 4), title, "#333333", font)
        place += 24 + round(pen.textlength(title, font))
    for note in score.notes.tolist():
        start, length, pitch, _, track = note
        left, top = LEFT + round(start * scale), TOP + (high - 1 - pitch) * ROW
        right = max(left + 1, LEFT + round((start + length) * scale) - 1)
        pen.rectangle((left, top, right, top + ROW - 2), COLOURS[track % len(COLOURS)])
    lowest = {(note["track"], note["start"]): note["pitch"] for note in score.notes[::-1]}
    for word in score.words:
        pitch = int(lowest.get((word.track, word.start), low))
        pen.text((LEFT + round(word.start * scale), TOP + (high - pitch) * ROW), word.text, "#222222", font)
    return sheet


def picture(score: Score, span: tuple[int, int] | None = None, end: int = 0) -> Tensor:
    """The piano roll as 1 x 3 x H x W in [-1, 1]; arguments as of `draw`."""
    return torch.from_numpy(np.array(draw(score, span, end))).permute(2, 0, 1)[None].float() / 127.5 - 1
