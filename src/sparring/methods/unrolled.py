"""Unrolled GAN. Metz et al., "Unrolled Generative Adversarial Networks", 2016. arXiv:1611.02163

The generator plays against the discriminator as it will be K updates from now, so it gains nothing by crowding where the
discriminator looks away for a moment.
Differs from the paper in: the players move in turn, so that the lookahead starts from the discriminator that has just
moved (and K = 0 is the plain game of `gan`), where the paper's move at once; Adam's eps stands inside the root while
looking ahead; learning rates fall towards the end; the default preset's networks are small ones for digits, the
discriminator's without batch norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sparring import core, tasks
from sparring.core.schedule import linear
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.losses import adversarial
from sparring.losses.lookahead import look_ahead
from sparring.networks import multilayer, unequal

Seen = Tensor | unequal.Columns


@dataclass(frozen=True)
class Config(core.Config):
    data: Images | Stacked | Points = Images()
    latent: int = 64
    """length of the noise vector z, from N(0, 1)"""
    lookahead: int = 5
    """K: discriminator updates that the generator looks ahead; 0 is the plain game"""
    objective: Literal["minimax", "non_saturating"] = "minimax"
    """what the generator minimises against the discriminator to come: minus its loss, or -log D(G(z))"""
    width: int = 12
    """pictures: the generator's channels at the full size; doubled with every halving"""
    discriminator_width: int = 8
    """pictures: the discriminator's channels at half the full size; doubled with every halving"""
    hidden: tuple[int, ...] = (128, 128)
    """points: units in each hidden layer of both networks"""
    activation: Literal["relu", "tanh"] = "relu"
    """points: what each hidden unit computes; the paper has ReLUs, the authors' notebook tanh"""
    gain: float = 1.4
    """points: gain of the orthogonal weights to start with"""
    generator_optimizer: core.Adam | core.Sgd = core.Adam(lr=2e-3, betas=(0.5, 0.99))
    discriminator_optimizer: core.Adam | core.Sgd = core.Adam(lr=1e-3, betas=(0.5, 0.99))
    final_rate: float = 0.1
    """share of the learning rates that is left at the end"""
    steps: int = 3000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lookahead < 0:
            raise core.UserError(f"--lookahead must be at least 0, not {self.lookahead}")
        for name, value in (("width", self.width), ("discriminator-width", self.discriminator_width)):
            if value < 1:
                raise core.UserError(f"--{name} must be at least 1, not {value}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The authors' published run on the ring: z of 256, batches of 512, 25,000 updates."""
        return cls(
            data=Points("ring"), latent=256, activation="tanh", batch=512, steps=25_000, ema=0.0, final_rate=1.0,
            precision="float32",
            generator_optimizer=core.Adam(lr=1e-3, betas=(0.5, 0.999)),
            discriminator_optimizer=core.Adam(lr=1e-4, betas=(0.5, 0.999)),
        )  # fmt: skip

    @classmethod
    @core.preset
    def ring(cls) -> Config:
        """Eight Gaussians on a ring, in the plane."""
        return cls(
            data=Points("ring"), latent=2, batch=256, steps=5000, precision="float32",
            generator_optimizer=core.Adam(lr=2e-3, betas=(0.5, 0.999)),
            discriminator_optimizer=core.Adam(lr=2e-3, betas=(0.5, 0.999)),
        )  # fmt: skip

    @classmethod
    @core.preset
    def grid(cls) -> Config:
        """Twenty-five Gaussians on a grid, in the plane."""
        return cls.ring().replace(data=Points("grid"))

    @classmethod
    @core.preset
    def stacked(cls) -> Config:
        """Two digits, one in red and one in green: 100 modes, and a discriminator of a quarter of the generator's channels."""
        return cls(
            data=Stacked("stacked:digits", channels=2), latent=256, batch=128, width=8, discriminator_width=2,
            steps=10_000, lookahead=10,
            generator_optimizer=core.Adam(lr=1e-3, betas=(0.5, 0.99)),
            discriminator_optimizer=core.Adam(lr=2e-3, betas=(0.5, 0.99)),
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Images(size=16), latent=8, width=2, discriminator_width=2, lookahead=2, batch=8, steps=4, log_every=1
        )


class Model(tasks.Sample):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent = config.latent
        self.generator: nn.Module
        if isinstance(config.data, Points):
            made = math.prod(config.data.shape)
            activation = torch.tanh if config.activation == "tanh" else torch.relu
            self.generator = multilayer.Multilayer(config.latent, config.hidden, made, activation)
            multilayer.orthogonal(self.generator, config.gain)
        else:
            self.generator = unequal.Generator(config.latent, config.data.shape, config.width)


class Game(core.Game[Model, Config]):
    """Section 2.2: the generator descends the surrogate f(theta_G, theta_D^K(theta_G, theta_D)), the discriminator f."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.discriminator: nn.Module
        if isinstance(config.data, Points):
            activation = torch.tanh if config.activation == "tanh" else torch.relu
            self.discriminator = multilayer.Score(config.data.shape, config.hidden, activation)
            multilayer.orthogonal(self.discriminator, config.gain)
        else:
            self.discriminator = unequal.Discriminator(config.data.shape, config.discriminator_width)
        self.names = [name for name, _ in self.discriminator.named_parameters()]
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.discriminator_optimizer)
        self.generator_player = core.Player(model.generator, optimizer=config.generator_optimizer)

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        model, config, notes = self.model, self.config, core.Notes()
        generator_rate, discriminator_rate = (
            linear(optimizer.lr, optimizer.lr * config.final_rate, self.progress)
            for optimizer in (config.generator_optimizer, config.discriminator_optimizer)
        )
        real = self.parts(next(batches)[0])
        fake = core.Replay(model.generator, [model.noise(len(part)) for part in real])

        losses = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
        discriminator_loss = self.discriminator_player.minimize(losses, lr=discriminator_rate)
        surrogates = (self.surrogate(part, forged, discriminator_rate) for part, forged in zip(real, fake))
        generator_loss = self.generator_player.minimize(surrogates, lr=generator_rate)
        return {"discriminator": discriminator_loss, "generator": generator_loss, **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        real_score, fake_score = self.scores(self.discriminator_player.weights, self.seen(real, fake))
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score)

    def surrogate(self, real: Tensor, fake: Tensor, rate: float) -> Tensor:
        """f_K of equation 10, in float32: the discriminator's weights are functions of the forgeries, and so is D_K(x)."""
        if not self.config.lookahead:
            return self.forge(self.discriminator(fake))

        def loss(weights: Sequence[Tensor]) -> Tensor:
            return adversarial.discriminator_loss(*self.scores(weights, seen))

        with torch.autocast(real.device.type, enabled=False):
            seen = self.seen(real, fake)
            ahead = look_ahead(self.discriminator_player, loss, self.config.lookahead, rate)
            real_score, fake_score = self.scores(ahead, seen)
        if self.config.objective == "minimax":
            return -adversarial.discriminator_loss(real_score, fake_score)
        return self.forge(fake_score)

    def forge(self, fake_score: Tensor) -> Tensor:
        if self.config.objective == "minimax":
            return adversarial.saturating(fake_score)
        return adversarial.non_saturating(fake_score)

    def seen(self, real: Tensor, fake: Tensor) -> Seen:
        """Both in one batch, and what all passes of it share."""
        both = torch.cat([real, fake])
        unequal_pair = isinstance(self.discriminator, unequal.Discriminator)
        return unequal.columns(both.transpose(0, 1)) if unequal_pair else both

    def scores(self, weights: Sequence[Tensor], seen: Seen) -> tuple[Tensor, Tensor]:
        """Logits of the real and the forged under these weights."""
        real_score, fake_score = functional_call(self.discriminator, dict(zip(self.names, weights)), (seen,)).chunk(2)
        return real_score, fake_score

    def score(self, examples: Tensor) -> Tensor:
        return self.discriminator(examples)
