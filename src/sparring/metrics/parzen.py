"""Parzen-window log-likelihood. Breuleux et al. 2011; the protocol is that of Goodfellow et al. 2014, section 5.

A Gaussian of width sigma on every generated sample makes a density; sigma is the one that suits held-out real examples best.
It grows with the dimension and depends on the scale: compare only at equal counts on [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parzen:
    """Mean test log-likelihood in nats."""

    value: float
    standard_error: float
    """standard deviation over the test examples / sqrt(their count)"""
    sigma: float


def log_likelihood(centres: Tensor, examples: Tensor, sigma: float, chunk: int = 500) -> Tensor:
    """log p(x) = logsumexp_i(-|x - c_i|^2 / 2 sigma^2) - log(n) - d/2 log(2 pi sigma^2), float64.

    Args:
        centres: n x d.
        examples: m x d.

    Returns:
        m values in nats.
    """
    # Squared distances of 784 numbers near zero lose their digits in float32.
    centres = centres.double()
    squares = centres.square().sum(1)
    constant = math.log(len(centres)) + centres.shape[1] / 2 * math.log(2 * math.pi * sigma**2)
    values = []
    for part in examples.double().split(chunk):
        distance = (part.square().sum(1, keepdim=True) + squares - 2 * part @ centres.T).clamp_(min=0)
        values.append(torch.logsumexp(distance.mul_(-0.5 / sigma**2), 1) - constant)
    return torch.cat(values)


def parzen(centres: Tensor, validation: Tensor, test: Tensor) -> Parzen:
    """The protocol: sigma from ten values between 0.1 and 1, log-spaced, by the validation examples.

    Args:
        centres: 10,000 generated examples, n x d in [0, 1].
        validation: real examples that choose sigma (1,000 in the paper's code).
        test: real examples that are scored.
    """
    sigmas = torch.logspace(-1, 0, 10).tolist()
    sigma = max(sigmas, key=lambda width: log_likelihood(centres, validation, width).mean().item())
    values = log_likelihood(centres, test, sigma)
    return Parzen(values.mean().item(), values.std().item() / math.sqrt(len(values)), sigma)
