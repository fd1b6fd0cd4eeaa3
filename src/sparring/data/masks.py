"""Holes in pictures: which pixels a network has to fill in. Drawn anew for every batch, from the seed of the step.

Each function gives N x 1 x size x size, 1 in a hole and 0 elsewhere: never empty, and never more than a quarter of a picture.
Pathak et al. 2016, section 3.3, arXiv:1604.07379.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 0.25
"""largest share of a picture that is hole"""
BLOCKS, STROKES, BENDS = 6, 3, 4
"""most blocks in a picture; most strokes, and straight pieces of each"""


def centre(count: int, size: int, device: torch.device, inset: int = 0) -> Tensor:
    """A square in the middle, of half the picture's side.

    Args:
        count: N.
        size: side of the pictures.
        device: of the result.
        inset: pixels by which the square is smaller at each edge.
    """
    hole = torch.zeros(count, 1, size, size, device=device)
    first, last = size // 4 + inset, size // 4 + size // 2 - inset
    hole[:, :, first:last, first:last] = 1
    return hole


def blocks(count: int, size: int, device: torch.device) -> Tensor:
    """Rectangles anywhere, which may overlap: as many of six as stay within a quarter of the picture."""
    sides = torch.randint(max(1, size // 16), size // 2 + 1, (2, count, BLOCKS, 1), device=device)
    first = (torch.rand(sides.shape, device=device) * (size - sides + 1)).long()
    pixel = torch.arange(size, device=device)
    down, right = (pixel >= first) & (pixel < first + sides)
    return _within(down[..., :, None] & right[..., None, :])


def free(count: int, size: int, device: torch.device) -> Tensor:
    """Bent strokes of a round brush: as many pieces of three strokes as stay within a quarter of the picture."""
    start = torch.rand(count, STROKES, 1, 2, device=device) * size
    turn = (
        torch.randn(count, STROKES, BENDS, device=device).cumsum(2) + torch.rand(count, STROKES, 1, device=device) * 7
    )
    length = (0.1 + 0.2 * torch.rand(count, STROKES, BENDS, 1, device=device)) * size
    bends = start + (torch.stack([turn.cos(), turn.sin()], 3) * length).cumsum(2)
    # Strokes that leave the picture go along its edge.
    bends = torch.cat([start, bends], 2).clamp(0, size - 1)
    brush = (0.02 + 0.05 * torch.rand(count, STROKES, 1, device=device)) * size
    brush = brush.clamp(min=1).expand(-1, -1, BENDS).flatten(1)
    near = _distance(bends[:, :, :-1].flatten(1, 2), bends[:, :, 1:].flatten(1, 2), size) <= brush[..., None, None]
    return _within(near)


def _distance(here: Tensor, there: Tensor, size: int) -> Tensor:
    """From every pixel to each straight piece: N x pieces x 2, twice, to N x pieces x size x size."""
    pixel = torch.arange(size, device=here.device, dtype=torch.float32)
    along = there - here
    down, right = pixel[:, None] - here[..., 0, None, None], pixel - here[..., 1, None, None]
    way_down, way_right = along[..., 0, None, None], along[..., 1, None, None]
    square = (way_down.square() + way_right.square()).clamp(min=1e-6)
    share = ((down * way_down + right * way_right) / square).clamp(0, 1)
    return torch.hypot(down - share * way_down, right - share * way_right)


def _within(pieces: Tensor) -> Tensor:
    """N x pieces x H x W to N x 1 x H x W: the first pieces, as many as together stay within the largest share."""
    together = pieces.byte().cummax(1).values
    share = together.flatten(2).float().mean(2)
    kept = ((share <= MOST).sum(1) - 1).clamp(min=0)
    return together[torch.arange(len(pieces), device=pieces.device), kept][:, None].float()
