"""A convolutional pair whose discriminator is far smaller than its generator, which makes modes collapse.

Metz et al. 2016, appendix on stacked MNIST: there the discriminator of `width` 2 has a quarter of the generator's channels.
Convolutions of 3 x 3 halve and double the sides. The generator has batch norm, the discriminator, unlike theirs, has not:
two channels that are normalised show neither the background's grey nor the grain, and the pictures stay without digits.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.networks.convolutional import sides
from sparring.networks.linear import linear
from sparring.networks.narrow import OntoPicture


class Generator(nn.Module):
    """Noise to image: a projection, a transposed convolution with batch norm and ReLU for each doubling, a convolution, tanh.

    Args:
        latent: length of the noise vector.
        shape: (channels, size, size) of the image.
        width: channels at the full size; doubled with every halving.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int):
        super().__init__()
        maps = sides(shape[1])[::-1]
        widths = [width << level for level in reversed(range(len(maps)))]
        self.start = (widths[0], maps[0], maps[0])
        self.project = linear(latent, widths[0] * maps[0] ** 2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in widths)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(*channels, 3, 2, 1, output_padding=large - 2 * small + 1, bias=False)
            for channels, (small, large) in zip(pairwise(widths), pairwise(maps))
        )
        self.out = OntoPicture(width, shape[0], 3, 1, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x C x H x W in [-1, 1]."""
        image = self.project(noise).view(-1, *self.start).contiguous(memory_format=torch.channels_last)
        image = functional.relu(self.norms[0](image))
        for doubling, norm in zip(self.doublings, self.norms[1:]):
            image = functional.relu(norm(doubling(image)))
        return self.out(image).float().tanh()


class Columns(NamedTuple):
    """A map, cut into the squares of 3 x 3 that a convolution of stride 2 sees, one below the other."""

    values: Tensor
    """(channels 9) x (N side side)"""
    examples: int
    """N"""
    side: int
    """of the map that the convolution makes"""


def columns(maps: Tensor) -> Columns:
    """Of channels x N x H x H."""
    channels, count, size, _ = maps.shape
    side = (size + 1) // 2
    # As the channels of a single image: what is cut one image after the other takes as long again.
    cut = functional.unfold(maps.reshape(1, -1, size, size), 3, padding=1, stride=2)
    return Columns(cut.view(channels, count, 9, -1).transpose(1, 2).reshape(channels * 9, -1), count, side)


class Discriminator(nn.Module):
    """Image to logit: a strided convolution and a leaky ReLU (0.3) for each halving, then one product.

    A convolution of so few channels is a product of its weights with `columns`: differentiated twice, in float32, it takes a
    fifth of the time. An image's columns serve for all passes.

    Args:
        shape: (channels, size, size) of the image.
        width: channels at half the full size; doubled with every halving.
    """

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        maps = sides(shape[1])
        widths = [shape[0], *(width << level for level in range(len(maps) - 1))]
        self.halvings = nn.ModuleList(nn.Conv2d(*channels, 3, 2, 1) for channels in pairwise(widths))
        self.score = linear(widths[-1] * maps[-1] ** 2, 1)
        for halving in self.halvings:
            assert isinstance(halving, nn.Conv2d) and halving.bias is not None
            nn.init.kaiming_normal_(halving.weight, 0.3)
            nn.init.zeros_(halving.bias)

    def forward(self, image: Tensor | Columns) -> Tensor:
        """N x C x H x W, or its `columns` with channels first, to N logits."""
        seen = image if isinstance(image, Columns) else columns(image.transpose(0, 1))
        maps = seen.values
        for level, halving in enumerate(self.halvings):
            assert isinstance(halving, nn.Conv2d) and halving.bias is not None
            seen = columns(maps) if level else seen
            value = functional.leaky_relu(
                torch.addmm(halving.bias[:, None], halving.weight.flatten(1), seen.values), 0.3
            )
            maps = value.view(-1, seen.examples, seen.side, seen.side)
        return self.score(maps.transpose(0, 1).flatten(1)).squeeze(1)
