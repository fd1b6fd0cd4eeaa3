"""Strided convolutions between maps of few places and many channels, as in the middle of a U-Net.

There the weights are far more than what they work on, and a processor's convolution spends its time on moving them about. As a
matrix product with the weights as they lie, the same sums took a fifth of the time, there and back.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

PLACES = 256
"""of the coarser map, over the whole batch, up to which the product is faster"""


class Halving(nn.Conv2d):
    """A convolution of 4 x 4 and stride 2, which halves the sides.

    Args:
        given, made: channels.
        bias: whether it adds one.
    """

    def __init__(self, given: int, made: int, bias: bool = True):
        super().__init__(given, made, 4, 2, 1, bias=bias)

    def forward(self, value: Tensor) -> Tensor:
        """N x given x H x W, of even sides, to N x made x H / 2 x W / 2."""
        count, _, height, width = value.shape
        if not _quick(value, count * height * width // 4):
            return super().forward(value)
        columns = functional.unfold(value, 4, padding=1, stride=2).transpose(1, 2)
        made = functional.linear(columns.flatten(0, 1), self.weight.flatten(1), self.bias)
        return made.view(count, height // 2, width // 2, -1).permute(0, 3, 1, 2).contiguous()


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of 4 x 4 and stride 2, which doubles the sides.

    Args:
        given, made: channels.
        bias: whether it adds one.
    """

    def __init__(self, given: int, made: int, bias: bool = True):
        super().__init__(given, made, 4, 2, 1, bias=bias)

    def forward(self, value: Tensor, output_size: list[int] | None = None) -> Tensor:
        """N x given x H x W to N x made x 2 H x 2 W."""
        count, _, height, width = value.shape
        if not _quick(value, count * height * width):
            return super().forward(value, output_size)
        places = value.permute(0, 2, 3, 1).flatten(0, 2)
        columns = (places @ self.weight.flatten(1)).view(count, height * width, -1).transpose(1, 2)
        made = functional.fold(columns, (2 * height, 2 * width), 4, padding=1, stride=2)
        return made if self.bias is None else made + self.bias.view(1, -1, 1, 1).to(made.dtype)


def _quick(value: Tensor, places: int) -> bool:
    return value.device.type == "cpu" and places <= PLACES
