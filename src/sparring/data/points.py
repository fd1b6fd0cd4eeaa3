"""Points: toy distributions in one or two dimensions, where everything about a game can be seen and computed."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from torch import Tensor

from sparring.core.data import Data, Dataset, Opponent
from sparring.core.errors import UserError

SIZE, REACH = 384, 1.5
ALONG = 200
"""places along each arm of a curve at which its density is summed up"""
SOURCES = ("ring", "grid", "gaussian", "line", "mixture", "spiral", "moons")
BLUE, ORANGE = "#2f6fb0", "#d06a1c"


class PointBatch(NamedTuple):
    point: Tensor
    """N x dimensions"""
    label: Tensor
    """int64 N: the mode that the point belongs to; on a curve, its arm"""


@dataclass(frozen=True)
class Points(Data):
    source: str = "ring"
    """ring (8 modes, radius 1), grid (25 modes, spacing 0.5), gaussian (2-D), spiral (2 arms), moons (2), or in one
    dimension line (a Gaussian) and mixture (3 unevenly spaced)"""
    sigma: float = 0.0
    """standard deviation of a mode, or across a curve; 0: 0.01 on the ring, 0.0125 on the grid, 0.5 for a single Gaussian,
    0.1 in the mixture, 0.02 across the spiral, 0.05 across the moons"""
    count: int = 100_000
    """points that are drawn once"""
    seed: int = 0
    """of the points"""

    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise UserError(f"data.sigma is {self.sigma}; it is above 0, or 0 for the source's own")
        if self.count < 1:
            raise UserError(f"data.count is {self.count}; it is at least 1")

    @classmethod
    def claims(cls, source: str) -> bool:
        return source in SOURCES

    @property
    def shape(self) -> tuple[int, ...]:
        return (1,) if self.source in {"line", "mixture"} else (2,)

    @property
    def spread(self) -> float:
        """sigma, the default of the source if none was given."""
        usual = {"ring": 0.01, "grid": 0.0125, "mixture": 0.1, "spiral": 0.02, "moons": 0.05}
        return self.sigma or usual.get(self.source, 0.5)

    @property
    def curved(self) -> bool:
        """Whether the points lie along curves, which have no centres."""
        return self.source in {"spiral", "moons"}

    def resolved(self) -> Self:
        if not self.claims(self.source):
            raise UserError(f"no distribution {self.source!r}; there are {', '.join(SOURCES)}")
        return self

    def centres(self) -> Tensor:
        """Means of the modes, modes x dimensions.

        Raises:
            UserError: a curve has none.
        """
        if self.curved:
            raise UserError(f"the {self.source} is a curve: it has no modes to count")
        if self.source == "ring":
            angle = torch.arange(8) * (2 * math.pi / 8)
            return torch.stack([angle.cos(), angle.sin()], 1)
        if self.source == "grid":
            side = torch.arange(-2, 3) * 0.5
            return torch.cartesian_prod(side, side)
        if self.source == "mixture":
            return torch.tensor([[-1.0], [-0.2], [1.0]])
        return torch.zeros(1, *self.shape)

    def middle(self, share: Tensor, arm: Tensor) -> Tensor:
        """The places on a curve at this share of the way (N, in [0, 1]) along this arm (N, 0 or 1): N x 2.

        The way is measured by the curve's length, so that points drawn uniformly by share are equally dense all along.
        """
        sign = 1 - 2 * arm.float()
        if self.source == "moons":
            angle = share * math.pi
            return torch.stack([(angle.cos() - 0.5) * sign, (angle.sin() - 0.25) * sign], 1) * 0.8
        # r = c t: the length grows about as t^2 / 2, and the arms start away from the origin, where they would cross.
        first, last = 0.5 * math.pi, 3.5 * math.pi
        turn = (first**2 + share * (last**2 - first**2)).sqrt()
        return torch.stack([turn.cos(), turn.sin()], 1) * (turn * sign * 1.2 / last)[:, None]

    def anchors(self) -> Tensor:
        """What the density is a mean of Gaussians around: the centres, or close places along the curve."""
        if not self.curved:
            return self.centres()
        share = (torch.arange(ALONG) + 0.5) / ALONG
        return torch.cat([self.middle(share, torch.full((ALONG,), arm)) for arm in (0, 1)])

    def log_density(self, points: Tensor) -> Tensor:
        """log p(x) in nats at each point, N x dimensions to N: exact for a mixture, summed along the way for a curve."""
        anchors, dimensions = self.anchors().to(points), points.shape[1]
        scale = len(anchors) * (self.spread * math.sqrt(2 * math.pi)) ** dimensions
        parts = []
        for part in points.split(8192):
            away = torch.cdist(part, anchors, compute_mode="donot_use_mm_for_euclid_dist") / self.spread
            parts.append(torch.logsumexp(away.square() / -2, 1) - math.log(scale))
        return torch.cat(parts)

    def open(self) -> PointSet:
        chance = torch.Generator().manual_seed(self.seed)
        label = torch.randint(2 if self.curved else len(self.centres()), (self.count,), generator=chance)
        noise = torch.randn(self.count, *self.shape, generator=chance)
        where = self.middle(torch.rand(self.count, generator=chance), label) if self.curved else self.centres()[label]
        return PointSet(self, where + self.spread * noise, label)

    def picture(self, examples: Tensor, heat: Tensor | None = None, arrows: Tensor | None = None) -> Tensor:
        """The points over the data's density; in one dimension a histogram under it.

        Args:
            examples: N x dimensions.
            heat: what the opponent thinks at `places()`, one logit each, drawn behind in place of the density: blue where it
                takes points for forged, orange where for real.
            arrows: N x dimensions, where each example is pulled; drawn at a length that fits (in the plane only).

        Returns:
            1 x 3 x H x W in [-1, 1].
        """
        values = examples.detach().float().cpu()
        if self.shape == (1,):
            return _tensor(_histogram(self, values, heat))
        sheet = _warm(heat) if heat is not None else _shade(self).copy()
        draw = PIL.ImageDraw.Draw(sheet)
        if not self.curved and self.spread < 0.1:
            for centre in _pixels(self.centres()):
                draw.circle(centre, 9, outline=ORANGE, width=2)
        if arrows is not None:
            pull = arrows.detach().float().cpu()
            pull = pull * (0.15 / pull.norm(dim=1).quantile(0.9).clamp(min=1e-12))
            for start, end in zip(_pixels(values), _pixels(values + pull)):
                draw.line((*start, *end), fill="#333333", width=1)
        for point in _pixels(values):
            draw.circle(point, 2, BLUE)
        return _tensor(sheet)

    def opposed(self, examples: Tensor, opponent: Opponent) -> Tensor | None:
        """The opponent's opinion of every place as colour, and at each example which way, and how steeply, it goes up: that
        way the generator is pulled.

        A logit is shown as it is: white where real and forged are equally likely. A score that means something only beside
        others is white halfway between the mean of the data and that of the examples.
        """
        places, anchors = (points.to(examples) for points in (self.places(), self.anchors()))
        with torch.no_grad():
            scores = opponent.score(torch.cat([places, anchors, examples]))
        if scores is None:
            return None
        heat, real, fake = scores.float().split([len(places), len(anchors), len(examples)])
        if opponent.relative:
            heat = (heat - (real.mean() + fake.mean()) / 2) / heat.std().clamp(min=1e-12)
        with torch.enable_grad():
            # A copy: what a verb returns cannot be differentiated.
            held = examples.clone().requires_grad_()
            score = opponent.score(held)
            assert score is not None
            (arrows,) = torch.autograd.grad(score.float().sum(), held)
        return self.picture(examples, heat, arrows)

    def places(self, side: int = 96) -> Tensor:
        """Where `heat` is asked for: `side` places on a line, or side x side in the plane, row by row from the top left."""
        steps = (torch.arange(side) + 0.5) / side * 2 * REACH - REACH
        if self.shape == (1,):
            return steps[:, None]
        return torch.stack([steps.repeat(side), steps.flip(0).repeat_interleave(side)], 1)


def _tensor(sheet: PIL.Image.Image) -> Tensor:
    return torch.from_numpy(np.array(sheet)).permute(2, 0, 1)[None].float() / 127.5 - 1


def _blend(share: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """White at 0 to the colour at 1: H x W to H x W x 3 in [0, 255]."""
    return 255 - share[..., None] * (255 - torch.tensor(colour, dtype=torch.float32))


@functools.cache
def _shade(data: Points) -> PIL.Image.Image:
    """The density, white to orange; of a curve, which is slow to sum up, at half the resolution."""
    side = SIZE // 2 if data.curved else SIZE
    density = data.log_density(data.places(side)).view(side, side)
    shade = _blend(((density - density.max()) / 2).exp(), (240, 190, 140))
    return PIL.Image.fromarray(shade.byte().numpy()).resize((SIZE, SIZE), PIL.Image.Resampling.BILINEAR)


def _warm(heat: Tensor) -> PIL.Image.Image:
    """Logits at `Points.places()`, from blue over white to orange."""
    side = math.isqrt(len(heat))
    sure = (heat.detach().float().cpu().sigmoid() * 2 - 1).view(side, side)
    colours = _blend(sure.clamp(min=0), (240, 170, 110)) + _blend(-sure.clamp(max=0), (140, 180, 230)) - 255
    return PIL.Image.fromarray(colours.byte().numpy()).resize((SIZE, SIZE), PIL.Image.Resampling.BILINEAR)


def _histogram(data: Points, values: Tensor, heat: Tensor | None) -> PIL.Image.Image:
    """The share of points in each of 64 bins as bars, the true density as a line, the opponent's D(x) as another."""
    sheet = PIL.Image.new("RGB", (SIZE, SIZE), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    bins, places = 64, data.places(SIZE)
    density = data.log_density(places).exp()
    scale = (SIZE - 20) / (1.3 * density.max().item())
    heights = torch.histc(values, bins, -REACH, REACH) / max(len(values), 1) / (2 * REACH / bins) * scale
    for number, height in enumerate(heights.clamp(max=SIZE).tolist()):
        left, right = number * SIZE // bins, (number + 1) * SIZE // bins - 1
        draw.rectangle((left, SIZE - round(height), right, SIZE), BLUE)
    draw.line([(x, SIZE - y) for x, y in enumerate((density * scale).tolist())], ORANGE, 3)
    if heat is not None:
        belief = heat.detach().float().cpu().sigmoid().tolist()
        draw.line(
            [((x + 0.5) * SIZE / len(belief), SIZE - y * (SIZE - 20)) for x, y in enumerate(belief)], "#333333", 2
        )
    return sheet


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
