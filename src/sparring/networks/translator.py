"""CycleGAN's generator: two halvings, residual blocks, two doublings. Zhu et al. 2017, section 4; Johnson et al. 2016.

It looks at a bounded neighbourhood, but for its normalisation, and takes pictures of any size.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sparring.networks.instance import InstanceNorm
from sparring.networks.narrow import OntoPicture
from sparring.networks.unet import initialize

MULTIPLE = 4
"""sides of a picture are multiples of it"""


class Block(nn.Module):
    """Two convolutions of 3 x 3 on the picture's mirrored surroundings, added to what they were given."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3)
        self.norms = nn.ModuleList([InstanceNorm(width), InstanceNorm(width)])

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to the same."""
        inner = functional.relu(self.norms[0](self.first(mirrored(value, 1))), inplace=True)
        return value + self.norms[1](self.second(mirrored(inner, 1)))


class Translator(nn.Module):
    """Picture to picture.

    Args:
        given, made: channels of both.
        width: channels at the full size; doubled with each of two halvings.
        blocks: residual blocks; 6 for 128 px and 9 for 256 px in the paper.
    """

    def __init__(self, given: int, made: int, width: int = 64, blocks: int = 9):
        super().__init__()
        self.first = nn.Conv2d(given, width, 7)
        self.halvings = nn.ModuleList(nn.Conv2d(count, 2 * count, 3, 2, 1) for count in (width, 2 * width))
        self.blocks = nn.ModuleList(Block(4 * width) for _ in range(blocks))
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(count, count // 2, 3, 2, 1, output_padding=1) for count in (4 * width, 2 * width)
        )
        self.last = OntoPicture(width, made, 7)
        self.norms = nn.ModuleList(InstanceNorm(count * width) for count in (1, 2, 4, 2, 1))
        initialize(self)

    @property
    def reach(self) -> int:
        """How far away a pixel may lie that has a say in another, in pixels, a multiple of 4."""
        far = 3 + 1 + 2 + 8 * len(self.blocks) + 4 + 2 + 3
        return -(-far // MULTIPLE) * MULTIPLE

    def forward(self, image: Tensor) -> Tensor:
        """N x given x H x W, of sides that are multiples of 4 and at least 16, to N x made x H x W in [-1, 1]."""
        norms = iter(self.norms)
        value = functional.relu(next(norms)(self.first(mirrored(image, 3))), inplace=True)
        for halving in self.halvings:
            value = functional.relu(next(norms)(halving(value)), inplace=True)
        for block in self.blocks:
            value = block(value)
        for doubling in self.doublings:
            value = functional.relu(next(norms)(doubling(value)), inplace=True)
        return self.last(mirrored(value, 3)).float().tanh()


def mirrored(value: Tensor, by: int) -> Tensor:
    """Filled up on all sides with its mirror image."""
    return functional.pad(value, (by, by, by, by), mode="reflect")
