"""Fully connected layers with one activation between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from sparring.networks.dropout import dropout
from sparring.networks.linear import linear

Activation = Callable[[Tensor], Tensor]


class Multilayer(nn.Module):
    """Example to `made` numbers: hidden layers with an activation (and dropout) each, then a linear one.

    Args:
        given: numbers in an example; its shape does not matter.
        hidden: units of each hidden layer.
        made: numbers that come out.
        activation: twice differentiable where the network is differentiated twice.
        share: of each hidden layer that is dropped in training.
        bias: whether the last layer adds a constant.
    """

    def __init__(
        self,
        given: int,
        hidden: Sequence[int],
        made: int,
        activation: Activation,
        share: float = 0.0,
        bias: bool = True,
    ):
        super().__init__()
        self.activation, self.share = activation, share
        widths = [given, *hidden]
        self.hidden = nn.ModuleList(linear(before, after) for before, after in zip(widths, widths[1:]))
        self.out = linear(widths[-1], made, bias)

    def forward(self, example: Tensor) -> Tensor:
        """N x (shape of `given` numbers) to N x made."""
        value = example.flatten(1)
        for layer in self.hidden:
            value = dropout(self.activation(layer(value)), self.share, self.training)
        return self.out(value)


class Score(Multilayer):
    """Example to a single number."""

    def __init__(
        self, shape: Sequence[int], hidden: Sequence[int], activation: Activation, share: float = 0.0, bias: bool = True
    ):
        super().__init__(math.prod(shape), hidden, 1, activation, share, bias)

    def forward(self, example: Tensor) -> Tensor:
        """N x shape to N."""
        return super().forward(example).squeeze(1)


def orthogonal(network: nn.Module, gain: float) -> None:
    """Orthogonal weights of this gain (Saxe et al. 2013, arXiv:1312.6120), biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
