"""The unrolled GAN: the generator looks ahead through updates of the discriminator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.utils.data import Dataset

from benchmarks.plain.common import Plain, endless, picture


class Stacks(Dataset):
    """Two pictures at random, one in each channel."""

    def __init__(self, images: np.ndarray, count: int = 128_000):
        self.images, self.members = images, np.random.randint(len(images), size=(count, 2))

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Tensor:
        return torch.cat([picture(self.images[member].squeeze()) for member in self.members[index]])


def unrolled(images: np.ndarray, batch: int, lookahead: int, latent: int = 256) -> Plain:
    """Stacked digits, 28 px: 8 channels against 2."""
    generator = nn.Sequential(
        nn.Linear(latent, 64 * 16, bias=False), nn.Unflatten(1, (64, 4, 4)), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 16, 3, 2, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 3, 2, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.Conv2d(8, 2, 3, 1, 1), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(2, 2, 3, 2, 1), nn.LeakyReLU(0.3, True),
        nn.Conv2d(2, 4, 3, 2, 1), nn.LeakyReLU(0.3, True),
        nn.Conv2d(4, 8, 3, 2, 1), nn.LeakyReLU(0.3, True),
        nn.Flatten(), nn.Linear(8 * 16, 1),
    )  # fmt: skip
    batches, criterion = endless(Stacks(images), batch), functional.binary_cross_entropy_with_logits
    lr, (first, second), eps = 2e-3, (0.5, 0.99), 1e-8
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(first, second))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=lr, betas=(first, second))

    def loss_of(weights: dict[str, Tensor], real: Tensor, fake: Tensor) -> Tensor:
        real_score = functional_call(discriminator, weights, (real,))
        fake_score = functional_call(discriminator, weights, (fake,))
        return criterion(real_score, torch.ones_like(real_score)) + criterion(fake_score, torch.zeros_like(fake_score))

    def ahead(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Adam, weight by weight, differentiably."""
        weights: dict[str, Tensor] = dict(discriminator.named_parameters())
        states = [discriminator_optimizer.state[weight] for weight in weights.values()]
        means, squares = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        done = int(states[0]["step"])
        for count in range(done + 1, done + 1 + lookahead):
            loss = loss_of(weights, real, fake)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            means = [first * mean + (1 - first) * gradient for mean, gradient in zip(means, gradients)]
            squares = [second * square + (1 - second) * gradient**2 for square, gradient in zip(squares, gradients)]
            weights = {
                name: weight - lr * (mean / (1 - first**count)) / (square / (1 - second**count) + eps).sqrt()
                for (name, weight), mean, square in zip(weights.items(), means, squares)
            }
        return weights

    def step() -> object:
        real = next(batches)
        discriminator_optimizer.zero_grad()
        fake = generator(torch.randn(batch, latent))
        loss = loss_of(dict(discriminator.named_parameters()), real, fake.detach())
        loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        generator_loss = -loss_of(ahead(real, fake), real, fake)
        generator_loss.backward()
        generator_optimizer.step()
        return loss.item(), generator_loss.item()

    return Plain(step, generator, discriminator)
