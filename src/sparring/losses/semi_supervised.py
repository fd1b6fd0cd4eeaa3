"""A classifier as a discriminator. Salimans et al. 2016, arXiv:1606.03498, sections 3.1 and 5."""

from __future__ import annotations

import torch
from torch import Tensor


def realness(logits: Tensor) -> Tensor:
    """The logit that an example is real, log Z with Z = sum_k exp(l_k): N x classes to N.

    A softmax over the classes and one more, "fake", has a logit too many; that of the fake is fixed at 0. Then
    D(x) = Z / (Z + 1), which is sigmoid(log Z).
    """
    return torch.logsumexp(logits.float(), 1)


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the mean features of real and generated examples, a mean over features. Section 3.1.

    Args:
        real: N x features.
        fake: M x features.
    """
    return (real.float().mean(0) - fake.float().mean(0)).square().mean()
