"""pix2pix's generator: an encoder and a decoder with skips between their halves. Isola et al. 2017, section 3.2.1 and appendix.

The picture is halved down to a single place and doubled up again; each doubling also sees the encoder's map of its size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.coarse import Doubling, Halving
from sparring.networks.instance import InstanceNorm

WIDEST = 8
"""times the width at full size: no map has more channels"""


class UNet(nn.Module):
    """Picture to picture.

    Args:
        given, made: channels of both.
        size: side of the pictures, a power of two from 32 to 1024: it sets how often they are halved.
        width: channels at half the full size; doubled with every halving, at most 8 times.
        dropout: share of the values that is dropped in the decoder's coarsest maps.

    Raises:
        UserError: `size` is no such power.
    """

    def __init__(self, given: int, made: int, size: int, width: int = 64, dropout: float = 0.5):
        super().__init__()
        if size not in {2**power for power in range(5, 11)}:
            near = min((2**power for power in range(5, 11)), key=lambda other: abs(other - size))
            raise UserError(
                f"pictures are halved down to 1 px, so --data.size is 32, 64, ..., 1024; {size} is not, {near} is"
            )
        levels = size.bit_length() - 1
        widths = [width * min(2**level, WIDEST) for level in range(levels)]
        self.halvings = nn.ModuleList(
            Halving(less, more, bias=level in {0, levels - 1})
            for level, (less, more) in enumerate(zip([given, *widths], widths))
        )
        self.norms = nn.ModuleList(InstanceNorm(count, affine=True) for count in widths[1:-1])
        outs = [made, *widths[:-1]][::-1]
        ins = [widths[-1], *(2 * count for count in widths[:-1][::-1])]
        self.doublings = nn.ModuleList(
            Doubling(more, less, bias=level == levels - 1) for level, (more, less) in enumerate(zip(ins, outs))
        )
        self.up_norms = nn.ModuleList(InstanceNorm(count, affine=True) for count in outs[:-1])
        self.dropout, self.dropped = dropout, range(1, max(1, levels - 4))
        """which doublings are followed by dropout: those between the innermost and the last four"""
        initialize(self)

    def forward(self, image: Tensor, noisy: bool = False) -> Tensor:
        """N x given x H x W to N x made x H x W in [-1, 1].

        Args:
            image: sides are multiples of the size.
            noisy: drop values outside training too, which is all the noise that this generator has.
        """
        maps = [self.halvings[0](image)]
        for level, halving in enumerate(self.halvings[1:]):
            value = halving(functional.leaky_relu(maps[-1], 0.2))
            maps.append(self.norms[level](value) if level < len(self.norms) else value)
        value = maps.pop()
        for level, doubling in enumerate(self.doublings):
            value = doubling(functional.relu(value))
            if level < len(self.up_norms):
                value = self.up_norms[level](value)
                if level in self.dropped:
                    value = functional.dropout(value, self.dropout, self.training or noisy)
                value = torch.cat([maps.pop(), value], 1)
        return value.float().tanh()


def initialize(network: nn.Module) -> None:
    """Weights from N(0, 0.02), gains from N(1, 0.02), no biases: Isola et al. 2017, section 3.3."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, InstanceNorm) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, 0.02)
