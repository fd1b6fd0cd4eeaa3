"""GAN. Goodfellow et al., "Generative Adversarial Networks", 2014. arXiv:1406.2661

A generator learns to forge examples that a discriminator, learning to tell them from real ones, cannot tell apart.
Differs from the paper in: the two players move in turn, as in Algorithm 1, and not at once, as in its code, but on the same
forgeries, as there; the output bias does not start from the data's marginals; the default preset uses Adam (`paper` has the
paper's SGD).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core.schedule import exponential, linear
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.losses import adversarial
from sparring.networks import perceptron, sight
from sparring.networks.sight import seen


@dataclass(frozen=True)
class Config(sight.Config):
    data: Images | Points = Images()
    latent: int = 100
    """length of the noise vector z, uniform with variance 1"""
    hidden: tuple[int, ...] = (1200, 1200)
    """ReLU units in each of the generator's hidden layers"""
    maxout: tuple[int, ...] = (240, 240)
    """maxout units in each of the discriminator's hidden layers"""
    pieces: int = 5
    """linear pieces of a maxout unit; 1: leaky ReLUs in their place"""
    dropout_input: float = 0.2
    """share of its input that the discriminator drops in training"""
    dropout: float = 0.5
    """share of each hidden layer that the discriminator drops in training"""
    objective: Literal["non_saturating", "minimax"] = "non_saturating"
    """what the generator minimises: -log D(G(z)), or log(1 - D(G(z))), which saturates"""
    rounds: int = 1
    """k: discriminator updates for each generator update"""
    optimizer: core.Adam | core.Sgd = core.Adam(lr=1e-3, betas=(0.5, 0.999))
    final_rate: float = 0.1
    """share of Adam's learning rate that is left at the end"""
    steps: int = 20_000
    """generator updates in the whole run"""

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's MNIST run: SGD with momentum, batches of 100, 250 epochs of 50,000 digits."""
        return cls(batch=100, steps=125_000, ema=0.0, optimizer=core.Sgd(lr=0.1, momentum=0.5))

    @classmethod
    @core.preset
    def small(cls) -> Config:
        """A third of the weights, two pieces a unit, less dropout: learns digits in a minute."""
        return cls(hidden=(512, 512), maxout=(256, 256), pieces=2, dropout_input=0.0, dropout=0.3, steps=8_000)

    @classmethod
    @core.preset
    def ring(cls) -> Config:
        """Eight Gaussians on a ring, in the plane."""
        return cls(
            data=Points("ring"), latent=2, hidden=(128, 128), maxout=(128, 128), pieces=2, dropout_input=0, dropout=0,
            batch=256, steps=10_000, precision="float32", optimizer=core.Adam(lr=1e-3, betas=(0.5, 0.999)),
        )  # fmt: skip

    @classmethod
    @core.preset
    def grid(cls) -> Config:
        """Twenty-five Gaussians on a grid, in the plane: three layers of leaky ReLUs, and a rate that falls further."""
        return cls.ring().replace(
            data=Points("grid"), hidden=(128, 128, 128), maxout=(128, 128, 128), pieces=1, final_rate=0.01, steps=20_000
        )

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(latent=8, hidden=(16,), maxout=(16,), pieces=2, batch=8, steps=4, log_every=1)


class Model(tasks.Sample):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent = config.latent
        self.generator = perceptron.Generator(
            config.latent, config.hidden, config.data.shape, bounded=config.data.bounded
        )

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """z uniform in +-sqrt(3), which has variance 1."""
        shape = (count, self.latent)
        where = self.device if chance is None else torch.device("cpu")
        return ((torch.rand(shape, generator=chance, device=where) * 2 - 1) * math.sqrt(3)).to(self.device)


class Game(core.Game[Model, Config]):
    """Algorithm 1."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.discriminator = perceptron.Discriminator(
            config.seen_shape, config.maxout, config.pieces, config.dropout_input, config.dropout
        )
        if isinstance(config.optimizer, core.Sgd):
            perceptron.initialize(model.generator, 0.05)
            perceptron.initialize(self.discriminator, 0.005)
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.optimizer)
        self.generator_player = core.Player(model.generator, optimizer=config.optimizer)

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        model, notes, settings = self.model, core.Notes(), self.settings()
        for _ in range(self.config.rounds):
            real = self.parts(next(batches)[0])
            fake = core.Replay(model.generator, [model.noise(len(part)) for part in real])
            losses = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
            notes.note("discriminator", self.discriminator_player.minimize(losses, **settings))

        loss = self.generator_player.minimize((self.forge(forged) for forged in fake), **settings)
        return {**notes.means(), "generator": loss}

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        both = seen(torch.cat([real, fake]), self.config)
        real_score, fake_score = self.discriminator(both).chunk(2)
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score)

    def forge(self, fake: Tensor) -> Tensor:
        score = self.discriminator(seen(fake, self.config))
        return (
            adversarial.saturating(score) if self.config.objective == "minimax" else adversarial.non_saturating(score)
        )

    def score(self, examples: Tensor) -> Tensor | None:
        return self.discriminator(examples) if self.config.pack == 1 else None

    def settings(self) -> dict[str, float]:
        """The paper's decay by minibatch and growing momentum; for Adam a straight fall."""
        optimizer = self.config.optimizer
        if isinstance(optimizer, core.Adam):
            return {"lr": optimizer.lr * linear(1, self.config.final_rate, self.progress)}
        momentum = linear(optimizer.momentum, 0.7, self.clock / 125_000)
        return {"lr": exponential(optimizer.lr, 1.000004, 1e-6, self.clock), "momentum": momentum}
