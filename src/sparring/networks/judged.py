"""The maps inside one of our own judges (`sparring judge train`), as a fixed measure of what pictures show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import safetensors
import safetensors.torch
from torch import Tensor, nn

from sparring.core.errors import UserError

KEY = "sparring judge"
"""of the card in the metadata of a judge's file"""
BLOCKS = ((5, 2), (3, 1), (3, 2), (3, 1), (3, 0))
"""kernel and stride of each convolution; the last one's stride depends on the size of the judge's pictures"""


class Judged(nn.Module):
    """Pictures to the maps after some of a judge's convolutions. No weight is ever trained, or in training mode.

    Args:
        layers: names of layers as VGG19 has them; those of its first block are the judge's first convolution, and so on.
        channels: that the judge sees.
        counts: of maps after each convolution.
        stride: of the last convolution.
    """

    def __init__(self, layers: Sequence[str], channels: int, counts: Sequence[int], stride: int):
        super().__init__()
        self.wanted = [int(layer.removeprefix("pool")[0]) - 1 for layer in layers]
        self.channels = channels
        modules: list[nn.Module] = []
        for given, made, (kernel, step) in zip([channels, *counts], counts, BLOCKS):
            modules += [nn.Conv2d(given, made, kernel, step or stride, kernel // 2), nn.BatchNorm2d(made), nn.ReLU()]
        self.body = nn.Sequential(*modules)
        self.train(False)

    def train(self, training: bool = True) -> Self:
        """It stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """N x C x H x W in [-1, 1] to the maps of each layer, in their order."""
        value = images.float()
        if value.shape[1] != self.channels:
            value = value.mean(1, keepdim=True).expand(-1, self.channels, -1, -1)
        found = []
        for index, module in enumerate(self.body):
            value = module(value)
            if index % 3 == 2:
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
    with safetensors.safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()[KEY])
    state = {name: value for name, value in safetensors.torch.load_file(path).items() if name.startswith("body.")}
    try:
        counts = [len(state[f"body.{3 * place}.weight"]) for place in range(len(BLOCKS))]
        network = Judged(layers, state["body.0.weight"].shape[1], counts, 2 if min(card["size"], 64) > 32 else 1)
        network.load_state_dict({name: state[name] for name in network.state_dict()})
    except (KeyError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"--features {path}: its weights are not those of a judge ({reason}); train it again") from None
    return network
