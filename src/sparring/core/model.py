"""Model: what is kept. Networks and what they can do, built from a config alone: no files, no device, no network."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparring.core import checkpoint, device
from sparring.core.config import Config
from sparring.core.data import Opponent

F = TypeVar("F", bound=Callable[..., Any])


class Model(nn.Module):
    """Networks and their verbs.

    A verb is a method marked with `@verb`; its type hints (media, numbers, strings) and docstring are its command line
    and its studio page. A subclass sets `self.config` through `super().__init__(config)` and registers its networks.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """The context of every verb that only runs networks forward: no gradients, evaluation mode, fast precision."""
        training = self.training
        self.eval()
        precision = self.config.precision if device.fast_bfloat16(self.device.type) else "float32"
        try:
            with torch.inference_mode(), device.autocast(precision, self.device):
                yield
        finally:
            self.train(training)

    def preview(self, seed: int) -> Tensor:
        """One picture, 1 x C x H x W in [-1, 1], that shows what the model does now; the same inputs for a seed."""
        raise TypeError(f"{type(self).__name__} does not say how it is previewed")

    def scene(self, seed: int, opponent: Opponent) -> Tensor:
        """`preview` while the model is trained: what its opponent makes of it may stand beside."""
        return self.preview(seed)

    def save(self, path: str | Path, **metadata: Any) -> Path:
        """Write weights and config as one safetensors file that `sparring.load` reads."""
        return checkpoint.save_model(Path(path), self, metadata)


@dataclass(frozen=True)
class Verb:
    """Something a model can do."""

    name: str
    function: Callable[..., Any]
    example: str
    """flags of a command line that shows it"""

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


def verb(example: str) -> Callable[[F], F]:
    """Marks a method of a Model as something its user can ask for. `example`: flags of a command that shows it."""

    def mark(function: F) -> F:
        function.__sparring_verb__ = example  # type: ignore[attr-defined]
        return function

    return mark


def verbs(model: type[Model]) -> dict[str, Verb]:
    """A model's verbs by name, in the order of their definition, the general ones first."""
    found: dict[str, Verb] = {}
    for owner in reversed(model.__mro__):
        for name, function in vars(owner).items():
            if hasattr(function, "__sparring_verb__"):
                # `continue_` is a word of Python's own, which a command line may well have.
                found[name.rstrip("_")] = Verb(name.rstrip("_"), function, function.__sparring_verb__)
    return found
