"""The same networks and batches in a plain PyTorch loop, the way public tutorials write it.

float32, contiguous memory, `loss.backward()` into every weight that the graph touches, `.item()` for the log, a DataLoader
that turns one picture at a time into a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sparring.data.images import Images

Step = Callable[[], object]


class Pictures(Dataset):
    """One picture at a time: array to PIL, to tensor, to [-1, 1]."""

    def __init__(self, images: np.ndarray):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        image = PIL.Image.fromarray(self.images[index].squeeze())
        pixels = torch.from_numpy(np.array(image)).reshape(image.height, image.width, -1)
        tensor = pixels.permute(2, 0, 1).contiguous().float().div(255)
        return (tensor - 0.5) / 0.5


def loader(images: np.ndarray, batch: int) -> Iterator[Tensor]:
    while True:
        yield from DataLoader(Pictures(images), batch_size=batch, shuffle=True, drop_last=True)


def dcgan(images: np.ndarray, batch: int, width: int = 64, latent: int = 100) -> tuple[Step, nn.Module]:
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
    return _alternate(generator, discriminator, loader(images, batch), (latent, 1, 1)), generator


class Maxout(nn.Module):
    def __init__(self, given: int, made: int, pieces: int):
        super().__init__()
        self.linear, self.made, self.pieces = nn.Linear(given, made * pieces), made, pieces

    def forward(self, value: Tensor) -> Tensor:
        return self.linear(value).view(-1, self.pieces, self.made).max(1)[0]


def gan(images: np.ndarray, batch: int, latent: int = 100) -> tuple[Step, nn.Module]:
    """The layers of the first GAN."""
    pixels = images[0].size
    generator = nn.Sequential(
        nn.Linear(latent, 1200), nn.ReLU(True), nn.Linear(1200, 1200), nn.ReLU(True), nn.Linear(1200, pixels), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Dropout(0.2), Maxout(pixels, 240, 5), nn.Dropout(0.5), Maxout(240, 240, 5), nn.Dropout(0.5),
        nn.Linear(240, 1),
    )  # fmt: skip
    return _alternate(generator, discriminator, loader(images, batch), (latent,)), generator


def _alternate(
    generator: nn.Module, discriminator: nn.Module, batches: Iterator[Tensor], noise: tuple[int, ...]
) -> Step:
    criterion = nn.BCEWithLogitsLoss()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

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

    return step


def images(size: int, channels: int, count: int = 4096) -> np.ndarray:
    """Embedded digits at another size, as arrays to read from: uint8 N x H x W x C."""
    data = Images("digits").resolved().open()
    pixels = np.stack([_resized(image, size) for image in data.images[:count, :, :, 0]])
    return np.repeat(pixels[..., None], channels, axis=-1)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    return np.array(PIL.Image.fromarray(image).resize((size, size)))
