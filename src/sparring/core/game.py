"""Game and Player: how a model is trained. One `Game.step` is one round of the paper's algorithm, written out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from sparring.core import device, distributed, optimizers
from sparring.core.config import Config, Optimizer
from sparring.core.data import Opponent
from sparring.core.model import Model

M = TypeVar("M", bound=Model)
C = TypeVar("C", bound=Config)


class NonFinite(Exception):
    """A loss or a gradient that is not a number, found while looking for the cause."""

    def __init__(self, player: str, what: str):
        super().__init__(f"{player}: its {what} is not finite")
        self.player, self.what = player, what


class Player(nn.Module):
    """The networks that one loss moves, and their optimizer.

    Its state dict is the optimizer's state; the networks belong to the model or the game.
    """

    def __init__(self, *networks: nn.Module, optimizer: Optimizer):
        super().__init__()
        self.weights = [weight for network in networks for weight in network.parameters()]
        self.config = optimizer
        self._dense: list[Tensor] = []
        self._orders: list[list[int]] = []
        self._optimizer: optimizers.Optimizer | None = None
        self.careful: str | None = None
        """while the cause of a failure is sought: the player's name, and every loss and gradient is checked"""
        self.measuring = False
        """whether the next updates note the length of their gradient"""
        self.gradient: Tensor | None = None
        """length of the last gradient that was measured"""
        self.loss: Tensor | None = None
        """the loss of the last update"""
        self.resting = False
        """while the opponent's best response is sought: losses are computed, nothing moves"""

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """Works on the weights' memory in the order in which it lies, which a weight that is stored channels-last or by
        input does not show: optimizers copy what is not contiguous to and fro. Made anew when the weights have moved."""
        moved = [dense.data_ptr() != weight.data_ptr() for dense, weight in zip(self._dense, self.weights)]
        if self._optimizer is None or any(moved):
            state = self._optimizer.state_dict() if self._optimizer else None
            self._orders = [memory_order(weight) for weight in self.weights]
            self._dense = [weight.detach().permute(order) for weight, order in zip(self.weights, self._orders)]
            self._optimizer = self.config.build(self._dense)
            if state:
                self._optimizer.load_state_dict(state)
        return self._optimizer

    def minimize(self, loss: Tensor | Iterable[Tensor], **settings: Any) -> Tensor:
        """One update of this player's weights, and of nobody else's: no other gradient is even computed.

        Args:
            loss: a scalar; or the losses of the parts of a batch, each differentiated and freed in turn (their mean
                is what is minimised).
            settings: optimizer settings for this update (`lr=`, `momentum=`).

        Returns:
            the (mean) loss, detached.
        """
        parts = [loss] if isinstance(loss, Tensor) else loss
        if self.resting:
            self.loss = torch.stack([part.detach() for part in parts]).mean()
            return self.loss
        optimizer, seen = self.optimizer, []
        for weight in self.weights:
            weight.grad = None

        for part in parts:
            # Gradients are computed in the precision of what they are gradients of: where autocast is on, it would cast
            # the products of a part that was left in float32.
            with device.as_is(part.device):
                part.backward(inputs=self.weights)
            seen.append(part.detach())
        found = [weight.grad for weight in self.weights]
        gradients = [gradient for gradient in found if gradient is not None]
        if len(seen) > 1:
            torch._foreach_div_(gradients, float(len(seen)))
        distributed.average(gradients)
        self.loss = mean = seen[0] if len(seen) == 1 else torch.stack(seen).mean()
        if self.careful is not None:
            self._check(self.careful, mean, gradients)
        if self.measuring:
            self.gradient = torch.stack(torch._foreach_norm(gradients)).norm()
        for group in optimizer.param_groups:
            group.update(settings)
        optimizer.move([
            gradient if gradient is None else gradient.permute(order) for gradient, order in zip(found, self._orders)
        ])  # fmt: skip
        # Autocast keeps low-precision copies of weights, which are stale from here on.
        torch.clear_autocast_cache()
        return mean

    def _check(self, name: str, loss: Tensor, gradients: Sequence[Tensor]) -> None:
        if not torch.isfinite(loss):
            raise NonFinite(name, "loss")
        if not all(torch.isfinite(gradient).all() for gradient in gradients):
            raise NonFinite(name, "gradient")

    def get_extra_state(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def memory_order(tensor: Tensor) -> list[int]:
    """Its dimensions, from the largest stride to the smallest."""
    return sorted(range(tensor.dim()), key=tensor.stride, reverse=True)


class Replay:
    """One forward pass for each part of a batch, run again each time that it is asked for.

    With a single part it is run once and kept; with more, only one part's graph is alive at a time, which is what
    splitting a batch is for. The network must be deterministic given its input.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], inputs: Sequence[Tensor]):
        self.network, self.inputs = network, inputs
        self.kept = network(inputs[0]) if len(inputs) == 1 else None

    def __iter__(self) -> Iterator[Tensor]:
        for given in self.inputs:
            yield self.network(given) if self.kept is None else self.kept


class Notes(defaultdict[str, list[Tensor]]):
    """Scalars noted during a step, several under one name; `means()` is what a step returns for the log."""

    def __init__(self) -> None:
        super().__init__(list)

    def note(self, name: str, value: Tensor) -> None:
        self[name].append(value.detach())

    def means(self) -> dict[str, Tensor]:
        return {name: values[0] if len(values) == 1 else torch.stack(values).mean() for name, values in self.items()}


class Game(nn.Module, ABC, Generic[M, C]):
    """How a model is trained: the opponents, the players and one step.

    All that must be remembered between steps is a submodule or a buffer, so that `state_dict()` is a whole checkpoint.
    """

    relative: ClassVar[bool] = False
    """whether a score means something only beside others (a critic's value); otherwise it is a logit"""

    def __init__(self, model: M, config: C):
        super().__init__()
        self.model, self.config = model, config
        self.clock = 0
        """steps done"""
        self.position = 0
        """batches drawn"""
        self.detours = 0
        """times that the game went back to its last good state and took other random numbers from there"""
        self.split = 1
        """parts that a batch is worked on in; doubled when memory runs out"""

    @abstractmethod
    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """One round: draws as many batches as the algorithm wants, returns scalars for the log."""

    @property
    def progress(self) -> float:
        """0 at the first step, 1 at the end of the run: what schedules are functions of."""
        return self.clock / self.config.steps

    def parts(self, batch: Tensor) -> tuple[Tensor, ...]:
        """The batch in the parts that fit the memory: itself, unless memory ran out."""
        return batch.chunk(self.split)

    @property
    def players(self) -> dict[str, Player]:
        return {name: module for name, module in self.named_modules() if isinstance(module, Player)}

    def gradients(self) -> dict[str, float]:
        """The length of each player's last measured gradient, by the player's name."""
        measured = {name: player.gradient for name, player in self.players.items() if player.gradient is not None}
        if not measured:
            return {}
        lengths = torch.stack([length.float() for length in measured.values()]).tolist()
        return {f"gradient {name.removesuffix('_player')}": length for name, length in zip(measured, lengths)}

    def score(self, examples: Tensor) -> Tensor | None:
        """How real the opponent takes each example to be; None for a game whose opponent gives no such score."""
        return None

    def scene(self, shipped: M, seed: int) -> Tensor:
        """A preview of the model that is shipped, with what its opponent makes of it where that can be drawn."""
        training = self.training
        self.eval()
        try:
            return shipped.scene(seed, Opponent(self.score, self.relative))
        finally:
            self.train(training)

    def get_extra_state(self) -> dict[str, int]:
        return {"clock": self.clock, "position": self.position, "detours": self.detours, "split": self.split}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.clock, self.position = state["clock"], state["position"]
        self.detours, self.split = state["detours"], state["split"]
