"""What an opponent sees of the examples: changed at random (differentiable augmentation), and several at once (packing).

Both are options of the games whose opponent scores examples and nothing else, and stand here once. Penalties on the slope are
taken at what the opponent sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sparring import core

Change = Literal["color", "translation", "cutout"]


@dataclass(frozen=True)
class Config(core.Config):
    """A config whose game shows its opponent what is `seen` of examples, and not the examples themselves."""

    pack: int = 1
    """m: examples that the opponent sees at once and gives one score: it sees at a glance when they are all alike (PacGAN)"""
    augment: tuple[Change, ...] = ()
    """random changes of every picture that the opponent sees, real or forged: with little data it cannot learn it by heart"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pack < 1:
            raise core.UserError(f"--pack must be at least 1, not {self.pack}")
        if self.batch % self.pack:
            raise core.UserError(f"--pack {self.pack} does not divide --batch {self.batch}")
        if self.augment and not self.data.bounded:
            raise core.UserError("--augment changes pictures; points in the plane have no colour and no edges")

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Shape of what the opponent sees: `pack` examples, one after the other in the first dimension."""
        return self.pack * self.data.shape[0], *self.data.shape[1:]


def seen(examples: Tensor, config: Config) -> Tensor:
    """What the opponent is shown of a batch in training: N x shape to N / pack x `config.seen_shape`.

    Lin et al. 2018, "PacGAN", arXiv:1712.04086: neighbours in the batch are packed. Zhao et al. 2020, "Differentiable
    Augmentation", arXiv:2006.10738: real examples and forgeries are changed by the same rules, for both players.

    Raises:
        UserError: the examples are not whole packs.
    """
    for change in config.augment:
        examples = CHANGES[change](examples)
    return packed(examples, config.pack)


def packed(examples: Tensor, pack: int) -> Tensor:
    """N x C x ... to N / pack x pack C x ...: neighbours joined along the first dimension of an example."""
    if pack == 1:
        return examples
    if len(examples) % pack:
        raise core.UserError(f"{len(examples)} examples are not whole packs of {pack}")
    joined = examples.reshape(len(examples) // pack, pack * examples.shape[1], *examples.shape[2:])
    return joined.contiguous(memory_format=torch.channels_last) if joined.dim() == 4 else joined


def color(images: Tensor) -> Tensor:
    """Brightness by up to a quarter of the range, saturation from none to double, contrast from half to one and a half."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device).to(images.dtype)
    images = images + brightness - 0.5
    images = torch.lerp(images.mean(1, keepdim=True), images, saturation * 2)
    return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast + 0.5)


def translation(images: Tensor) -> Tensor:
    """Moved by up to an eighth of the side along each axis, grey where nothing was. A product with shift matrices, which is
    as fast as any product and has derivatives of every order."""
    height, width = images.shape[2:]
    down, right = (_shift(len(images), side, images) for side in (height, width))
    return down[:, None] @ images @ right[:, None].mT


def _shift(count: int, side: int, like: Tensor) -> Tensor:
    """count x side x side: row i has its 1 in column i + d, d uniform in +-side / 8."""
    most = max(1, round(side / 8))
    by = torch.randint(-most, most + 1, (count, 1, 1), device=like.device)
    place = torch.arange(side, device=like.device)
    return (place == place[:, None] + by).to(like.dtype)


def cutout(images: Tensor) -> Tensor:
    """A square of half the side, anywhere (it may reach over the edge), made grey."""
    count, _, height, width = images.shape
    hidden = torch.ones(count, 1, 1, dtype=torch.bool, device=images.device)
    for axis, side in ((1, height), (2, width)):
        middle = torch.randint(side + 1, (count, 1), device=images.device)
        near = (torch.arange(side, device=images.device) - middle + 0.5).abs() < side / 4
        hidden = hidden & near.unsqueeze(3 - axis)
    return images * ~hidden[:, None]


CHANGES: Mapping[Change, Callable[[Tensor], Tensor]] = {"color": color, "translation": translation, "cutout": cutout}
