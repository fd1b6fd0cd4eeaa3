"""EnhanceNet. Sajjadi et al., "Single Image Super-Resolution Through Automated Texture Synthesis", 2017. arXiv:1612.07919

A generator adds detail to a bicubic enlargement so that its features, its textures and a discriminator take it for real.
Differs from the paper in: small networks by default, which first learn by mean squared error for a share of the run, then
spar with less weight and stay held to the pixels; the rate falls; a running average of the weights is shipped; when the
discriminator waits is our choice; without VGG19's weights, features are those of fixed random ones. The `paper` preset has
the paper's networks, losses and rates and wants VGG19's weights. `e`, `p` and `pa` are the paper's ablations at the default's
size, `pat` is the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core import distributed
from sparring.core.schedule import linear
from sparring.data.images import ImageBatch
from sparring.data.photos import Photos
from sparring.losses import adversarial, perceptual
from sparring.networks import upscaler, vgg
from sparring.tasks.upscale import lowered

_PERCEPTUAL, _TEXTURE = ("pool2", "pool5"), ("1_1", "2_1", "3_1")


@dataclass(frozen=True)
class Config(core.Config):
    data: Photos = Photos(size=64)
    scale: Literal[2, 4] = 4
    """how many times as long the sides of a picture become"""
    blocks: int = 10
    """residual blocks of the generator"""
    width: int = 32
    """channels of the generator"""
    discriminator_width: int = 16
    """channels of the discriminator's finest map; doubled with every halving"""
    features: str = vgg.RANDOM
    """what perception and textures are compared in: a file of torchvision's VGG19 weights (.pth, .safetensors), a
    judge that `sparring judge train` made (.safetensors), or random"""
    pixels: float = 4.0
    """E: weight of the mean squared error of pixels; the paper's P, PA and PAT have none, but random features want it: those
    after a pooling leave patterns of a few pixels free"""
    perceptual: tuple[float, float] = (2e-1, 2e-2)
    """P: weights of the mean squared error of features after the second and the fifth pooling"""
    texture: tuple[float, float, float] = (3e-7, 1e-6, 1e-6)
    """T: weights of the textures after the first convolution of the first, second and third block"""
    adversarial: float = 0.05
    """A: weight of the adversarial loss; the paper has 2, at which a small discriminator did not learn"""
    confident: float = 0.8
    """the discriminator learns only while it was right, in the step before, about fewer real or fewer forged ones than this"""
    pretraining: float = 0.4
    """share of the run in which the generator learns by mean squared error alone"""
    batch: int = 16
    """examples in a batch (on each process)"""
    adam: core.Adam = core.Adam(lr=5e-4, betas=(0.9, 0.999))
    final_rate: float = 0.1
    """share of the learning rate that is left at the end"""
    steps: int = 12_000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.pretraining <= 1:
            raise core.UserError(f"--pretraining is a share of the run, from 0 to 1, not {self.pretraining}")
        if not any((self.pixels, *self.perceptual, *self.texture, self.adversarial)):
            raise core.UserError("one of --pixels, --perceptual, --texture and --adversarial must be above 0")
        upscaler.check_crop(self.data.size, self.scale)

    @classmethod
    @core.preset
    def e(cls) -> Config:
        """ENet-E: mean squared error alone, for the best PSNR."""
        return cls(pixels=1.0, perceptual=(0.0, 0.0), texture=(0.0, 0.0, 0.0), adversarial=0.0)

    @classmethod
    @core.preset
    def p(cls) -> Config:
        """ENet-P: the perceptual loss alone."""
        return cls(texture=(0.0, 0.0, 0.0), adversarial=0.0)

    @classmethod
    @core.preset
    def pa(cls) -> Config:
        """ENet-PA: the perceptual and the adversarial loss."""
        return cls(texture=(0.0, 0.0, 0.0), adversarial=cls.adversarial / 2)

    @classmethod
    @core.preset
    def pat(cls) -> Config:
        """ENet-PAT: the perceptual, the adversarial and the texture loss."""
        return cls()

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's ENet-PAT; wants VGG19's weights, as vgg19-dcbb9e9d.pth unless --features says otherwise."""
        return cls(
            data=Photos(size=128), width=64, discriminator_width=32, features="vgg19-dcbb9e9d.pth",
            pixels=0.0, adversarial=2.0, pretraining=0.0, steps=1_000_000, ema=0.0,
            adam=core.Adam(lr=1e-4, betas=(0.9, 0.999)), final_rate=1.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Photos("digits", size=28), blocks=1, width=4, discriminator_width=4, pretraining=0.0, batch=8, steps=4,
            log_every=1,
        )  # fmt: skip


class Model(tasks.Upscale):
    def __init__(self, config: Config):
        super().__init__(config)
        self.generator = upscaler.EnhanceNet(config.data.shape[0], config.scale, config.blocks, config.width)
        self.scale, self.reach = config.scale, self.generator.reach


class Game(core.Game[Model, Config]):
    """Section 4.2: the sum of the losses that have a weight."""

    right: Tensor

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        channels, size, _ = config.data.shape
        self.discriminator = upscaler.PlainDiscriminator(channels, size, config.discriminator_width)
        self.features = vgg.features(config.features, [*_PERCEPTUAL, *_TEXTURE])
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)
        # Shares of the real and of the forged pictures that the discriminator was right about in the step before.
        self.register_buffer("right", torch.zeros(2))

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        generator, notes = self.model.generator, core.Notes()
        rate = self.config.adam.lr * linear(1, self.config.final_rate, self.progress)
        real = self.parts(next(batches).image)
        small = [lowered(part, self.config.scale) for part in real]
        if self.progress < self.config.pretraining:
            errors = (perceptual.mean_squared(generator(given), part) for given, part in zip(small, real))
            return {"pixels": self.generator_player.minimize(errors, lr=rate)}

        fake = core.Replay(generator, small)
        if self.config.adversarial:
            self.oppose(real, fake, rate, notes)
        losses = (self.perceive(part, forged, notes) for part, forged in zip(real, fake))
        return {"generator": self.generator_player.minimize(losses, lr=rate), **notes.means()}

    def oppose(self, real: tuple[Tensor, ...], fake: core.Replay, rate: float, notes: core.Notes) -> None:
        """Section 4.2.4: the discriminator learns only while it is not sure of both."""
        judged = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
        if self.right.min() < self.config.confident:
            notes.note("discriminator", self.discriminator_player.minimize(judged, lr=rate))
        else:
            with torch.no_grad():
                notes.note("discriminator", torch.stack(list(judged)).mean())
        means = notes.means()
        self.right.copy_(torch.stack([means["right, real"], means["right, forged"]]))
        distributed.average([self.right])

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equation 7."""
        real_score, fake_score = self.discriminator(real), self.discriminator(fake)
        notes.note("right, real", (real_score > 0).float().mean())
        notes.note("right, forged", (fake_score < 0).float().mean())
        return adversarial.discriminator_loss(real_score, fake_score)

    def perceive(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equations 2, 4, 5 and 6."""
        config = self.config
        loss = config.pixels * (pixels := perceptual.mean_squared(fake, real))
        notes.note("pixels", pixels)
        if any((*config.perceptual, *config.texture)):
            with torch.no_grad():
                wanted = [perceptual.level(maps) for maps in self.features(real)]
            found = [perceptual.level(maps) for maps in self.features(fake)]
            cut = len(_PERCEPTUAL)
            content = [perceptual.mean_squared(*pair) for pair in zip(found[:cut], wanted[:cut])]
            texture = [perceptual.texture(*pair) for pair in zip(found[cut:], wanted[cut:])]
            notes.note("perceptual", _sum(content, config.perceptual))
            notes.note("texture", _sum(texture, config.texture))
            loss = loss + _sum(content, config.perceptual) + _sum(texture, config.texture)
        if config.adversarial:
            fooled = adversarial.non_saturating(self.discriminator(fake))
            notes.note("fooled", fooled)
            loss = loss + config.adversarial * fooled
        return loss

    def score(self, examples: Tensor) -> Tensor:
        return self.discriminator(examples)


def _sum(losses: list[Tensor], weights: tuple[float, ...]) -> Tensor:
    return torch.stack([weight * loss for weight, loss in zip(weights, losses)]).sum()
