"""Inception score. Salimans et al. 2016, "Improved Techniques for Training GANs". arXiv:1606.03498, section 4.

Each sample should be of a clear class, and all classes should come. It never looks at real examples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.value import Estimate, checked

CHUNK = 256
"""rows that are widened to float64 at a time"""


def inception_score(probabilities: Tensor, splits: int = 10) -> Estimate:
    """exp(E KL(p(y|x) || p(y))): mean over splits; from 1 to the number of classes.

    As the field reports it, the spread is the standard deviation over the splits (divided by their count), not a standard
    error. The splits are consecutive parts, so the order of the samples counts a little, and the fewer in a part, the lower
    the score: give 50,000 samples in random order.

    Args:
        probabilities: p(y|x), n x classes, rows that sum to 1.
        splits: parts, each with a marginal of its own.

    Raises:
        UserError: fewer samples than splits, values that are not finite, or no probabilities.
    """
    rows = checked(probabilities, "the samples' class probabilities", max(splits, 1))
    if rows.min() < 0 or (rows.sum(1, dtype=torch.float64) - 1).abs().max() > 1e-3:
        raise UserError(
            "class probabilities must not be negative and must sum to 1; logits go to inception_score_of_logits"
        )

    def terms(part: Tensor) -> tuple[Tensor, Tensor]:
        return torch.xlogy(part, part).sum(), part.sum(0)

    return _over_splits(rows, splits, terms)


def inception_score_of_logits(logits: Tensor, splits: int = 10) -> Estimate:
    """The same of a classifier's outputs before the softmax, n x classes."""

    def terms(part: Tensor) -> tuple[Tensor, Tensor]:
        logs = part.log_softmax(1)
        given = logs.exp()
        return (given * logs).sum(), given.sum(0)

    return _over_splits(checked(logits, "the samples' logits", max(splits, 1)), splits, terms)


def _over_splits(rows: Tensor, splits: int, terms: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Estimate:
    """KL in two terms, sum p log p and the sum of p, gathered from parts that stay in the cache."""
    if splits < 1:
        raise UserError(f"the Inception score needs at least one split, not {splits}")
    scores = []
    for split in rows.tensor_split(splits):
        sums = [terms(part.double()) for part in split.split(CHUNK)]
        marginal = torch.stack([mass for _, mass in sums]).sum(0) / len(split)
        certainty = torch.stack([sum_of_logs for sum_of_logs, _ in sums]).sum() / len(split)
        scores.append((certainty - torch.xlogy(marginal, marginal).sum()).exp())
    found = torch.stack(scores)
    return Estimate(found.mean().item(), found.std(correction=0).item())
