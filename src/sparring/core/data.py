"""What every kind of training data offers, whatever it holds.

A `Data` is a config: where the data comes from and how it is shaped. It travels inside a method's `Config`, in
`config.json` and in a model's weights file. Opened, it becomes a `Dataset`: whole batches by index.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor


class Dataset(ABC):
    """Data opened for reading: whole batches by index, with no per-sample Python."""

    fingerprint: str
    """changes when the content changes: a hash of the source, its size and its settings"""
    class_names: Sequence[str] = ()
    """name of each label, where the examples have labels"""

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def batch(self, index: Tensor, chance: torch.Generator) -> Any:
        """The batch (a NamedTuple of tensors, in host memory) of these examples.

        Args:
            index: int64 indices into the data, shape (N,).
            chance: the only source of randomness, for augmentation (flips and the like).
        """

    def prepare(self, batch: Any) -> Any:
        """What is left to do on the training device (uint8 to [-1, 1], say). Must be a pure function."""
        return batch


class Part(Dataset):
    """Some examples of a data set.

    Args:
        whole: the data set.
        index: int64, which examples.
    """

    def __init__(self, whole: Dataset, index: Tensor):
        self.whole, self.index = whole, index
        self.fingerprint, self.class_names = whole.fingerprint, whole.class_names

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, index: Tensor, chance: torch.Generator) -> Any:
        return self.whole.batch(self.index[index], chance)

    def prepare(self, batch: Any) -> Any:
        return self.whole.prepare(batch)


def hold_out(dataset: Dataset, share: float) -> tuple[Dataset, Dataset | None]:
    """What is trained on, and what is kept from it: the same examples for the same share, whatever the seed of the run."""
    count = round(len(dataset) * share)
    if not count:
        return dataset, None
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    return Part(dataset, order[count:].sort().values), Part(dataset, order[:count].sort().values)


class Opponent(NamedTuple):
    """What an opponent makes of examples, to be drawn."""

    score: Callable[[Tensor], Tensor | None]
    """N x shape to N: how real it takes them to be; None if it does not say"""
    relative: bool
    """whether a score means something only beside others: a critic's value. Otherwise it is a logit"""


@dataclass(frozen=True)
class Data(ABC):
    """Where the data comes from and how it is shaped. Frozen, JSON-able; no file is touched until asked."""

    source: str = ""
    """what to learn from"""

    bounded: ClassVar[bool] = True
    """whether every number lies in [-1, 1]"""

    @classmethod
    def claims(cls, source: str) -> bool:
        """Whether `--data source` names this kind of data where a method takes several."""
        return False

    def replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)

    def at(self, source: str) -> Self:
        """The same kind of data, from elsewhere."""
        return self.replace(source=source)

    def plain(self) -> Self:
        """The same as it is judged by: without what augmentation does to single examples of a pair."""
        return self

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch dimension."""

    @abstractmethod
    def resolved(self) -> Self:
        """The same with everything that depends on the source (size, channels, ...) filled in.

        Raises:
            UserError: the source is missing or cannot be used.
        """

    @abstractmethod
    def open(self) -> Dataset:
        """Open for reading; prepares (decodes, resizes) on first use."""

    @abstractmethod
    def picture(self, examples: Tensor) -> Tensor:
        """One image of many examples, 1 x C x H x W in [-1, 1]: how a person looks at them."""

    def opposed(self, examples: Tensor, opponent: Opponent) -> Tensor | None:
        """What the opponent makes of these examples and all around them, as one image; None where that cannot be drawn."""
        return None
