"""NCE. Gutmann & Hyvarinen, "Noise-contrastive estimation", 2010. AISTATS; beside the GAN in Goodfellow, arXiv:1412.6515

A density learns by telling data from a fixed noise, with the loss that a discriminator has in a GAN; nobody answers it.
Differs from the paper in: the unnormalised density is a network with a bell around it, and not a model with a handful of
parameters; it is fitted by Adam on batches, with noise drawn anew for each, and not by conjugate gradients on one set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring import core, tasks
from sparring.core.schedule import cosine
from sparring.data.points import PointBatch, Points
from sparring.losses.contrastive import noise_contrastive_loss
from sparring.networks import multilayer


@dataclass(frozen=True)
class Config(core.Config):
    data: Points = Points("ring", sigma=0.1)
    hidden: tuple[int, ...] = (128, 128, 128)
    """units in each hidden layer of the log density"""
    input_scale: float = 4.0
    """the network sees points times this: at 1 it learns broad shapes and is blind to modes that lie close together"""
    spread: float = 1.0
    """standard deviation of the Gaussian noise: it must cover the data"""
    ratio: int = 4
    """nu: noise points for each example; more of them estimate better"""
    adam: core.Adam = core.Adam(lr=3e-3, betas=(0.9, 0.99))
    batch: int = 256
    """examples in a batch (on each process)"""
    steps: int = 4000
    """updates in the whole run"""
    precision: core.Precision = "float32"
    """a density is worth more digits than bfloat16 has"""
    ema: float = 0.99
    """decay of the running average of the weights that is previewed and shipped; 0 ships the last weights"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ratio < 1:
            raise core.UserError(f"--ratio must be at least 1, not {self.ratio}")
        for flag, value in (("spread", self.spread), ("input-scale", self.input_scale)):
            if not value > 0:
                raise core.UserError(f"--{flag} must be above 0, not {value}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """As much noise as data, as in the paper's experiments."""
        return cls(ratio=1)

    @classmethod
    @core.preset
    def ring(cls) -> Config:
        """The ring that the other methods learn: modes so narrow that noise hardly ever meets one."""
        return cls(data=Points("ring"))

    @classmethod
    @core.preset
    def line(cls) -> Config:
        """One dimension."""
        return cls(data=Points("line"), hidden=(64, 64), steps=2000)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(hidden=(16,), batch=8, steps=4, log_every=1)


class Model(tasks.Density):
    """log p(u) = f(u) - a |u|^2 / 2 - log Z, with f a network, and log Z a number that is learned like any weight.

    f grows at most as fast as |u|, so the bell makes p0 = Z p integrable wherever f was never trained.
    """

    def __init__(self, config: Config):
        super().__init__(config)
        self.spread, self.scale, self.dimensions = config.spread, config.input_scale, math.prod(config.data.shape)
        # Without a bias in its last layer, log Z is the only constant.
        self.network = multilayer.Score(config.data.shape, config.hidden, functional.silu, bias=False)
        self.bell = nn.Parameter(torch.zeros(()))
        self.log_partition = nn.Parameter(torch.zeros(()))

    def log_unnormalised(self, points: Tensor) -> Tensor:
        """log p0: N x dimensions to N."""
        return self.network(self.scale * points).float() - functional.softplus(self.bell) * points.square().sum(1) / 2

    def log_density(self, points: Tensor) -> Tensor:
        return self.log_unnormalised(points) - self.log_partition

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        where = self.device if chance is None else torch.device("cpu")
        drawn = torch.randn(count, self.dimensions, generator=chance, device=where)
        return (self.spread * drawn).to(self.device)

    def log_noise(self, points: Tensor) -> Tensor:
        constant = self.dimensions * math.log(self.spread * math.sqrt(2 * math.pi))
        return -(points / self.spread).square().sum(1) / 2 - constant


class Game(core.Game[Model, Config]):
    """Equations 2 to 4. A game of one: the opponent is fixed."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.density_player = core.Player(model, optimizer=config.adam)

    def step(self, batches: Iterator[PointBatch]) -> dict[str, Tensor]:
        model, ratio, notes = self.model, self.config.ratio, core.Notes()
        rate = cosine(self.config.adam.lr, 0, self.progress)
        real = self.parts(next(batches).point)
        losses = (self.contrast(part, model.noise(ratio * len(part)), notes) for part in real)
        notes.note("loss", self.density_player.minimize(losses, lr=rate))
        return {**notes.means(), "log partition": model.log_partition.detach().clone()}

    def contrast(self, real: Tensor, noise: Tensor, notes: core.Notes) -> Tensor:
        real_score, noise_score = self.score(torch.cat([real, noise])).split([len(real), len(noise)])
        notes.note("D(x)", real_score.sigmoid().mean())
        notes.note("D(noise)", noise_score.sigmoid().mean())
        return noise_contrastive_loss(real_score, noise_score, self.config.ratio)

    def score(self, examples: Tensor) -> Tensor:
        """log p(u) - log(nu p_n(u)): the logit of data against noise."""
        return self.model.log_density(examples) - self.model.log_noise(examples) - math.log(self.config.ratio)
