"""Opponents without normalisation: each example is scored alone, as penalties on the slope require."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.networks.convolutional import sides
from sparring.networks.linear import linear
from sparring.networks.narrow import FEW, FromPicture
from sparring.networks.steepness import scores_and_steepness


class Dense(nn.Module):
    """Example to score through fully connected layers of leaky ReLUs.

    Args:
        shape: of an example, without the batch dimension.
        hidden: units of each hidden layer.
    """

    def __init__(self, shape: tuple[int, ...], hidden: Sequence[int]):
        super().__init__()
        widths = [math.prod(shape), *hidden]
        self.hidden = nn.ModuleList(linear(given, made) for given, made in pairwise(widths))
        self.score = linear(widths[-1], 1)

    def forward(self, example: Tensor) -> Tensor:
        """N x shape to N scores."""
        value = example.flatten(1)
        for layer in self.hidden:
            value = functional.leaky_relu(layer(value), 0.2)
        return self.score(value).squeeze(1)

    def scores_and_steepness(self, example: Tensor) -> tuple[Tensor, Tensor]:
        """N x shape to N scores and the squares of their slopes, N: what `penalties` finds, in fewer calls."""
        return scores_and_steepness(example.flatten(1), [*self.hidden, self.score], 0.2)


class Strided(nn.Module):
    """Image to score: a strided convolution and a leaky ReLU for each halving. Gulrajani et al. 2017, their MNIST critic.

    Args:
        shape: (channels, size, size) of the image.
        width: channels at half the full size; doubled with every halving.
        kernel: side of the kernels, 4 or 5.
    """

    def __init__(self, shape: tuple[int, ...], width: int, kernel: int = 4):
        super().__init__()
        maps = sides(shape[1])
        widths = [width << level for level in range(len(maps) - 1)]
        # An odd side is halved by a kernel of odd side.
        kernels = [3 if kernel == 4 and side % 2 else kernel for side in maps]
        self.halvings = nn.ModuleList(
            (FromPicture if given <= FEW else nn.Conv2d)(given, made, size, 2, (size - 1) // 2)
            for (given, made), size in zip(pairwise([shape[0], *widths]), kernels)
        )
        self.score = linear(maps[-1] ** 2 * widths[-1], 1)
        initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to N scores."""
        for halving in self.halvings:
            image = functional.leaky_relu(halving(image), 0.2)
        return self.score(image.permute(0, 2, 3, 1).flatten(1)).squeeze(1)


def initialize(network: nn.Module) -> None:
    """Weights that keep the signal's size through leaky ReLUs: He et al. 2015, arXiv:1502.01852; biases zero."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, 0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
