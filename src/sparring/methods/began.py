"""BEGAN. Berthelot et al., "BEGAN: Boundary Equilibrium Generative Adversarial Networks", 2017. arXiv:1703.10717

The discriminator is an autoencoder that learns to redraw real pictures well and forged ones badly; a thermostat keeps the
two errors at a chosen ratio, which sets how varied the forgeries are.
Differs from the paper in: the networks have no skip connections from the noise and no vanishing residuals; the learning
rate is halved when the mean of the convergence measure over a number of steps has not fallen by a hundredth, a rule that
the paper does not give, and by default falls over the last third of the run; networks, learning rate, gamma and the
thermostat's gain are by default for small pictures and minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core import distributed
from sparring.core.schedule import flat_then_linear
from sparring.data.images import ImageBatch, Images
from sparring.networks.autoencoder import Autoencoder, Decoder


@dataclass(frozen=True)
class Config(core.Config):
    data: Images = Images(size=32)
    latent: int = 32
    """N_h: length of the noise vector, uniform in [-1, 1], and of the autoencoder's code"""
    width: int = 16
    """n: channels of every map; the encoder has as many more after each halving"""
    gamma: float = 0.7
    """gamma: error on forgeries over error on real pictures that is held, from 0 to 1; higher is more varied"""
    gain: float = 0.1
    """lambda_k: how fast k follows"""
    adam: core.Adam = core.Adam(lr=5e-4, betas=(0.5, 0.99))
    patience: int = 1000
    """steps over which the convergence measure is averaged; if it has not fallen since, the learning rate is halved"""
    floor: float = 0.05
    """share of the learning rate below which it is not halved"""
    final_rate: float = 0.1
    """share of the learning rate, beside what M leaves of it, to which it falls over the last third of the run"""
    batch: int = 16
    """examples in a batch (on each process)"""
    steps: int = 6000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.gamma <= 1:
            raise core.UserError(f"--gamma must be above 0 and at most 1, not {self.gamma}")
        if not self.gain > 0:
            raise core.UserError(f"--gain must be above 0, not {self.gain}")
        if not 0 < self.floor <= 1:
            raise core.UserError(f"--floor must be above 0 and at most 1, not {self.floor}")
        if self.patience < 1:
            raise core.UserError(f"--patience must be at least 1, not {self.patience}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks at 64 px: 128 channels, codes of 64, batches of 16."""
        return cls(
            data=Images(size=64), latent=64, width=128, gamma=0.5, gain=0.001, adam=core.Adam(lr=1e-4, betas=(0.9, 0.999)),
            patience=20_000, floor=0.2, final_rate=1.0, batch=16, steps=200_000, ema=0.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(data=Images(size=16), latent=8, width=4, patience=2, batch=8, steps=4, log_every=1)


class Model(tasks.Sample):
    def __init__(self, config: Config):
        super().__init__(config)
        self.latent = config.latent
        self.generator = Decoder(config.latent, config.data.shape, config.width)

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """z uniform in [-1, 1]."""
        where = self.device if chance is None else torch.device("cpu")
        return (torch.rand(count, self.latent, generator=chance, device=where) * 2 - 1).to(self.device)

    def forge(self, noise: Tensor) -> Tensor:
        """Nothing bounds the generator; pictures end at black and white."""
        return super().forge(noise).clamp(-1, 1)


class Game(core.Game[Model, Config]):
    """The objective of section 3.4: k balances what the autoencoder learns from real pictures and from forged ones."""

    relative = True

    balance: Tensor
    """k, from 0 to 1"""
    sum: Tensor
    """of the convergence measure, since the learning rate was last looked at"""
    lowest: Tensor
    """mean of the convergence measure over `patience` steps, at its lowest"""
    rate: Tensor
    """share of the learning rate that is left"""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.autoencoder = Autoencoder(config.latent, config.data.shape, config.width)
        self.autoencoder_player = core.Player(self.autoencoder, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)
        for name, start in (("balance", 0.0), ("sum", 0.0), ("lowest", 1e6), ("rate", 1.0)):
            self.register_buffer(name, torch.tensor(start))
        self.share: float | None = None
        """`rate` as a number, which a device is asked for only when it may have changed"""
        self.register_load_state_dict_post_hook(lambda game, _: setattr(game, "share", None))

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        model, notes = self.model, core.Notes()
        if self.share is None:
            self.share = self.rate.item()
        rate = self.config.adam.lr * self.share * flat_then_linear(1, self.config.final_rate, 2 / 3, self.progress)
        real = self.parts(next(batches).image)

        judged = (self.judge(part, model.noise(len(part)), notes) for part in real)
        autoencoder_loss = self.autoencoder_player.minimize(judged, lr=rate)
        forged = (self.error(model.generator(model.noise(len(part)))).mean() for part in real)
        notes.note("L(G(z))", self.generator_player.minimize(forged, lr=rate))

        values = notes.means()
        balance = self.follow(values["L(x)"], values["L(G(z))"])
        return {**values, "autoencoder": autoencoder_loss, **balance}

    def judge(self, real: Tensor, noise: Tensor, notes: core.Notes) -> Tensor:
        """L(x) - k L(G(z_D))"""
        with torch.no_grad():
            fake = self.model.generator(noise)
        real_error, fake_error = self.error(torch.cat([real, fake])).split(len(real))
        notes.note("L(x)", real_error.mean())
        return real_error.mean() - self.balance.clone() * fake_error.mean()

    def error(self, examples: Tensor) -> Tensor:
        """L(v) = |v - D(v)|, the mean over pixels: N x C x H x W to N. Equation 1."""
        return (examples - self.autoencoder(examples)).abs().flatten(1).mean(1)

    @torch.no_grad()
    def follow(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """k_(t+1) = k_t + lambda_k (gamma L(x) - L(G(z_G))); and the convergence measure M of section 3.4.1."""
        distributed.average([real, fake])
        gap = self.config.gamma * real - fake
        measure = real + gap.abs()
        self.balance.add_(self.config.gain * gap).clamp_(0, 1)
        self.sum += measure
        if (self.clock + 1) % self.config.patience == 0:
            self.slow_down(self.sum / self.config.patience)
        return {"k": self.balance.clone(), "M": measure, "ratio": fake / real, "rate": self.rate.clone()}

    def slow_down(self, measure: Tensor) -> None:
        """Halves the learning rate when M stalls."""
        stalled = measure > 0.99 * self.lowest
        self.rate.copy_(torch.where(stalled, self.rate / 2, self.rate).clamp(min=self.config.floor))
        self.lowest.copy_(torch.minimum(self.lowest, measure))
        self.sum.zero_()
        self.share = None

    def score(self, examples: Tensor) -> Tensor:
        """-L(v): the better an example is redrawn, the more real it is taken to be."""
        return -self.error(examples)
