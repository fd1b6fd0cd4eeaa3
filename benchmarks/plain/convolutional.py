"""Strided convolutions: DCGAN, cGAN, InfoGAN, WGAN, WGAN-GP."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain.common import Plain, alternate, loader


def dcgan(images: np.ndarray, batch: int, width: int = 64, latent: int = 100) -> Plain:
    """A DCGAN at 64 px."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(latent, width * 8, 4, 1, 0, bias=False), nn.BatchNorm2d(width * 8), nn.ReLU(True),
        nn.ConvTranspose2d(width * 8, width * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 4), nn.ReLU(True),
        nn.ConvTranspose2d(width * 4, width * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 2), nn.ReLU(True),
        nn.ConvTranspose2d(width * 2, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
        nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width, width * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 2), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width * 2, width * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 4), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width * 4, width * 8, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 8), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width * 8, 1, 4, 1, 0, bias=False),
    )  # fmt: skip
    return alternate(generator, discriminator, loader(images, batch), (latent, 1, 1))


def generator_28(latent: int, width: int) -> nn.Module:
    """Noise, N x latent x 1 x 1, to pictures of 28 px."""
    return nn.Sequential(
        nn.ConvTranspose2d(latent, width * 4, 4, 1, 0, bias=False), nn.BatchNorm2d(width * 4), nn.ReLU(True),
        nn.ConvTranspose2d(width * 4, width * 2, 3, 2, 1, bias=False), nn.BatchNorm2d(width * 2), nn.ReLU(True),
        nn.ConvTranspose2d(width * 2, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip


def features_28(width: int) -> nn.Module:
    """Pictures of 28 px to maps of 4 px."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width, width * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 2), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width * 2, width * 4, 3, 2, 1, bias=False), nn.BatchNorm2d(width * 4), nn.LeakyReLU(0.2, True),
    )  # fmt: skip


class Conditional(nn.Module):
    """A logit for each label, of which that of the label is read."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.features = features_28(width)
        self.score = nn.Linear(width * 4 * 16, 1, bias=False)
        self.matching = nn.Linear(width * 4 * 16, classes, bias=False)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        features = self.features(image).flatten(1)
        return ((self.score(features) + self.matching(features)) * label).sum(1)


def cgan(images: np.ndarray, labels: np.ndarray, batch: int, width: int = 48, latent: int = 100) -> Plain:
    generator, discriminator = generator_28(latent + 10, width), Conditional(width // 2, 10)
    criterion, batches = nn.BCEWithLogitsLoss(), loader(images, batch, labels)
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=4e-3, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=4e-3, betas=(0.5, 0.999))

    def step() -> object:
        real, number = next(batches)
        label = functional.one_hot(number, 10).float()
        discriminator.zero_grad()
        score = discriminator(real, label)
        real_loss = criterion(score, torch.ones_like(score))
        real_loss.backward()
        fake = generator(torch.cat([torch.randn(batch, latent), label], 1)[:, :, None, None])
        score = discriminator(fake.detach(), label)
        fake_loss = criterion(score, torch.zeros_like(score))
        fake_loss.backward()
        discriminator_optimizer.step()
        generator.zero_grad()
        score = discriminator(fake, label)
        generator_loss = criterion(score, torch.ones_like(score))
        generator_loss.backward()
        generator_optimizer.step()
        return real_loss.item() + fake_loss.item(), generator_loss.item()

    return Plain(step, generator, discriminator)


class Unflatten(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value.view(len(value), -1, 7, 7)


class Recogniser(nn.Module):
    """InfoGAN's discriminator: a trunk, a head that tells real from forged, a head that reads the codes."""

    def __init__(self, width: int, dense: int, read: int):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.1, True),
            nn.Conv2d(width, width * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width * 2), nn.LeakyReLU(0.1, True),
            nn.Flatten(), nn.Linear(width * 2 * 49, dense, bias=False), nn.BatchNorm1d(dense), nn.LeakyReLU(0.1, True),
        )  # fmt: skip
        self.realness = nn.Linear(dense, 1)
        self.codes = nn.Sequential(
            nn.Linear(dense, dense // 8, bias=False), nn.BatchNorm1d(dense // 8), nn.LeakyReLU(0.1, True),
            nn.Linear(dense // 8, read),
        )  # fmt: skip

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(image)
        return self.realness(features).view(-1), self.codes(features)


def infogan(images: np.ndarray, batch: int, width: int = 32, dense: int = 512, latent: int = 62) -> Plain:
    """One code of ten categories and two continuous ones."""
    generator = nn.Sequential(
        nn.Linear(latent + 12, dense, bias=False), nn.BatchNorm1d(dense), nn.ReLU(True),
        nn.Linear(dense, width * 2 * 49, bias=False), Unflatten(), nn.BatchNorm2d(width * 2), nn.ReLU(True),
        nn.ConvTranspose2d(width * 2, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator, batches = Recogniser(width, dense, 12), loader(images, batch)
    criterion, categories, numbers = nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), nn.GaussianNLLLoss()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def information(read: Tensor, category: Tensor, number: Tensor) -> Tensor:
        return categories(read[:, :10], category) + numbers(read[:, 10:], number, torch.ones_like(number))

    def step() -> object:
        real = next(batches)
        discriminator.zero_grad()
        score, _ = discriminator(real)
        real_loss = criterion(score, torch.ones_like(score))
        real_loss.backward()
        category, number = torch.randint(10, (batch,)), torch.rand(batch, 2) * 2 - 1
        free = torch.rand(batch, latent) * 2 - 1
        fake = generator(torch.cat([free, functional.one_hot(category, 10).float(), number], 1))
        score, read = discriminator(fake.detach())
        fake_loss = criterion(score, torch.zeros_like(score)) + information(read, category, number)
        fake_loss.backward()
        discriminator_optimizer.step()
        generator.zero_grad()
        score, read = discriminator(fake)
        surprise = information(read, category, number)
        generator_loss = criterion(score, torch.ones_like(score)) + surprise
        generator_loss.backward()
        generator_optimizer.step()
        return real_loss.item() + fake_loss.item(), generator_loss.item(), surprise.item()

    return Plain(step, generator, discriminator)


def wgan(images: np.ndarray, batch: int, width: int = 24, latent: int = 100, rounds: int = 5) -> Plain:
    generator = generator_28(latent, width)
    critic = nn.Sequential(features_28(width), nn.Flatten(), nn.Linear(width * 4 * 16, 1, bias=False))
    batches = loader(images, batch)
    generator_optimizer = torch.optim.RMSprop(generator.parameters(), lr=5e-4)
    critic_optimizer = torch.optim.RMSprop(critic.parameters(), lr=5e-4)

    def step() -> object:
        for _ in range(rounds):
            real = next(batches)
            critic_optimizer.zero_grad()
            fake = generator(torch.randn(batch, latent, 1, 1)).detach()
            loss = critic(fake).mean() - critic(real).mean()
            loss.backward()
            critic_optimizer.step()
            for weight in critic.parameters():
                weight.data.clamp_(-0.01, 0.01)
        generator_optimizer.zero_grad()
        generator_loss = -critic(generator(torch.randn(batch, latent, 1, 1))).mean()
        generator_loss.backward()
        generator_optimizer.step()
        return loss.item(), generator_loss.item()

    return Plain(step, generator, critic)


def critic_28(width: int) -> nn.Module:
    """Pictures of 28 px to a score, without normalisation."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width, width * 2, 4, 2, 1), nn.LeakyReLU(0.2, True),
        nn.Conv2d(width * 2, width * 4, 3, 2, 1), nn.LeakyReLU(0.2, True),
        nn.Flatten(), nn.Linear(width * 4 * 16, 1),
    )  # fmt: skip


def wgan_gp(images: np.ndarray, batch: int, width: int = 24, latent: int = 128, rounds: int = 5) -> Plain:
    batches, noise = loader(images, batch), (latent, 1, 1)
    return penalised(generator_28(latent, width), critic_28(width), batches, noise, rounds, 5e-4, 0.0, 10)


def penalised(
    generator: nn.Module,
    critic: nn.Module,
    batches: Iterator[Tensor],
    noise: tuple[int, ...],
    rounds: int,
    lr: float,
    momentum: float,
    weight: float,
) -> Plain:
    """WGAN-GP of any networks."""
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=(momentum, 0.9))
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=lr, betas=(momentum, 0.9))

    def gradient_penalty(real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), *[1] * (real.dim() - 1))
        between = (share * real + (1 - share) * fake).requires_grad_(True)
        score = critic(between)
        (gradient,) = torch.autograd.grad(
            outputs=score, inputs=between, grad_outputs=torch.ones_like(score), create_graph=True, retain_graph=True
        )
        return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    def step() -> object:
        for _ in range(rounds):
            real = next(batches)
            critic_optimizer.zero_grad()
            fake = generator(torch.randn(len(real), *noise)).detach()
            distance = critic(real).mean() - critic(fake).mean()
            penalty = gradient_penalty(real, fake)
            (-distance + weight * penalty).backward()
            critic_optimizer.step()
        generator_optimizer.zero_grad()
        generator_loss = -critic(generator(torch.randn(len(real), *noise))).mean()
        generator_loss.backward()
        generator_optimizer.step()
        return distance.item(), penalty.item(), generator_loss.item()

    return Plain(step, generator, critic)
