"""Compose: write music."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from sparring.core import Config, Model, Music, UserError, pianoroll, verb
from sparring.core.score import Score

MOST = 1000
"""bars that are written at most"""
SHOWN = 3
"""pieces in a preview"""


class Grid(Protocol):
    """How the data's rolls are read as scores, and scores as its rolls."""

    low: int
    high: int

    @property
    def bar(self) -> int: ...

    def score(self, roll: Tensor, bpm: float) -> Score: ...

    def melody(self, score: Score) -> Tensor: ...


class Compose(Model):
    """A network that writes music bar by bar or phrase by phrase."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.grid: Grid = config.data  # type: ignore[assignment]  # a task knows no kind of data

    @abstractmethod
    def write(self, bars: int, seed: int) -> Tensor:
        """So many bars: tracks x bars x steps x pitches, as the data's rolls are, on the host."""

    @verb("--bars 8 --seed 0 --out song.mid")
    def compose(self, bars: int = 8, seed: int = 0, tempo: float = 0.0) -> Music:
        """Write a piece of music. --out song.mid, or .wav to listen, .png to look, or a folder for all three.

        Args:
            bars: how many.
            seed: the same seed gives the same piece.
            tempo: quarter notes a minute; 0: as usual in what the model has learned from.
        """
        return self.finished(self.write(counted(bars), seed), tempo)

    def finished(self, roll: Tensor, tempo: float) -> Music:
        """A roll as a score.

        Raises:
            UserError: a tempo below 0.
        """
        if tempo < 0:
            raise UserError(f"--tempo is {tempo}; it is above 0, or 0 for the usual")
        return self.grid.score(roll, tempo)

    def preview(self, seed: int) -> Tensor:
        span, end = (self.grid.low, self.grid.high), 4 * self.grid.bar
        return torch.cat([pianoroll.picture(self.compose(4, seed + n), span, end) for n in range(SHOWN)], 2)


def counted(bars: int) -> int:
    """The number of bars that is asked for.

    Raises:
        UserError: none, or too many.
    """
    if not 1 <= bars <= MOST:
        raise UserError(f"--bars is {bars}; it goes from 1 to {MOST:,}")
    return bars
