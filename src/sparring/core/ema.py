"""The running average of a model's weights: what is previewed, judged and shipped."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
EAGER, STRIDE = 100, 8


class Average(nn.Module, Generic[M]):
    """Exponential moving average of a model, batch-norm statistics included.

    The decay warms up as (1 + t) / (10 + t), so that a short run does not ship its initial weights. After the first hundred
    steps the average moves at every eighth step by as much as it would in eight: the same average to the
    eye, at an eighth of the cost.

    Args:
        model: the model that learns.
        decay: share of the average that is kept at each update; 0 makes the average the model itself.
    """

    def __init__(self, model: M, decay: float):
        super().__init__()
        self.decay = decay
        self.model: M = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: M, clock: int) -> None:
        """Move towards the model after step `clock`: average = decay * average + (1 - decay) * model."""
        stride = 1 if clock <= EAGER else STRIDE
        if clock % stride:
            return
        decay = min(self.decay, (1 + clock) / (10 + clock)) ** stride
        averages, values = _tensors(self.model), _tensors(model)
        floats = [index for index, value in enumerate(values) if value.is_floating_point()]
        torch._foreach_lerp_([averages[index] for index in floats], [values[index] for index in floats], 1 - decay)
        for average, value in zip(averages, values):
            if not value.is_floating_point():
                average.copy_(value)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
