"""DCGAN. Radford, Metz & Chintala, "Unsupervised Representation Learning with Deep Convolutional GANs", 2015. arXiv:1511.06434

Strided convolutions, batch norm and no hidden dense layers make two convolutional networks spar stably.
Differs from the paper in: kernels of 4 px, which fit a stride of 2 without overlap artefacts; more layers in the
generator's coarsest map, which let it draw clean digits where without them one in six is malformed; a discriminator of half its
width and a higher learning rate, which falls towards the end; a running average of the weights is shipped. The
`paper` preset has the paper's kernels, widths and rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core.media import grid
from sparring.core.schedule import linear
from sparring.data.images import ImageBatch, Images
from sparring.data.stacked import Stacked
from sparring.losses import adversarial
from sparring.networks import convolutional, sight
from sparring.networks.guided import guided
from sparring.networks.sight import seen


@dataclass(frozen=True)
class Config(sight.Config):
    data: Images | Stacked = Images()
    latent: int = 100
    """length of the noise vector z"""
    noise: Literal["normal", "uniform"] = "normal"
    """z from N(0, 1), or uniform in [-1, 1] as in the paper"""
    width: int = 48
    """channels at half the full size; doubled with every halving"""
    discriminator_width: int = 24
    """the discriminator's; at half the generator's it does not outrun it. 0: the same as the generator's"""
    depth: int = 2
    """convolutions in the generator's coarsest map, before the first doubling; the paper has none"""
    kernel: Literal[4, 5] = 4
    """side of the kernels"""
    adam: core.Adam = core.Adam(lr=4e-3, betas=(0.5, 0.999))
    final_rate: float = 0.1
    """share of the learning rate that is left at the end"""
    steps: int = 8_000
    """generator updates in the whole run"""

    @classmethod
    @core.preset
    def demo(cls) -> Config:
        """Digits that a person reads, in under three minutes on two processor cores."""
        return cls(width=32, discriminator_width=16, steps=4000)

    @classmethod
    @core.preset
    def photos(cls) -> Config:
        """Colour pictures at 64 px: twice the width, and the paper's learning rate."""
        return cls(
            data=Images(size=64, channels=3, flip=True), width=64, discriminator_width=0, depth=0,
            steps=50_000,
            adam=core.Adam(lr=2e-4, betas=(0.5, 0.999)), final_rate=0.1,
        )  # fmt: skip

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks at 64 px: kernels of 5 px, 128 to 1024 channels, uniform noise, batches of 128."""
        return cls(
            data=Images(size=64), noise="uniform", width=128, discriminator_width=0, depth=0, kernel=5,
            batch=128,
            steps=70_000, ema=0.0,
            adam=core.Adam(lr=2e-4, betas=(0.5, 0.999)), final_rate=1.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(data=Images(size=16), latent=8, width=4, depth=1, batch=8, steps=4, log_every=1)


class Model(tasks.Sample):
    """Both networks: the paper keeps the discriminator as a feature extractor."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.latent, self.uniform, self.pack = config.latent, config.noise == "uniform", config.pack
        self.generator = convolutional.Generator(
            config.latent, config.data.shape, config.width, config.kernel, config.depth
        )
        self.discriminator = convolutional.Discriminator(
            config.seen_shape, config.discriminator_width or config.width, config.kernel
        )

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        if not self.uniform:
            return super().noise(count, chance)
        where = self.device if chance is None else torch.device("cpu")
        return (torch.rand(count, self.latent, generator=chance, device=where) * 2 - 1).to(self.device)

    @core.verb("--count 6 --out filters.png")
    def filters(self, count: int = 6, seed: int = 0, data: str = "") -> core.Image:
        """What the discriminator's last features have learned to see, by guided backpropagation. The paper's figure 5.

        A column for each feature: above, the picture that excites it most; below, what in the picture does so.

        Args:
            count: features shown.
            seed: of the pictures looked through.
            data: a source of pictures; the model's own samples by default.
        """
        images = tasks.sample.read_examples(self.config.data.replace(source=data).open(), 512, seed) if data else None
        images = self.sample(512, seed) if images is None else images.to(self.device)
        with torch.enable_grad():
            images = images.clone().requires_grad_()
            peaks = self.discriminator.features(images.repeat(1, self.pack, 1, 1), guided)[-1].amax((2, 3))[:, :count]
            best = peaks.argmax(0)
            seen = [torch.autograd.grad(peaks[index, feature], images, retain_graph=True)[0][index]
                    for feature, index in enumerate(best.tolist())]  # fmt: skip
        shown = torch.stack([slope / slope.abs().amax().clamp(min=1e-12) for slope in seen])
        return grid(torch.cat([images.detach()[best], shown]), columns=len(best))


class Game(core.Game[Model, Config]):
    """Section 4: the two players move in turn, on the same forgeries."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.discriminator_player = core.Player(model.discriminator, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        model, notes = self.model, core.Notes()
        rate = self.config.adam.lr * linear(1, self.config.final_rate, self.progress)
        real = self.parts(next(batches).image)
        fake = core.Replay(model.generator, [model.noise(len(part)) for part in real])

        judged = (self.judge(part, forged.detach(), notes) for part, forged in zip(real, fake))
        discriminator_loss = self.discriminator_player.minimize(judged, lr=rate)
        fooled = (adversarial.non_saturating(self.seen_score(forged)) for forged in fake)
        generator_loss = self.generator_player.minimize(fooled, lr=rate)
        return {"discriminator": discriminator_loss, "generator": generator_loss, **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Real and fake pass one after the other: batch norm must not mix them."""
        real_score, fake_score = self.seen_score(real), self.seen_score(fake)
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score)

    def seen_score(self, examples: Tensor) -> Tensor:
        return self.model.discriminator(seen(examples, self.config))

    def score(self, examples: Tensor) -> Tensor | None:
        return self.model.discriminator(examples) if self.config.pack == 1 else None
