"""Points: toy distributions in one or two dimensions, where everything about a game can be seen and computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from torch import Tensor

from sparring.core.data import Data, Dataset
from sparring.core.errors import UserError

SIZE, REACH = 384, 1.5


class PointBatch(NamedTuple):
    point: Tensor
    """N x dimensions"""
    label: Tensor
    """int64 N: the mode that the point belongs to"""


@dataclass(frozen=True)
class Points(Data):
    source: str = "ring"
    """ring (8 modes, radius 1), grid (25 modes, spacing 0.5), gaussian (2-D) or line (1-D Gaussian)"""
    sigma: float = 0.0
    """standard deviation of a mode; 0: 0.01 on the ring, 0.0125 on the grid, 0.5 for a single Gaussian"""
    count: int = 100_000
    """points that are drawn once"""
    seed: int = 0
    """of the points"""

    bounded: ClassVar[bool] = False

    @classmethod
    def claims(cls, source: str) -> bool:
        return source in {"ring", "grid", "gaussian", "line"}

    @property
    def shape(self) -> tuple[int, ...]:
        return (1,) if self.source == "line" else (2,)

    @property
    def spread(self) -> float:
        """sigma, the default of the source if none was given."""
        return self.sigma or {"ring": 0.01, "grid": 0.0125}.get(self.source, 0.5)

    def resolved(self) -> Self:
        if not self.claims(self.source):
            raise UserError(f"no distribution {self.source!r}; there are ring, grid, gaussian, line")
        return self

    def centres(self) -> Tensor:
        """Means of the modes, modes x dimensions."""
        if self.source == "ring":
            angle = torch.arange(8) * (2 * math.pi / 8)
            return torch.stack([angle.cos(), angle.sin()], 1)
        if self.source == "grid":
            side = torch.arange(-2, 3) * 0.5
            return torch.cartesian_prod(side, side)
        return torch.zeros(1, *self.shape)

    def open(self) -> PointSet:
        chance = torch.Generator().manual_seed(self.seed)
        centres = self.centres()
        label = torch.randint(len(centres), (self.count,), generator=chance)
        noise = torch.randn(self.count, *self.shape, generator=chance)
        return PointSet(self, centres[label] + self.spread * noise, label)

    def picture(self, examples: Tensor) -> Tensor:
        """The points over the centres of the true modes; a histogram in one dimension."""
        sheet = PIL.Image.new("RGB", (SIZE, SIZE), "white")
        draw = PIL.ImageDraw.Draw(sheet)
        values = examples.detach().float().cpu()
        if self.shape == (1,):
            counts = torch.histc(values, 64, -REACH, REACH)
            heights = (counts / counts.max().clamp(min=1) * (SIZE - 20)).tolist()
            for number, height in enumerate(heights):
                draw.rectangle((number * SIZE // 64, SIZE - height, (number + 1) * SIZE // 64 - 1, SIZE), "#2f6fb0")
        else:
            for centre in _pixels(self.centres()):
                draw.circle(centre, 9, outline="#d06a1c", width=2)
            for point in _pixels(values):
                draw.circle(point, 2, "#2f6fb0")
        return torch.from_numpy(np.array(sheet)).permute(2, 0, 1)[None].float() / 127.5 - 1


def _pixels(points: Tensor) -> list[tuple[float, float]]:
    places = (points * torch.tensor([1.0, -1.0]) / REACH + 1) / 2 * SIZE
    return [(x, y) for x, y in places.clamp(-SIZE, 2 * SIZE).tolist()]


class PointSet(Dataset):
    def __init__(self, config: Points, point: Tensor, label: Tensor):
        self.point, self.label = point, label
        self.fingerprint = f"points-{config.source}-{config.spread}-{config.count}-{config.seed}"

    def __len__(self) -> int:
        return len(self.point)

    def batch(self, index: Tensor, chance: torch.Generator) -> PointBatch:
        return PointBatch(self.point[index], self.label[index])
