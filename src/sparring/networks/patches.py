"""A discriminator that judges patches: a map of logits, each of which sees a square of the picture. Isola et al. 2017.

How large the square is, is how many strided layers there are; one of 1 px has none.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.instance import InstanceNorm
from sparring.networks.unet import initialize

FIELDS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""side of the square that a logit sees, and the strided layers that make it so"""


class Patches(nn.Module):
    """Picture to a map of logits.

    Args:
        given: channels of what is judged.
        field: side of the square that a logit sees: 1, 16, 34, 70, 142 or 286.
        width: channels of the first layer; doubled with every halving, at most 8 times.
        affine: whether normalisation scales and shifts its maps, by weights.
        size: side of the pictures.

    Raises:
        UserError: no such field, or the pictures are too small for it.
    """

    def __init__(self, given: int, field: int, width: int, affine: bool, size: int):
        super().__init__()
        if field not in FIELDS:
            raise UserError(f"--field is {field}; it is {', '.join(map(str, FIELDS))}")
        halvings = FIELDS[field]
        if size < 4 << halvings:
            fits = max(side for side, count in FIELDS.items() if count == 0 or size >= 4 << count)
            raise UserError(f"pictures of {size} px are too small for patches of {field} px; use --field {fits}")
        counts = [width * min(2**level, 8) for level in range(halvings + 1)]
        if not halvings:
            counts = [width, 2 * width]
            self.layers = nn.ModuleList([nn.Conv2d(given, width, 1), nn.Conv2d(width, 2 * width, 1, bias=not affine)])
        else:
            strides = [2] * halvings + [1]
            self.layers = nn.ModuleList(
                nn.Conv2d(less, more, 4, stride, 1, bias=place == 0 or not affine)
                for place, ((less, more), stride) in enumerate(zip(pairwise([given, *counts]), strides))
            )
        self.norms = nn.ModuleList(InstanceNorm(count, affine) for count in counts[1:])
        self.score = nn.Conv2d(counts[-1], 1, 4 if halvings else 1, 1, 1 if halvings else 0)
        initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """N x given x H x W to N x 1 x h x w."""
        value = functional.leaky_relu(self.layers[0](image), 0.2, inplace=True)
        for layer, norm in zip(self.layers[1:], self.norms):
            value = functional.leaky_relu(norm(layer(value)), 0.2, inplace=True)
        return self.score(value).float()
