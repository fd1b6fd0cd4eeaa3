"""The modernised residual pair of R3GAN: Huang et al. 2024, section 3, without normalisation and without tricks.

A block widens its channels, mixes neighbours in groups of channels, and narrows again; it starts as the identity. Maps are
doubled and halved by a fixed [1, 2, 1] filter. The networks may see squares of pixels as one pixel of more channels, which
spares them the costliest map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.convolutional import sides
from sparring.networks.linear import linear

GROUP = 16
"""channels that a 3 x 3 kernel mixes, as in the paper's networks"""


class Block(nn.Module):
    """x + W3 a(W2 a(W1 x)): 1 x 1 to twice the channels, 3 x 3 in groups, 1 x 1 back, which starts at zero.

    Args:
        width: channels.
        gain: of the first two kernels' starting weights.
    """

    def __init__(self, width: int, gain: float):
        super().__init__()
        inner = 2 * width
        self.widen = nn.Conv2d(width, inner, 1)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=max(1, inner // GROUP))
        self.narrow = nn.Conv2d(inner, width, 1, bias=False)
        for convolution in (self.widen, self.mix):
            _start(convolution, gain)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to the same."""
        inner = functional.leaky_relu(self.widen(value), 0.2)
        return value + self.narrow(functional.leaky_relu(self.mix(inner), 0.2))


class Change(nn.Module):
    """From one map to the next: [1, 2, 1] up or down by two, and a 1 x 1 kernel where the widths differ.

    Args:
        widths: channels before and after.
        maps: sides before and after; one is half of the other, or half of one more.
    """

    smooth: Tensor

    def __init__(self, widths: tuple[int, int], maps: tuple[int, int]):
        super().__init__()
        self.up, self.more = maps[1] > maps[0], maps[1] - (2 * maps[0] - 1)
        self.project = nn.Conv2d(*widths, 1, bias=False) if widths[0] != widths[1] else nn.Identity()
        if isinstance(self.project, nn.Conv2d):
            _start(self.project, 1.0)
        # The work is done where the channels are few or the map is small.
        self.filtered = widths[1] if self.up else widths[0]
        tent = torch.tensor([1.0, 2.0, 1.0])
        square = torch.outer(tent, tent) / (4 if self.up else 16)
        self.register_buffer("smooth", square.expand(self.filtered, 1, 3, 3).clone(), persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        if self.up:
            value = self.project(value).to(self.smooth.dtype)
            with torch.autocast(value.device.type, enabled=False):
                return functional.conv_transpose2d(value, self.smooth, None, 2, 1, self.more, self.filtered)
        # In bfloat16 a processor takes forty times as long to go up by channels of their own, or back from going down.
        with torch.autocast(value.device.type, enabled=False):
            value = functional.conv2d(value.to(self.smooth.dtype), self.smooth, None, 2, 1, 1, self.filtered)
        return self.project(value)


class Generator(nn.Module):
    """Noise to image: a learned map, weighed by the noise, then blocks on every map from the coarsest to the finest.

    Args:
        latent: length of the noise vector.
        shape: (channels, size, size) of the image.
        width: channels of the finest map; doubled with every halving.
        widest: ... up to so many times the finest map's.
        blocks: on every map.
        patch: side of the squares of pixels that are made at one place of the finest map.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, widest: int, blocks: int, patch: int):
        super().__init__()
        maps, widths = _plan(shape[1], width, widest, patch)
        maps, widths = maps[::-1], widths[::-1]
        self.patch = patch
        self.basis = nn.Parameter(torch.randn(widths[0], maps[0], maps[0]))
        self.weigh = linear(latent, widths[0], bias=False)
        nn.init.normal_(self.weigh.weight, std=latent**-0.5)
        self.layers = nn.Sequential(*_layers(maps, widths, blocks))
        self.image = nn.Conv2d(widths[-1], shape[0] * patch**2, 1, bias=False)
        _start(self.image, 1.0)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x C x H x W, float32; kept within [-1, 1] when not in training."""
        value = self.weigh(noise)[:, :, None, None] * self.basis
        value = self.layers(value.contiguous(memory_format=torch.channels_last))
        image = functional.pixel_shuffle(self.image(value), self.patch).float()
        return image if self.training else image.clamp(-1, 1)


class Discriminator(nn.Module):
    """Image to logit: blocks on every map from the finest to the coarsest, which a kernel of each channel's own sums up.

    Args:
        shape: (channels, size, size) of the image.
        width: channels of the finest map; doubled with every halving.
        widest: ... up to so many times the finest map's.
        blocks: on every map.
        patch: side of the squares of pixels that are one place of the finest map.
    """

    def __init__(self, shape: tuple[int, ...], width: int, widest: int, blocks: int, patch: int):
        super().__init__()
        maps, widths = _plan(shape[1], width, widest, patch)
        self.patch = patch
        self.image = nn.Conv2d(shape[0] * patch**2, widths[0], 1, bias=False)
        _start(self.image, 1.0)
        self.layers = nn.Sequential(*_layers(maps, widths, blocks))
        self.basis = nn.Parameter(torch.randn(widths[-1], maps[-1], maps[-1]) / maps[-1])
        self.score = linear(widths[-1], 1, bias=False)
        nn.init.normal_(self.score.weight, std=widths[-1] ** -0.5)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to N logits."""
        squares = functional.pixel_unshuffle(image, self.patch).contiguous(memory_format=torch.channels_last)
        value = self.layers(self.image(squares))
        sums = functional.conv2d(value, self.basis[:, None], None, 1, 0, 1, len(self.basis))
        return self.score(sums.flatten(1)).squeeze(1)


def _plan(size: int, width: int, widest: int, patch: int) -> tuple[list[int], list[int]]:
    """Sides and channels of the maps, the finest first."""
    if patch < 1 or size % patch:
        raise UserError(f"--patch {patch} does not divide a side of {size} px")
    if width < 1:
        raise UserError(f"--width must be at least 1, not {width}")
    if 2 * width > GROUP and 2 * width % GROUP:
        raise UserError(f"--width {width} must be a multiple of {GROUP // 2}, or smaller: channels are mixed in groups")
    maps = sides(size)
    first = next((index for index, side in enumerate(maps) if side == size // patch), None)
    if first is None:
        raise UserError(f"--patch {patch} leaves {size // patch} px, which is none of {', '.join(map(str, maps))}")
    maps = maps[first:]
    return maps, [width * min(2**level, widest) for level in range(len(maps))]


def _layers(maps: list[int], widths: list[int], blocks: int) -> Iterator[nn.Module]:
    """The deeper the network, the less each block adds at the start: L^(-1/4) for L blocks (Zhang et al. 2019, Fixup)."""
    gain = math.sqrt(2 / (1 + 0.2**2)) * max(1, len(maps) * blocks) ** -0.25
    for level, (side, width) in enumerate(zip(maps, widths)):
        if level:
            yield Change((widths[level - 1], width), (maps[level - 1], side))
        for _ in range(blocks):
            yield Block(width, gain)


def _start(convolution: nn.Conv2d, gain: float) -> None:
    """Weights from N(0, gain^2 / fan-in); biases zero."""
    nn.init.normal_(convolution.weight, std=gain / math.sqrt(convolution.weight[0].numel()))
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
