"""The running average of a model's weights: what is previewed, judged and shipped."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class Average(nn.Module, Generic[M]):
    """Exponential moving average of a model, batch-norm statistics included.

    The decay warms up as (1 + t) / (10 + t), so that a short run does not ship its initial weights.

    Args:
        model: the model that learns.
        decay: share of the average that is kept at each update; 0 makes the average the model itself.
    """

    def __init__(self, model: M, decay: float):
        super().__init__()
        self.decay = decay
        self.updates = 0
        self.model: M = copy.deepcopy(model).requires_grad_(False).eval()

    def get_extra_state(self) -> dict[str, int]:
        return {"updates": self.updates}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.updates = state["updates"]

    @torch.no_grad()
    def update(self, model: M) -> None:
        """Move towards the model: average = decay * average + (1 - decay) * model."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, values = _tensors(self.model), _tensors(model)
        floats = [index for index, value in enumerate(values) if value.is_floating_point()]
        torch._foreach_lerp_([averages[index] for index in floats], [values[index] for index in floats], 1 - decay)
        for average, value in zip(averages, values):
            if not value.is_floating_point():
                average.copy_(value)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
