"""Small pictures to large ones: SRResNet."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain.common import Plain, loader


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        return image + self.layers(image)


class SRResNet(nn.Module):
    def __init__(self, blocks: int = 16, width: int = 64):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 9, 1, 4), nn.PReLU())
        self.blocks = nn.Sequential(
            *(Block(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )
        larger = [[nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()] for _ in range(2)]
        self.larger = nn.Sequential(*larger[0], *larger[1])
        self.last = nn.Conv2d(width, 3, 9, 1, 4)

    def forward(self, image: Tensor) -> Tensor:
        first = self.first(image)
        return self.last(self.larger(first + self.blocks(first)))


def srresnet(images: np.ndarray, batch: int) -> Plain:
    network, batches, criterion = SRResNet(), loader(images, batch), nn.MSELoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> object:
        large = next(batches)
        small = functional.interpolate(large, scale_factor=0.25, mode="bicubic", antialias=True)
        optimizer.zero_grad()
        loss = criterion(network(small), large)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Plain(step, network, nn.Identity())
