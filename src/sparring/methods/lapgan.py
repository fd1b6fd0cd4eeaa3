"""LAPGAN. Denton et al., "Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks", 2015. \
arXiv:1506.05751

A picture is drawn coarse to fine: a small one by an ordinary GAN, then at each doubling what it lacks, by a GAN of its own.
Differs from the paper in: labels are told as constant maps and not through a learned plane; by default the levels move in
one step, on copies of one batch, which changes nothing between them; momentum stays as it starts; the default preset has
narrower networks and Adam, and ships a running average of the weights. The `paper` preset has the paper's widths, kernels
and SGD.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring import core, tasks
from sparring.core.media import grid
from sparring.core.schedule import linear
from sparring.data.images import ImageBatch, Images
from sparring.data.labels import require_labels
from sparring.losses import adversarial
from sparring.networks import pyramid


@dataclass(frozen=True)
class Config(core.Config):
    data: Images = Images()
    latent: int = 100
    """length of the base's noise vector; each further level has a plane of noise. All uniform in [-1, 1]"""
    base: int = 7
    """least side of the coarsest level in pixels; pictures are halved while they stay whole and at least as large"""
    conditional: bool = False
    """tell both players the label; needs labelled data"""
    hidden: tuple[int, ...] = (512, 512)
    """ReLU units in each hidden layer of the base's generator"""
    discriminator_hidden: tuple[int, ...] = (256, 256)
    """ReLU units in each hidden layer of the base's discriminator"""
    width: int = 32
    """channels in each further level's networks"""
    kernel: Literal[3, 5, 7] = 3
    """side of the kernels in each further level's generator"""
    dropout: float = 0.3
    """share that each discriminator drops in training"""
    turns: Literal["together", "alternate"] = "together"
    """whether a step moves every level, or one after the other"""
    optimizer: core.Adam | core.Sgd = core.Adam(lr=3e-3, betas=(0.5, 0.999))
    final_rate: float = 0.1
    """share of the learning rate that is left at the end"""
    steps: int = 6000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base < 4:
            raise core.UserError(f"--base must be at least 4, not {self.base}")
        if not 0 <= self.dropout < 1:
            raise core.UserError(f"--dropout must be at least 0 and below 1, not {self.dropout}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks for 32 px: a base of 8 px, 64 channels, kernels of 7 px, SGD, batches of 128."""
        return cls(
            data=Images(size=32), base=8, hidden=(1200, 1200), discriminator_hidden=(600, 600), width=64, kernel=7,
            dropout=0.5, batch=128, steps=100_000, ema=0.0, optimizer=core.Sgd(lr=0.02, momentum=0.5), final_rate=1.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Images(size=16), latent=8, base=5, hidden=(16,), discriminator_hidden=(16,), width=4, batch=8, steps=4,
            log_every=1,
        )  # fmt: skip


class Model(tasks.Sample):
    """One noise vector for all levels: the base's z, a plane for each further level, and a number for each class."""

    generator: pyramid.Generator

    def __init__(self, config: Config):
        super().__init__(config)
        self.classes = config.data.classes if config.conditional else 0
        self.generator = pyramid.Generator(
            config.latent, config.data.shape, config.base, self.classes, config.hidden, config.width, config.kernel
        )
        self.latent = sum(self.generator.pieces)

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """Uniform in [-1, 1], and a label, each as likely: count x latent."""
        where = self.device if chance is None else torch.device("cpu")
        noise = torch.rand(count, self.latent, generator=chance, device=where) * 2 - 1
        if not self.classes:
            return noise.to(self.device)
        label = torch.randint(self.classes, (count,), generator=chance, device=where)
        return self.labelled(noise.to(self.device), label.to(self.device))

    def labelled(self, noise: Tensor, label: Tensor) -> Tensor:
        """The same noise with other labels, int64 (N,)."""
        return torch.cat([noise[:, : -self.classes], functional.one_hot(label, self.classes).to(noise)], 1)

    def forge(self, noise: Tensor) -> Tensor:
        """Nothing bounds the sum of the levels; pictures end at black and white."""
        return super().forge(noise).clamp(-1, 1)

    @core.verb("--count 16 --seed 0 --out samples.png")
    def sample(self, count: int = 16, seed: int = 0, label: int = -1) -> core.Image:
        """New examples from random noise, of a class if the model was told labels.

        Args:
            count: how many.
            seed: the same seed gives the same examples.
            label: number of the class; -1: any.
        """
        if not -1 <= label < self.classes:
            known = f"0 to {self.classes - 1}, or -1 for any" if self.classes else "none: train with --conditional"
            raise core.UserError(f"--label is {label}; the classes that this model knows are {known}")
        noise = self.seeded_noise(count, seed)
        if label >= 0:
            noise = self.labelled(noise, torch.full((count,), label, device=noise.device))
        return self.forge(noise)

    @core.verb("--count 6 --out stages.png")
    def stages(self, count: int = 6, seed: int = 0) -> core.Image:
        """How samples come about: a row for each, coarse to fine; between the levels, the doubled picture before its detail.

        Args:
            count: samples.
            seed: of the samples.
        """
        with self.using():
            images = [image.float() for image in self.generator.stages(self.seeded_noise(count, seed))]
        shown = [images[0]]
        for coarse, fine in zip(images, images[1:]):
            shown += [pyramid.double(coarse), fine]
        size = images[-1].shape[-2:]
        rows = torch.stack([functional.interpolate(image, size) for image in shown], 1).clamp(-1, 1)
        return grid(rows.flatten(0, 1), len(shown))


class Game(core.Game[Model, Config]):
    """Section 3.1: a game at each level, none of which knows of the others."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        if config.conditional:
            require_labels(config.data)
        channels, sides, classes = config.data.shape[0], model.generator.sides, model.classes
        shape = (channels, sides[0], sides[0])
        judges: list[nn.Module] = [
            pyramid.BaseDiscriminator(shape, classes, config.discriminator_hidden, config.dropout)
        ]
        for side in sides[1:]:
            judges.append(pyramid.DetailDiscriminator(channels, classes, side, config.width, config.dropout))
        self.levels = [
            _Level(network, judge, config.optimizer) for network, judge in zip(model.generator.levels, judges)
        ]
        for side, level in zip(sides, self.levels):
            self.add_module(f"level_{side}", level)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        config, generator = self.config, self.model.generator
        rate = config.optimizer.lr * linear(1, config.final_rate, self.progress)
        image, label = next(batches)
        noise = self.model.noise(len(image))
        if self.model.classes:
            noise = self.model.labelled(noise, label)
        known = noise[:, sum(generator.pieces[:-1]) :]
        sizes = pyramid.copies(image, len(self.levels))

        values: dict[str, Tensor] = {}
        for number, (side, level) in enumerate(zip(generator.sides, self.levels)):
            if config.turns == "together" or self.clock == 0 or self.clock % len(self.levels) == number:
                given = generator.given(number, noise, sizes[number - 1] if number else None)
                level.play(self.parts(sizes[number]), self.parts(given), self.parts(known), rate)
            values |= {f"{name} {side}": value for name, value in zip(_Level.names, level.last.clone())}
        return values

    def score(self, examples: Tensor) -> Tensor | None:
        """What the finest level's discriminator says; a game told labels cannot say without them."""
        return (
            None
            if self.model.classes
            else self.levels[-1].discriminator(examples, examples.new_zeros(len(examples), 0))
        )


class _Level(nn.Module):
    """The game at one level. The discriminator sees pictures with their detail, real or forged onto the real coarser one."""

    names = ("discriminator", "generator", "D(x)", "D(G(z))")
    last: Tensor
    """those values when the level last moved"""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, optimizer: core.Optimizer):
        super().__init__()
        # Its weights belong to the model; a level holds them without owning them.
        self.forge, self.discriminator = generator.forward, discriminator
        self.discriminator_player = core.Player(discriminator, optimizer=optimizer)
        self.generator_player = core.Player(generator, optimizer=optimizer)
        self.register_buffer("last", torch.zeros(len(self.names)))

    def play(self, real: tuple[Tensor, ...], given: tuple[Tensor, ...], label: tuple[Tensor, ...], rate: float) -> None:
        """Algorithm 1, at one level: parts of a batch of pictures, of what the generator is told, and of labels."""
        notes = core.Notes()
        fake = core.Replay(self.forge, given)
        judged = (self.judge(*part, notes) for part in zip(real, fake, label))
        discriminator_loss = self.discriminator_player.minimize(judged, lr=rate)
        fooled = (adversarial.non_saturating(self.discriminator(*part)) for part in zip(fake, label))
        generator_loss = self.generator_player.minimize(fooled, lr=rate)
        means = notes.means()
        self.last.copy_(torch.stack([discriminator_loss, generator_loss, means["D(x)"], means["D(G(z))"]]))

    def judge(self, real: Tensor, fake: Tensor, label: Tensor, notes: core.Notes) -> Tensor:
        both = self.discriminator(torch.cat([real, fake.detach()]), torch.cat([label, label]))
        real_score, fake_score = both.split(len(real))
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score)
