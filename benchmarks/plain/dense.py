"""Fully connected networks: the first GAN, SGAN, NCE and the games in the plane."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.plain.common import Plain, alternate, loader, ring
from benchmarks.plain.convolutional import penalised
from benchmarks.plain.residual import relativistic


class Maxout(nn.Module):
    def __init__(self, given: int, made: int, pieces: int):
        super().__init__()
        self.linear, self.made, self.pieces = nn.Linear(given, made * pieces), made, pieces

    def forward(self, value: Tensor) -> Tensor:
        return self.linear(value).view(-1, self.pieces, self.made).max(1)[0]


def gan(images: np.ndarray, batch: int, latent: int = 100) -> Plain:
    """The layers of the first GAN."""
    pixels = images[0].size
    generator = nn.Sequential(
        nn.Linear(latent, 1200), nn.ReLU(True), nn.Linear(1200, 1200), nn.ReLU(True), nn.Linear(1200, pixels), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Dropout(0.2), Maxout(pixels, 240, 5), nn.Dropout(0.5), Maxout(240, 240, 5), nn.Dropout(0.5),
        nn.Linear(240, 1),
    )  # fmt: skip
    return alternate(generator, discriminator, loader(images, batch), (latent,))


def layers(widths: tuple[int, ...], activation: nn.Module) -> nn.Module:
    hidden = [layer for given, made in pairwise(widths[:-1]) for layer in (nn.Linear(given, made), activation)]
    return nn.Sequential(*hidden, nn.Linear(widths[-2], widths[-1]))


def plane() -> tuple[nn.Module, nn.Module]:
    """The pair of the games in the plane."""
    return layers((2, 128, 128, 128, 2), nn.ReLU(True)), layers((2, 128, 128, 128, 1), nn.LeakyReLU(0.2, True))


def gan_ring(batch: int) -> Plain:
    return alternate(*plane(), ring(batch, 0.01), (2,), lr=1e-3)


def wgan_gp_ring(batch: int, rounds: int = 5) -> Plain:
    return penalised(*plane(), ring(batch, 0.01), (2,), rounds, 1e-3, 0.5, 0.1)


def r3gan_ring(batch: int) -> Plain:
    return relativistic(*plane(), ring(batch, 0.01), (2,), 0.1)


class Normalised(nn.Module):
    """scale V / |V| x + bias, as public code of SGAN writes it."""

    def __init__(self, given: int, made: int, learns_scale: bool = False):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(made, given) * 0.1), nn.Parameter(torch.zeros(made))
        self.weight_scale = nn.Parameter(torch.ones(made), requires_grad=learns_scale)

    def forward(self, value: Tensor) -> Tensor:
        weight = self.weight * (self.weight_scale / torch.sqrt((self.weight**2).sum(1) + 1e-6)).unsqueeze(1)
        return nn.functional.linear(value, weight, self.bias)


class Classifier(nn.Module):
    """With Gaussian noise before every layer."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        self.layers = nn.ModuleList(Normalised(*pair) for pair in pairwise(widths[:-1]))
        self.out = Normalised(widths[-2], widths[-1], True)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        value = image.flatten(1) / 2 + 0.5
        value = value + torch.randn(value.shape) * 0.3
        for layer in self.layers:
            features = torch.relu(layer(value))
            value = features + torch.randn(features.shape) * 0.5
        return features, self.out(value)


def sgan(images: np.ndarray, labels: np.ndarray, batch: int, latent: int = 100, hidden: int = 500) -> Plain:
    """100 known labels; features are matched."""
    pixels = images[0].size
    generator = nn.Sequential(
        nn.Linear(latent, hidden, bias=False), nn.BatchNorm1d(hidden), nn.Softplus(),
        nn.Linear(hidden, hidden, bias=False), nn.BatchNorm1d(hidden), nn.Softplus(),
        Normalised(hidden, pixels, True), nn.Tanh(),
    )  # fmt: skip
    classifier = Classifier((pixels, 1000, 500, 250, 250, 250, 10))
    told, unlabelled, others = loader(images[:100], batch, labels[:100]), loader(images, batch), loader(images, batch)
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=3e-3, betas=(0.5, 0.999))
    classifier_optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3, betas=(0.5, 0.999))
    softplus = nn.functional.softplus

    def step() -> object:
        image, label = next(told)
        fake = generator(torch.rand(batch, latent))
        (_, named), (_, real), (_, forged) = classifier(image), classifier(next(unlabelled)), classifier(fake.detach())
        supervised = nn.functional.cross_entropy(named, label)
        real_score, fake_score = torch.logsumexp(real, 1), torch.logsumexp(forged, 1)
        unsupervised = (softplus(real_score).mean() - real_score.mean() + softplus(fake_score).mean()) / 2
        classifier_optimizer.zero_grad()
        (supervised + unsupervised).backward()
        classifier_optimizer.step()
        fake = generator(torch.rand(batch, latent))
        made, _ = classifier(fake)
        wanted, _ = classifier(next(others))
        matching = ((made.mean(0) - wanted.mean(0)) ** 2).mean()
        generator_optimizer.zero_grad()
        classifier_optimizer.zero_grad()
        matching.backward()
        generator_optimizer.step()
        return supervised.item(), unsupervised.item(), matching.item()

    return Plain(step, generator, classifier)


class Density(nn.Module):
    """log p: a network, a bell, a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers((2, 128, 128, 128, 128), nn.SiLU())[:-1]  # type: ignore[index]
        self.out = nn.Linear(128, 1, bias=False)
        self.bell, self.log_partition = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def forward(self, points: Tensor) -> Tensor:
        bell = nn.functional.softplus(self.bell) * (points**2).sum(1) / 2
        return self.out(self.hidden(4 * points)).view(-1) - bell - self.log_partition


def nce(batch: int, ratio: int = 4) -> Plain:
    density, batches, criterion = Density(), ring(batch, 0.1), nn.BCEWithLogitsLoss()
    noise = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    optimizer = torch.optim.Adam(density.parameters(), lr=3e-3, betas=(0.9, 0.99))

    def logit(points: Tensor) -> Tensor:
        return density(points) - noise.log_prob(points) - np.log(ratio)

    def step() -> object:
        optimizer.zero_grad()
        real, fake = logit(next(batches)), logit(noise.sample((ratio * batch,)))
        loss = criterion(real, torch.ones_like(real)) + ratio * criterion(fake, torch.zeros_like(fake))
        loss.backward()
        optimizer.step()
        return loss.item(), density.log_partition.item()

    return Plain(step, density, nn.Identity())
