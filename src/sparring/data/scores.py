"""Scores: phrases of bars, cut out of pieces of music on a grid, all of one metre and with as many tracks.

Pieces are kept as bits, a few hundred bytes a bar, and unpacked on the device. What has another metre or other tracks is left
out and counted.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from sparring.core import chords
from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError
from sparring.core.score import PITCHES, Meter, Score, Track, pitch_name
from sparring.data.decoding import check_bad
from sparring.data.listing import stamp_of
from sparring.data.pieces import SUFFIXES, TOY, read_pieces


class ScoreBatch(NamedTuple):
    roll: Tensor
    """uint8 N x tracks x bars x steps x pitches: 0 silent, 2 struck, 1 going on; packed as bits before it is prepared"""
    chord: Tensor
    """int64 N x bars: the chord that sounds, -1 for none"""
    shift: Tensor
    """int64 N: semitones by which it was raised"""


@dataclass(frozen=True)
class Scores(Data):
    source: str = TOY
    """tunes (a toy: 32 of eight bars); a folder or .zip of MIDI, ABC or MusicXML files, one such file, or JSON of voices;
    `music.zip/folder` and `file.json/train` name a part"""
    tracks: int = 0
    """of a phrase; pieces with others are left out. 0: as most pieces have"""
    bars: int = 4
    """of a phrase"""
    steps: int = 4
    """of a quarter note"""
    meter: str = "4/4"
    """bars of other metres are left out; 2/2 is as long as 4/4, and taken too"""
    low: int = 36
    """the lowest pitch, as MIDI numbers them; lower ones are raised by octaves"""
    high: int = 84
    """the pitch after the highest; higher ones are lowered by octaves"""
    transpose: int = 0
    """semitones by which phrases are raised or lowered at random, at most"""
    stride: int = 1
    """bars from the beginning of one phrase to that of the next"""
    bad: float = 0.05
    """largest share of unreadable files that is tolerated (1: any)"""
    names: tuple[str, ...] = ()
    """of the tracks; none: as most pieces have"""
    programs: tuple[int, ...] = ()
    """instrument of each track, as General MIDI numbers them from 0 on; -1 for drums; none: as most pieces have"""
    bpm: float = 0.0
    """quarter notes a minute of what is made; 0: the median of the pieces"""

    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= PITCHES or self.high - self.low < 12:
            raise UserError(
                f"data.low and data.high are {self.low} and {self.high}; at least an octave, from 0 to {PITCHES}"
            )
        if not (1 <= self.bars <= 64 and 1 <= self.steps <= 24 and self.stride >= 1 and self.tracks >= 0):
            raise UserError(
                f"data.bars, data.steps, data.stride and data.tracks are {self.bars}, {self.steps}, {self.stride} and "
                f"{self.tracks}; they go from 1 to 64, from 1 to 24, from 1 on and from 0 on"
            )
        if not 0 <= self.transpose <= 12:
            raise UserError(f"data.transpose is {self.transpose}; it goes from 0 to 12")
        if any(not -1 <= program < PITCHES for program in self.programs):
            raise UserError(f"data.programs are {self.programs}; they go from 0 to 127, and -1 stands for drums")
        _ = self.wanted

    @classmethod
    def claims(cls, source: str) -> bool:
        return source == TOY or source.lower().endswith(SUFFIXES)

    @property
    def instruments(self) -> tuple[Track, ...]:
        """Of each track; pianos where they are not known."""
        names, programs = (*self.names, *[""] * self.tracks), (*self.programs, *[0] * self.tracks)
        return tuple(
            Track(name, max(0, program), program < 0) for name, program, _ in zip(names, programs, range(self.tracks))
        )

    @property
    def wanted(self) -> Meter:
        """The metre.

        Raises:
            UserError: it is none, or its bars are no whole number of steps.
        """
        beats, _, unit = self.meter.partition("/")
        try:
            found = Meter(0, int(beats), int(unit))
            if found.beats < 1 or found.unit not in {1, 2, 4, 8, 16} or (found.quarters * self.steps) % 1:
                raise ValueError
        except ValueError:
            raise UserError(
                f"data.meter is {self.meter!r}: beats over a part of a whole note, 4/4 or 6/8, in whole steps"
            ) from None
        return found

    @property
    def bar(self) -> int:
        """Steps of a bar."""
        return round(self.wanted.quarters * self.steps)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Tracks, bars, steps of a bar, pitches.

        Raises:
            UserError: the tracks are not known before `resolved`.
        """
        if not self.tracks:
            raise UserError(f"the tracks of {self.source!r} are not known yet: set data.tracks")
        return self.tracks, self.bars, self.bar, self.high - self.low

    def resolved(self) -> Self:
        """The same with tracks, instruments and tempo filled in from the source."""
        if self.tracks and self.names and self.programs and self.bpm:
            return self
        return self._filled(read_pieces(self.source)[0])

    def _filled(self, pieces: dict[str, Score]) -> Self:
        tracks = self.tracks or Counter(len(score.tracks) for score in pieces.values()).most_common(1)[0][0]
        fitting = [score for score in pieces.values() if len(score.tracks) == tracks]
        if not fitting:
            raise UserError(f"{self.source}: no piece has {tracks} tracks; {_counts(pieces.values())}")
        usual = tuple(
            Counter(score.tracks[number] for score in fitting).most_common(1)[0][0] for number in range(tracks)
        )
        bpm = float(np.median([score.tempos[0].bpm for score in fitting]))
        programs = tuple(-1 if track.drums else track.program for track in usual)
        names = tuple(track.name for track in usual)
        return self.replace(
            tracks=tracks, names=self.names or names, programs=self.programs or programs, bpm=self.bpm or round(bpm, 2)
        )

    def open(self) -> ScoreSet:
        """Open for reading: all pieces on their grid.

        Raises:
            UserError: missing, damaged, or nothing fits.
        """
        pieces, skipped = read_pieces(self.source)
        if left_out := check_bad(skipped, len(pieces) + len(skipped), self, "files"):
            warnings.warn(left_out, stacklevel=2)
        return ScoreSet(self._filled(pieces), pieces)

    def score(self, roll: Tensor, bpm: float = 0.0) -> Score:
        """A roll of this kind as a score.

        Args:
            roll: tracks x bars x steps x pitches.
            bpm: quarter notes a minute; 0: the data's.
        """
        meter = self.wanted
        return Score.of_roll(
            roll.flatten(1, 2), self.steps, self.instruments, bpm or self.bpm or 120.0, meter[1:], self.low
        )

    def melody(self, score: Score) -> Tensor:
        """The first track on this grid: bars x steps x pitches, uint8. What is too low or high is moved by octaves, with a
        warning.

        Raises:
            UserError: the metre is another, or nothing sounds.
        """
        if score.meters[-1].quarters != self.wanted.quarters:
            raise UserError(
                f"its metre is {score.meters[-1].beats}/{score.meters[-1].unit}; the model knows {self.meter}"
            )
        first = Score(score.notes[score.notes["track"] == 0], score.tracks[:1], score.resolution)
        if not len(first.notes):
            raise UserError("its first track has no notes")
        moved = within(first, self.low, self.high)
        if not np.array_equal(moved.notes["pitch"], first.notes["pitch"]):
            warnings.warn(
                f"notes below {pitch_name(self.low)} or above {pitch_name(self.high - 1)} are moved by octaves",
                stacklevel=2,
            )
        roll = moved.roll(self.steps, self.low, self.high)[0]
        room = -len(roll) % self.bar
        return torch.nn.functional.pad(roll, (0, 0, 0, room)).view(-1, self.bar, self.high - self.low)

    def picture(self, examples: Tensor) -> Tensor:
        """Piano rolls below each other: N x tracks x bars x steps x pitches to one image."""
        from sparring.core import pianoroll

        span, end = (self.low, self.high), round(self.bars * self.bar)
        return torch.cat([pianoroll.picture(self.score(example), span, end) for example in examples], 2)


def _counts(scores: Any) -> str:
    found = Counter(len(score.tracks) for score in scores).most_common(5)
    return "there are " + ", ".join(f"{count:,} with {tracks}" for tracks, count in found)


class ScoreSet(Dataset):
    """Every phrase that lies whole in a stretch of the wanted metre, and in which something sounds.

    Args:
        data: resolved.
        pieces: by name.
    """

    def __init__(self, data: Scores, pieces: dict[str, Score]):
        self.data = data
        self.other_tracks, self.other_bars = 0, 0
        bars: list[np.ndarray] = []
        stretches: list[np.ndarray] = []
        for score in pieces.values():
            if len(score.tracks) != data.tracks:
                self.other_tracks += 1
                continue
            for stretch in self._stretches(score):
                stretches.append(np.full(len(stretch), len(bars)))
                bars.append(stretch)
        if not bars:
            raise UserError(
                f"{data.source}: no bars of {data.meter} in pieces of {data.tracks} tracks ({self.other_bars:,} bars of "
                f"other metres, {self.other_tracks:,} pieces of other tracks)"
            )
        self.packed = torch.from_numpy(np.concatenate(bars))
        """uint8 bars x tracks x steps x 2 x bytes: what sounds, and what is struck"""
        self.stretch = torch.from_numpy(np.concatenate(stretches))
        """int64 (bars,): which bars follow each other"""
        self.chord = torch.from_numpy(self._chords())
        self.starts = self._starts()
        if not len(self.starts):
            raise UserError(f"{data.source}: no {data.bars} bars of {data.meter} follow each other; try --data.bars 1")
        digest = hashlib.sha256(self.packed.numpy().tobytes()).hexdigest()
        self.fingerprint = stamp_of(data.shape, data.transpose, data.stride, digest)
        if self.other_tracks or self.other_bars:
            warnings.warn(
                f"{data.source}: left out are {self.other_tracks:,} pieces that have not {data.tracks} tracks, and "
                f"{self.other_bars:,} bars of other metres than {data.meter}",
                stacklevel=3,
            )

    @property
    def span(self) -> tuple[int, int]:
        """Pitches that are kept, from the first to before the last: phrases may be transposed within them."""
        return self.data.low - self.data.transpose, self.data.high + self.data.transpose

    def _stretches(self, score: Score) -> Iterator[np.ndarray]:
        """The packed bars of each stretch of the wanted metre."""
        data, wanted = self.data, self.data.wanted
        ends = [meter.start for meter in score.meters[1:]] + [score.end]
        roll = None
        for meter, end in zip(score.meters, ends):
            length = meter.quarters * score.resolution
            count = max(0, round((end - meter.start) / length + 0.49))
            if meter.quarters != wanted.quarters or _compound(meter) != _compound(wanted):
                self.other_bars += count
                continue
            if roll is None:
                roll = self._roll(score)
            first = round(meter.start / score.resolution * data.steps)
            part = roll[:, first : first + count * data.bar]
            part = np.pad(part, ((0, 0), (0, count * data.bar - part.shape[1]), (0, 0)))
            part = part.reshape(data.tracks, count, data.bar, -1).transpose(1, 0, 2, 3)
            if count:
                yield np.packbits(np.stack([part > 0, part > 1], 3), axis=-1)

    def _roll(self, score: Score) -> np.ndarray:
        """tracks x time x pitches kept; what is too low or too high is moved by octaves."""
        moved = within(score, self.data.low, self.data.high)
        first = max(0, self.span[0])
        roll = moved.roll(self.data.steps, first, min(PITCHES, self.span[1])).numpy()
        return np.pad(roll, ((0, 0), (0, 0), (first - self.span[0], max(0, self.span[1] - PITCHES))))

    def _chords(self) -> np.ndarray:
        """Of each bar, by what sounds on all tracks but the first, or on the only one; drums do not count."""
        data = self.data
        heard = [n for n in range(data.tracks) if not data.instruments[n].drums]
        heard = heard[1:] or heard
        if not heard:
            return np.full(len(self.packed), chords.NONE)
        bits = np.unpackbits(self.packed[:, heard, :, 0].numpy(), axis=-1).sum((1, 2))
        bits = bits[:, : self.span[1] - self.span[0]]
        profile = np.zeros((len(bits), 12))
        for place in range(bits.shape[1]):
            profile[:, (self.span[0] + place) % 12] += bits[:, place]
        return chords.sounding(profile)

    def _starts(self) -> Tensor:
        count = len(self.packed) - self.data.bars + 1
        if count < 1:
            return torch.zeros(0, dtype=torch.int64)
        first = torch.arange(count)
        whole = self.stretch[first] == self.stretch[first + self.data.bars - 1]
        begins = torch.searchsorted(self.stretch, self.stretch[first])
        sounds = (self.packed.flatten(1) != 0).any(1).cumsum(0)
        sounds = torch.cat([torch.zeros(1, dtype=sounds.dtype), sounds])
        heard = sounds[first + self.data.bars] > sounds[first]
        return first[whole & heard & ((first - begins) % self.data.stride == 0)]

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, index: Tensor, chance: torch.Generator) -> ScoreBatch:
        """Packed: uint8 N x tracks x bars x steps x 2 x bytes."""
        rows = self.starts[index][:, None] + torch.arange(self.data.bars)
        most = self.data.transpose
        shift = torch.randint(-most, most + 1, (len(index),), generator=chance) if most else torch.zeros_like(index)
        chord = self.chord[rows]
        raised = (chord + shift[:, None]) % 12 + chord // 12 * 12
        return ScoreBatch(self.packed[rows].transpose(1, 2), torch.where(chord < 0, chord, raised), shift)

    def prepare(self, batch: ScoreBatch) -> ScoreBatch:
        """Unpacked, and transposed."""
        places = torch.arange(7, -1, -1, device=batch.roll.device, dtype=torch.uint8)
        bits = (batch.roll[..., None] >> places & 1).flatten(-2).sum(-2, dtype=torch.uint8)
        count = self.data.high - self.data.low
        window = torch.arange(count, device=bits.device) + self.data.transpose - batch.shift[:, None]
        shape = (*bits.shape[:-1], count)
        return batch._replace(roll=bits.gather(-1, window.view(-1, 1, 1, 1, count).expand(shape)))


def within(score: Score, low: int, high: int) -> Score:
    """The same notes, those below `low` or from `high` on moved by octaves into that range."""
    notes = score.notes.copy()
    pitch = notes["pitch"].astype(np.int64)
    if not len(pitch) or (pitch.min() >= low and pitch.max() < high):
        return score
    pitch = np.where(pitch < low, low + (pitch - low) % 12, pitch)
    notes["pitch"] = np.where(pitch >= high, high - 12 + (pitch - high) % 12, pitch)
    return Score(notes, score.tracks, score.resolution)


def _compound(meter: Meter) -> bool:
    """Whether its beats fall in threes: 6/8, but not 3/4, which is as long."""
    return meter.beats % 3 == 0 and meter.beats > 3
