"""Configs: frozen dataclasses whose fields are the flags and whose attribute docstrings are the flags' help.

A config goes to JSON and comes back equal. Where a field may hold one of several dataclasses (`Adam | Sgd`), the JSON
carries the class's name as `"kind"`; only classes that the field's type names are ever built.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar, Union

import torch

from sparring.core import optimizers
from sparring.core.data import Data
from sparring.core.errors import UserError

Precision = Literal["auto", "bfloat16", "float32"]
C = TypeVar("C", bound="Config")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba, 2014. arXiv:1412.6980"""

    lr: float = 2e-4
    """learning rate"""
    betas: tuple[float, float] = (0.5, 0.999)
    """decay of the running means of the gradient and of its square"""
    eps: float = 1e-8
    """keeps the division finite"""
    weight_decay: float = 0.0
    """L2 penalty on the weights"""

    def build(self, weights: list[torch.Tensor]) -> optimizers.Adam:
        fused = {weight.device.type for weight in weights} <= {"cpu", "cuda", "mps"}
        return optimizers.Adam(
            weights, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused
        )


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum."""

    lr: float = 0.1
    """learning rate"""
    momentum: float = 0.5
    """share of the last update that is kept"""
    weight_decay: float = 0.0
    """L2 penalty on the weights"""

    def build(self, weights: list[torch.Tensor]) -> optimizers.Sgd:
        return optimizers.Sgd(weights, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class RmsProp:
    """Steps divided by a running mean of the gradient's size, without momentum. Tieleman & Hinton 2012, lecture 6.5"""

    lr: float = 5e-5
    """learning rate"""
    decay: float = 0.99
    """decay of the running mean of the gradient's square"""
    eps: float = 1e-8
    """keeps the division finite"""

    def build(self, weights: list[torch.Tensor]) -> optimizers.RmsProp:
        return optimizers.RmsProp(weights, lr=self.lr, alpha=self.decay, eps=self.eps, foreach=True)


Optimizer = Adam | RmsProp | Sgd


@dataclass(frozen=True)
class Config:
    """What every method's config has. `data` is declared by each method with the kinds of data that it takes."""

    data: Data
    steps: int = 10_000
    """generator updates in the whole run"""
    batch: int = 64
    """examples in a batch (on each process)"""
    seed: int = 0
    """the same seed on the same machine gives the same result"""
    ema: float = 0.999
    """decay of the running average of the weights that is previewed and shipped; 0 ships the last weights"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps, ..."""
    precision: Precision = "auto"
    """auto takes bfloat16 where the processor is fast at it; penalties stay in float32"""
    log_every: int = 50
    """steps between two lines of the log; each is the mean over those steps"""
    preview_every: int = 0
    """steps between two previews; 0: about forty over the run"""
    checkpoint_seconds: float = 60.0
    """seconds between two checkpoints"""
    held_out: float = 0.0
    """share of the data that is kept from training, to see whether the discriminator or the generator learns by heart"""
    watch: bool = True
    """measure the game's health at every preview and say when something is wrong"""
    evaluate_every: int = 0
    """steps between two evaluations by the metrics, which go to evaluations.jsonl; 0: never"""
    keep_best: str = ""
    """a metric (fid, say) by which the best weights seen at an evaluation are kept, as best.safetensors"""
    read_ahead: int = 0
    """batches that a thread reads ahead: for data on a slow disk"""
    tensorboard: bool = False
    """write the log for TensorBoard too, into the run's folder (needs the extra: pip install 'sparring[tensorboard]')"""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise UserError(f"--ema must be at least 0 and below 1, not {self.ema}")
        if self.keep_best and not self.evaluate_every:
            raise UserError("--keep-best needs --evaluate-every: the best is chosen among the evaluated")
        if not 0 <= self.held_out < 1:
            raise UserError(f"--held-out must be at least 0 and below 1, not {self.held_out}")

    def replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)

    @property
    def preview_interval(self) -> int:
        return self.preview_every or max(1, self.steps // 40)


def preset(function: F) -> F:
    """Marks a classmethod of a `Config` (below `@classmethod`) as a named starting point, `--preset NAME`."""
    function.__sparring_preset__ = True  # type: ignore[attr-defined]
    return function


def presets(config: type[C]) -> dict[str, Callable[[], C]]:
    """A config's presets by name; `default` is the bare config."""
    named: dict[str, Callable[[], C]] = {"default": config}
    for name, value in vars(config).items():
        if isinstance(value, classmethod) and hasattr(value.__func__, "__sparring_preset__"):
            named[name] = value.__get__(None, config)
    return named


def to_json(value: Any) -> Any:
    """A config (or any dataclass of plain values) as JSON-able values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value


def from_json(kind: Any, value: Any, where: str = "config") -> Any:
    """The inverse of `to_json`: builds `kind` and nothing that its type hints do not name.

    Fields that the JSON lacks take their defaults, so that runs of older versions stay readable.

    Raises:
        UserError: a value does not fit its field's type, or a field is unknown.
    """
    if dataclasses.is_dataclass(kind):
        return _dataclass_from_json(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return from_json(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        return from_json(_member(arguments, value, where), value, where)
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)
        if len(kinds) == len(value):
            return tuple(from_json(item_kind, item, where) for item_kind, item in zip(kinds, value))
    if origin is Literal and value in arguments:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise UserError(f"{where}: {value!r} is not a {kind}")


def _member(members: tuple[Any, ...], value: Any, where: str) -> Any:
    for member in members:
        if dataclasses.is_dataclass(member) and isinstance(value, dict) and value.get("kind") == _name(member):
            return member
        if value is None and member is type(None):
            return member
    plain = [member for member in members if not dataclasses.is_dataclass(member) and member is not type(None)]
    if plain and not isinstance(value, dict):
        return plain[0]
    raise UserError(f"{where}: {value!r} is none of {', '.join(str(member) for member in members)}")


def _name(kind: Any) -> str:
    return kind.__name__


def _dataclass_from_json(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected the fields of {kind.__name__}, found {value!r}")
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    fields = {name: item for name, item in value.items() if name != "kind"}
    if unknown := set(fields) - known:
        raise UserError(f"{where}: {kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**{name: from_json(hints[name], item, f"{where}.{name}") for name, item in fields.items()})


def data_kinds(config: type[Config]) -> Iterator[type[Data]]:
    """The kinds of data that a method takes, the default first."""
    hint = typing.get_type_hints(config)["data"]
    yield from typing.get_args(hint) or (hint,)
