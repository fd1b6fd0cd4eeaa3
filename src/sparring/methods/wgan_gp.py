"""WGAN-GP. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017. arXiv:1704.00028

A critic estimates how far the forgeries lie from the data, and a penalty, not a bound on its weights, keeps its slope near one.
Differs from the paper in: the generator has batch norm, as in the paper's DCGAN and not in its MNIST script, and steps on the
forgeries of the critic's last round; kernels of 4 px and a higher rate, which falls, in the default preset (`paper` has the
5 px and the rate of the MNIST script). The slope is penalised in float32 throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparring import core, tasks
from sparring.core.schedule import linear
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.losses import adversarial, penalties
from sparring.networks import convolutional, critic, perceptron, sight
from sparring.networks.sight import seen


@dataclass(frozen=True)
class Config(sight.Config):
    data: Images | Stacked | Points = Images()
    latent: int = 128
    """length of the noise vector z"""
    width: int = 24
    """channels of both networks at half the full size; doubled with every halving (images)"""
    kernel: Literal[4, 5] = 4
    """side of the kernels (images)"""
    hidden: tuple[int, ...] = (128, 128, 128)
    """units in each hidden layer of both networks (points)"""
    penalty: float = 10.0
    """lambda: weight of the penalty on slopes other than one"""
    critic_rounds: int = 5
    """n_critic: critic updates for each generator update"""
    adam: core.Adam = core.Adam(lr=5e-4, betas=(0.0, 0.9))
    final_rate: float = 0.1
    """share of the learning rate that is left at the end"""
    steps: int = 4000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.critic_rounds < 1:
            raise core.UserError(f"--critic-rounds must be at least 1, not {self.critic_rounds}")
        if not self.penalty >= 0:
            raise core.UserError(f"--penalty must be at least 0, not {self.penalty}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The authors' MNIST script: kernels of 5 px, 64 to 256 channels, batches of 50, a constant rate."""
        return cls(
            width=64, kernel=5, batch=50, steps=200_000, ema=0.0, adam=core.Adam(lr=1e-4, betas=(0.5, 0.9)),
            final_rate=1.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def ring(cls) -> Config:
        """Eight Gaussians on a ring, in the plane."""
        return cls(
            data=Points("ring"), latent=2, penalty=0.1, batch=256, steps=8_000, precision="float32",
            adam=core.Adam(lr=1e-3, betas=(0.5, 0.9)), final_rate=0.01,
        )  # fmt: skip

    @classmethod
    @core.preset
    def grid(cls) -> Config:
        """Twenty-five Gaussians on a grid, in the plane."""
        return cls.ring().replace(data=Points("grid"), steps=12_000)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(data=Images(size=16), latent=8, width=4, critic_rounds=2, batch=8, steps=4, log_every=1)


class Model(tasks.Sample):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent, shape = config.latent, config.data.shape
        self.generator: nn.Module = (
            convolutional.Generator(config.latent, shape, config.width, config.kernel)
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
            critic.Strided(shape, config.width, config.kernel)
            if config.data.bounded
            else critic.Dense(shape, config.hidden)
        )
        self.critic_player = core.Player(self.critic, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        model, notes = self.model, core.Notes()
        rate = self.config.adam.lr * linear(1, self.config.final_rate, self.progress)
        for _ in range(self.config.critic_rounds):
            real = self.parts(next(batches)[0])
            fake = core.Replay(model.generator, [model.noise(len(part)) for part in real])
            losses = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
            self.critic_player.minimize(losses, lr=rate)

        valued = (adversarial.wasserstein_generator(self.critic(seen(forged, self.config))) for forged in fake)
        return {"generator": self.generator_player.minimize(valued, lr=rate), **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equation 3."""
        real, fake = seen(real, self.config), seen(fake, self.config)
        loss = adversarial.wasserstein(*self.critic(torch.cat([real, fake])).chunk(2))
        _, steepness = penalties.scores_and_steepness(self.critic, penalties.between(real, fake))
        penalty = penalties.slope_from_one(steepness)
        notes.note("distance", -loss)
        notes.note("penalty", penalty)
        notes.note("slope", penalties.slope_of(steepness).mean())
        return loss + self.config.penalty * penalty

    def score(self, examples: Tensor) -> Tensor | None:
        """The critic's value: higher is more real, on an open scale."""
        return self.critic(examples) if self.config.pack == 1 else None
