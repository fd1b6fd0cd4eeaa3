"""The strided convolutional pair of DCGAN: Radford et al. 2015, section 3.

Both networks work in channels-last order, in which their first and last layers are plain matrix products: the
generator projects noise to the coarsest map, the discriminator flattens the coarsest map to one logit.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.linear import linear
from sparring.networks.narrow import FEW, FromPicture, ToPicture

Activation = Callable[[Tensor], Tensor]


def sides(size: int) -> list[int]:
    """The sides of the maps from `size` down to 3 or 4 px, each half of the one before (7 halves to 4, 5 to 3).

    At 4 px and no coarser than that, a unit of the discriminator's last map sees the whole picture.

    Raises:
        UserError: `size` does not halve down to 4-7 px, or is not within 16 to 256.
    """
    found = [size]
    while found[-1] > 4 and (found[-1] <= 7 or found[-1] % 2 == 0):
        found.append((found[-1] + 1) // 2)
    if not 16 <= size <= 256 or found[-1] > 4:
        near = sorted(_sizes(), key=lambda side: (abs(side - size), side))[:2]
        raise UserError(f"{size} px does not halve down to 4-7 px; use --data.size {near[0]} or {near[1]}")
    return found


def _sizes() -> list[int]:
    return [start << level for level in range(1, 7) for start in (4, 5, 6, 7) if 16 <= start << level <= 256]


def leaky(value: Tensor) -> Tensor:
    return functional.leaky_relu(value, 0.2, inplace=True)


class Generator(nn.Module):
    """Noise to image: a projection, then a transposed convolution with batch norm and ReLU for each doubling, then tanh.

    Args:
        latent: length of the noise vector.
        shape: (channels, size, size) of the image.
        width: channels at half the full size; doubled with every halving, at most 16 times.
        kernel: side of the kernels, 4 or 5.
        depth: convolutions of 3 x 3 on the coarsest map, where they are cheap: more layers between noise and picture.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, kernel: int = 4, depth: int = 0):
        super().__init__()
        maps = sides(shape[1])[::-1]
        widths = [min(width << level, width * 16) for level in reversed(range(len(maps) - 1))]
        self.start, self.width = maps[0], widths[0]
        self.coarse_norms = nn.ModuleList(nn.BatchNorm2d(self.width) for _ in range(depth))
        self.coarse = nn.ModuleList(nn.Conv2d(self.width, self.width, 3, 1, 1, bias=False) for _ in range(depth))
        self.project = linear(latent, self.start**2 * widths[0], bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in widths)
        self.doublings = nn.ModuleList(
            _up(channels, pair, kernel) for channels, pair in zip(pairwise([*widths, shape[0]]), pairwise(maps))
        )
        initialize(self)

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x C x H x W in [-1, 1]."""
        image = self.project(noise).view(-1, self.start, self.start, self.width).permute(0, 3, 1, 2)
        for norm, convolution in zip(self.coarse_norms, self.coarse):
            image = convolution(functional.relu(norm(image), inplace=True))
        for norm, doubling in zip(self.norms, self.doublings):
            image = doubling(functional.relu(norm(image), inplace=True))
        return image.float().tanh()


class Discriminator(nn.Module):
    """Image to logit: a strided convolution for each halving (batch norm in all but the first), leaky ReLU, one product.

    Args:
        shape: (channels, size, size) of the image.
        width: channels at half the full size; doubled with every halving, at most 16 times.
        kernel: side of the kernels, 4 or 5.
    """

    def __init__(self, shape: tuple[int, ...], width: int, kernel: int = 4):
        super().__init__()
        maps = sides(shape[1])
        widths = [min(width << level, width * 16) for level in range(len(maps) - 1)]
        self.halvings = nn.ModuleList(
            _down(channels, side, kernel) for channels, side in zip(pairwise([shape[0], *widths]), maps)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in widths[1:])
        self.score = linear(maps[-1] ** 2 * widths[-1], 1, bias=False)
        initialize(self)

    def features(self, image: Tensor, activation: Activation = leaky) -> list[Tensor]:
        """N x C x H x W to the activations after every halving, finest first."""
        maps = [activation(self.halvings[0](image))]
        for halving, norm in zip(self.halvings[1:], self.norms):
            maps.append(activation(norm(halving(maps[-1]))))
        return maps

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to N logits."""
        return self.score(self.features(image)[-1].permute(0, 2, 3, 1).flatten(1)).squeeze(1)


def _down(channels: tuple[int, int], side: int, kernel: int) -> nn.Conv2d:
    """Halves a side; 7 px and less by a kernel of 3, which takes an odd side too."""
    kernel = kernel if side > 7 else 3
    kind = FromPicture if channels[0] <= FEW else nn.Conv2d
    return kind(*channels, kernel, 2, (kernel - 1) // 2, bias=False)


def _up(channels: tuple[int, int], maps: tuple[int, int], kernel: int) -> nn.ConvTranspose2d:
    """The transpose of `_down`; a kernel of odd side reaches an even side with one more row and column."""
    kernel = kernel if maps[1] > 7 else 3
    more = maps[1] - (2 * maps[0] - 2 - 2 * ((kernel - 1) // 2) + kernel)
    kind = ToPicture if channels[1] <= FEW else nn.ConvTranspose2d
    return kind(*channels, kernel, 2, (kernel - 1) // 2, output_padding=more, bias=False)


def initialize(network: nn.Module) -> None:
    """Weights from N(0, 0.02), batch norm's gains from N(1, 0.02): Radford et al. 2015, section 4."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
