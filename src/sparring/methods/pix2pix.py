"""pix2pix. Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2016. arXiv:1611.07004

A picture is turned into another by a U-Net; a discriminator that sees both judges whether each patch fits.
Differs from the paper in: normalisation by each picture's own statistics always, which batch norm comes to with the paper's
batches of one; dropout is noise in training only, unless it is asked for; the default is narrower, for minutes on a processor,
takes batches of several, and its learning rate falls in the second half. The `paper` preset has the paper's widths and rates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core.device import seeded
from sparring.core.media import in_channels
from sparring.core.schedule import flat_then_linear
from sparring.data.paired import PairBatch, Pairs
from sparring.losses import adversarial
from sparring.networks.patches import Patches
from sparring.networks.unet import UNet
from sparring.tasks.compared import Compared


@dataclass(frozen=True)
class Config(core.Config):
    data: Pairs = Pairs(size=128)
    width: int = 32
    """channels of the generator at half the full size; doubled with every halving, at most 8 times"""
    discriminator_width: int = 32
    """channels of the discriminator's first layer"""
    field: int = 70
    """side of the patches that are judged: 1, 16, 34, 70, 142 or 286 px"""
    likeness: float = 100.0
    """lambda: weight of the absolute difference from the target"""
    rivalry: float = 1.0
    """weight of the adversarial term; 0: the difference alone is learned from"""
    dropout: float = 0.5
    """share of values that is dropped in the decoder's coarsest maps, which is all the noise there is"""
    adam: core.Adam = core.Adam(lr=4e-4, betas=(0.5, 0.999))
    steady: float = 0.5
    """share of the run after which the learning rate falls, to nothing at the end"""
    batch: int = 4
    """examples in a batch (on each process)"""
    steps: int = 6000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.likeness, self.rivalry) < 0 or not self.likeness + self.rivalry:
            raise core.UserError("--likeness and --rivalry are at least 0, and not both 0")
        if not 0 <= self.dropout < 1:
            raise core.UserError(f"--dropout is {self.dropout}; it is at least 0 and below 1")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks and rates for small sets at 256 px: batches of one, 200 passes through 400 pairs."""
        return cls(
            data=Pairs(size=256), width=64, discriminator_width=64, adam=core.Adam(lr=2e-4, betas=(0.5, 0.999)),
            steady=1.0, batch=1, steps=80_000, ema=0.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def difference(cls) -> Config:
        """The control: no discriminator's say, only the difference from the target."""
        return cls(rivalry=0.0)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Pairs(size=32, flip=False), width=4, discriminator_width=4, field=16, batch=4, steps=4, log_every=1
        )


class Model(tasks.Translate):
    def __init__(self, config: Config):
        super().__init__(config)
        self.channels, self.multiple = (config.data.input_shape[0], config.data.shape[0]), config.data.size
        self.generator = UNet(*self.channels, config.data.size, config.width, config.dropout)

    def forth(self, image: Tensor) -> Tensor:
        return self.generator(image)

    @core.verb("image.png --count 4 --out varied.png")
    def vary(self, image: core.Image, count: int = 4, seed: int = 0) -> core.Image:
        """Several answers for one picture: dropout stays on, which is all the noise that this model has.

        Args:
            image: a picture of any size.
            count: answers.
            seed: the same seed drops the same values.
        """
        with seeded(seed, self.device):
            made = [self.through(self._noisy, image, 0, *self.channels) for _ in range(count)]
        return torch.cat(made)

    def _noisy(self, image: Tensor) -> Tensor:
        return self.generator(image, noisy=True)

    def compare(self, dataset: core.Dataset, index: Tensor, chance: torch.Generator) -> list[Compared]:
        given, target = dataset.prepare(dataset.batch(index, chance))
        with self.using():
            made = self.generator(given.to(self.device)).cpu()
        return [Compared("translate", made, target, in_channels(given, target.shape[1]), paired=True)]

    def shown(self, seed: int) -> list[Tensor]:
        chance = torch.Generator().manual_seed(seed)
        dataset = self.config.data.open()
        index = torch.randperm(len(dataset), generator=chance)[:8]
        given, target = dataset.prepare(dataset.batch(index, chance))
        with self.using():
            made = self.generator(given.to(self.device)).cpu()
        return [given, made, target]


class Game(core.Game[Model, Config]):
    """Section 3.1: the discriminator sees input and output together, and the generator is also held to the target."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.discriminator = Patches(
            sum(model.channels), config.field, config.discriminator_width, affine=True, size=config.data.size
        )
        self.generator_player = core.Player(model.generator, optimizer=config.adam)
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.adam)

    def step(self, batches: Iterator[PairBatch]) -> dict[str, Tensor]:
        config, notes, batch = self.config, core.Notes(), next(batches)
        rate = config.adam.lr * flat_then_linear(1, 0, config.steady, self.progress)
        given, target = self.parts(batch.input), self.parts(batch.target)
        made = core.Replay(self.model.generator, given)

        if config.rivalry:
            judged = (
                self.judge(seen, right, forged.detach(), notes) for seen, right, forged in zip(given, target, made)
            )
            self.discriminator_player.minimize(judged, lr=rate)
        missed = (self.miss(seen, right, forged, notes) for seen, right, forged in zip(given, target, made))
        self.generator_player.minimize(missed, lr=rate)
        return notes.means()

    def judge(self, given: Tensor, target: Tensor, made: Tensor, notes: core.Notes) -> Tensor:
        """Half the discriminator's loss, which slows it beside the generator: section 3.3."""
        pairs = torch.cat([torch.cat([given, image], 1) for image in (target, made)])
        real, fake = self.discriminator(pairs).chunk(2)
        notes.note("D(x)", real.sigmoid().mean())
        notes.note("D(G(x))", fake.sigmoid().mean())
        return adversarial.discriminator_loss(real, fake) / 2

    def miss(self, given: Tensor, target: Tensor, made: Tensor, notes: core.Notes) -> Tensor:
        """Equation 4."""
        difference = (made - target).abs().mean()
        notes.note("L1", difference)
        loss = self.config.likeness * difference
        if self.config.rivalry:
            fooled = adversarial.non_saturating(self.discriminator(torch.cat([given, made], 1)))
            notes.note("fooled", fooled)
            loss = loss + self.config.rivalry * fooled
        return loss
