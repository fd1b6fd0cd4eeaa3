"""Where pictures of two kinds are light and where dark, coarsely, so that one can be told what that means for the other.

The colour transfer of Reinhard et al. ("Color Transfer between Images", 2001) in lightness, place by place: where a kind never
varies, as the white ground of drawings, that is what is asked for, whatever was there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELLS = 4
"""of a side of the grid on which lightness is looked at"""
MEMORY = 0.99
"""share of what was known that stays with each batch"""
LEAST = 0.05
"""deviation below which a place of the given kind counts as varying no less"""


class Tone(nn.Module):
    """Running mean and mean square of two kinds' lightness in each cell of a grid."""

    mean: Tensor
    square: Tensor
    seen: Tensor
    """weight of all that has been seen so far, from 0 to 1"""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2, CELLS, CELLS))
        self.register_buffer("square", torch.zeros(2, CELLS, CELLS))
        self.register_buffer("seen", torch.zeros(()))

    @torch.no_grad()
    def see(self, first: Tensor, second: Tensor) -> None:
        """Takes in N x C x H x W of each kind."""
        found = [lightness(pictures) for pictures in (first, second)]
        self.mean.lerp_(torch.stack([each.mean(0) for each in found]), 1 - MEMORY)
        self.square.lerp_(torch.stack([each.square().mean(0) for each in found]), 1 - MEMORY)
        self.seen.lerp_(torch.ones_like(self.seen), 1 - MEMORY)

    def expected(self, pictures: Tensor, kind: int) -> Tensor:
        """The lightness of what is made of these in the other kind: in its deviations, as far from its mean.

        Args:
            pictures: N x C x H x W of kind 0 or 1.
            kind: which.

        Returns:
            N x 4 x 4.
        """
        mean = self.mean / self.seen
        deviation = (self.square / self.seen - mean.square()).clamp(min=0).sqrt()
        scale = deviation[1 - kind] / deviation[kind].clamp(min=LEAST)
        return mean[1 - kind] + (lightness(pictures) - mean[kind]) * scale

    def strayed(self, pictures: Tensor, made: Tensor, kind: int) -> Tensor:
        """Mean absolute difference between the lightness that was expected and that of what was made, a scalar."""
        return (lightness(made) - self.expected(pictures, kind)).abs().mean()


def lightness(pictures: Tensor) -> Tensor:
    """N x C x H x W to N x 4 x 4: luma of BT.601 where there are three channels, else their mean."""
    cells = functional.adaptive_avg_pool2d(pictures.float(), CELLS)
    if cells.shape[1] != 3:
        return cells.mean(1)
    return (cells * cells.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
