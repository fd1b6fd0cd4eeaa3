"""SRGAN. Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a GAN", 2016. arXiv:1609.04802

A generator learns to enlarge photos pixel by pixel, then spars with a discriminator until their detail looks real.
Differs from the paper in: the default generator is the later one without batch norm that is added to the bilinear enlargement;
small pictures are rounded to 8 bits and go in as [-1, 1]; the rate falls in a straight line within each of the two phases; a
running average of the weights is shipped; without VGG19's weights, content is compared in fixed random features. The `paper`
preset has the paper's networks and losses and wants VGG19's weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sparring import core, tasks
from sparring.core.schedule import linear
from sparring.data.images import ImageBatch
from sparring.data.photos import Photos
from sparring.losses import adversarial, perceptual
from sparring.networks import upscaler, vgg
from sparring.tasks.upscale import lowered


@dataclass(frozen=True)
class Config(core.Config):
    data: Photos = Photos(size=64)
    scale: Literal[2, 4] = 4
    """how many times as long the sides of a picture become"""
    network: Literal["msr", "srresnet", "rrdb"] = "msr"
    """the generator: the paper's SRResNet; MSRResNet, the same without batch norm on top of a bilinear enlargement; or
    ESRGAN's dense blocks in residual blocks, which enlarge by 4"""
    blocks: int = 8
    """residual blocks of the generator"""
    width: int = 32
    """channels of the generator"""
    discriminator_width: int = 16
    """channels of the discriminator's finest map; doubled with every halving"""
    features: str = vgg.RANDOM
    """what content is compared in: a file of torchvision's VGG19 weights (.pth, .safetensors), a judge that `sparring judge
    train` made (.safetensors), or random: fixed weights"""
    layer: str = "2_2"
    """phi: the layer that is compared; 5_4 is the fourth convolution of the fifth block"""
    content: float = 1.0
    """weight of the content loss; the paper has 1 / 12.75^2 for VGG19's layer 5_4"""
    adversarial: float = 1e-3
    """weight of the adversarial loss"""
    pretraining: float = 0.6
    """share of the run in which the generator learns by mean squared error alone; 1 trains SRResNet and no GAN"""
    batch: int = 16
    """examples in a batch (on each process)"""
    adam: core.Adam = core.Adam(lr=1e-3, betas=(0.9, 0.999))
    adversarial_rate: float = 2e-4
    """learning rate of both players once they spar"""
    final_rate: float = 0.1
    """share of each of the two learning rates that is left at the end of its phase"""
    steps: int = 15_000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.pretraining <= 1:
            raise core.UserError(f"--pretraining is a share of the run, from 0 to 1, not {self.pretraining}")
        upscaler.check_crop(self.data.size, self.scale)

    @classmethod
    @core.preset
    def resnet(cls) -> Config:
        """SRResNet: mean squared error alone, for the best PSNR."""
        return cls(pretraining=1.0)

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks and losses; wants VGG19's weights, as vgg19-dcbb9e9d.pth unless --features says otherwise."""
        return cls(
            data=Photos(size=96), network="srresnet", blocks=16, width=64, discriminator_width=64,
            features="vgg19-dcbb9e9d.pth", layer="5_4", content=1 / 12.75**2,
            pretraining=5 / 6, steps=1_200_000, ema=0.0,
            adam=core.Adam(lr=1e-4, betas=(0.9, 0.999)), adversarial_rate=1e-4,
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Photos("digits", size=28), network="srresnet", blocks=1, width=4, discriminator_width=4, pretraining=0.0,
            batch=8, steps=4, log_every=1,
        )  # fmt: skip


NETWORKS: dict[str, type[upscaler.Msr | upscaler.SRResNet | upscaler.Rrdb]] = {
    "msr": upscaler.Msr, "srresnet": upscaler.SRResNet, "rrdb": upscaler.Rrdb,
}  # fmt: skip


class Model(tasks.Upscale):
    def __init__(self, config: Config):
        super().__init__(config)
        network = NETWORKS[config.network](config.data.shape[0], config.scale, config.blocks, config.width)
        self.generator: nn.Module = network
        self.scale, self.reach = config.scale, network.reach


class Game(core.Game[Model, Config]):
    """Sections 2.2 and 3.2: first the pixels, then the game."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        channels, size, _ = config.data.shape
        self.discriminator = upscaler.NormalisedDiscriminator(channels, size, config.discriminator_width)
        self.features = vgg.features(config.features, [config.layer])
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        generator, notes, share = self.model.generator, core.Notes(), self.config.pretraining
        real = self.parts(next(batches).image)
        small = [lowered(part, self.config.scale) for part in real]
        if self.progress < share:
            rate = self.config.adam.lr * linear(1, self.config.final_rate, self.progress / share)
            errors = (perceptual.mean_squared(generator(given), part) for given, part in zip(small, real))
            return {"pixels": self.generator_player.minimize(errors, lr=rate)}

        played = (self.progress - share) / (1 - share) if share < 1 else 1.0
        rate = self.config.adversarial_rate * linear(1, self.config.final_rate, played)
        fake = core.Replay(generator, small)
        judged = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
        discriminator_loss = self.discriminator_player.minimize(judged, lr=rate)
        losses = (self.perceive(part, forged, notes) for part, forged in zip(real, fake))
        generator_loss = self.generator_player.minimize(losses, lr=rate)
        return {"discriminator": discriminator_loss, "generator": generator_loss, **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equation 2. Real and fake pass one after the other: batch norm must not mix them."""
        real_score, fake_score = self.discriminator(real), self.discriminator(fake)
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score)

    def perceive(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equation 3: content and adversarial loss."""
        with torch.no_grad():
            (wanted,) = self.features(real)
            notes.note("pixels", perceptual.mean_squared(fake, real))
        (found,) = self.features(fake)
        content = perceptual.mean_squared(found, wanted)
        fooled = adversarial.non_saturating(self.discriminator(fake))
        notes.note("content", content)
        notes.note("fooled", fooled)
        return self.config.content * content + self.config.adversarial * fooled

    def score(self, examples: Tensor) -> Tensor:
        return self.discriminator(examples)
