"""Density: say how likely each point is. In one or two dimensions, where a density can be drawn and summed up."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sparring.core import Image, Model, UserError, verb

POOL, MOVES, CHUNK = 65_536, 100, 16_384
"""least number of noise points that samples are chosen from; Metropolis steps of each; points that are judged at a time"""


class Densities(NamedTuple):
    """A density seen on a grid."""

    picture: Image
    """dark where points are likely"""
    mass: float
    """sum of the density over the picture: 1 for one that is normalised and lies within it"""
    points: Tensor
    """points x (dimensions + 1): the points asked about, and the log density of each"""


class Density(Model):
    """A learned log density, and a fixed noise that covers the data, which samples are chosen from."""

    @abstractmethod
    def log_density(self, points: Tensor) -> Tensor:
        """N x dimensions to N: the learned log density, its constant included."""

    @abstractmethod
    def log_noise(self, points: Tensor) -> Tensor:
        """N x dimensions to N: the log density of the noise."""

    @abstractmethod
    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        """Points of the noise, N x dimensions; from `chance` on the host if given, else from the clock's seed."""

    def judge(self, points: Tensor) -> Tensor:
        """Log density of any number of points: N x dimensions to N."""
        with self.using():
            return torch.cat([self.log_density(part).float() for part in points.to(self.device).split(CHUNK)])

    @verb("--count 1000 --out samples.png")
    def sample(self, count: int = 1000, seed: int = 0) -> Image:
        """Points drawn from the density: noise points chosen by their weight p / p_n, then moved on by Metropolis steps.

        The choice is in proportion but repeats points where few are likely; the moves, each accepted with probability
        min(1, p(to) / p(from)), keep the distribution and part the repeated ones. Their length is drawn anew each time, so
        that some suit every width of mode.

        Args:
            count: how many.
            seed: the same seed gives the same points.
        """
        return self.draw(count, seed, max(POOL, 64 * count), MOVES)

    def draw(self, count: int, seed: int, among: int, moves: int) -> Tensor:
        """`sample`, choosing among so many noise points and moving each so many times: count x dimensions."""
        chance = torch.Generator().manual_seed(seed)
        pool = self.noise(among, chance)
        with self.using():
            weight = self.judge(pool) - self.log_noise(pool)
        share = (weight - weight.amax()).double().exp().cpu()
        points = pool[torch.multinomial(share, count, replacement=True, generator=chance).to(pool.device)]
        level = self.judge(points)
        for _ in range(moves):
            length = 10 ** (-2.5 + 2 * torch.rand(count, 1, generator=chance))
            moved = points + (length * torch.randn(points.shape, generator=chance)).to(points)
            reached = self.judge(moved)
            accepted = torch.rand(count, generator=chance).log().to(level) < reached - level
            points = torch.where(accepted[:, None], moved, points)
            level = torch.where(accepted, reached, level)
        return points

    @verb("--at 1 0 0.5 0.5 --out density.png")
    def density(self, at: tuple[float, ...] = (), size: int = 256, reach: float = 1.5) -> Densities:
        """The learned density as a picture, and at points.

        Args:
            at: coordinates of points to judge, one point after the other.
            size: side of the picture in pixels.
            reach: the picture goes from -reach to reach.
        """
        (dimensions,) = self.config.data.shape
        if len(at) % dimensions:
            raise UserError(f"--at takes {dimensions} numbers for each point; {len(at)} were given")
        if size < 2 or reach <= 0:
            raise UserError(f"--size must be at least 2 and --reach above 0, not {size} and {reach}")
        side = (torch.arange(size) + 0.5) / size * 2 * reach - reach
        places = torch.cartesian_prod(*[side] * dimensions).view(-1, dimensions)
        value = self.judge(places).exp().cpu()
        mass = value.double().sum().item() * (2 * reach / size) ** dimensions
        points = torch.tensor(at).view(-1, dimensions)
        known = torch.cat([points, self.judge(points).cpu()[:, None]], 1)
        return Densities(curve(value) if dimensions == 1 else heat(value.view(size, size)), mass, known)

    def preview(self, seed: int) -> Tensor:
        """The density, and samples of it."""
        samples = self.config.data.picture(self.draw(500, seed, POOL // 8, MOVES // 4).cpu())
        picture = functional.interpolate(self.density(size=96).picture, samples.shape[-2:])
        return torch.cat([picture, samples], 3)


def heat(value: Tensor) -> Tensor:
    """A picture of a density on a grid, 1 x 3 x W x W: white at 0, blue and then dark up to the highest.

    Args:
        value: W x W, the first coordinate to the right, the second upwards.
    """
    # The square root shows what is less likely too.
    share = (value / value.amax().clamp(min=1e-30)).sqrt().T.flip(0)
    white, blue, dark = (torch.tensor(colour)[:, None, None] for colour in ([1, 1, 1], [-0.6, 0, 0.6], [-1, -1, -0.6]))
    lower, upper = (share * 2).clamp(0, 1), (share * 2 - 1).clamp(0, 1)
    return torch.lerp(torch.lerp(white.float(), blue, lower), dark, upper)[None]


def curve(value: Tensor) -> Tensor:
    """A picture of a density on a line, 1 x 3 x W x W: filled up to its value."""
    size = len(value)
    height = value / value.amax().clamp(min=1e-30) * 0.95 * size
    filled = (size - torch.arange(size))[:, None] <= height
    return torch.where(filled, torch.tensor([-0.6, 0.0, 0.6])[:, None, None], 1.0)[None]
