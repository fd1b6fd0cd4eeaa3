"""Numbers of music, on scores made by hand whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sparring.core.chords import NAMES, NONE, parse_chords, sounding, tones
from sparring.core.errors import UserError
from sparring.metrics import music

LOW = 60


def bar(*notes: tuple[int, int, int], steps: int = 8) -> Tensor:
    """start, length, pitch"""
    roll = torch.zeros(steps, 24, dtype=torch.uint8)
    for start, length, pitch in notes:
        roll[start : start + length, pitch - LOW] = 1
        roll[start, pitch - LOW] = 2
    return roll


SCALE = bar((0, 2, 60), (2, 2, 62), (4, 2, 64), (6, 2, 65))
CHORD = bar((0, 8, 60), (0, 8, 64), (0, 8, 67), (0, 8, 72))
EMPTY = bar()


def test_bars() -> None:
    both = torch.stack([SCALE, CHORD, EMPTY, EMPTY])
    assert music.empty_bars(both) == 0.5
    assert music.used_pitch_classes(both, LOW) == 3.5  # the octave of C is C
    assert music.notes_per_bar(both) == 4
    assert music.polyphony(both) == 2.5
    assert music.chroma(CHORD, LOW).tolist() == [16, 0, 0, 0, 8, 0, 0, 8, 0, 0, 0, 0]


def test_lengths_and_onsets() -> None:
    piece = torch.cat([bar((0, 3, 60), (3, 1, 60), (4, 2, 62)), bar((0, 8, 64), (7, 1, 70))])
    assert sorted(music.note_lengths(piece).tolist()) == [1, 1, 2, 3, 8]
    assert music.qualified_notes(music.note_lengths(piece), 2) == pytest.approx(0.6)
    assert music.onset_steps(piece).tolist() == [0, 3, 4, 8, 15]
    tied = torch.cat([bar((0, 8, 60)), bar((0, 8, 60))])
    tied[8, 0] = 1
    assert music.note_lengths(tied).tolist() == [16]


def test_tonal_distance() -> None:
    # C against F sharp, half a turn on the circle of fifths and a whole one of minor thirds: 2 along that circle,
    # and along the third circle 0.5 |e^0 - e^(4 pi)| = 0, along the second e^(9 pi): 2.
    c, f_sharp = bar((0, 8, 60)), bar((0, 8, 66))
    assert music.tonal_distance(c[None], bar((0, 8, 72))[None], LOW) == pytest.approx(0, abs=1e-6)
    assert music.tonal_distance(c[None], f_sharp[None], LOW) == pytest.approx(math.sqrt(8), abs=1e-5)
    far = music.tonal_distance(torch.stack([c, EMPTY]), torch.stack([f_sharp, c]), LOW)
    assert far == pytest.approx(math.sqrt(8), abs=1e-5)  # a bar in which one is silent does not count
    fifth, second = (music.tonal_distance(c[None], bar((0, 8, pitch))[None], LOW) for pitch in (67, 61))
    assert fifth < second


def test_scales_and_entropy() -> None:
    assert music.scale_share(music.chroma(SCALE, LOW)) == 1
    assert music.scale_share(torch.ones(12)) == pytest.approx(7 / 12)
    assert music.entropy(torch.ones(12)) == pytest.approx(math.log2(12))
    assert music.entropy(torch.tensor([5.0, 0, 0])) == pytest.approx(0, abs=1e-6)
    assert music.entropy(torch.tensor([1, 1])) == pytest.approx(1)


def test_chords_by_name_and_by_sound() -> None:
    assert [NAMES[chord] for chord in parse_chords("C g | Bb, F#m Amin d-")] == ["C", "G", "A#", "F#m", "Am", "Dm"]
    with pytest.raises(UserError, match="no chord 'H'.*known are C, C#"):
        parse_chords("C H")
    with pytest.raises(UserError, match="no chords"):
        parse_chords("  ")
    profiles = tones().astype(float)
    assert sounding(profiles).tolist() == list(range(24))
    assert sounding(profiles[:1] * 0).tolist() == [NONE]


def test_chord_tones_of_strong_beats() -> None:
    roll = torch.stack([bar((0, 2, 60), (2, 2, 61), (4, 2, 62), (6, 2, 64)), SCALE, SCALE])
    assert music.chord_tones(roll[:1], torch.tensor([0]), LOW, 4) == 0.5  # C is one of C's, D is not
    assert music.chord_tones(roll, torch.tensor([NONE, 0, 21]), LOW, 4) == 1  # C and E are of C and of Am


def test_boundary_intervals() -> None:
    assert music.boundary_interval(torch.stack([SCALE, EMPTY]), torch.stack([bar((3, 2, 70)), SCALE])) == 5


def test_drum_patterns() -> None:
    on, off = bar((0, 1, 60), (4, 1, 60), steps=16), bar((2, 1, 60), (5, 1, 60), steps=16)
    assert music.drum_pattern(on[None], 16) == 1
    assert music.drum_pattern(off[None], 16) == pytest.approx(0.65)
    assert music.drum_pattern(EMPTY[None], 4) == 0


def test_repetition_and_self_bleu() -> None:
    assert music.repetitions(torch.tensor([1, 2, 1, 2, 1, 2]), 2) == pytest.approx(0.6)
    same = [[1, 2, 3, 4, 5, 6]] * 3
    assert music.self_bleu(same) == pytest.approx(1)
    other = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12], [13, 14, 15, 16, 17, 18]]
    assert music.self_bleu(other) < 0.15


def test_self_bleu_is_that_of_sacrebleu_s_formula_on_one_pair() -> None:
    # unigrams 3/4, pairs 2/3, of one reference as long: sqrt(1/2)
    assert music.self_bleu([[1, 2, 3, 9], [1, 2, 3, 4]], longest=2) == pytest.approx(math.sqrt(0.5))
