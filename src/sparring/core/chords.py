"""Chords: twenty-four triads, by name and by the notes that sound."""

from __future__ import annotations

import re

import numpy as np

from sparring.core.errors import UserError
from sparring.core.score import SHARPS

FLATS = {"Db": 1, "Eb": 3, "Gb": 6, "Ab": 8, "Bb": 10, "Cb": 11, "Fb": 4, "E#": 5, "B#": 0}
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)
NONE = -1
"""where no chord sounds"""
NAMES = (*SHARPS, *(f"{name}m" for name in SHARPS))
"""chord 0 is C, 11 is B, 12 is Cm, 23 is Bm"""


def tones() -> np.ndarray:
    """Which pitch classes belong to each chord: bool, 24 x 12."""
    table = np.zeros((24, 12), bool)
    for chord in range(24):
        for step in MAJOR if chord < 12 else MINOR:
            table[chord, (chord + step) % 12] = True
    return table


def parse_chords(text: str) -> list[int]:
    """Chords by their names, with blanks, commas or bars in between: "C G Am F".

    Raises:
        UserError: there is none, or one is unknown.
    """
    names = [name for name in re.split(r"[\s,|]+", text.strip()) if name]
    if not names:
        raise UserError(f"no chords are named; known are {', '.join(NAMES)}")
    return [_chord(name) for name in names]


def _chord(name: str) -> int:
    found = re.fullmatch(r"([A-Ga-g][#b]?)(m|min|-|maj|M)?", name)
    root = found and found[1][0].upper() + found[1][1:]
    if not found or not root or (root not in SHARPS and root not in FLATS):
        raise UserError(f"no chord {name!r}; known are {', '.join(NAMES)}, and flats (Bb, Ebm)")
    number = SHARPS.index(root) if root in SHARPS else FLATS[root]
    return number + 12 if found[2] in {"m", "min", "-"} else number


def sounding(profile: np.ndarray) -> np.ndarray:
    """The chord that is nearest to what sounds.

    Args:
        profile: N x 12, how long each pitch class sounds.

    Returns:
        int64 (N,): the chord whose tones sound longest, of equals the first; `NONE` where nothing sounds.
    """
    inside = profile @ tones().T.astype(np.float64)
    return np.where(profile.sum(1) > 0, inside.argmax(1), NONE).astype(np.int64)
