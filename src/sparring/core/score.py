"""Score: music as notes on tracks, with tempo, metre and words, and as a piano roll for networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from sparring.core.errors import UserError

NOTE = np.dtype([("start", "<i4"), ("length", "<i4"), ("pitch", "<i2"), ("velocity", "<i2"), ("track", "<i2")])
"""start and length in ticks, pitch and velocity as MIDI has them, and the number of the track"""
PITCHES = 128
LONGEST = 50_000
"""quarter notes that a score may last; six hours at 140 beats a minute"""
VELOCITY = 80
"""how hard notes are struck where that is not known"""
SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SOUNDING, STRUCK = 1, 2
"""values of a piano roll: a note goes on, or begins"""


class Track(NamedTuple):
    """One player's part."""

    name: str = ""
    program: int = 0
    """instrument, General MIDI's number from 0 on: 0 a grand piano, 40 a violin"""
    drums: bool = False
    """pitches stand for drums"""


class Tempo(NamedTuple):
    """From a tick on, so many quarter notes a minute."""

    start: int
    bpm: float


class Meter(NamedTuple):
    """From a tick on, bars of so many beats, each the `unit`th part of a whole note."""

    start: int
    beats: int
    unit: int

    @property
    def quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return 4 * self.beats / self.unit


class Word(NamedTuple):
    """A syllable that is sung from a tick on; it ends in "-" where the word goes on."""

    start: int
    track: int
    text: str


@dataclass(frozen=True, eq=False)
class Score:
    """Music. Notes are brought in order: by start, track and pitch; one that is struck again while it sounds ends there.

    Raises:
        UserError: a number is out of range, or it lasts too long.
    """

    notes: np.ndarray
    """(N,) of `NOTE`"""
    tracks: tuple[Track, ...]
    resolution: int = 480
    """ticks of a quarter note"""
    tempos: tuple[Tempo, ...] = (Tempo(0, 120.0),)
    meters: tuple[Meter, ...] = (Meter(0, 4, 4),)
    words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        self._check()
        notes = _ordered(self.notes.astype(NOTE), ("track", "pitch", "start"), (8, 32))
        same = (notes["track"][:-1] == notes["track"][1:]) & (notes["pitch"][:-1] == notes["pitch"][1:])
        room = np.where(same, np.diff(notes["start"]), LONGEST * self.resolution)
        notes["length"][:-1] = np.minimum(notes["length"][:-1], room)
        notes = notes[notes["length"] > 0]
        ordered = _ordered(notes, ("start", "track", "pitch"), (16, 8))
        ordered.flags.writeable = False
        object.__setattr__(self, "notes", ordered)
        for name, usual in (("tempos", Tempo(0, 120.0)), ("meters", Meter(0, 4, 4))):
            found = sorted({each.start: each for each in getattr(self, name)}.values())
            kept = found if found and found[0].start <= 0 else [usual, *found]
            pairs = zip([None, *kept], kept)
            object.__setattr__(
                self, name, tuple(each for before, each in pairs if not before or before[1:] != each[1:])
            )
        object.__setattr__(self, "words", tuple(sorted(self.words)))

    def _check(self) -> None:
        notes = self.notes
        if not 1 <= self.resolution <= 2**15:
            raise UserError(f"a score has {self.resolution} ticks a quarter note; it goes from 1 to {2**15}")
        for tempo in self.tempos:
            if not 1 <= tempo.bpm <= 10_000:
                raise UserError(f"a tempo of {tempo.bpm:.6g} quarter notes a minute; it goes from 1 to 10,000")
        for meter in self.meters:
            if not (1 <= meter.beats <= 255 and meter.unit in {1, 2, 4, 8, 16, 32, 64}):
                raise UserError(f"a metre of {meter.beats}/{meter.unit}")
        if not len(notes):
            return
        for name, limit in (("pitch", PITCHES), ("velocity", 128), ("track", len(self.tracks))):
            if notes[name].min() < 0 or notes[name].max() >= limit:
                raise UserError(
                    f"a note's {name} is {notes[name].min()} or {notes[name].max()}; it goes up to {limit - 1}"
                )
        if notes["start"].min() < 0:
            raise UserError("a note begins before the music does")
        if (last := (notes["start"].astype(np.int64) + notes["length"]).max()) > LONGEST * self.resolution:
            raise UserError(f"it lasts {last // self.resolution:,} quarter notes; at most {LONGEST:,}")

    def __eq__(self, other: object) -> bool:
        """Whether both have the same notes, tracks, tempos, metres and words at the same ticks."""
        return isinstance(other, Score) and self._said() == other._said() and np.array_equal(self.notes, other.notes)

    def _said(self) -> tuple[object, ...]:
        # Files keep the length of a quarter note in whole microseconds.
        tempos = [(tempo.start, round(6e7 / tempo.bpm)) for tempo in self.tempos]
        return self.tracks, self.resolution, tempos, self.meters, self.words

    __hash__ = None  # type: ignore[assignment]

    @property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return int((self.notes["start"] + self.notes["length"]).max()) if len(self.notes) else 0

    def seconds(self, ticks: np.ndarray) -> np.ndarray:
        """When these ticks sound, by the tempos: float64."""
        starts = np.array([tempo.start for tempo in self.tempos], np.float64)
        each = np.array([60 / tempo.bpm / self.resolution for tempo in self.tempos])
        before = np.concatenate([[0.0], np.cumsum(np.diff(starts) * each[:-1])])
        place = np.searchsorted(starts, ticks, "right") - 1
        return before[place] + (ticks - starts[place]) * each[place]

    def bars(self, end: int = 0) -> np.ndarray:
        """The tick at which each bar begins, and that at which the last one ends. A change of metre begins a bar.

        Args:
            end: the tick to which bars go at least, whatever sounds.
        """
        lasts = [meter.start for meter in self.meters[1:]] + [max(self.end, end, self.meters[-1].start + 1)]
        parts = [
            np.arange(meter.start, last, max(1, round(meter.quarters * self.resolution)))
            for meter, last in zip(self.meters, lasts)
        ]
        after = parts[-1][-1] + round(self.meters[-1].quarters * self.resolution)
        return np.concatenate([*parts, [after]]).astype(np.int64)

    def roll(self, steps: int, low: int = 0, high: int = PITCHES) -> Tensor:
        """The notes on a grid: tracks x time x pitches, uint8: 0 silent, 2 struck, 1 going on.

        Starts and ends go to the nearest step, and every note takes at least one.

        Args:
            steps: of a quarter note.
            low, high: pitches from the first to before the last; notes beyond are left out.
        """
        notes = self.notes[(self.notes["pitch"] >= low) & (self.notes["pitch"] < high)]
        start, end = (
            np.floor(ticks.astype(np.float64) * steps / self.resolution + 0.5).astype(np.int64)
            for ticks in (notes["start"], notes["start"] + notes["length"])
        )
        length = np.maximum(end - start, 1)
        grid = np.zeros((len(self.tracks), high - low, int((start + length).max(initial=0))), np.uint8)
        cells = grid.reshape(-1)
        first = (notes["track"].astype(np.int64) * grid.shape[1] + notes["pitch"] - low) * grid.shape[2] + start
        offsets = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        cells[np.repeat(first, length) + offsets] = SOUNDING
        cells[first] = STRUCK
        return torch.from_numpy(np.ascontiguousarray(grid.transpose(0, 2, 1)))

    @classmethod
    def of_roll(
        cls, roll: Tensor, steps: int, tracks: tuple[Track, ...], bpm: float = 120.0, meter: tuple[int, int] = (4, 4),
        low: int = 0,
    ) -> Self:  # fmt: skip
        """The notes of a grid.

        Args:
            roll: tracks x time x pitches, as `roll` gives it; or of 0 and 1 alone, where what goes on is one note.
            steps: of a quarter note.
            tracks: a name and an instrument for each.
            bpm: quarter notes a minute.
            meter: beats, and the part of a whole note that each is.
            low: the lowest pitch of the grid.
        """
        values = np.pad(roll.to("cpu", torch.uint8).numpy().transpose(0, 2, 1), ((0, 0), (0, 0), (1, 1)))
        now, before, after = values[..., 1:-1], values[..., :-2], values[..., 2:]
        begins = (now > 0) & ((before == 0) | (now == STRUCK))
        ends = (now > 0) & ((after == 0) | (after == STRUCK))
        track, pitch, start = np.nonzero(begins)
        notes = np.zeros(len(track), NOTE)
        notes["track"], notes["pitch"], notes["start"] = track, pitch + low, start
        notes["length"], notes["velocity"] = np.nonzero(ends)[2] - start + 1, VELOCITY
        return cls(notes, tracks, steps, (Tempo(0, bpm),), (Meter(0, *meter),))


def _ordered(notes: np.ndarray, fields: tuple[str, str, str], bits: tuple[int, int]) -> np.ndarray:
    """Notes by these fields, the first of them before all others: as one number, of which the latter two take so many bits."""
    first, second, third = (notes[field].astype(np.int64) for field in fields)
    return notes[np.argsort((((first << bits[0]) | second) << bits[1]) | third, kind="stable")]


def pitch_name(pitch: int) -> str:
    """60 is C4."""
    return f"{SHARPS[pitch % 12]}{pitch // 12 - 1}"
