"""What every metric gives: a number, how sure it is, and how it was come by.

A metric function (one file each) takes tensors and returns a float, an `Estimate`, or a NamedTuple of floats. Whoever calls it
on data adds the `Protocol`: two numbers belong in one column only if their protocols agree.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NamedTuple, Self

from torch import Tensor

from sparring.core.errors import UserError


class Estimate(NamedTuple):
    """A number that was estimated from parts or repeats."""

    value: float
    spread: float
    """standard error of the value (or what the metric's docstring says)"""


@dataclass(frozen=True)
class Protocol:
    """All that a number depends on beside the two sets that it compares."""

    metric: str
    settings: str = ""
    """the metric's own: "k 5", "100 subsets of 1000", ..."""
    extractor: str = "pixels"
    """what turned examples into features, with the hash of its weights"""
    resize: str = "none"
    """how pictures were brought to the extractor's size"""
    data: str = ""
    """the real side: its source and fingerprint"""
    real: int = 0
    """real examples"""
    fake: int = 0
    """generated examples"""
    batch: int = 0
    """examples that went through the extractor at a time"""
    dtype: str = "float64"
    """in which the number was computed from the features"""
    seed: int = 0
    """of everything random: samples, choice of real examples, subsets"""
    version: str = metadata.version("sparring")
    """of this library"""
    warnings: tuple[str, ...] = ()
    """why the number is not what it seems: biased by few samples, say"""

    def __str__(self) -> str:
        """The protocol line."""
        parts = [f"{self.metric} ({self.settings})" if self.settings else self.metric]
        parts += [f"extractor {self.extractor}", f"resize {self.resize}"]
        parts += [f"data {self.data}"] if self.data else []
        parts += [f"real {self.real}", f"fake {self.fake}", f"batch {self.batch}", self.dtype]
        parts += [f"seed {self.seed}", f"sparring {self.version}"]
        return "; ".join([*parts, *(f"WARNING: {text}" for text in self.warnings)])

    def differs(self, other: Protocol) -> list[str]:
        """The fields in which the two are not comparable; seeds may differ, and so may what follows from the values."""
        skipped = {"seed", "warnings", "batch"}
        fields = [field.name for field in dataclasses.fields(self) if field.name not in skipped]
        return [name for name in fields if getattr(self, name) != getattr(other, name)]


@dataclass(frozen=True)
class Value:
    """A number with its protocol, as it is printed, logged and stored."""

    name: str
    value: float
    protocol: Protocol
    spread: float | None = None
    """standard error, where the metric has one"""

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it, which has no infinite numbers: they become None."""
        found = dataclasses.asdict(self)
        return {
            **found,
            "value": _finite(self.value),
            "spread": _finite(self.spread),
            "protocol_line": str(self.protocol),
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """The inverse of `as_dict`, after a journey through JSON too; a value that is not finite comes back as NaN."""
        protocol = Protocol(**{**given["protocol"], "warnings": tuple(given["protocol"]["warnings"])})
        value = math.nan if given["value"] is None else given["value"]
        return cls(given["name"], value, protocol, given["spread"])


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def checked(features: Tensor, whose: str, least: int = 2) -> Tensor:
    """Features as n x d, after a look at what would silently spoil a number.

    Args:
        features: n x ...
        whose: "the real examples", "the samples": for the error.
        least: how many rows are needed.

    Raises:
        UserError: too few rows, or values that are not finite.
    """
    flat = features.flatten(1) if features.dim() > 1 else features[:, None]
    if len(flat) < least:
        raise UserError(f"{whose}: {len(flat)} examples; at least {least} are needed")
    # A sum is finite only if all is, and is quicker to look at.
    bad = 0 if flat.sum().isfinite() else len(flat) - int(flat.isfinite().all(1).sum())
    if bad:
        raise UserError(f"{whose}: {bad} of {len(flat)} examples have features that are not finite (NaN or infinite)")
    return flat


def checked_pair(real: Tensor, fake: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets checked, and of one width. Raises UserError."""
    real, fake = checked(real, "the real examples", least), checked(fake, "the samples", least)
    if real.shape[1] != fake.shape[1]:
        raise UserError(f"features of {real.shape[1]} and of {fake.shape[1]} numbers cannot be compared")
    return real, fake
