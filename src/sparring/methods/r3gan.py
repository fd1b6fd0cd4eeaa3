"""R3GAN. Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2024. arXiv:2501.05441

The discriminator compares a real example with a forgery, and zero-centred penalties at both make the game settle by itself.
Differs from the paper in: the generator steps on the forgeries and the real partners of the discriminator's step, where the
paper draws new ones; no augmentation unless asked for (`--augment`); schedules run over the whole run, where the paper's end
before it does; the running average has one decay. The default preset has DCGAN's generator and a strided critic, which in
minutes on a processor come much further than the paper's residual networks (`modern`: those, narrow, with squares of 2 x 2
pixels seen as one; `paper`: the CIFAR-10 run), and learns faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparring import core, tasks
from sparring.core.schedule import cosine
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.losses import adversarial, penalties
from sparring.networks import convolutional, critic, perceptron, residual, sight
from sparring.networks.sight import seen


@dataclass(frozen=True)
class Config(sight.Config):
    data: Images | Stacked | Points = Images()
    latent: int = 64
    """length of the noise vector z"""
    backbone: Literal["strided", "residual"] = "strided"
    """DCGAN's generator and a critic of strided convolutions, or the paper's residual networks (images)"""
    width: int = 32
    """channels of both networks' finest map, strided: at half the size; doubled with every halving (images)"""
    widest: int = 4
    """residual: channels grow up to so many times the finest map's (images)"""
    blocks: int = 1
    """residual: blocks on every map (images)"""
    patch: int = 2
    """residual: side of the squares of pixels that the networks see as one; 1 for the paper's networks (images)"""
    hidden: tuple[int, ...] = (128, 128, 128)
    """units in each hidden layer of both networks (points)"""
    penalty: float = 1.0
    """gamma: weight of the penalties R1 and R2 on the slope at real examples and at forgeries"""
    final_penalty: float = 0.1
    """gamma at the end, as a share of the start's"""
    adam: core.Adam = core.Adam(lr=1e-3, betas=(0.0, 0.9))
    final_rate: float = 0.1
    """share of the learning rate that is left at the end"""
    final_decay: float = 0.99
    """beta_2 at the end: the optimizer's memory grows as the game slows down"""
    steps: int = 8000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.penalty >= 0:
            raise core.UserError(f"--penalty must be at least 0, not {self.penalty}")
        if self.widest < 1:
            raise core.UserError(f"--widest must be at least 1, not {self.widest}")
        if self.blocks < 0:
            raise core.UserError(f"--blocks must be at least 0, not {self.blocks}")
        if not 0 <= self.final_decay < 1:
            raise core.UserError(f"--final-decay must be at least 0 and below 1, not {self.final_decay}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's CIFAR-10 run: 768 channels on each of four maps, two blocks each, 20 million images by batches of 512."""
        return cls(
            data=Images("cifar10", size=32, channels=3, flip=True), backbone="residual", width=768, widest=1, blocks=2,
            patch=1, penalty=0.05, batch=512, steps=39_063, ema=0.9999, adam=core.Adam(lr=2e-4, betas=(0.0, 0.9)),
            final_rate=0.25,
        )  # fmt: skip

    @classmethod
    @core.preset
    def modern(cls) -> Config:
        """The paper's kind of networks, narrow."""
        return cls(backbone="residual", width=24)

    @classmethod
    @core.preset
    def ring(cls) -> Config:
        """Eight Gaussians on a ring, in the plane."""
        return cls(
            data=Points("ring"), latent=2, penalty=0.1, batch=256, steps=8_000, precision="float32", final_rate=0.01,
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
        return cls(data=Images(size=16), latent=8, width=4, batch=8, steps=4, log_every=1)


class Model(tasks.Sample):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent, shape = config.latent, config.data.shape
        self.generator: nn.Module
        if not config.data.bounded:
            self.generator = perceptron.Generator(config.latent, config.hidden, shape, bounded=False)
        elif config.backbone == "strided":
            self.generator = convolutional.Generator(config.latent, shape, config.width)
        else:
            self.generator = residual.Generator(
                config.latent, shape, config.width, config.widest, config.blocks, config.patch
            )


class Game(core.Game[Model, Config]):
    """Section 2, equations 2 and 5."""

    relative = True

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        shape = config.seen_shape
        self.discriminator: nn.Module
        if not config.data.bounded:
            self.discriminator = critic.Dense(shape, config.hidden)
        elif config.backbone == "strided":
            self.discriminator = critic.Strided(shape, config.width)
        else:
            self.discriminator = residual.Discriminator(shape, config.width, config.widest, config.blocks, config.patch)
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        model, notes, settings = self.model, core.Notes(), self.settings()
        real = self.parts(next(batches)[0])
        fake = core.Replay(model.generator, [model.noise(len(part)) for part in real])

        judged = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
        discriminator_loss = self.discriminator_player.minimize(judged, **settings)
        fooled = (self.forge(part, forged) for part, forged in zip(real, fake))
        generator_loss = self.generator_player.minimize(fooled, **settings)
        return {"discriminator": discriminator_loss, "generator": generator_loss, **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """The relativistic loss with both penalties; all in float32, for one pass gives scores and slopes."""
        weight = self.config.penalty * cosine(1, self.config.final_penalty, self.progress)
        both = seen(torch.cat([real, fake]), self.config)
        scores, steepness = penalties.scores_and_steepness(self.discriminator, both)
        real_score, fake_score = scores.chunk(2)
        r1, r2 = (penalties.slope_from_zero(part, weight) for part in steepness.chunk(2))
        # Of a pair, how often each is taken for the real one: the scores themselves have no zero.
        notes.note("D(x)", (real_score - fake_score).sigmoid().mean())
        notes.note("D(G(z))", (fake_score - real_score).sigmoid().mean())
        notes.note("R1", r1)
        notes.note("R2", r2)
        return adversarial.relativistic(real_score, fake_score) + r1 + r2

    def forge(self, real: Tensor, fake: Tensor) -> Tensor:
        with torch.no_grad():
            real_score = self.discriminator(seen(real, self.config))
        return adversarial.relativistic(self.discriminator(seen(fake, self.config)), real_score)

    def score(self, examples: Tensor) -> Tensor | None:
        return self.discriminator(examples) if self.config.pack == 1 else None

    def settings(self) -> dict[str, Any]:
        """Cosines from start to end: the rate falls, the optimizer's memory grows."""
        config, (momentum, decay) = self.config, self.config.adam.betas
        rate = config.adam.lr * cosine(1, config.final_rate, self.progress)
        return {"lr": rate, "betas": (momentum, cosine(decay, config.final_decay, self.progress))}
