"""cGAN. Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014. arXiv:1411.1784

Both players are told a label, so that the generator must forge what the label names and not just something real.
Differs from the paper in: both networks are convolutional, as in DCGAN (with no more layers in the generator's coarsest
map: told the label, a deeper one soon draws one picture for each class whatever the noise); the discriminator gives a
logit for each class, of which that of the label is read; a running average of the weights is shipped. The `paper`
preset has the paper's fully connected networks, with maxout, dropout and SGD; the share that is dropped before the
discriminator's score is its own guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sparring import core, tasks
from sparring.core.media import grid
from sparring.core.schedule import exponential, linear
from sparring.data.images import ImageBatch, Images
from sparring.data.labels import require_labels
from sparring.losses import adversarial
from sparring.networks import conditional, convolutional, perceptron


@dataclass(frozen=True)
class Config(core.Config):
    data: Images = Images()
    latent: int = 100
    """length of the noise vector z"""
    networks: Literal["convolutional", "perceptron"] = "convolutional"
    """DCGAN's networks with a label, or the paper's fully connected ones"""
    width: int = 48
    """convolutional: channels at half the full size; doubled with every halving"""
    discriminator_width: int = 24
    """convolutional: the discriminator's"""
    hidden: tuple[int, int, int] = (200, 1000, 1200)
    """perceptron: the generator's ReLU units for the noise, for the label and for both"""
    maxout: tuple[int, int, int] = (240, 50, 240)
    """perceptron: the discriminator's maxout units for the example, for the label and for both"""
    pieces: tuple[int, int, int] = (5, 5, 4)
    """perceptron: linear pieces of each of those"""
    dropout: float = 0.5
    """perceptron: share of each hidden layer that is dropped in training, in both networks"""
    optimizer: core.Adam | core.Sgd = core.Adam(lr=4e-3, betas=(0.5, 0.999))
    final_rate: float = 0.1
    """share of Adam's learning rate that is left at the end"""
    steps: int = 6_000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise core.UserError(f"--dropout must be at least 0 and below 1, not {self.dropout}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's MNIST run: fully connected, SGD with momentum, batches of 100."""
        return cls(
            data=Images("mnist"), networks="perceptron", optimizer=core.Sgd(lr=0.1, momentum=0.5), batch=100,
            steps=125_000, ema=0.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(data=Images(size=16), latent=8, width=4, discriminator_width=4, batch=8, steps=4, log_every=1)


class Model(tasks.Sample):
    """A generator of noise and label, one vector: z, then a number for each class, one at the label's."""

    def __init__(self, config: Config):
        super().__init__(config)
        shape, self.classes = config.data.shape, config.data.classes
        self.latent = config.latent + self.classes
        self.generator: convolutional.Generator | conditional.PerceptronGenerator
        if config.networks == "convolutional":
            self.generator = convolutional.Generator(self.latent, shape, config.width)
        else:
            self.generator = conditional.PerceptronGenerator(
                config.latent, self.classes, config.hidden, shape, config.dropout
            )

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, 1) and a label, each as likely: count x (latent + classes)."""
        noise = super().noise(count, chance)
        where = self.device if chance is None else torch.device("cpu")
        label = torch.randint(self.classes, (count,), generator=chance, device=where)
        return self.labelled(noise, label.to(noise.device))

    def labelled(self, noise: Tensor, label: Tensor) -> Tensor:
        """The same noise with other labels, int64 (N,)."""
        return torch.cat([noise[:, : -self.classes], functional.one_hot(label, self.classes).to(noise)], 1)

    @core.verb("--count 16 --seed 0 --label 1 --out samples.png")
    def sample(self, count: int = 16, seed: int = 0, label: int = -1) -> core.Image:
        """New examples of a class.

        Args:
            count: how many.
            seed: the same seed gives the same noise, whatever the label.
            label: number of the class; -1: all classes in turn.
        """
        if not -1 <= label < self.classes:
            raise core.UserError(
                f"--label is {label}; there are {self.classes} classes, 0 to {self.classes - 1}, or -1 for all in turn"
            )
        order = torch.arange(count, device=self.device) % self.classes
        chosen = order if label == -1 else torch.full_like(order, label)
        return self.forge(self.labelled(self.seeded_noise(count, seed), chosen))

    def preview(self, seed: int) -> Tensor:
        """A row for each class (at most 20), a column for each noise vector."""
        columns, rows = 10, min(self.classes, 20)
        noise = self.seeded_noise(columns, seed).repeat(rows, 1)
        label = torch.arange(rows, device=self.device).repeat_interleave(columns)
        return grid(self.forge(self.labelled(noise, label)), columns)


class Game(core.Game[Model, Config]):
    """Equation 2: D(x|y) against G(z|y), with the labels of the data."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        require_labels(config.data)
        shape, classes = config.data.shape, config.data.classes
        self.discriminator: conditional.Discriminator | conditional.PerceptronDiscriminator
        if config.networks == "convolutional":
            self.discriminator = conditional.Discriminator(shape, classes, config.discriminator_width)
        else:
            self.discriminator = conditional.PerceptronDiscriminator(
                shape, classes, config.maxout, config.pieces, config.dropout
            )
            if isinstance(config.optimizer, core.Sgd):
                perceptron.initialize(model.generator, 0.05)
                perceptron.initialize(self.discriminator, 0.005)
        self.discriminator_player = core.Player(self.discriminator, optimizer=config.optimizer)
        self.generator_player = core.Player(model.generator, optimizer=config.optimizer)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        model, notes, settings = self.model, core.Notes(), self.settings()
        batch = next(batches)
        real, label = self.parts(batch.image), self.parts(functional.one_hot(batch.label, model.classes).float())
        noise = [model.labelled(model.noise(len(part)), part.argmax(1)) for part in label]
        fake = core.Replay(model.generator, noise)

        judged = (self.judge(part, forged.detach(), told, notes) for part, forged, told in zip(real, fake, label))
        discriminator_loss = self.discriminator_player.minimize(judged, **settings)
        fooled = (adversarial.non_saturating(self.discriminator(forged, told)) for forged, told in zip(fake, label))
        generator_loss = self.generator_player.minimize(fooled, **settings)
        return {"discriminator": discriminator_loss, "generator": generator_loss, **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, label: Tensor, notes: core.Notes) -> Tensor:
        """Real and fake pass one after the other: batch norm must not mix them."""
        real_score, fake_score = self.discriminator(real, label), self.discriminator(fake, label)
        notes.note("D(x|y)", real_score.float().sigmoid().mean())
        notes.note("D(G(z|y)|y)", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score)

    def score(self, examples: Tensor) -> Tensor:
        """Under the label that suits each example best."""
        return self.discriminator.logits(examples).amax(1)

    def settings(self) -> dict[str, float]:
        """For Adam a straight fall; for SGD the paper's decay by minibatch and growing momentum."""
        optimizer = self.config.optimizer
        if isinstance(optimizer, core.Adam):
            return {"lr": optimizer.lr * linear(1, self.config.final_rate, self.progress)}
        momentum = linear(optimizer.momentum, 0.7, self.progress)
        return {"lr": exponential(optimizer.lr, 1.00004, 1e-6, self.clock), "momentum": momentum}
