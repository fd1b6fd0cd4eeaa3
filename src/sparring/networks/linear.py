"""A linear layer whose weight lies in memory as its gradient is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def linear(given: int, made: int, bias: bool = True) -> nn.Linear:
    """`nn.Linear` with its weight stored by input instead of by output.

    The gradient of a weight comes out of the matrix product by input. A weight that is stored so takes it as it is;
    otherwise each step transposes it while casting, which took 12 ms for a layer of 1200 x 1200 in bfloat16, more than
    all the arithmetic of the step.
    """
    layer = nn.Linear(given, made, bias=bias)
    layer.weight.data = layer.weight.data.t().contiguous().t()
    return layer


def wanted(ctx: Any) -> Sequence[bool]:
    """By which of the tensors that a function was given its way back has to find slopes.

    `ctx.needs_input_grad` names all that there is a use for, and so the opponent's weights on the generator's way back, where
    nobody asks for them.
    """
    try:
        return [node is not None and torch._C._will_engine_execute_node(node) for node, _ in ctx.next_functions]
    except RuntimeError:
        # `autograd.grad` does not say.
        return ctx.needs_input_grad
