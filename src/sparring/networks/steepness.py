"""How steep a fully connected score is at each example, and what its weights do to that: `losses.pieces`, written out.

There the layers are found by watching a run, and the way back is PyTorch's. Where layers are small that takes longer than
their arithmetic, so here both are written out for the one network that games in the plane have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from sparring.core import device


def scores_and_steepness(examples: Tensor, layers: Sequence[nn.Linear], below: float) -> tuple[Tensor, Tensor]:
    """N scores, and the sum over an example's numbers of its gradient's square, N; both can be differentiated once.

    Args:
        examples: N x given, float32.
        layers: each with a bias, leaky ReLUs between them; the last makes one number.
        below: steepness of the leaky ReLUs below zero.
    """
    weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
    return _Steepness.apply(below, examples.detach(), *weights, *biases)


def _bent(slope: Tensor, made: Tensor, below: float) -> Tensor:
    """The slope by what a leaky ReLU made to that by what it was given."""
    return torch.ops.aten.leaky_relu_backward(slope, made, below, True)


class _Steepness(torch.autograd.Function):
    """h is what a layer sees, g the slope of the score by what it makes, c and w the slopes of the loss by score and square."""

    @staticmethod
    def forward(ctx: Any, below: float, value: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        count = len(given) // 2
        weights, biases, seen = given[:count], given[count:], [value]
        for weight, bias in zip(weights[:-1], biases):
            seen.append(functional.leaky_relu_(functional.linear(seen[-1], weight, bias), below))
        scores = functional.linear(seen[-1], weights[-1], biases[-1])
        slopes = [torch.ones_like(scores)]
        for weight, made in zip(weights[:0:-1], seen[:0:-1]):
            slopes.append(_bent(slopes[-1] @ weight, made, below))
        direction = slopes[-1] @ weights[0]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(direction, *seen, *reversed(slopes), *given)
        ctx.below = below
        return scores.squeeze(1), direction.square().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_score: Tensor | None, by_square: Tensor | None) -> Any:
        """By each weight g (c h + 2 w t)^T: c x + 2 w g is passed through the layers, leaky ReLUs held as they were."""
        direction, *saved = ctx.saved_tensors
        count = len(saved) // 4
        seen, slopes, weights, biases = (saved[start : start + count] for start in range(0, 4 * count, count))
        parts = [part * share[:, None]
                 for part, share in ((seen[0], by_score), (direction * 2, by_square)) if share is not None]  # fmt: skip
        passed, by_weight = sum(parts[1:], parts[0]), []
        with device.as_is(passed.device):
            for layer, slope in enumerate(slopes):
                # By input, as `networks.linear` keeps weights.
                by_weight.append((passed.t() @ slope).t())
                if layer + 1 < count:
                    passed = functional.linear(passed, weights[layer])
                    if by_score is not None:
                        passed.addr_(by_score, biases[layer])
                    passed = _bent(passed, seen[layer + 1], ctx.below)
            by_bias = [None if by_score is None else by_score @ slope for slope in slopes]
        return None, None, *by_weight, *by_bias
