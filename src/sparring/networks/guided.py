"""Guided backpropagation: which pixels made a unit fire. Springenberg et al. 2014. arXiv:1412.6806, figure 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _Guided(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        context.save_for_backward(value)
        return functional.leaky_relu(value, 0.2)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        (value,) = context.saved_tensors
        return slope.clamp(min=0) * (value > 0)


def guided(value: Tensor) -> Tensor:
    """Leaky ReLU (0.2) whose backward pass lets only positive slopes of active units through."""
    return _Guided.apply(value)
