"""torch's optimizers without what they do around their arithmetic.

At every step they ask anew what kinds of weights there are, where, and who listens. For the few small weights of a game in the
plane that takes longer than moving them. States are torch's own, and so are checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


class Optimizer(torch.optim.Optimizer):
    """One group of weights. Their states are held from the second step on; on a processor, where all are of one kind."""

    names: ClassVar[tuple[str, ...]] = ()
    """of a weight's states, the steps done first; none: every step is torch's"""
    held: list[list[Tensor]] | None = None
    """each of these states, weight by weight"""

    def move(self, gradients: Sequence[Tensor | None]) -> None:
        """`step`, with these gradients; a weight whose gradient is None stays."""
        (group,) = self.param_groups
        found = [gradient for gradient in gradients if gradient is not None]
        if self.held is None or len(found) < len(gradients):
            self._step(group["params"], gradients)
            self.held = self._states(group["params"])
            return
        steps, *states = self.held
        torch._foreach_add_(steps, 1)
        self.shift(group, found, steps, *states)

    def shift(self, group: dict[str, Any], gradients: list[Tensor], steps: list[Tensor], *states: list[Tensor]) -> None:
        """The arithmetic of a step, after it was counted."""
        raise AssertionError("without names nothing is held")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.held = None

    def _step(self, weights: list[Tensor], gradients: Sequence[Tensor | None]) -> None:
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
        self.step()
        for weight in weights:
            weight.grad = None

    def _states(self, weights: list[Tensor]) -> list[list[Tensor]] | None:
        """None also as long as a weight has no state."""
        kinds = {(weight.device.type, weight.dtype) for weight in weights}
        if not self.names or len(kinds) != 1 or kinds.pop()[0] != "cpu":
            return None
        if not all(self.state[weight] for weight in weights):
            return None
        return [[self.state[weight][name] for weight in weights] for name in self.names]


class Adam(Optimizer, torch.optim.Adam):
    """Fused."""

    names = ("step", "exp_avg", "exp_avg_sq")

    def shift(self, group: dict[str, Any], gradients: list[Tensor], steps: list[Tensor], *states: list[Tensor]) -> None:
        means, squares = states
        torch._fused_adam_(
            group["params"], gradients, means, squares, [], steps, lr=group["lr"], beta1=group["betas"][0],
            beta2=group["betas"][1], weight_decay=group["weight_decay"], eps=group["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip


class RmsProp(Optimizer, torch.optim.RMSprop):
    """Without momentum, weight decay or centring."""

    names = ("step", "square_avg")

    def shift(self, group: dict[str, Any], gradients: list[Tensor], steps: list[Tensor], *states: list[Tensor]) -> None:
        (squares,) = states
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["alpha"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(group["params"], gradients, roots, -group["lr"])


class Sgd(Optimizer, torch.optim.SGD):
    """With momentum or without."""
