"""The convolutions of our own judges (`sparring judge train`), which also serve as a fixed measure of what pictures show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import safetensors
import safetensors.torch
from torch import Tensor, nn

from sparring.core.errors import UserError
from sparring.core.media import in_channels

KEY = "sparring judge"
"""of the card in the metadata of a judge's file"""
LARGEST = 64
"""side of the pictures that a judge looks at; larger ones are brought to it"""
WIDTHS = (32, 32, 64, 64, 128)
DEPTH = 3
"""modules of each block: convolution, batch norm, ReLU"""


def convolutions(channels: int, side: int) -> list[nn.Module]:
    """Five blocks, of which every other one halves the picture.

    Args:
        channels: of the pictures.
        side: of the pictures; those of at most 32 px are halved once less.
    """
    strides = (2, 1, 2, 1, 2 if side > 32 else 1)
    modules: list[nn.Module] = []
    for given, made, kernel, stride in zip((channels, *WIDTHS), WIDTHS, (5, 3, 3, 3, 3), strides):
        modules += [nn.Conv2d(given, made, kernel, stride, kernel // 2), nn.BatchNorm2d(made), nn.ReLU()]
    return modules


class Judged(nn.Module):
    """Pictures to the maps after some of a judge's convolutions. No weight is ever trained, or in training mode.

    Args:
        layers: names of layers as VGG19 has them; those of its first block are the judge's first convolution, and so on.
        channels, side: of the pictures that the judge learned from.
    """

    def __init__(self, layers: Sequence[str], channels: int, side: int):
        super().__init__()
        self.wanted = [int(layer.removeprefix("pool")[0]) - 1 for layer in layers]
        self.channels = channels
        self.body = nn.Sequential(*convolutions(channels, side))
        self.train(False)

    def train(self, training: bool = True) -> Self:
        """It stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """N x C x H x W in [-1, 1] to the maps of each layer, in their order."""
        value = in_channels(images.float(), self.channels)
        found = []
        for index, module in enumerate(self.body):
            value = module(value)
            if index % DEPTH == DEPTH - 1:
                found.append(value)
        return [found[place] for place in self.wanted]


def is_judge(path: Path) -> bool:
    """Whether a file says that it is a judge."""
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return KEY in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False


def load(path: Path, layers: Sequence[str]) -> Judged:
    """The maps of the judge in a file. Nothing in it is executed.

    Raises:
        UserError: its weights are not those of a judge.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            card = json.loads(file.metadata()[KEY])
        network = Judged(layers, card["channels"], min(card["size"], LARGEST))
        state = safetensors.torch.load_file(path)
        network.load_state_dict({name: state[name] for name in network.state_dict()})
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"--features {path}: its weights are not those of a judge ({reason}); train it again") from None
    return network
