"""torch's optimizers without what they do around their arithmetic.

At every step they ask anew what kinds of weights there are, where, and who listens. For the few small weights of a game in the
plane that takes longer than moving them. States are torch's own, and so are checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """Fused."""

    held: list[list[Tensor]] | None = None
    """for every weight the steps done, the mean of the gradient and that of its square, on a processor"""

    def move(self, gradients: Sequence[Tensor | None]) -> None:
        """`step`, with these gradients; a weight whose gradient is None stays."""
        (group,) = self.param_groups
        found = [gradient for gradient in gradients if gradient is not None]
        if self.held is None or len(found) < len(gradients):
            _step(self, gradients)
            self.held = _held(self, "step", "exp_avg", "exp_avg_sq")
            return
        steps, means, squares = self.held
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            group["params"], found, means, squares, [], steps, lr=group["lr"], beta1=group["betas"][0],
            beta2=group["betas"][1], weight_decay=group["weight_decay"], eps=group["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.held = None


class RmsProp(torch.optim.RMSprop):
    """Without momentum, weight decay or centring."""

    held: list[list[Tensor]] | None = None
    """for every weight the steps done and the mean of the gradient's square, on a processor"""

    def move(self, gradients: Sequence[Tensor | None]) -> None:
        """`step`, with these gradients; a weight whose gradient is None stays."""
        (group,) = self.param_groups
        found = [gradient for gradient in gradients if gradient is not None]
        if self.held is None or len(found) < len(gradients):
            _step(self, gradients)
            self.held = _held(self, "step", "square_avg")
            return
        steps, squares = self.held
        torch._foreach_add_(steps, 1)
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, found, found, 1 - group["alpha"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(group["params"], found, roots, -group["lr"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.held = None


class Sgd(torch.optim.SGD):
    def move(self, gradients: Sequence[Tensor | None]) -> None:
        """`step`, with these gradients; a weight whose gradient is None stays."""
        _step(self, gradients)


def _step(optimizer: torch.optim.Optimizer, gradients: Sequence[Tensor | None]) -> None:
    weights = optimizer.param_groups[0]["params"]
    for weight, gradient in zip(weights, gradients):
        weight.grad = gradient
    optimizer.step()
    for weight in weights:
        weight.grad = None


def _held(optimizer: torch.optim.Optimizer, *names: str) -> list[list[Tensor]] | None:
    """The states of every weight, by name; None off the processor, with weights of several kinds, and as long as a weight has
    no state."""
    weights = optimizer.param_groups[0]["params"]
    kinds = {(weight.device.type, weight.dtype) for weight in weights}
    if len(kinds) != 1 or kinds.pop()[0] != "cpu" or not all(optimizer.state[weight] for weight in weights):
        return None
    return [[optimizer.state[weight][name] for weight in weights] for name in names]
