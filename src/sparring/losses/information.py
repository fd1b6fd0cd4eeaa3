"""Mutual information between codes and what is made of them. Chen et al. 2016, arXiv:1606.03657, equation 4.

The bound is L = E log Q(c|x) + H(c). The prior's entropy H(c) is a constant, so that -E log Q(c|x) is what both
players minimise.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional


def categorical_surprise(logits: Tensor, code: Tensor) -> Tensor:
    """-E log Q(c|x) in nats for a categorical code.

    Args:
        logits: N x categories, of Q.
        code: N x categories, one at the category that was drawn.
    """
    return -(functional.log_softmax(logits.float(), 1) * code.float()).sum(1).mean()


def categorical_information(surprise: Tensor, categories: int) -> Tensor:
    """The bound for equally likely categories: log(categories) when every code is recovered, at most 0 when none is."""
    return math.log(categories) - surprise


def gaussian_surprise(mean: Tensor, code: Tensor) -> Tensor:
    """-E log Q(c|x) in nats for continuous codes, where Q is Gaussian with variance 1; the sum over the codes.

    Args:
        mean: N x codes, of Q.
        code: N x codes that were drawn.
    """
    return ((mean.float() - code.float()).square() / 2 + math.log(2 * math.pi) / 2).sum(1).mean()
