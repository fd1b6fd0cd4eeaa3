"""R3GAN: zero-centred penalties at real and forged examples; of residual blocks, or of strided convolutions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain.common import Plain, loader
from benchmarks.plain.convolutional import critic_28, generator_28


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1), nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * width, 2 * width, 3, 1, 1, groups=2 * width // 16), nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * width, width, 1, bias=False),
        )  # fmt: skip

    def forward(self, value: Tensor) -> Tensor:
        return value + self.layers(value)


class Change(nn.Module):
    """Up or down by two with a fixed [1, 2, 1] filter, and a 1 x 1 kernel."""

    def __init__(self, given: int, made: int, up: bool, more: int = 0):
        super().__init__()
        self.up, self.more = up, more
        self.project = nn.Conv2d(given, made, 1, bias=False)
        tent = torch.tensor([1.0, 2.0, 1.0])
        square = torch.outer(tent, tent) / (4 if up else 16)
        self.register_buffer("smooth", square.repeat(made if up else given, 1, 1, 1))

    def forward(self, value: Tensor) -> Tensor:
        if self.up:
            return functional.conv_transpose2d(
                self.project(value), self.smooth, None, 2, 1, self.more, groups=len(self.smooth)
            )
        return self.project(functional.conv2d(value, self.smooth, None, 2, 1, groups=len(self.smooth)))


class Generator(nn.Module):
    """To 28 px by squares of 2 x 2 pixels."""

    def __init__(self, latent: int, width: int):
        super().__init__()
        self.basis, self.weigh = nn.Parameter(torch.randn(width * 4, 4, 4)), nn.Linear(latent, width * 4, bias=False)
        self.layers = nn.Sequential(
            Block(width * 4), Change(width * 4, width * 2, True), Block(width * 2), Change(width * 2, width, True, 1),
            Block(width), nn.Conv2d(width, 4, 1, bias=False), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(self.weigh(noise).view(len(noise), -1, 1, 1) * self.basis)


class Discriminator(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(4, width, 1, bias=False), Block(width), Change(width, width * 2, False),
            Block(width * 2), Change(width * 2, width * 4, False), Block(width * 4),
        )  # fmt: skip
        self.basis, self.score = nn.Parameter(torch.randn(width * 4, 4, 4)), nn.Linear(width * 4, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.score((self.layers(image) * self.basis).sum((2, 3)))


def r3gan(images: np.ndarray, batch: int, width: int = 32, latent: int = 64) -> Plain:
    generator = generator_28(latent, width)
    return relativistic(generator, critic_28(width), loader(images, batch), (latent, 1, 1), 1.0)


def r3gan_modern(images: np.ndarray, batch: int, width: int = 24, latent: int = 64) -> Plain:
    return relativistic(Generator(latent, width), Discriminator(width), loader(images, batch), (latent,), 1.0)


def relativistic(
    generator: nn.Module, discriminator: nn.Module, batches: Iterator[Tensor], noise: tuple[int, ...], weight: float
) -> Plain:
    """R3GAN of any networks, as its public code has it."""
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.0, 0.9))

    def slope(examples: Tensor, score: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(outputs=score.sum(), inputs=examples, create_graph=True)
        return gradient.square().flatten(1).sum(1)

    def step() -> object:
        batch = next(batches)
        real = batch.detach().requires_grad_()
        fake = generator(torch.randn(len(real), *noise)).detach().requires_grad_()
        discriminator_optimizer.zero_grad()
        real_score, fake_score = discriminator(real), discriminator(fake)
        r1, r2 = slope(real, real_score), slope(fake, fake_score)
        adversarial = functional.softplus(fake_score - real_score)
        loss = adversarial.mean() + weight / 2 * (r1 + r2).mean()
        loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        fake = generator(torch.randn(len(real), *noise))
        fake_score, real_score = discriminator(fake), discriminator(batch)
        generator_loss = functional.softplus(real_score - fake_score).mean()
        generator_loss.backward()
        generator_optimizer.step()
        return loss.item(), generator_loss.item(), r1.mean().item(), r2.mean().item()

    return Plain(step, generator, discriminator)
