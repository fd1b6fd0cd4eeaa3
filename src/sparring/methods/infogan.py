"""InfoGAN. Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing GANs", 2016. arXiv:1606.03657

A few of the noise numbers are codes that must be recoverable from the picture, and so come to mean something without
any label.
Differs from the paper in: noise on what the discriminator and the recogniser see in training, so that a code must change
what is seen at a glance and cannot hide in details; networks of half the width, twice the steps and a learning rate that falls
in the second half; a running average of the weights is shipped (none of it in the `paper` preset). As in its code, a
continuous code is read as the mean of a Gaussian of variance 1, and weighs as much as a categorical one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sparring import core, tasks
from sparring.core.media import fit, grid
from sparring.core.schedule import flat_then_linear
from sparring.data.images import ImageBatch, Images
from sparring.losses import adversarial
from sparring.losses.information import categorical_information, categorical_surprise, gaussian_surprise
from sparring.networks import dense_convolutional
from sparring.networks.linear import linear as dense_layer


@dataclass(frozen=True)
class Config(core.Config):
    data: Images = Images()
    latent: int = 62
    """length of the noise z beside the codes"""
    categorical: tuple[int, ...] = (10,)
    """categories of each categorical code"""
    continuous: int = 2
    """continuous codes, each uniform in [-1, 1]"""
    categorical_weight: float = 1.0
    """lambda of the categorical codes; 0: they mean nothing"""
    continuous_weight: float = 1.0
    """lambda of the continuous codes"""
    noise_input: float = 0.5
    """standard deviation of the noise on pictures that the discriminator sees in training; 0: none, as in the paper"""
    width: int = 32
    """channels at half the full size; twice as many at a quarter"""
    dense: int = 512
    """units of the dense layers"""
    adam: core.Adam = core.Adam(lr=2e-4, betas=(0.5, 0.999))
    generator_adam: core.Adam = core.Adam(lr=1e-3, betas=(0.5, 0.999))
    final_rate: float = 0.1
    """share of the learning rates that is left at the end; they fall in the second half"""
    batch: int = 128
    """examples in a batch (on each process)"""
    steps: int = 10_000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(categories < 2 for categories in self.categorical):
            raise core.UserError(f"--categorical must be numbers of at least 2, not {self.categorical}")
        if not self.noise_input >= 0:
            raise core.UserError(f"--noise-input must be at least 0, not {self.noise_input}")
        if self.continuous < 0 or self.codes == 0:
            raise core.UserError(
                f"--continuous must be at least 0, and there must be a code: not {self.continuous} "
                f"beside {self.categorical}"
            )

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return len(self.categorical) + self.continuous

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's MNIST run: full width, a steady learning rate."""
        return cls(data=Images("mnist"), noise_input=0.0, width=64, dense=1024, final_rate=1.0, ema=0.0, steps=5_000)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(data=Images(size=16), latent=4, categorical=(3, 2), width=4, dense=16, batch=8, steps=4, log_every=1)


class _Code(NamedTuple):
    """The codes that pictures seem to have."""

    picture: core.Image
    """a row for each picture: the picture, then samples that share its codes"""
    categorical: Tensor
    """N x all categories: probabilities, code by code"""
    continuous: Tensor
    """N x continuous codes"""


class Model(tasks.Sample):
    """The generator, and what reads codes from pictures: the discriminator's trunk with a head of its own.

    The generator's input is one vector: z, then a number for each category, one at the chosen, then the continuous codes.
    """

    def __init__(self, config: Config):
        super().__init__(config)
        self.free, self.categorical, self.continuous = config.latent, config.categorical, config.continuous
        read = sum(config.categorical) + config.continuous
        self.latent = config.latent + read
        self.generator = dense_convolutional.Generator(self.latent, config.data.shape, config.width, config.dense)
        self.trunk = dense_convolutional.Trunk(config.data.shape, config.width, config.dense)
        self.recogniser = dense_convolutional.Head(config.dense, max(config.dense // 8, 8), read)

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """z and the continuous codes uniform in [-1, 1], all categories equally likely: count x latent."""
        where = self.device if chance is None else torch.device("cpu")
        drawn = [torch.randint(size, (count,), generator=chance, device=where) for size in self.categorical]
        uniform = torch.rand(count, self.free + self.continuous, generator=chance, device=where) * 2 - 1
        chosen = [functional.one_hot(index, size).float() for index, size in zip(drawn, self.categorical)]
        return torch.cat([uniform[:, : self.free], *chosen, uniform[:, self.free :]], 1).to(self.device)

    def split(self, codes: Tensor) -> tuple[list[Tensor], Tensor]:
        """N x (all categories + continuous) as each categorical code's part and the continuous ones."""
        *categorical, continuous = codes.split([*self.categorical, self.continuous], 1)
        return categorical, continuous

    def recognise(self, images: Tensor) -> Tensor:
        """Q(c|x): N x (all categories + continuous), logits and means."""
        return self.recogniser(self.trunk(images)).float()

    def with_code(self, noise: Tensor, number: int, value: Tensor | float) -> Tensor:
        """The noise with code `number` set, to a category for a categorical one, a number for a continuous one."""
        noise, values = noise.clone(), torch.as_tensor(value, device=noise.device).expand(len(noise))
        if number < len(self.categorical):
            start, size = self.free + sum(self.categorical[:number]), self.categorical[number]
            noise[:, start : start + size] = functional.one_hot(values.long(), size).to(noise)
        else:
            noise[:, self.free + sum(self.categorical) + number - len(self.categorical)] = values.to(noise)
        return noise

    @core.verb("--count 16 --seed 0 --out samples.png")
    def sample(self, count: int = 16, seed: int = 0, code: tuple[float, ...] = ()) -> core.Image:
        """New examples, of a chosen code or of any.

        Args:
            count: how many.
            seed: the same seed gives the same noise, whatever the code.
            code: a category (from 0) for each categorical code, then a number (about -1 to 1) for each continuous one.
        """
        noise = self.seeded_noise(count, seed)
        for number, value in enumerate(self._checked(code)):
            noise = self.with_code(noise, number, value)
        return self.forge(noise)

    def _checked(self, code: tuple[float, ...]) -> tuple[float, ...]:
        wanted = len(self.categorical) + self.continuous
        if len(code) not in (0, wanted):
            raise core.UserError(
                f"--code has {len(code)} numbers; this model has {wanted} codes, so it takes {wanted} or none"
            )
        for value, size in zip(code, self.categorical):
            if value not in range(size):
                raise core.UserError(f"--code: a category is a whole number from 0 to {size - 1}, not {value:g}")
        return code

    @core.verb("--seed 0 --rows 3 --out traverse.png")
    def traverse(self, seed: int = 0, rows: int = 3, columns: int = 10, reach: float = 2.0) -> core.Image:
        """A grid that walks each code in turn while all other numbers of a row stay as they are. The paper's figure 2.

        Args:
            seed: of the rows' noise and other codes.
            rows: for each code.
            columns: steps of a continuous code; a categorical one walks its categories.
            reach: a continuous code goes from minus to plus this; training has only seen -1 to 1.
        """
        if rows < 1 or columns < 2:
            raise core.UserError("traverse needs at least one of --rows and two --columns")
        columns = max([columns] * bool(self.continuous) + list(self.categorical))
        noise = self.seeded_noise(rows, seed).repeat_interleave(columns, 0)
        index = torch.arange(columns, device=self.device).repeat(rows)
        sheets = []
        for number, size in enumerate(self.categorical):
            made = self.forge(self.with_code(noise, number, index.clamp(max=size - 1)))
            sheets.append(torch.where((index < size).view(-1, 1, 1, 1), made, -1.0))
        for number in range(len(self.categorical), len(self.categorical) + self.continuous):
            sheets.append(self.forge(self.with_code(noise, number, (index / (columns - 1) * 2 - 1) * reach)))
        return grid(torch.cat(sheets), columns)

    @core.verb("image.png --out code.png")
    def encode(self, image: core.Image) -> _Code:
        """The codes that a picture seems to have, and what else has them.

        Args:
            image: a picture of any size; its square middle is looked at.
        """
        seen = fit(image.to(self.device), self.config.data.shape)
        with self.using():
            categorical, continuous = self.split(self.recognise(seen))
        noise = self.seeded_noise(7, 0).repeat(len(seen), 1)
        for number, logits in enumerate(categorical):
            noise = self.with_code(noise, number, logits.argmax(1).repeat_interleave(7))
        for number, value in enumerate(continuous.unbind(1), len(categorical)):
            noise = self.with_code(noise, number, value.repeat_interleave(7))
        rows = torch.cat([seen[:, None], self.forge(noise).unflatten(0, (len(seen), 7))], 1)
        chances = [logits.softmax(1) for logits in categorical]
        return _Code(grid(rows.flatten(0, 1), 8), torch.cat([*chances, continuous[:, :0]], 1), continuous)

    def preview(self, seed: int) -> Tensor:
        return self.traverse(seed)


class Game(core.Game[Model, Config]):
    """Equation 6: min over G and Q, max over D of V(D, G) - lambda L(G, Q). Q shares all but the last layers with D."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.head = dense_layer(config.dense, 1)
        torch.nn.init.normal_(self.head.weight, 0.0, 0.02)
        self.discriminator_player = core.Player(model.trunk, model.recogniser, self.head, optimizer=config.adam)
        self.generator_player = core.Player(model.generator, optimizer=config.generator_adam)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        model, config, notes = self.model, self.config, core.Notes()
        fall = flat_then_linear(1, config.final_rate, 0.5, self.progress)
        real = self.parts(next(batches).image)
        noise = [model.noise(len(part)) for part in real]
        fake = core.Replay(model.generator, noise)

        judged = (self.judge(part, forged.detach(), given, notes) for part, forged, given in zip(real, fake, noise))
        discriminator_loss = self.discriminator_player.minimize(judged, lr=config.adam.lr * fall)
        fooled = (self.fool(forged, given) for forged, given in zip(fake, noise))
        generator_loss = self.generator_player.minimize(fooled, lr=config.generator_adam.lr * fall)
        return {"discriminator": discriminator_loss, "generator": generator_loss, **notes.means()}

    def judge(self, real: Tensor, fake: Tensor, noise: Tensor, notes: core.Notes) -> Tensor:
        """Real and fake pass one after the other: batch norm must not mix them."""
        features = self.look(fake)
        real_score, fake_score = self.head(self.look(real)).squeeze(1), self.head(features).squeeze(1)
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(G(z))", fake_score.float().sigmoid().mean())
        return adversarial.discriminator_loss(real_score, fake_score) + self.surprise(features, noise, notes)

    def fool(self, fake: Tensor, noise: Tensor) -> Tensor:
        features = self.look(fake)
        return adversarial.non_saturating(self.head(features).squeeze(1)) + self.surprise(features, noise, core.Notes())

    def look(self, images: Tensor) -> Tensor:
        """What the trunk makes of pictures through noise."""
        blur = self.config.noise_input
        return self.model.trunk(images + blur * torch.randn_like(images) if blur else images)

    def surprise(self, features: Tensor, noise: Tensor, notes: core.Notes) -> Tensor:
        """Equation 5, but for the codes' entropy: lambda times -E log Q(c|x), summed over the codes."""
        model, config = self.model, self.config
        categories, means = model.split(model.recogniser(features))
        drawn, numbers = model.split(noise[:, model.free :])
        total = features.new_zeros(())
        for index, (logits, code) in enumerate(zip(categories, drawn)):
            surprise = categorical_surprise(logits, code)
            notes.note(f"information {index}", categorical_information(surprise, code.shape[1]))
            total = total + config.categorical_weight * surprise
        if model.continuous:
            notes.note("continuous error", (means.float() - numbers).square().mean())
            total = total + config.continuous_weight * gaussian_surprise(means, numbers)
        return total

    def score(self, examples: Tensor) -> Tensor:
        return self.head(self.model.trunk(examples)).squeeze(1)
