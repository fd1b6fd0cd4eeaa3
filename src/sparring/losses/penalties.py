"""Penalties on the slope of an opponent: how fast its score changes with what it looks at.

All work example by example: the gradient is of each example's own score, its square is summed over the example's numbers, and
only then a mean is taken over the batch. So the opponent must not mix examples: no batch norm. All is computed in float32,
whatever precision the step runs in, for the gradient of a gradient loses too much in half of the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sparring.core import device
from sparring.losses import pieces

TINY = 1e-12
"""keeps the derivative of a square root finite at a slope of zero"""


@runtime_checkable
class Steep(Protocol):
    """An opponent that finds the squares of its slopes itself, as `scores_and_steepness` does."""

    def scores_and_steepness(self, example: Tensor, /) -> tuple[Tensor, Tensor]: ...


def scores_and_steepness(score: Callable[[Tensor], Tensor], examples: Tensor) -> tuple[Tensor, Tensor]:
    """An opponent's scores and the square of its slope at each example, from one forward pass; both can be differentiated.

    Args:
        score: examples to N scores, each of its own example alone.
        examples: N x shape.

    Returns:
        the scores, N, and the sum over an example's numbers of its gradient's square, N; float32.
    """
    with device.as_is(examples.device):
        if isinstance(score, Steep):
            return score.scores_and_steepness(examples.detach().float())
        places = examples.detach().float().requires_grad_()
        with pieces.Trace(places) as trace:
            scores = score(places)
        if trace.known:
            return pieces.scores_and_steepness(score, trace, places, scores)
        (gradient,) = torch.autograd.grad(scores.sum(), places, create_graph=True)
        return scores, gradient.square().flatten(1).sum(1)


def slope_of(steepness: Tensor) -> Tensor:
    """The length of the gradient, N, from its square."""
    return (steepness + TINY).sqrt()


def slope_from_one(steepness: Tensor) -> Tensor:
    """E (|grad f| - 1)^2. Gulrajani et al. 2017, equation 3: the critic that measures the Wasserstein distance has slope 1
    almost everywhere between the two distributions."""
    return (slope_of(steepness) - 1).square().mean()


def slope_from_zero(steepness: Tensor, weight: float) -> Tensor:
    """gamma / 2 E |grad D|^2: R1 at real examples, R2 at forgeries. Mescheder et al. 2018, equation 9. arXiv:1801.04406"""
    return weight / 2 * steepness.mean()


def between(real: Tensor, fake: Tensor) -> Tensor:
    """A point on the line from each real example to a forgery, uniform on it. Gulrajani et al. 2017, Algorithm 1."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    return torch.lerp(real.float(), fake.detach().float(), share)
