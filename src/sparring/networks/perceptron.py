"""The fully connected pair of the first GAN: Goodfellow et al. 2014, section 5."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.networks.dropout import dropout
from sparring.networks.linear import linear


class Generator(nn.Module):
    """Noise to example through hidden layers of ReLUs.

    Args:
        latent: length of the noise vector.
        hidden: units of each hidden layer.
        shape: of an example, without the batch dimension.
        bounded: whether examples lie in [-1, 1] (pictures) or anywhere (points).
    """

    def __init__(self, latent: int, hidden: Sequence[int], shape: tuple[int, ...], bounded: bool):
        super().__init__()
        self.shape, self.bounded = shape, bounded
        widths = [latent, *hidden]
        self.hidden = nn.ModuleList(linear(given, made) for given, made in zip(widths, widths[1:]))
        self.out = linear(widths[-1], math.prod(shape))

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x shape."""
        for layer in self.hidden:
            noise = functional.relu(layer(noise), inplace=True)
        # tanh(s / 2) in [-1, 1] is the paper's sigmoid(s) in [0, 1].
        example = self.out(noise).float()
        return (torch.tanh(example / 2) if self.bounded else example).view(-1, *self.shape)


class Maxout(nn.Module):
    """max over pieces of W_k x + b_k: Goodfellow et al. 2013. arXiv:1302.4389. A single piece is bent as a leaky ReLU."""

    def __init__(self, given: int, made: int, pieces: int):
        super().__init__()
        self.pieces = pieces
        self.linear = linear(given, made * pieces)

    def forward(self, value: Tensor) -> Tensor:
        """N x given to N x made."""
        value = self.linear(value)
        return functional.leaky_relu(value, 0.2) if self.pieces == 1 else value.unflatten(1, (self.pieces, -1)).amax(1)


class Discriminator(nn.Module):
    """Example to logit through maxout layers with dropout.

    Args:
        shape: of an example, without the batch dimension.
        units: of each maxout layer.
        pieces: linear pieces of a maxout unit.
        dropout_input: share of the input that is dropped in training.
        dropout: share of each hidden layer that is dropped in training.
    """

    def __init__(self, shape: tuple[int, ...], units: Sequence[int], pieces: int, dropout_input: float, dropout: float):
        super().__init__()
        widths = [math.prod(shape), *units]
        self.dropout_input, self.dropout = dropout_input, dropout
        self.layers = nn.ModuleList(Maxout(given, made, pieces) for given, made in zip(widths, widths[1:]))
        self.score = linear(widths[-1], 1)

    def forward(self, example: Tensor) -> Tensor:
        """N x shape to N logits."""
        value = dropout(example.flatten(1), self.dropout_input, self.training)
        for layer in self.layers:
            value = dropout(layer(value), self.dropout, self.training)
        return self.score(value).squeeze(1)


def initialize(network: nn.Module, bound: float) -> None:
    """Weights uniform in [-bound, bound], biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.zeros_(module.bias)
