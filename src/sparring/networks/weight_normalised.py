"""The fully connected pair of semi-supervised learning: Salimans et al. 2016, arXiv:1606.03498, section 5.1, and code.

Weight normalisation: Salimans & Kingma 2016, arXiv:1602.07868.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dense(nn.Module):
    """scale V / |V| x + bias: a dense layer whose rows have the length `scale`.

    Args:
        given: numbers that come in.
        made: numbers that come out.
        learns_scale: whether the scale is trained; otherwise it stays as `calibrate` has left it.
    """

    scale: Tensor

    def __init__(self, given: int, made: int, learns_scale: bool):
        super().__init__()
        self.direction = nn.Parameter(torch.randn(made, given) * 0.1)
        self.bias = nn.Parameter(torch.zeros(made))
        if learns_scale:
            self.scale = nn.Parameter(torch.ones(made))
        else:
            self.register_buffer("scale", torch.ones(made))

    def forward(self, value: Tensor) -> Tensor:
        """N x given to N x made."""
        # What comes out is scaled, which is far less than the weights.
        return functional.linear(value, self.direction) * (self.scale / self.direction.norm(dim=1)) + self.bias

    @torch.no_grad()
    def calibrate(self, value: Tensor) -> Tensor:
        """Set scale and bias so that these inputs give outputs of mean 0 and variance 1. arXiv:1602.07868, section 3"""
        made = self(value)
        spread = made.std(0).clamp(min=1e-4)
        self.bias.copy_((self.bias - made.mean(0)) / spread)
        self.scale.div_(spread)
        return self(value)


class Classifier(nn.Module):
    """Image to a logit for each class, with Gaussian noise before every layer in training.

    Args:
        shape: of an image.
        hidden: ReLUs of each hidden layer.
        classes: outputs.
        noise_input: standard deviation of the noise on the image, where black is 0 and white 1.
        noise: standard deviation of the noise before every later layer.
    """

    def __init__(self, shape: tuple[int, ...], hidden: Sequence[int], classes: int, noise_input: float, noise: float):
        super().__init__()
        widths = [math.prod(shape), *hidden]
        self.noises = [noise_input, *[noise] * len(hidden)]
        self.hidden = nn.ModuleList(Dense(given, made, False) for given, made in zip(widths, widths[1:]))
        self.out = Dense(widths[-1], classes, True)

    def features(self, image: Tensor) -> Tensor:
        """N x shape to the last hidden layer, before its noise."""
        value = image.flatten(1) / 2 + 0.5
        for layer, noise in zip(self.hidden, self.noises):
            value = functional.relu(layer(self._shaken(value, noise)))
        return value

    def forward(self, image: Tensor) -> Tensor:
        """N x shape to N x classes."""
        return self.out(self._shaken(self.features(image), self.noises[-1])).float()

    def _shaken(self, value: Tensor, noise: float) -> Tensor:
        return value + noise * torch.randn_like(value) if self.training and noise else value

    @torch.no_grad()
    def calibrate(self, image: Tensor) -> None:
        """Data-dependent initialisation, layer by layer."""
        value = image.flatten(1) / 2 + 0.5
        for layer, noise in zip(self.hidden, self.noises):
            assert isinstance(layer, Dense)
            value = functional.relu(layer.calibrate(self._shaken(value, noise)))
        self.out.calibrate(self._shaken(value, self.noises[-1]))


class Generator(nn.Module):
    """Noise to image through hidden layers of softplus with batch norm.

    Args:
        latent: length of the noise vector.
        hidden: units of each hidden layer.
        shape: of an image.
    """

    def __init__(self, latent: int, hidden: Sequence[int], shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape
        widths = [latent, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(given, made, bias=False) for given, made in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(made) for made in hidden)
        self.out = Dense(widths[-1], math.prod(shape), True)

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x shape in [-1, 1]."""
        for layer, norm in zip(self.hidden, self.norms):
            noise = functional.softplus(norm(layer(noise)))
        # tanh(s / 2) in [-1, 1] is the paper's sigmoid(s) in [0, 1].
        return torch.tanh(self.out(noise).float() / 2).view(-1, *self.shape)
