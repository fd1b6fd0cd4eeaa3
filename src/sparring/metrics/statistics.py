"""Mean and covariance of features that arrive in batches. Chan, Golub and LeVeque 1979, "Updating Formulae and a Pairwise
Algorithm for Computing Sample Variances", Stanford STAN-CS-79-773.

Two parts of a set, each with its count, mean and scatter, make those of the whole exactly; so memory does not grow with the
examples, and neither batches nor processes change the result by more than rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.value import checked

CHUNK = 1024
"""rows that are widened to float64 at a time"""
STRIP = 256
"""rows of the scatter that are updated at a time"""


@dataclass
class Moments:
    """What is known of a set of features after some of them: grows by `add` and `merge`."""

    count: int
    mean: Tensor
    """d, float64"""
    scatter: Tensor
    """sum of (x - mean)(x - mean)^T, d x d, float64; symmetric, and kept only on and above the diagonal"""

    @classmethod
    def empty(cls, width: int, device: torch.device | None = None) -> Self:
        """Of no features yet, each of `width` numbers."""
        mean = torch.zeros(width, dtype=torch.float64, device=device)
        return cls(0, mean, mean.new_zeros(width, width))

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """Of these features, n x d. Raises UserError as `add` does."""
        moments = cls.empty(features[:1].numel() if features.dim() > 1 else 1, features.device)
        moments.add(features)
        return moments

    def add(self, features: Tensor) -> None:
        """Take in a batch of features, n x ...

        Raises:
            UserError: none, of another width, or not finite.
        """
        features = features.flatten(1) if features.dim() > 1 else features[:, None]
        # A sum sees NaN and infinity in a fraction of the time that a look at every number takes.
        if not len(features) or not features.sum().isfinite():
            checked(features, "the features", least=1)
        self._fits(features.shape[1])
        for part in features.split(CHUNK):
            rows = self.mean.new_empty(len(part) + 1, len(self.mean))
            centred = rows[:-1].copy_(part)
            mean = centred.mean(0)
            centred -= mean
            # The gap between the two means counts as one more centred row.
            rows[-1] = self._gap(len(part), mean)
            self._scatter(rows)
            self._shift(len(part), mean)

    def merge(self, other: Moments) -> None:
        """Take in what another process or batch has gathered. Raises UserError: of another width."""
        self._fits(len(other.mean))
        if other.count:
            mean = other.mean.to(self.mean.device)
            self.scatter += other.scatter.to(self.mean.device)
            self._scatter(self._gap(other.count, mean)[None])
            self._shift(other.count, mean)

    def covariance(self) -> Tensor:
        """Unbiased (divided by count - 1), d x d. Raises UserError: fewer than two examples."""
        if self.count < 2:
            raise UserError(f"a covariance needs at least 2 examples, not {self.count}")
        upper = self.scatter.triu() / (self.count - 1)
        return upper + upper.triu(1).T

    def _fits(self, width: int) -> None:
        if width != len(self.mean):
            raise UserError(f"features of {len(self.mean)} and of {width} numbers cannot be compared")

    def _gap(self, count: int, mean: Tensor) -> Tensor:
        return (mean - self.mean) * (self.count * count / (self.count + count)) ** 0.5

    def _shift(self, count: int, mean: Tensor) -> None:
        self.count += count
        self.mean += (mean - self.mean) * (count / self.count)

    def _scatter(self, rows: Tensor) -> None:
        # The product is symmetric: strips that begin at the diagonal save nearly half of it.
        for start in range(0, len(self.mean), STRIP):
            strip = self.scatter[start : start + STRIP, start:]
            strip.addmm_(rows[:, start : start + STRIP].T, rows[:, start:])
