"""BEGAN's pair: a decoder, which is also the generator, and an encoder. Berthelot et al. 2017, figure 1.

Convolutions of 3 x 3 and ELUs, two at each size; sizes double by nearest neighbour and halve by a stride.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.linear import linear
from sparring.networks.narrow import FromPicture, OntoPicture
from sparring.networks.upsampling import Doubling

COARSEST = 8


def coarsest(size: int) -> tuple[int, int]:
    """Side of the coarsest map, 5 to 8 px, and how often it doubles up to `size`.

    Raises:
        UserError: `size` does not halve down to that.
    """
    side, doublings = size, 0
    while side > COARSEST and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    if side > COARSEST or not doublings or side < 5:
        sizes = sorted(start << level for start in (5, 6, 7, 8) for level in range(1, 7))
        near = sorted(sorted(sizes, key=lambda other: abs(other - size))[:2])
        raise UserError(f"{size} px does not halve down to 5-8 px; use --data.size {near[0]} or {near[1]}")
    return side, doublings


def bent(value: Tensor) -> Tensor:
    """ELU, in place: then its slope is read off its output, which is three times as fast as from its input."""
    return functional.elu(value, inplace=True)


class Decoder(nn.Module):
    """Code to image.

    Args:
        code: length of the code.
        shape: (channels, size, size) of the image.
        width: n, channels of every map.
    """

    def __init__(self, code: int, shape: tuple[int, ...], width: int):
        super().__init__()
        side, doublings = coarsest(shape[1])
        self.start = (width, side, side)
        self.project = linear(code, width * side**2)
        self.first = nn.ModuleList(_same(width, width) for _ in range(2))
        self.doublings = nn.ModuleList(Doubling(width, width) for _ in range(doublings))
        self.seconds = nn.ModuleList(_same(width, width) for _ in range(doublings))
        self.out = OntoPicture(width, shape[0], 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, code: Tensor) -> Tensor:
        """N x code to N x C x H x W, unbounded."""
        image = self.project(code).view(-1, *self.start).contiguous(memory_format=torch.channels_last)
        for layer in self.first:
            image = bent(layer(image))
        for doubling, second in zip(self.doublings, self.seconds):
            image = bent(second(bent(doubling(image))))
        return self.out(image).float()


class Encoder(nn.Module):
    """Image to code: `width` channels at the full size, and as many more after each halving."""

    def __init__(self, code: int, shape: tuple[int, ...], width: int):
        super().__init__()
        side, halvings = coarsest(shape[1])
        widths = [width * level for level in range(1, halvings + 2)]
        self.first = FromPicture(shape[0], width, 3, padding=1)
        self.layers = nn.ModuleList(_same(less, more) for less, more in zip([width, *widths], widths))
        self.seconds = nn.ModuleList(_same(count, count) for count in widths)
        self.halvings = nn.ModuleList(nn.Conv2d(count, count, 3, 2, 1) for count in widths[:-1])
        self.code = linear(widths[-1] * side**2, code)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to N x code."""
        image = bent(self.first(image))
        for level, (layer, second) in enumerate(zip(self.layers, self.seconds)):
            image = bent(second(bent(layer(image))))
            if level < len(self.halvings):
                image = bent(self.halvings[level](image))
        return self.code(image.flatten(1))


class Autoencoder(nn.Module):
    """An image to what is left of it after passing through a code."""

    def __init__(self, code: int, shape: tuple[int, ...], width: int):
        super().__init__()
        self.encoder, self.decoder = Encoder(code, shape, width), Decoder(code, shape, width)

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        return self.decoder(self.encoder(image))


def _same(given: int, made: int) -> nn.Conv2d:
    return nn.Conv2d(given, made, 3, padding=1)
