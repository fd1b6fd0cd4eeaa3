"""Picture to picture: pix2pix and CycleGAN."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.plain.common import Plain, loader


class Down(nn.Module):
    """A level of the U-Net: halved, worked on within, doubled, beside what came in."""

    def __init__(
        self, outer: int, inner: int, within: nn.Module | None, given: int | None = None, dropout: bool = False
    ):
        super().__init__()
        self.outermost = given is not None
        down = nn.Conv2d(given or outer, inner, 4, 2, 1, bias=self.outermost or within is None)
        up = nn.ConvTranspose2d(inner * (2 if within else 1), outer, 4, 2, 1, bias=self.outermost)
        if self.outermost:
            layers = [down, within, nn.ReLU(True), up, nn.Tanh()]
        elif within is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        else:
            layers = [
                nn.LeakyReLU(0.2, True),
                down,
                nn.BatchNorm2d(inner),
                within,
                nn.ReLU(True),
                up,
                nn.BatchNorm2d(outer),
            ]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.layers = nn.Sequential(*layers)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image) if self.outermost else torch.cat([image, self.layers(image)], 1)


def unet(levels: int, width: int = 64) -> nn.Module:
    """For pictures of 2^levels px in colour."""
    block = Down(8 * width, 8 * width, None)
    for _ in range(levels - 5):
        block = Down(8 * width, 8 * width, block, dropout=True)
    for count in (4, 2, 1):
        block = Down(count * width, 2 * count * width, block)
    return Down(3, width, block, given=3)


def patches(given: int, norm: type[nn.Module], width: int = 64) -> nn.Module:
    """Patches of 70 px."""
    layers: list[nn.Module] = [nn.Conv2d(given, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for less, more, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers += [
            nn.Conv2d(less * width, more * width, 4, stride, 1, bias=norm is nn.InstanceNorm2d),
            norm(more * width),
            nn.LeakyReLU(0.2, True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


def pix2pix(images: np.ndarray, batch: int, levels: int = 7) -> Plain:
    """From a picture to itself, which costs what any pair costs."""
    generator, discriminator = unet(levels), patches(6, nn.BatchNorm2d)
    batches, other = loader(images, batch), loader(images, batch)
    adversarial, difference = nn.BCEWithLogitsLoss(), nn.L1Loss()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step() -> object:
        given, target = next(batches), next(other)
        fake = generator(given)
        discriminator_optimizer.zero_grad()
        score = discriminator(torch.cat([given, fake.detach()], 1))
        fake_loss = adversarial(score, torch.zeros_like(score))
        score = discriminator(torch.cat([given, target], 1))
        real_loss = adversarial(score, torch.ones_like(score))
        discriminator_loss = (fake_loss + real_loss) * 0.5
        discriminator_loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        score = discriminator(torch.cat([given, fake], 1))
        generator_loss = adversarial(score, torch.ones_like(score)) + 100 * difference(fake, target)
        generator_loss.backward()
        generator_optimizer.step()
        return discriminator_loss.item(), generator_loss.item()

    return Plain(step, generator, discriminator)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        return image + self.layers(image)


def translator(blocks: int, width: int = 64) -> nn.Module:
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True)]
    for count in (width, 2 * width):
        layers += [nn.Conv2d(count, 2 * count, 3, 2, 1), nn.InstanceNorm2d(2 * count), nn.ReLU(True)]
    layers += [Residual(4 * width) for _ in range(blocks)]
    for count in (4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(count, count // 2, 3, 2, 1, 1), nn.InstanceNorm2d(count // 2), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class Buffer:
    """Fifty old forgeries."""

    def __init__(self) -> None:
        self.held: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        given = []
        for image in images.detach():
            if len(self.held) < 50:
                self.held.append(image)
                given.append(image)
            elif random.random() > 0.5:
                place = random.randrange(50)
                given.append(self.held[place].clone())
                self.held[place] = image
            else:
                given.append(image)
        return torch.stack(given)


def cyclegan(images: np.ndarray, batch: int, blocks: int = 9) -> Plain:
    there, home = translator(blocks), translator(blocks)
    judges = patches(3, nn.InstanceNorm2d), patches(3, nn.InstanceNorm2d)
    batches: tuple[Iterator[Tensor], Iterator[Tensor]] = loader(images, batch), loader(images, batch)
    buffers = Buffer(), Buffer()
    adversarial, difference = nn.MSELoss(), nn.L1Loss()
    generator_optimizer = torch.optim.Adam(
        itertools.chain(there.parameters(), home.parameters()), lr=2e-4, betas=(0.5, 0.999)
    )
    judge_optimizers = [torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999)) for judge in judges]

    def step() -> object:
        first, second = (next(each) for each in batches)
        generator_optimizer.zero_grad()
        identity = difference(there(second), second) + difference(home(first), first)
        fake_second, fake_first = there(first), home(second)
        scores = judges[1](fake_second), judges[0](fake_first)
        fooled = sum(adversarial(score, torch.ones_like(score)) for score in scores)
        cycle = difference(home(fake_second), first) + difference(there(fake_first), second)
        loss = fooled + 10 * cycle + 5 * identity
        loss.backward()
        generator_optimizer.step()
        logged = [loss.item(), cycle.item(), identity.item()]
        for judge, optimizer, buffer, real, fake in zip(
            judges, judge_optimizers, buffers, (first, second), (fake_first, fake_second)
        ):
            optimizer.zero_grad()
            score, old = judge(real), judge(buffer.exchange(fake))
            judged = (adversarial(score, torch.ones_like(score)) + adversarial(old, torch.zeros_like(old))) / 2
            judged.backward()
            optimizer.step()
            logged.append(judged.item())
        return logged

    return Plain(step, nn.ModuleList([there, home]), nn.ModuleList(judges))
