"""From coarse to fine: LAPGAN, BEGAN; nearest-neighbour doubling and a convolution."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain.common import Plain, loader


class Detail(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1), nn.ReLU(True), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(width, 1, 3, padding=1),
        )  # fmt: skip

    def forward(self, noise: Tensor, coarse: Tensor) -> Tensor:
        return coarse + self.layers(torch.cat([noise, coarse], 1))


class Base(nn.Module):
    def __init__(self, latent: int, side: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent, 512), nn.ReLU(True), nn.Linear(512, 512), nn.ReLU(True), nn.Linear(512, side**2),
            nn.Tanh(), nn.Unflatten(1, (1, side, side)),
        )  # fmt: skip

    def forward(self, noise: Tensor, coarse: Tensor) -> Tensor:
        return self.layers(noise)


def base_judge(side: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(side**2, 256), nn.ReLU(True), nn.Dropout(0.3), nn.Linear(256, 256), nn.ReLU(True),
        nn.Dropout(0.3), nn.Linear(256, 1),
    )  # fmt: skip


def detail_judge(side: int, width: int) -> nn.Module:
    last = (side - 9) // 2 + 1
    return nn.Sequential(
        nn.Conv2d(1, width, 5), nn.ReLU(True), nn.Conv2d(width, width, 5, 2), nn.ReLU(True), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(width * last**2, 1),
    )  # fmt: skip


def lapgan(images: np.ndarray, batch: int, width: int = 32, latent: int = 100) -> Plain:
    """Three levels, 7, 14 and 28 px, each a game of its own."""
    batches, sides, criterion = loader(images, batch), (7, 14, 28), nn.BCEWithLogitsLoss()
    generators = nn.ModuleList([Base(latent, 7), Detail(width), Detail(width)])
    judges = nn.ModuleList([base_judge(7), *(detail_judge(side, width) for side in sides[1:])])
    generator_optimizers = [torch.optim.Adam(part.parameters(), lr=3e-3, betas=(0.5, 0.999)) for part in generators]
    judge_optimizers = [torch.optim.Adam(part.parameters(), lr=3e-3, betas=(0.5, 0.999)) for part in judges]

    def step() -> object:
        sizes = [next(batches)]
        for _ in sides[1:]:
            sizes.insert(0, functional.avg_pool2d(sizes[0], 2))
        log = []
        for level, (generator, judge) in enumerate(zip(generators, judges)):
            real, coarse, noise = sizes[level], sizes[0], torch.rand(batch, latent) * 2 - 1
            if level:
                coarse = functional.interpolate(sizes[level - 1], scale_factor=2, mode="bilinear", align_corners=False)
                noise = torch.rand(batch, 1, sides[level], sides[level]) * 2 - 1
            judge_optimizers[level].zero_grad()
            score = judge(real).view(-1)
            real_loss = criterion(score, torch.ones_like(score))
            real_loss.backward()
            fake = generator(noise, coarse)
            score = judge(fake.detach()).view(-1)
            fake_loss = criterion(score, torch.zeros_like(score))
            fake_loss.backward()
            judge_optimizers[level].step()
            generator_optimizers[level].zero_grad()
            score = judge(fake).view(-1)
            generator_loss = criterion(score, torch.ones_like(score))
            generator_loss.backward()
            generator_optimizers[level].step()
            log += [real_loss.item() + fake_loss.item(), generator_loss.item()]
        return log

    return Plain(step, generators, judges)


def same(given: int, made: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(given, made, 3, stride, 1), nn.ELU(True)]


def up(width: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), *same(width, width), *same(width, width)]


def decoder(code: int, width: int) -> nn.Module:
    """A code to a picture of 32 px."""
    return nn.Sequential(
        nn.Linear(code, width * 64), nn.Unflatten(1, (width, 8, 8)), *same(width, width), *same(width, width),
        *up(width), *up(width), nn.Conv2d(width, 1, 3, 1, 1),
    )  # fmt: skip


def encoder(code: int, width: int) -> nn.Module:
    return nn.Sequential(
        *same(1, width), *same(width, width), *same(width, width), *same(width, width, 2),
        *same(width, 2 * width), *same(2 * width, 2 * width), *same(2 * width, 2 * width, 2),
        *same(2 * width, 3 * width), *same(3 * width, 3 * width), nn.Flatten(), nn.Linear(3 * width * 64, code),
    )  # fmt: skip


def began(images: np.ndarray, batch: int, width: int = 16, code: int = 32) -> Plain:
    generator, batches = decoder(code, width), loader(images, batch)
    autoencoder = nn.Sequential(encoder(code, width), decoder(code, width))
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    autoencoder_optimizer = torch.optim.Adam(autoencoder.parameters(), lr=1e-3, betas=(0.5, 0.999))
    balance = 0.0

    def step() -> object:
        nonlocal balance
        real = next(batches)
        autoencoder_optimizer.zero_grad()
        fake = generator(torch.rand(batch, code) * 2 - 1).detach()
        real_loss = torch.mean(torch.abs(autoencoder(real) - real))
        fake_loss = torch.mean(torch.abs(autoencoder(fake) - fake))
        loss = real_loss - balance * fake_loss
        loss.backward()
        autoencoder_optimizer.step()
        generator_optimizer.zero_grad()
        fake = generator(torch.rand(batch, code) * 2 - 1)
        generator_loss = torch.mean(torch.abs(autoencoder(fake) - fake))
        generator_loss.backward()
        generator_optimizer.step()
        gap = 0.5 * real_loss.item() - generator_loss.item()
        balance = min(max(balance + 0.01 * gap, 0.0), 1.0)
        return loss.item(), generator_loss.item(), real_loss.item() + abs(gap), balance

    return Plain(step, generator, autoencoder)
