"""WGAN. Arjovsky, Chintala & Bottou, "Wasserstein GAN", 2017. arXiv:1701.07875

A critic with bounded weights estimates how far the forgeries lie from the data, and the generator brings the distance down.
Differs from the paper in: the critic gives real examples the higher value, as in its equations and unlike its code; the
warm-up of 100 critic rounds is its code's, which the paper leaves out; the generator steps on the forgeries of the critic's
last round; weights are bounded from the start, and the critic is bounded when the generator meets it, as in Algorithm 1 (its
code bounds before the step, so that the generator meets a critic one step outside). The default preset has a higher rate,
which falls, narrower networks and a running average of the weights; `paper` has the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sparring import core, tasks
from sparring.core.schedule import linear
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.losses import adversarial
from sparring.networks import convolutional, critic, perceptron, sight
from sparring.networks.sight import seen


@dataclass(frozen=True)
class Config(sight.Config):
    data: Images | Stacked | Points = Images()
    latent: int = 100
    """length of the noise vector z"""
    width: int = 24
    """channels of both networks at half the full size; doubled with every halving (images)"""
    hidden: tuple[int, ...] = (128, 128, 128)
    """units in each hidden layer of both networks (points)"""
    clip: float = 0.01
    """c: every weight of the critic is kept within -c and c"""
    critic_rounds: int = 5
    """n_critic: critic updates for each generator update"""
    warm_rounds: int = 100
    """critic updates for each of the first generator updates, and again every now and then"""
    warm_steps: int = 25
    """generator updates that have so many at the start"""
    warm_every: int = 500
    """generator updates between two that have so many again; 0: never"""
    optimizer: core.RmsProp = core.RmsProp(lr=5e-4)
    final_rate: float = 0.1
    """share of the learning rate that is left at the end"""
    steps: int = 4000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        rounds = (("critic-rounds", self.critic_rounds, 1), ("warm-rounds", self.warm_rounds, 1))
        for flag, value, least in (*rounds, ("warm-steps", self.warm_steps, 0), ("warm-every", self.warm_every, 0)):
            if value < least:
                raise core.UserError(f"--{flag} must be at least {least}, not {value}")
        if not self.clip > 0:
            raise core.UserError(f"--clip must be above 0, not {self.clip}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks at 64 px and its rate; steps are our guess, for it reports none."""
        return cls(
            data=Images(size=64), width=64, optimizer=core.RmsProp(lr=5e-5), final_rate=1.0, steps=200_000, ema=0.0
        )

    @classmethod
    @core.preset
    def ring(cls) -> Config:
        """Eight Gaussians on a ring, in the plane."""
        return cls(
            data=Points("ring"), latent=2, clip=0.1, warm_steps=5, warm_every=0, batch=256, steps=8_000,
            precision="float32", optimizer=core.RmsProp(lr=5e-4), final_rate=0.01,
        )  # fmt: skip

    @classmethod
    @core.preset
    def grid(cls) -> Config:
        """Twenty-five Gaussians on a grid, in the plane."""
        return cls.ring().replace(data=Points("grid"))

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Images(size=16), latent=8, width=4, critic_rounds=2, warm_rounds=3, warm_steps=1, batch=8, steps=4,
            log_every=1,
        )  # fmt: skip


class Model(tasks.Sample):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent, shape = config.latent, config.data.shape
        self.generator: nn.Module = (
            convolutional.Generator(config.latent, shape, config.width)
            if config.data.bounded
            else perceptron.Generator(config.latent, config.hidden, shape, bounded=False)
        )


class Game(core.Game[Model, Config]):
    """Algorithm 1."""

    relative = True

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        shape = config.seen_shape
        self.critic: nn.Module = (
            convolutional.Discriminator(shape, config.width)
            if config.data.bounded
            else critic.Dense(shape, config.hidden)
        )
        self.critic_player = core.Player(self.critic, optimizer=config.optimizer)
        self.generator_player = core.Player(model.generator, optimizer=config.optimizer)
        self.clip()

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        model, notes = self.model, core.Notes()
        rate = self.config.optimizer.lr * linear(1, self.config.final_rate, self.progress)
        for _ in range(self.rounds):
            real = self.parts(next(batches)[0])
            fake = core.Replay(model.generator, [model.noise(len(part)) for part in real])
            losses = (adversarial.wasserstein(self.value(part), self.value(forged.detach()))
                      for part, forged in zip(real, fake))  # fmt: skip
            notes["distance"] = [-self.critic_player.minimize(losses, lr=rate)]
            self.clip()

        valued = (adversarial.wasserstein_generator(self.value(forged)) for forged in fake)
        return {"generator": self.generator_player.minimize(valued, lr=rate), **notes.means()}

    @property
    def rounds(self) -> int:
        """Updates of the critic in this step: many while it has to find its feet, and at times later."""
        config, every = self.config, self.config.warm_every
        again = every > 0 and self.clock > 0 and self.clock % every == 0
        return config.warm_rounds if self.clock < config.warm_steps or again else config.critic_rounds

    @torch.no_grad()
    def clip(self) -> None:
        """w <- clip(w, -c, c)."""
        for weight in self.critic_player.weights:
            weight.clamp_(-self.config.clip, self.config.clip)

    def value(self, examples: Tensor) -> Tensor:
        return self.critic(seen(examples, self.config))

    def score(self, examples: Tensor) -> Tensor | None:
        """The critic's value: higher is more real, on an open scale."""
        return self.critic(examples) if self.config.pack == 1 else None
