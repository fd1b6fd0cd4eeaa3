"""Instance normalisation whose statistics can be held still, so that parts of a picture are treated like the whole.

Ulyanov, Vedaldi & Lempitsky, "Instance Normalization", 2016, arXiv:1607.08022.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


class InstanceNorm(nn.Module):
    """Each map of each picture to mean 0 and variance 1.

    Args:
        channels: maps.
        affine: scale and shift each map afterwards, by weights.
    """

    EPSILON = 1e-5

    def __init__(self, channels: int, affine: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.measuring = False
        self.held: tuple[Tensor, Tensor] | None = None
        """scale and shift of each map, while the statistics are held"""

    def forward(self, value: Tensor) -> Tensor:
        """N x C x H x W to the same."""
        if self.held is not None:
            scale, shift = self.held
            return torch.addcmul(shift, value.float(), scale).to(value.dtype)
        if self.measuring:
            self._measure(value)
        return functional.instance_norm(value, weight=self.weight, bias=self.bias, eps=self.EPSILON)

    def _measure(self, value: Tensor) -> None:
        variance, mean = torch.var_mean(value.float(), (2, 3), unbiased=False, keepdim=True)
        scale = (variance + self.EPSILON).rsqrt()
        if self.weight is not None and self.bias is not None:
            scale = scale * self.weight.view(1, -1, 1, 1)
            shift = self.bias.view(1, -1, 1, 1) - mean * scale
        else:
            shift = -mean * scale
        self.last = scale, shift


@contextmanager
def held(network: nn.Module, image: Tensor) -> Iterator[None]:
    """Holds all statistics in the network at what they are for this picture."""
    norms = [module for module in network.modules() if isinstance(module, InstanceNorm)]
    try:
        for norm in norms:
            norm.measuring = True
        network(image)
        for norm in norms:
            norm.measuring = False
            norm.held = norm.last
        yield
    finally:
        for norm in norms:
            norm.measuring, norm.held = False, None
