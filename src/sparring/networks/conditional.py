"""Networks that know a label: the fully connected pair of Mirza & Osindero 2014, arXiv:1411.1784, and a convolutional
discriminator. A label is a vector with a number for each class, one at its own class.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.networks import convolutional
from sparring.networks.dropout import dropout
from sparring.networks.linear import linear
from sparring.networks.perceptron import Maxout


class Discriminator(nn.Module):
    """The strided convolutional discriminator with a logit for each class, of which that of the label is read.

    Args:
        shape: (channels, size, size) of the image.
        classes: that a label may name.
        width: channels at half the full size; doubled with every halving.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int):
        super().__init__()
        self.body = convolutional.Discriminator(shape, width)
        self.matching = linear(self.body.score.in_features, classes, bias=False)
        convolutional.initialize(self)

    def logits(self, image: Tensor) -> Tensor:
        """N x C x H x W to N x classes: a logit of realness under each label."""
        features = self.body.features(image)[-1].permute(0, 2, 3, 1).flatten(1)
        # What all labels share and what is each one's own, in one product.
        return functional.linear(features, self.body.score.weight + self.matching.weight)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """N x C x H x W and N x classes to N logits."""
        return (self.logits(image) * label).sum(1)


class PerceptronGenerator(nn.Module):
    """Noise and label, each through a hidden layer of its own, then both through a joint one: figure 1.

    Args:
        latent: length of the noise vector.
        classes: length of the label.
        units: ReLUs of the noise's layer, of the label's and of the joint one.
        shape: of an example.
        share: of each hidden layer that is dropped in training.
    """

    def __init__(self, latent: int, classes: int, units: tuple[int, int, int], shape: tuple[int, ...], share: float):
        super().__init__()
        self.latent, self.shape, self.share = latent, shape, share
        self.noise, self.label = linear(latent, units[0]), linear(classes, units[1])
        self.joint = linear(units[0] + units[1], units[2])
        self.out = linear(units[2], math.prod(shape))

    def forward(self, given: Tensor) -> Tensor:
        """N x (latent + classes) to N x shape in [-1, 1]."""
        parts = [self.noise(given[:, : self.latent]), self.label(given[:, self.latent :])]
        both = dropout(functional.relu(torch.cat(parts, 1)), self.share, self.training)
        joint = dropout(functional.relu(self.joint(both)), self.share, self.training)
        # tanh(s / 2) in [-1, 1] is the paper's sigmoid(s) in [0, 1].
        return torch.tanh(self.out(joint).float() / 2).view(-1, *self.shape)


class PerceptronDiscriminator(nn.Module):
    """Example and label, each through a maxout layer of its own, then both through a joint one: figure 1.

    Args:
        shape: of an example.
        classes: length of the label.
        units: maxout units of the example's layer, of the label's and of the joint one.
        pieces: linear pieces of a unit in each of the three.
        share: of each hidden layer that is dropped in training.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        units: tuple[int, int, int],
        pieces: tuple[int, int, int],
        share: float,
    ):
        super().__init__()
        self.classes, self.share = classes, share
        self.example = Maxout(math.prod(shape), units[0], pieces[0])
        self.label = Maxout(classes, units[1], pieces[1])
        self.joint = Maxout(units[0] + units[1], units[2], pieces[2])
        self.score = linear(units[2], 1)

    def forward(self, example: Tensor, label: Tensor) -> Tensor:
        """N x shape and N x classes to N logits."""
        parts = [self.example(example.flatten(1)), self.label(label)]
        both = dropout(torch.cat(parts, 1), self.share, self.training)
        return self.score(dropout(self.joint(both), self.share, self.training)).squeeze(1)

    def logits(self, example: Tensor) -> Tensor:
        """N x shape to N x classes: a logit of realness under each label."""
        labels = torch.eye(self.classes, device=example.device)
        return torch.stack([self(example, label.expand(len(example), -1)) for label in labels], 1)
