"""VGG19 as a fixed measure of what pictures show.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014. arXiv:1409.1556

Its weights are read from torchvision's file. Where there is no such file, a thinner network of the same layers with fixed
random weights takes its place: shallow random filters tell textures apart too (Ustyuzhaninov et al. 2016, arXiv:1606.00021),
but know nothing of what a picture shows.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks import judged
from sparring.networks.judged import Judged
from sparring.networks.narrow import FromPicture

N = TypeVar("N", bound=nn.Module)

BLOCKS = ((2, 1), (2, 2), (4, 4), (4, 8), (4, 8))
"""convolutions, and channels over the first block's, of each block; a maximum over 2 x 2 follows each"""
WIDTH = 64
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""of the reds, greens and blues of ImageNet in [0, 1], by which the network's input is normalised"""
RANDOM = "random"
THIN = 16
"""channels of the first block where weights are random"""
HOME = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"


def layer_names() -> list[str]:
    """1_1, 1_2, pool1, 2_1, ...: "5_4" is the fourth convolution of the fifth block, after its ReLU."""
    names = []
    for block, (count, _) in enumerate(BLOCKS, 1):
        names += [*(f"{block}_{number}" for number in range(1, count + 1)), f"pool{block}"]
    return names


class Pool(nn.Module):
    """The largest of squares of 2 x 2; a map of one place stays, so that pictures under 32 px pass through all five."""

    def forward(self, value: Tensor) -> Tensor:
        return functional.max_pool2d(value, 2) if min(value.shape[2:]) > 1 else value


class Vgg19(nn.Module):
    """Pictures to the features of some layers. No weight is ever trained or saved, or in training mode.

    Args:
        layers: names of the layers that are wanted, as `layer_names` has them.
        width: channels of the first block; the public weights have 64.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Sequence[str], width: int = WIDTH):
        super().__init__()
        names = layer_names()
        if unknown := [layer for layer in layers if layer not in names]:
            raise UserError(f"VGG19 has no layer {', '.join(unknown)}; it has {', '.join(names)}")
        self.layers = tuple(layers)
        modules: list[nn.Module] = []
        self.ends: dict[int, str] = {}
        """names of layers by the index of their last module"""
        given = 3
        for block, (count, times) in enumerate(BLOCKS, 1):
            for number in range(1, count + 1):
                kind = FromPicture if given == 3 else nn.Conv2d
                modules += [kind(given, times * width, 3, padding=1), nn.ReLU(inplace=True)]
                given = times * width
                self.ends[len(modules) - 1] = f"{block}_{number}"
            modules.append(Pool())
            self.ends[len(modules) - 1] = f"pool{block}"
        last = max((index for index, name in self.ends.items() if name in layers), default=-1)
        self.features = nn.Sequential(*modules[: last + 1])
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.train(False)

    def train(self, training: bool = True) -> Self:
        """It stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """N x C x H x W in [-1, 1], grey or in colours, to the maps of each layer, in the order of `layers`."""
        value = ((images.float() + 1) / 2 - self.mean) / self.deviation
        value = value.contiguous(memory_format=torch.channels_last)
        found = {}
        for index, module in enumerate(self.features):
            value = module(value)
            if index in self.ends:
                found[self.ends[index]] = value
        return [found[layer] for layer in self.layers]


def features(source: str, layers: Sequence[str]) -> Vgg19 | Judged:
    """The features that `--features SOURCE` means.

    Args:
        source: a file of torchvision's VGG19 weights, one of our own judges, or "random".
        layers: names of layers, as `layer_names` has them.

    Raises:
        UserError: there is no such layer or file, or it holds other weights.
    """
    if source == RANDOM:
        return random_features(layers)
    path = Path(source).expanduser()
    return frozen(judged.load(path, layers)) if judged.is_judge(path) else load(path, layers)


def random_features(layers: Sequence[str], width: int = THIN) -> Vgg19:
    """Fixed random weights that keep the size of what passes through (He et al. 2015): the same at every call."""
    network, chance = Vgg19(layers, width), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.features:
            if isinstance(module, nn.Conv2d):
                assert module.bias is not None
                drawn = torch.randn(module.weight.shape, generator=chance)
                module.weight.copy_(drawn * math.sqrt(2 / module.weight[0].numel()))
                module.bias.zero_()
    return frozen(network)


def load(path: Path, layers: Sequence[str]) -> Vgg19:
    """VGG19 with the weights of a file (.pth or .safetensors). Nothing in the file is executed.

    Raises:
        UserError: there is no such layer or file, or its weights are not those of a VGG19.
    """
    network = Vgg19(layers)
    wanted = network.state_dict()
    state = {name: value for name, value in _read(path).items() if name in wanted}
    wrong = [name for name, value in wanted.items() if name not in state or state[name].shape != value.shape]
    if wrong:
        raise UserError(f"--features {path}: not the weights of VGG19 ({', '.join(wrong[:3])}); they are at {HOME}")
    network.load_state_dict(state)
    return frozen(network)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(
            f"--features {path}: no such file; name torchvision's VGG19 weights ({HOME}), or do without by --features "
            f"{RANDOM}"
        )
    try:
        if path.suffix.lower() == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (
        OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, safetensors.SafetensorError,
    ) as error:  # fmt: skip
        reason = re.sub(r"\s+", " ", str(error))[:120]
        raise UserError(f"--features {path}: cannot be read as weights ({reason}); they are at {HOME}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"--features {path}: holds no weights of VGG19; they are at {HOME}")
    return state


def frozen(network: N) -> N:
    """The network with buffers that no checkpoint holds in the place of its weights: moved with a game, never trained."""
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, weight.detach(), persistent=False)
        for name, value in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, value, persistent=False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
