"""Two convolutions and two dense layers on either side, for small pictures: InfoGAN's networks for digits,
arXiv:1606.03657, table 1; the conditional networks of DCGAN's own code for digits have the same form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.convolutional import initialize
from sparring.networks.linear import linear
from sparring.networks.narrow import FromPicture, ToPicture

SLOPE = 0.1
"""of the leaky ReLUs"""


def quarter(size: int) -> int:
    """The side of the coarsest map. Raises UserError for a side that is not a multiple of 4, or too large."""
    if size % 4 or not 8 <= size <= 64:
        raise UserError(
            f"{size} px: these networks take sides that are multiples of 4, from 8 to 64; use --data.size 28 or 32"
        )
    return size // 4


class Generator(nn.Module):
    """Noise through a dense layer and a projection to a quarter of the side, then two doublings; tanh.

    Args:
        latent: length of the noise vector, codes included.
        shape: (channels, size, size) of the image.
        width: channels at half the full size; twice as many at a quarter.
        dense: units of the first layer.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, dense: int):
        super().__init__()
        self.start, self.width = quarter(shape[1]), width
        self.dense = linear(latent, dense, bias=False)
        self.dense_norm = nn.BatchNorm1d(dense)
        self.project = linear(dense, self.start**2 * 2 * width, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(2 * width), nn.BatchNorm2d(width)])
        self.doublings = nn.ModuleList([
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), ToPicture(width, shape[0], 4, 2, 1, bias=False)
        ])  # fmt: skip
        initialize(self)

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x C x H x W in [-1, 1]."""
        value = functional.relu(self.dense_norm(self.dense(noise)))
        image = self.project(value).view(-1, self.start, self.start, 2 * self.width).permute(0, 3, 1, 2)
        for norm, doubling in zip(self.norms, self.doublings):
            image = doubling(functional.relu(norm(image), inplace=True))
        # tanh(s / 2) in [-1, 1] is the paper's sigmoid(s) in [0, 1].
        return torch.tanh(image.float() / 2)


class Trunk(nn.Module):
    """Image to features: two halvings and a dense layer, leaky ReLU, batch norm in all but the first.

    Args:
        shape: (channels, size, size) of the image.
        width: channels at half the full size; twice as many at a quarter.
        dense: features.
    """

    def __init__(self, shape: tuple[int, ...], width: int, dense: int):
        super().__init__()
        self.fine = FromPicture(shape[0], width, 4, 2, 1, bias=False)
        self.coarse = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)
        self.coarse_norm = nn.BatchNorm2d(2 * width)
        self.dense = linear(quarter(shape[1]) ** 2 * 2 * width, dense, bias=False)
        self.dense_norm = nn.BatchNorm1d(dense)
        initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to N x dense."""
        image = functional.leaky_relu(self.fine(image), SLOPE)
        image = functional.leaky_relu(self.coarse_norm(self.coarse(image)), SLOPE)
        features = self.dense(image.permute(0, 2, 3, 1).flatten(1))
        return functional.leaky_relu(self.dense_norm(features), SLOPE)


class Head(nn.Module):
    """Features to numbers through one more dense layer.

    Args:
        features: that come in.
        hidden: units of the layer between.
        outputs: numbers that come out.
    """

    def __init__(self, features: int, hidden: int, outputs: int):
        super().__init__()
        self.hidden, self.norm = linear(features, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.out = linear(hidden, outputs)
        initialize(self)

    def forward(self, features: Tensor) -> Tensor:
        """N x features to N x outputs."""
        return self.out(functional.leaky_relu(self.norm(self.hidden(features)), SLOPE))
