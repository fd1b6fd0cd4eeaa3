"""MidiNet. Yang, Chou & Yang, "MidiNet: A Convolutional Generative Adversarial Network for Symbolic-domain Music Generation", 2017. arXiv:1703.10847

A melody is written bar by bar: each from noise, the chord it is to fit, and the bar before it.
Differs from the paper in: at each step a pitch is struck, goes on, or pauses, where the paper has a grid of pitches that knows
neither rests nor repeated notes; the generator's choice is passed on as it will be heard, with the slope of its probabilities;
and the discriminator hears the bar before, too, without which nothing asks the generator to follow it. A few bars are learned
as beginnings, with silence before them. As in the authors' code, the generator moves twice for each move of the discriminator.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sparring import core, tasks
from sparring.core import Music
from sparring.core.chords import NONE, parse_chords, tones
from sparring.core.score import SOUNDING, STRUCK
from sparring.data.scores import ScoreBatch, Scores
from sparring.losses import adversarial
from sparring.networks import melody
from sparring.tasks.compose import counted

CONDITION = 13
"""numbers that say what the chord is: its root, and whether it is minor"""


@dataclass(frozen=True)
class Config(core.Config):
    data: Scores = Scores(tracks=2, bars=2, low=54, high=90, transpose=5)
    latent: int = 100
    """numbers of noise for each bar"""
    width: int = 128
    """channels of the generator"""
    hidden: int = 1024
    """units of the generator's first and of the discriminator's last layer but one"""
    memory: int = 16
    """channels that look at the bar before"""
    discriminator_width: int = 64
    """channels of the discriminator's first layer"""
    target: float = 0.9
    """what the discriminator is to say of real bars: one-sided label smoothing"""
    features: float = 0.1
    """lambda 2: weight of the difference between the mean features of real and made bars"""
    notes: float = 0.01
    """lambda 1: weight of the difference between the mean bar of both"""
    beginnings: float = 0.05
    """share of bars that are learned with silence before them"""
    generator_rounds: int = 2
    """generator updates for each update of the discriminator"""
    adam: core.Adam = core.Adam(lr=2e-4, betas=(0.5, 0.999))
    batch: int = 72
    """examples in a batch (on each process)"""
    steps: int = 10_000
    """rounds in the whole run"""
    precision: core.Precision = "float32"
    """a network this small gains nothing from less"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.bars != 2:
            raise core.UserError(f"--data.bars is {self.data.bars}; midinet learns from 2: a bar, and the one before")
        if self.data.tracks != 2:
            raise core.UserError(
                f"--data.tracks is {self.data.tracks}; midinet learns from 2: a melody, and its chords"
            )
        if self.data.bar % (1 << melody.HALVINGS):
            raise core.UserError(
                f"--data.steps makes bars of {self.data.bar} steps; a multiple of {1 << melody.HALVINGS} is needed"
            )
        if self.generator_rounds < 1 or not 0 <= self.beginnings <= 1 or not 0 < self.target <= 1:
            raise core.UserError("--generator-rounds is at least 1; --beginnings and --target are shares from 0 to 1")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The released code's discriminator and rate."""
        return cls(discriminator_width=14, adam=core.Adam(lr=5e-5, betas=(0.5, 0.999)), ema=0.0, steps=14_000)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(latent=8, width=8, hidden=16, memory=4, discriminator_width=4, batch=8, steps=4, log_every=1)


class Model(tasks.Compose):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent, (_, _, self.steps, self.pitches) = config.latent, config.data.shape
        self.generator = melody.Bars(
            config.latent, self.pitches + 2, self.steps, CONDITION, config.width, config.hidden, config.memory
        )

    def noise(self, like: Tensor) -> Tensor:
        """z ~ N(0, 1) for each bar."""
        return torch.randn(len(like), self.latent, device=like.device)

    def bar(self, noise: Tensor, chord: Tensor, before: Tensor) -> Tensor:
        """One symbol at each step: N x symbols x steps of 0 and 1, with the slope of the probabilities."""
        probable = self.generator(noise, chord, before).float().softmax(1)
        chosen = functional.one_hot(probable.argmax(1), probable.shape[1]).transpose(1, 2).float()
        return chosen + probable - probable.detach()

    def symbols(self, roll: Tensor) -> Tensor:
        """A melody of any grid as symbols: the highest pitch that is struck, or one more for going on, two more for a rest.

        Args:
            roll: N x steps x pitches of 0, `SOUNDING` and `STRUCK`.

        Returns:
            N x symbols x steps of 0 and 1.
        """
        struck, sounds = roll == STRUCK, (roll > 0).any(2)
        places = torch.arange(1, self.pitches + 1, device=roll.device)
        highest = (struck * places).amax(2) - 1
        symbol = torch.where(highest >= 0, highest, torch.where(sounds, self.pitches, self.pitches + 1))
        return functional.one_hot(symbol, self.pitches + 2).transpose(1, 2).float()

    def follow(self, noise: Tensor, chord: Tensor, before: Tensor) -> Tensor:
        """A bar after each of these: N x latent, int64 N and N x symbols x steps to N x symbols x steps, on the host."""
        with self.using():
            given = noise.to(self.device), _conditions(chord.to(self.device)), before.to(self.device)
            return self.bar(*given).cpu()

    def heard(self, bars: Tensor) -> Tensor:
        """Symbols of bars that follow each other as a melody: bars x symbols x steps to bars x steps x pitches, uint8."""
        roll = torch.zeros(len(bars) * self.steps, self.pitches, dtype=torch.uint8)
        sounding = -1
        for step, symbol in enumerate(bars.argmax(1).flatten().tolist()):
            if symbol < self.pitches:
                sounding = symbol
                roll[step, symbol] = STRUCK
            elif symbol > self.pitches:
                sounding = -1
            elif sounding >= 0:
                roll[step, sounding] = SOUNDING
        return roll.view(len(bars), self.steps, self.pitches)

    def sung(self, chords: list[int], before: Tensor, seed: int) -> Tensor:
        """A bar of melody over each chord: bars x symbols x steps, on the host."""
        noise = torch.randn(len(chords), 1, self.latent, generator=torch.Generator().manual_seed(seed))
        made = []
        for part, chord in zip(noise, torch.tensor(chords)[:, None]):
            before = self.follow(part, chord, before)
            made.append(before)
        return torch.cat(made)

    def write(self, bars: int, seed: int) -> Tensor:
        return self.over(self._progression("C,G,Am,F", bars), seed)

    def over(self, chords: list[int], seed: int, before: Tensor | None = None) -> Tensor:
        """Melody and chords: 2 x bars x steps x pitches."""
        silence = torch.zeros(1, self.pitches + 2, self.steps)
        tune = self.heard(self.sung(chords, silence if before is None else before, seed))
        return torch.stack([tune, self._struck(chords)])

    def _struck(self, chords: list[int]) -> Tensor:
        """Each chord held for a bar, as low as the range goes: bars x steps x pitches, uint8."""
        table = torch.from_numpy(tones())
        roll = torch.zeros(len(chords), self.steps, self.pitches, dtype=torch.uint8)
        low = self.grid.low
        for bar, chord in enumerate(chords):
            inside = [pitch for pitch in range(12) if chord != NONE and table[chord, (low + pitch) % 12]]
            roll[bar, :, inside] = SOUNDING
            roll[bar, 0, inside] = STRUCK
        return roll

    def _progression(self, chords: str, bars: int) -> list[int]:
        named = parse_chords(chords)
        return [named[bar % len(named)] for bar in range(bars)]

    @core.verb("--bars 8 --chords C,G,Am,F --out song.mid")
    def compose(self, bars: int = 8, seed: int = 0, tempo: float = 0.0, chords: str = "C,G,Am,F") -> Music:
        """Write a melody over chords. --out song.mid, or .wav to listen, .png to look, or a folder for all three.

        Args:
            bars: how many.
            seed: the same seed gives the same piece.
            tempo: quarter notes a minute; 0: as usual in what the model has learned from.
            chords: one for each bar, over and over: C, Bb, F#m, ...
        """
        return self.finished(self.over(self._progression(chords, counted(bars)), seed), tempo)

    @core.verb("melody.mid --bars 8 --out song.mid")
    def continue_(self, melody: Music, bars: int = 8, seed: int = 0, chords: str = "C,G,Am,F") -> Music:
        """Go on with a melody from its last bar.

        Args:
            melody: its first track is gone on with; notes beyond the range of the model are moved by octaves.
            bars: how many are added.
            seed: the same seed gives the same bars.
            chords: one for each bar, over and over: C, Bb, F#m, ...
        """
        roll = self.grid.melody(melody)
        given = self.symbols(roll)
        added = self.over(self._progression(chords, counted(bars)), seed, given[-1:])
        whole = torch.zeros(2, len(roll), self.steps, self.pitches, dtype=torch.uint8)
        whole[0] = self.heard(given)
        return self.finished(torch.cat([whole, added], 1), melody.tempos[0].bpm)


class _Bars(NamedTuple):
    """Bars to learn from."""

    real: Tensor
    """N x symbols x steps"""
    chord: Tensor
    """N x 13"""
    before: Tensor
    """as `real`"""


class Game(core.Game[Model, Config]):
    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.discriminator = melody.Listener(
            model.pitches + 2, model.steps, CONDITION, config.discriminator_width, config.hidden
        )
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)

    def step(self, batches: Iterator[ScoreBatch]) -> dict[str, Tensor]:
        notes, config, batch = core.Notes(), self.config, next(batches)
        first = torch.rand(len(batch.roll), 1, 1, device=batch.roll.device) < config.beginnings
        before, real = (self.model.symbols(bar) for bar in batch.roll[:, 0].unbind(1))
        split = (real, _conditions(batch.chord[:, 1]), before * ~first)
        parts = [_Bars(*part) for part in zip(*(self.parts(each) for each in split))]

        judged = (self.judge(part, self.model.noise(part.real), notes) for part in parts)
        self.discriminator_player.minimize(judged)
        with torch.no_grad():
            wanted = [self.discriminator(*part)[1].mean(0) for part in parts]
        for _ in range(config.generator_rounds):
            forged = (self.forge(part, mean, self.model.noise(part.real), notes) for part, mean in zip(parts, wanted))
            loss = self.generator_player.minimize(forged)
        return {"generator": loss, **notes.means()}

    def judge(self, bars: _Bars, noise: Tensor, notes: core.Notes) -> Tensor:
        with torch.no_grad():
            fake = self.model.bar(noise, bars.chord, bars.before)
        real_score, fake_score = (self.discriminator(bar, bars.chord, bars.before)[0] for bar in (bars.real, fake))
        loss = adversarial.discriminator_loss(real_score, fake_score, self.config.target)
        notes.note("discriminator", loss)
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return loss

    def forge(self, bars: _Bars, wanted: Tensor, noise: Tensor, notes: core.Notes) -> Tensor:
        """Equation 2: the mean bar, and the mean of the discriminator's first features, are to be those of real bars."""
        fake = self.model.bar(noise, bars.chord, bars.before)
        score, features = self.discriminator(fake, bars.chord, bars.before)
        shape = (fake.mean(0) - bars.real.mean(0)).square().sum() / 2
        matched = (features.mean(0) - wanted).square().sum() / 2
        notes.note("features", matched)
        return adversarial.non_saturating(score) + self.config.features * matched + self.config.notes * shape


def _conditions(chord: Tensor) -> Tensor:
    """int64 N to N x 13: the root, and 1 for minor; all 0 where there is none."""
    root = functional.one_hot(chord.clamp(min=0) % 12, 12).float() * (chord >= 0)[:, None]
    return torch.cat([root, (chord >= 12).float()[:, None]], 1)
