"""Sample: make new examples from noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparring.core import Dataset, Frames, Image, Model, Opponent, UserError, verb
from sparring.core.media import grid
from sparring.metrics.nearest import nearest

CHUNK = 256
"""examples made at a time, so that any count fits the memory"""


class Neighbours(NamedTuple):
    """Samples and the training examples that are nearest to them."""

    picture: Image
    """a row for each sample: the sample, then its neighbours, nearest first"""
    distance: Tensor
    """Euclidean, samples x neighbours"""
    usual: float
    """mean distance of a training example to its own nearest other one: samples far below it are copies"""


class Sample(Model):
    """A generator that turns noise into examples of the data's shape. A subclass sets `latent` and `generator`."""

    latent: int
    generator: nn.Module

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """Noise vectors z ~ N(0, 1), count x latent; from `chance` on the host if given, else from the clock's seed."""
        if chance is None:
            return torch.randn(count, self.latent, device=self.device)
        return torch.randn(count, self.latent, generator=chance).to(self.device)

    def seeded_noise(self, count: int, seed: int) -> Tensor:
        """The first `count` noise vectors of this seed: the same on every device."""
        return self.noise(count, torch.Generator().manual_seed(seed))

    def forge(self, noise: Tensor) -> Tensor:
        """Examples for these noise vectors: N x shape, float32."""
        with self.using():
            return torch.cat([self.generator(part).float().contiguous() for part in noise.split(CHUNK)])

    @verb("--count 16 --seed 0 --out samples.png")
    def sample(self, count: int = 16, seed: int = 0) -> Image:
        """New examples from random noise.

        Args:
            count: how many.
            seed: the same seed gives the same examples.
        """
        return self.forge(self.seeded_noise(count, seed))

    @verb("--seeds 0 1 2 --frames 24 --out walk.gif")
    def interpolate(self, seeds: tuple[int, ...] = (0, 1), frames: int = 16) -> Frames:
        """A walk through noise space from sample to sample, on the sphere.

        Args:
            seeds: the samples to visit, at least two.
            frames: examples on each leg of the walk, both ends included.
        """
        if len(seeds) < 2 or frames < 2:
            raise UserError("a walk needs at least two --seeds and two --frames")
        stops = torch.cat([self.seeded_noise(1, seed) for seed in seeds])
        shares = torch.linspace(0, 1, frames).tolist()
        legs = zip(stops, stops[1:])
        walk = [slerp(here, there, share) for here, there in legs for share in shares[1:]]
        return self.forge(torch.stack([stops[0], *walk]))

    @verb("--a 3 5 8 --minus 1 2 4 --plus 6 7 9 --out arithmetic.png")
    def arithmetic(self, a: tuple[int, ...], minus: tuple[int, ...], plus: tuple[int, ...], count: int = 9) -> Image:
        """Vector arithmetic: mean noise of exemplars A, minus that of B, plus that of C. Radford et al. 2015, section 6.3.2.

        Look at `sample` with single seeds to choose exemplars that share a property. The first example returned is the
        result itself; around it the noise is shaken a little, uniformly in +-0.25 as in the paper.

        Args:
            a: seeds of the exemplars A.
            minus: seeds of the exemplars B.
            plus: seeds of the exemplars C.
            count: the result and count - 1 variations of it.
        """
        result = self._mean(a) - self._mean(minus) + self._mean(plus)
        shake = torch.rand(count, self.latent, generator=torch.Generator().manual_seed(0)) / 2 - 0.25
        shake[0] = 0
        return self.forge(result + shake.to(self.device))

    def _mean(self, seeds: Sequence[int]) -> Tensor:
        if not seeds:
            raise UserError("arithmetic needs at least one seed in each of --a, --minus and --plus")
        return torch.cat([self.seeded_noise(1, seed) for seed in seeds]).mean(0, keepdim=True)

    @verb("--count 8 --near 5 --out neighbours.png")
    def neighbours(self, count: int = 8, near: int = 5, seed: int = 0, data: str = "") -> Neighbours:
        """Samples beside the training examples nearest to them: has it memorised?

        Args:
            count: samples.
            near: neighbours of each.
            seed: of the samples.
            data: where to look; the model's own training data by default.
        """
        source = self.config.data.replace(source=data) if data else self.config.data
        examples = read_examples(source.open(), 20_000, seed).to(self.device)
        samples = self.sample(count, seed)
        distance, index = nearest(samples, examples, near)
        usual = nearest(examples[:256], examples, 2)[0][:, 1].mean().item()
        rows = torch.cat([samples[:, None], examples[index]], 1).flatten(0, 1)
        picture = grid(rows, near + 1) if rows.dim() == 4 else self.config.data.picture(rows)
        return Neighbours(picture, distance, usual)

    def preview(self, seed: int) -> Tensor:
        return self.config.data.picture(self.sample(self.preview_count, seed))

    @property
    def preview_count(self) -> int:
        """A sheet of pictures, or enough points to show where they lie."""
        return 64 if self.config.data.bounded else 500

    def scene(self, seed: int, opponent: Opponent) -> Tensor:
        """The preview; where examples are points, beside it what the opponent makes of the plane."""
        data = self.config.data
        if data.bounded:
            return self.preview(seed)
        examples = self.sample(self.preview_count, seed)
        picture, beside = data.picture(examples), data.opposed(examples, opponent)
        return picture if beside is None else torch.cat([picture, beside], 3)


def slerp(here: Tensor, there: Tensor, share: float) -> Tensor:
    """Spherical interpolation between two vectors: keeps the length that noise of a high dimension has.

    sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, where w is the angle between a and b (Shoemake 1985).
    """
    cosine = torch.dot(here, there) / (here.norm() * there.norm()).clamp(min=1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle.sin().abs() < 1e-4:
        return torch.lerp(here, there, share)
    return (torch.sin((1 - share) * angle) * here + torch.sin(share * angle) * there) / torch.sin(angle)


def read_examples(dataset: Dataset, limit: int, seed: int) -> Tensor:
    """Up to `limit` different examples, chosen by the seed: N x shape on the host."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))[:limit]
    parts = []
    for index in order.split(1024):
        batch = dataset.prepare(dataset.batch(index, torch.Generator().manual_seed(seed)))
        parts.append(batch[0])
    return torch.cat(parts)
