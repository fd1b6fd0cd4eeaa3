"""Inpaint: fill holes in pictures of any size.

A network fills holes in the middle of a square window; pictures and holes are of any size. So holes that lie together are first
looked at whole, in windows that are reduced (or, where the network fills only a square of one size, enlarged) until the hole
fits their middle; long ones in a row of windows, from the rim inwards, each of which sees what was filled before. What was much
reduced is then filled again at twice the resolution, and again, as far from the rim as a window sees enough of the picture
there: farther in, nothing is known of what is so small. Windows fade into each other, and what a network errs by at the rim is
spread over the hole and taken off, so that no seam is left there.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sparring.core import Dataset, Image, Mask, Model, UserError, verb
from sparring.core.device import seeded
from sparring.core.media import grid, in_channels
from sparring.tasks.compared import Compared

CELL = 8
"""side in pixels of the squares in which holes are looked for: nearer than that, they are one"""
SWEEPS = 8
"""rounds in which a value is made the mean of its neighbours, at every resolution"""
CHUNK = 16
"""windows filled at a time"""
ENOUGH = 0.25
"""share of a window that is known where details are worth adding"""


class Box(NamedTuple):
    """Rows and columns from the first to before the last."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def side(self) -> int:
        return max(self.bottom - self.top, self.right - self.left)

    def grown(self, by: int, height: int, width: int) -> Box:
        """With as much more on every side, as far as the picture goes."""
        return Box(
            max(0, self.top - by), min(height, self.bottom + by), max(0, self.left - by), min(width, self.right + by)
        )

    def of(self, image: Tensor) -> Tensor:
        """That part of a picture, N x C x H x W: a view."""
        return image[:, :, self.top : self.bottom, self.left : self.right]


class Inpaint(Model):
    """A network that fills holes. A subclass sets the fields below, and says how windows are completed."""

    core: int
    """side of the middle of a window, in which holes are filled"""
    overlap: int
    """pixels around a hole that the network makes too"""
    whole: bool
    """whether holes of any shape are filled; otherwise the middle is, as a whole"""
    mirror: bool
    """whether the network knows mirrored pictures too: then the mean of both views is taken, which is nearer to the truth"""

    @property
    def window(self) -> int:
        """Side of what the network looks at."""
        return self.config.data.shape[1]

    @abstractmethod
    def complete(self, images: Tensor, hole: Tensor) -> Tensor:
        """What the network makes of windows with holes: N x C x window x window, and N x 1 x window x window, 1 in holes.

        It counts in holes, and up to `overlap` around them.
        """

    @abstractmethod
    def holes(self, count: int, device: torch.device) -> Tensor:
        """Holes as in training, from the clock's seed: count x 1 x window x window."""

    @verb("image.png mask.png --out filled.png")
    def inpaint(self, image: Image, mask: Mask) -> Image:
        """The picture with its holes filled; all else stays as it is.

        Args:
            image: a picture of any size, in grey or colour; what is transparent stays so.
            mask: a picture of the same size, white (or transparent) where there are holes.
        """
        hole = checked(image, mask).to(self.device)
        values = image[:, : 3 if image.shape[1] == 4 else None]
        with self.using():
            filled = torch.cat([self._filled(one[None].to(self.device), hole) for one in values])
        inside = (hole > 0.5).to(image.device)
        return torch.cat([torch.where(inside, filled.to(image), values), image[:, values.shape[1] :]], 1)

    def _filled(self, image: Tensor, hole: Tensor) -> Tensor:
        """In the picture's own channels: what a grey network makes is given the colours around."""
        part = bounds(hole)
        part = part.grown(2 * part.side + self.window, image.shape[2], image.shape[3])
        result = image.clone()
        part.of(result).copy_(self._part(part.of(image), part.of(hole)))
        return result

    def _part(self, image: Tensor, hole: Tensor) -> Tensor:
        rough = membrane(image, 1 - hole)
        state = State(in_channels(rough, self.config.data.shape[0]).clone(), hole)
        for own in together(hole):
            self._fill(state, own)
        if state.image.shape[1] == image.shape[1]:
            return state.image.clamp(-1, 1)
        made, before = in_channels(state.image, 1), in_channels(rough, 1)
        return (rough + made - before).clamp(-1, 1)

    def _fill(self, state: State, own: Tensor) -> None:
        """Fill holes that lie together, at ever higher resolution. 1 x 1 x H x W, 1 in these holes."""
        box = bounds(own)
        scale = min(box.side, 4 * CELL * depth(own)) / self.core
        scale = max(scale, 1.0 if self.whole else CELL / self.core)
        self._pass(state, own, box, scale, again=False)
        while scale >= 2:
            scale /= 2
            self._pass(state, own, box, scale, again=True)

    def _pass(self, state: State, own: Tensor, box: Box, scale: float, again: bool) -> None:
        """Fill these holes by windows of `scale` times the network's, ring after ring, the rim's first.

        Args:
            again: they are filled already; what is far from the rim stays.
        """
        core = max(1, round(self.core * scale))
        margin = max(1, round((self.window - self.core) * scale / 2))
        more = core // 2 if again else 0
        rows, columns = starts(box.top - more, box.bottom + more, core), starts(box.left - more, box.right + more, core)

        def wanted(corner: tuple[int, int]) -> bool:
            if not within(own, corner, core).any():
                return False
            around = within(state.hole, (corner[0] - margin, corner[1] - margin), core + 2 * margin)
            return not again or around.mean().item() <= 1 - ENOUGH

        image, inside, unfilled = (box.of(each) for each in (state.image, own, state.unfilled))
        before, total, weight = image.clone(), torch.zeros_like(image), torch.zeros_like(inside)
        for ring in rings(len(rows), len(columns)):
            corners = [corner for row, column in ring if wanted(corner := (rows[row], columns[column]))]
            for first in range(0, len(corners), CHUNK):
                part = corners[first : first + CHUNK]
                for (top, left), made in zip(part, self._windows(state, part, core, margin)):
                    lay(total, weight, made, (top - box.top, left - box.left))
            share = inside * (weight.clamp(max=1) if again else weight.sign())
            image.copy_(torch.lerp(before, total / weight.clamp(min=1e-6), share))
            unfilled.mul_(share == 0)

    def _windows(self, state: State, corners: list[tuple[int, int]], core: int, margin: int) -> Tensor:
        """The cores that begin at these corners, filled: N x C x core x core."""
        side, layers = core + 2 * margin, (state.image, state.hole, state.unfilled)
        seen = torch.cat([
            torch.cat([cut(layer, top - margin, left - margin, side) for layer in layers], 1) for top, left in corners
        ])  # fmt: skip
        image, (hole, unfilled) = seen[:, :-2], seen[:, -2:].chunk(2, 1)
        middle = torch.zeros_like(hole)
        middle[:, :, margin:-margin, margin:-margin] = 1
        missing = torch.maximum(unfilled, hole * middle)
        image = functional.interpolate(image, (self.window,) * 2, mode="bilinear", antialias=True)
        missing = functional.adaptive_max_pool2d(missing, self.window)
        asked = missing
        if not self.whole:
            inset = (self.window - self.core) // 2
            asked = torch.zeros_like(missing)
            asked[:, :, inset : inset + self.core, inset : inset + self.core] = 1
        made = self.complete(image, asked)
        if self.mirror:
            made = (made + self.complete(image.flip(3), asked.flip(3)).flip(3)) / 2
        known = widened(asked, self.overlap) * (1 - missing)
        made = made + membrane(image - made, known)
        made = torch.where(missing > 0, made, image)
        made = functional.interpolate(made, (side, side), mode="bilinear", antialias=True)
        return made[:, :, margin:-margin, margin:-margin]

    def compare(self, dataset: Dataset, index: Tensor, chance: torch.Generator) -> list[Compared]:
        """With the holes that it was trained on; the control is the mean colour of the rest of each picture."""
        images = dataset.prepare(dataset.batch(index, chance))[0]
        host = torch.device("cpu")
        with seeded(int(torch.randint(2**31, (), generator=chance)), host):
            hole = self.holes(len(images), host)
        known = 1 - hole
        colour = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        made = torch.cat([self.inpaint(image[None], mask[None]).cpu() for image, mask in zip(images, hole)])
        return [Compared("inpaint", made, images, torch.lerp(images, colour, hole), paired=True, hole=hole)]

    def preview(self, seed: int) -> Tensor:
        """Pictures of the training data, in rows: with a hole, filled, and whole."""
        dataset, count = self.config.data.open(), 8
        chance = torch.Generator().manual_seed(seed)
        index = torch.randperm(len(dataset), generator=chance)[:count]
        images = dataset.prepare(dataset.batch(index, chance))[0].to(self.device)
        host = torch.device("cpu")
        with seeded(seed, host):
            hole = self.holes(len(images), host).to(self.device)
        with self.using():
            filled = torch.lerp(images, self.complete(images, hole), hole)
        rows = torch.cat([torch.lerp(images, torch.zeros_like(images), hole), filled, images])
        return grid(rows, len(images))


class State:
    """A picture while it is filled.

    Args:
        image: 1 x C x H x W, with guesses in the holes; changed.
        hole: 1 x 1 x H x W, 1 in holes.
    """

    def __init__(self, image: Tensor, hole: Tensor):
        self.image, self.hole, self.unfilled = image, hole, hole.clone()


def checked(image: Tensor, mask: Tensor) -> Tensor:
    """The mask, 1 x 1 x H x W.

    Raises:
        UserError: it is of another size, or has no hole, or is nothing else.
    """
    (height, width), (high, wide) = image.shape[-2:], mask.shape[-2:]
    if (height, width) != (high, wide):
        raise UserError(
            f"the mask is {wide} x {high} px, but the picture {width} x {height} px; they must be of one size"
        )
    hole = (mask.reshape(-1, 1, height, width)[:1] > 0.5).float()
    if not hole.any():
        raise UserError("the mask has no hole")
    if hole.all():
        raise UserError("the mask is all hole: nothing is left of the picture to go by")
    return hole


def widened(hole: Tensor, reach: int) -> Tensor:
    """Holes with all pixels around them that are no farther than `reach`, diagonals counting as one."""
    if not reach:
        return hole
    return functional.max_pool2d(
        functional.max_pool2d(hole, (2 * reach + 1, 1), 1, (reach, 0)), (1, 2 * reach + 1), 1, (0, reach)
    )


def membrane(value: Tensor, known: Tensor) -> Tensor:
    """Values that are known, and between them each the mean of its neighbours: a soap film. 0 where nothing is known at all.

    Args:
        value: N x C x H x W.
        known: N x 1 x H x W, 1 where the value counts and 0 where not.
    """
    value = value * known
    height, width = value.shape[2:]
    if max(height, width) == 1:
        return value
    coarse = functional.avg_pool2d(value, 2, ceil_mode=True, count_include_pad=False)
    share = functional.avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    coarse = membrane(coarse / share.clamp(min=1e-6), (share > 0).float())
    film = functional.interpolate(coarse, (height, width), mode="bilinear")
    for _ in range(SWEEPS):
        film = torch.lerp(film, value, known)
        edged = functional.pad(film, (1, 1, 1, 1), mode="replicate")
        film = (edged[:, :, :-2, 1:-1] + edged[:, :, 2:, 1:-1] + edged[:, :, 1:-1, :-2] + edged[:, :, 1:-1, 2:]) / 4
    return torch.lerp(film, value, known)


def together(hole: Tensor) -> Iterator[Tensor]:
    """Holes that lie together, one lot after the other: 1 x 1 x H x W each."""
    height, width = hole.shape[2:]
    cells = functional.max_pool2d(hole, CELL, ceil_mode=True)[0, 0] > 0
    left = {(row, column) for row, column in cells.nonzero().tolist()}
    while left:
        found = [left.pop()]
        for row, column in found:
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            found.extend(near)
        own = torch.zeros_like(cells)
        own[tuple(torch.tensor(found, device=own.device).T)] = True
        fine = own.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)[:height, :width]
        yield hole * fine


def bounds(hole: Tensor) -> Box:
    """The smallest box around holes."""
    rows, columns = (hole.amax((0, 1, axis)).nonzero() for axis in (3, 2))
    return Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def depth(hole: Tensor) -> int:
    """How many cells one may go into holes, at least 1."""
    full = -functional.max_pool2d(-hole, CELL, ceil_mode=True)
    count = 1
    while full.any():
        full = -functional.max_pool2d(functional.pad(-full, (1, 1, 1, 1)), 3, 1)
        count += 1
    return count


def starts(first: int, last: int, core: int) -> list[int]:
    """Where cores begin that cover a stretch: one in its middle, or several that overlap by half or more."""
    length = last - first
    if length <= core:
        return [first - (core - length) // 2]
    count = math.ceil((length - core) / max(1, core // 2)) + 1
    return [first + round(number * (length - core) / (count - 1)) for number in range(count)]


def rings(rows: int, columns: int) -> Iterator[list[tuple[int, int]]]:
    """The places of a table, from its rim inwards."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row in range(rows):
        for column in range(columns):
            found.setdefault(min(row, column, rows - 1 - row, columns - 1 - column), []).append((row, column))
    yield from (found[ring] for ring in sorted(found))


def within(hole: Tensor, corner: tuple[int, int], side: int) -> Tensor:
    """The part of a mask in the square that begins at this corner, as far as it lies in the picture."""
    top, left = corner
    return hole[:, :, max(0, top) : top + side, max(0, left) : left + side]


def cut(image: Tensor, top: int, left: int, side: int) -> Tensor:
    """A square of a picture; beyond its edges, its mirror image."""
    rows, columns = (
        mirrored(torch.arange(first, first + side, device=image.device), length)
        for first, length in ((top, image.shape[2]), (left, image.shape[3]))
    )
    return image[:, :, rows][:, :, :, columns]


def mirrored(place: Tensor, length: int) -> Tensor:
    """Places beyond 0 to length - 1, reflected at the ends."""
    if length == 1:
        return torch.zeros_like(place)
    place = place % (2 * length - 2)
    return torch.minimum(place, 2 * length - 2 - place)


def lay(total: Tensor, weight: Tensor, made: Tensor, corner: tuple[int, int]) -> None:
    """Add a core (C x side x side), which fades towards its edges, to the weighted sum and to the weights."""
    side, (top, left) = made.shape[-1], corner
    ramp = 1 - ((torch.arange(side, device=made.device) + 0.5) * 2 / side - 1).abs()
    tent = ramp[:, None] * ramp
    above, before = max(0, -top), max(0, -left)
    onto = within(total, corner, side)
    tent = tent[above : above + onto.shape[2], before : before + onto.shape[3]]
    made = made[:, above : above + onto.shape[2], before : before + onto.shape[3]]
    onto += made * tent
    within(weight, corner, side).add_(tent)
