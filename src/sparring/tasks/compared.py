"""What a model made of pictures, beside what it should have made, and beside what was there without it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from sparring.core import Dataset


class Compared(NamedTuple):
    """Pictures on the host, N x C x H x W in [-1, 1]."""

    verb: str
    made: Tensor
    real: Tensor
    """what each should have become; for two sets of pictures, any of the kind that it should have become"""
    untouched: Tensor
    """the control: what there was without the model"""
    paired: bool
    """whether each real picture belongs to the made one in its place"""
    hole: Tensor | None = None
    """N x 1 x H x W, 1 where it counts; everywhere by default"""
    border: int = 0
    """pixels at each edge that do not count"""
    further: Mapping[str, Tensor] = MappingProxyType({})
    """other numbers, one for each picture"""


@runtime_checkable
class Comparable(Protocol):
    """A model whose answers can be compared with the right ones."""

    def compare(self, dataset: Dataset, index: Tensor, chance: torch.Generator) -> list[Compared]:
        """What it makes of these examples.

        Args:
            dataset: of the model's kind of data.
            index: int64, which examples.
            chance: the only source of randomness.
        """
        ...
