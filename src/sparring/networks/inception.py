"""Inception v3 as the Fréchet inception distance knows it: the TensorFlow graph of 5 December 2015, 1008 classes.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015. arXiv:1512.00567. The graph differs from
the paper (and from torchvision's network) in three places, and numbers only compare if a network follows it: an average
pool leaves the padding out of its mean, the last block takes a maximum where the one before takes a mean, and there is no
auxiliary classifier.

Attributes carry the names of the public weight file (`pt_inception-2015-12-05-6726825d.pth`), so that it loads as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 299
CLASSES = 1008
FEATURES = 2048


class Seen(NamedTuple):
    """What the network makes of pictures."""

    features: Tensor
    """N x 2048: the last block's mean over all places"""
    logits: Tensor
    """N x 1008, without the bias: the tensor from which the Inception score has always been computed"""


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | str = "same"
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, values: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(values)))


def mean_pool(values: Tensor) -> Tensor:
    """The mean of 3 x 3 neighbours; at the edge, of those that exist."""
    return functional.avg_pool2d(values, 3, 1, 1, count_include_pad=False)


def max_pool(values: Tensor) -> Tensor:
    """The largest of 3 x 3 neighbours."""
    return functional.max_pool2d(values, 3, 1, 1)


def shrink(values: Tensor) -> Tensor:
    """The largest of 3 x 3 neighbours, every other place."""
    return functional.max_pool2d(values, 3, 2)


class MixedA(nn.Module):
    """35 x 35: kernels of 1, of 5, and two of 3."""

    def __init__(self, inputs: int, pooled: int):
        super().__init__()
        self.branch1x1 = Convolution(inputs, 64, 1)
        self.branch5x5_1 = Convolution(inputs, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5)
        self.branch3x3dbl_1 = Convolution(inputs, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, 3)
        self.branch_pool = Convolution(inputs, pooled, 1)

    def forward(self, values: Tensor) -> Tensor:
        wide = self.branch5x5_2(self.branch5x5_1(values))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(values)))
        return torch.cat([self.branch1x1(values), wide, double, self.branch_pool(mean_pool(values))], 1)


class MixedB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, inputs: int):
        super().__init__()
        self.branch3x3 = Convolution(inputs, 384, 3, 2, 0)
        self.branch3x3dbl_1 = Convolution(inputs, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, 2, 0)

    def forward(self, values: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(values)))
        return torch.cat([self.branch3x3(values), double, shrink(values)], 1)


class MixedC(nn.Module):
    """17 x 17: kernels of 1, of 7 once and of 7 twice, each 7 x 7 as a row and a column."""

    def __init__(self, inputs: int, inner: int):
        super().__init__()
        self.branch1x1 = Convolution(inputs, 192, 1)
        self.branch7x7_1 = Convolution(inputs, inner, 1)
        self.branch7x7_2 = Convolution(inner, inner, (1, 7))
        self.branch7x7_3 = Convolution(inner, 192, (7, 1))
        self.branch7x7dbl_1 = Convolution(inputs, inner, 1)
        self.branch7x7dbl_2 = Convolution(inner, inner, (7, 1))
        self.branch7x7dbl_3 = Convolution(inner, inner, (1, 7))
        self.branch7x7dbl_4 = Convolution(inner, inner, (7, 1))
        self.branch7x7dbl_5 = Convolution(inner, 192, (1, 7))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, values: Tensor) -> Tensor:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(values)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(values)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(values), once, twice, self.branch_pool(mean_pool(values))], 1)


class MixedD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self, inputs: int):
        super().__init__()
        self.branch3x3_1 = Convolution(inputs, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, 2, 0)
        self.branch7x7x3_1 = Convolution(inputs, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, (1, 7))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1))
        self.branch7x7x3_4 = Convolution(192, 192, 3, 2, 0)

    def forward(self, values: Tensor) -> Tensor:
        small = self.branch3x3_2(self.branch3x3_1(values))
        large = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(values)))
        return torch.cat([small, self.branch7x7x3_4(large), shrink(values)], 1)


class MixedE(nn.Module):
    """8 x 8: kernels of 3 fork into a row and a column.

    Args:
        inputs: channels that come in.
        pool: what the last branch sees of its neighbours; the graph's two blocks differ here.
    """

    def __init__(self, inputs: int, pool: Callable[[Tensor], Tensor]):
        super().__init__()
        self.pool = pool
        self.branch1x1 = Convolution(inputs, 320, 1)
        self.branch3x3_1 = Convolution(inputs, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3))
        self.branch3x3_2b = Convolution(384, 384, (3, 1))
        self.branch3x3dbl_1 = Convolution(inputs, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, values: Tensor) -> Tensor:
        once = self.branch3x3_1(values)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(values))
        forks = [
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
        ]
        return torch.cat([self.branch1x1(values), *forks, self.branch_pool(self.pool(values))], 1)


class InceptionV3(nn.Module):
    """Pictures, N x 3 x 299 x 299 in [0, 255], to features and logits; sizes are what comes out of each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2, 0)  # 149
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, 1, 0)  # 147
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)  # 147, then 73
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)  # 73
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, 1, 0)  # 71, then 35
        self.Mixed_5b = MixedA(192, 32)  # 256 x 35
        self.Mixed_5c = MixedA(256, 64)  # 288 x 35
        self.Mixed_5d = MixedA(288, 64)  # 288 x 35
        self.Mixed_6a = MixedB(288)  # 768 x 17
        self.Mixed_6b = MixedC(768, 128)
        self.Mixed_6c = MixedC(768, 160)
        self.Mixed_6d = MixedC(768, 160)
        self.Mixed_6e = MixedC(768, 192)  # 768 x 17
        self.Mixed_7a = MixedD(768)  # 1280 x 8
        self.Mixed_7b = MixedE(1280, mean_pool)  # 2048 x 8
        self.Mixed_7c = MixedE(2048, max_pool)  # 2048 x 8
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, pictures: Tensor) -> Seen:
        values = (pictures - 128) / 128
        values = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(values)))
        values = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(shrink(values)))
        values = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(shrink(values))))
        values = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(values)))
        values = self.Mixed_6e(self.Mixed_6d(values))
        values = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(values)))
        features = values.mean((2, 3))
        return Seen(features, features @ self.fc.weight.T)
