"""What the plain loops share: the batches, the two-player step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sparring.data.images import Images

Step = Callable[[], object]


class Plain(NamedTuple):
    """A plain loop, ready to go."""

    step: Step
    generator: nn.Module
    opponent: nn.Module


class Pictures(Dataset):
    """One picture at a time: array to PIL, to tensor, to [-1, 1]."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None = None):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        image = picture(self.images[index].squeeze())
        return image if self.labels is None else (image, int(self.labels[index]))


def picture(pixels: np.ndarray) -> Tensor:
    image = PIL.Image.fromarray(pixels)
    tensor = torch.from_numpy(np.array(image)).reshape(image.height, image.width, -1)
    return (tensor.permute(2, 0, 1).contiguous().float().div(255) - 0.5) / 0.5


def loader(images: np.ndarray, batch: int, labels: np.ndarray | None = None) -> Iterator[Any]:
    return endless(Pictures(images, labels), batch)


def endless(dataset: Dataset, batch: int) -> Iterator[Any]:
    while True:
        yield from DataLoader(dataset, batch_size=batch, shuffle=True, drop_last=True)


def ring(batch: int, sigma: float) -> Iterator[Tensor]:
    """Points of eight Gaussians on a ring, drawn when they are needed."""
    angles = np.arange(8) * (2 * np.pi / 8)
    centres = np.stack([np.cos(angles), np.sin(angles)], 1)
    while True:
        points = centres[np.random.randint(8, size=batch)] + sigma * np.random.randn(batch, 2)
        yield torch.from_numpy(points.astype(np.float32))


def alternate(
    generator: nn.Module,
    discriminator: nn.Module,
    batches: Iterator[Tensor],
    noise: tuple[int, ...],
    lr: float = 2e-4,
) -> Plain:
    """The two players in turn, on the same forgeries."""
    criterion = nn.BCEWithLogitsLoss()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=lr, betas=(0.5, 0.999))

    def step() -> object:
        real = next(batches)
        discriminator.zero_grad()
        score = discriminator(real).view(-1)
        real_loss = criterion(score, torch.ones_like(score))
        real_loss.backward()
        fake = generator(torch.randn(len(real), *noise))
        score = discriminator(fake.detach()).view(-1)
        fake_loss = criterion(score, torch.zeros_like(score))
        fake_loss.backward()
        discriminator_optimizer.step()
        generator.zero_grad()
        score = discriminator(fake).view(-1)
        generator_loss = criterion(score, torch.ones_like(score))
        generator_loss.backward()
        generator_optimizer.step()
        return real_loss.item() + fake_loss.item(), generator_loss.item(), score.sigmoid().mean().item()

    return Plain(step, generator, discriminator)


def images(size: int, channels: int, count: int = 4096) -> np.ndarray:
    """Embedded digits at another size, as arrays to read from: uint8 N x H x W x C."""
    data = Images("digits").resolved().open()
    pixels = np.stack([_resized(image, size) for image in data.images[:count, :, :, 0]])
    return np.repeat(pixels[..., None], channels, axis=-1)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    return np.array(PIL.Image.fromarray(image).resize((size, size)))
