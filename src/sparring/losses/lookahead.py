"""Lookahead: what a player's weights would be after K more updates, differentiably. Metz et al. 2016, equations 7-9.

Each update is the one that the player's own optimizer would make, from the optimizer's own moments, but written as a function
of the weights, so that whatever made the loss (a generator's forgeries) can be asked how it bends the path. Nothing is
stored: the player and its moments stay where they are.

All weights travel as one flat vector, so that an update of any network is a handful of operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core import Adam, Player, Sgd
from sparring.core.game import memory_order

Loss = Callable[[Sequence[Tensor]], Tensor]


class Moments(NamedTuple):
    """What Adam remembers of each weight, or (in `mean`) what momentum does."""

    mean: Tensor
    square: Tensor
    step: Tensor


def look_ahead(player: Player, loss: Loss, rounds: int, lr: float) -> list[Tensor]:
    """theta^K, with theta^0 the player's weights and theta^(k+1) = update(theta^k, d loss / d theta^k).

    Args:
        player: whose optimizer's rule, settings and present moments are used; it is not changed.
        loss: of the player, as a function of its weights.
        rounds: K; 0 gives the weights themselves.
        lr: learning rate of every update.

    Returns:
        the weights in the player's order, differentiable with respect to everything that `loss` depends on.
    """
    if not rounds:
        return list(player.weights)
    assert isinstance(player.config, Adam | Sgd)
    weights = torch.cat([weight.permute(memory_order(weight)).reshape(-1) for weight in player.weights])
    moments = _moments(player)
    for _ in range(rounds):
        (gradient,) = torch.autograd.grad(loss(_unflatten(weights, player.weights)), weights, create_graph=True)
        if player.config.weight_decay:
            gradient = gradient + player.config.weight_decay * weights
        update = sgd if isinstance(player.config, Sgd) else adam
        weights, moments = update(weights, gradient, moments, player, lr)
    return _unflatten(weights, player.weights)


def adam(weights: Tensor, gradient: Tensor, moments: Moments, player: Player, lr: float) -> tuple[Tensor, Moments]:
    """theta - lr m' / sqrt(v' + eps), m' and v' the means without their bias. Kingma & Ba 2014, algorithm 1.

    There eps stands outside the root, whose slope is infinite at v = 0: a weight whose gradient is zero would make the
    gradient of the lookahead not a number.
    """
    config = player.config
    assert isinstance(config, Adam)
    first, second = config.betas
    step = moments.step + 1
    mean = torch.lerp(moments.mean, gradient, 1 - first)
    square = torch.addcmul(second * moments.square, gradient, gradient, value=1 - second)
    root = (square / _share(second, step) + config.eps).sqrt()
    return weights - lr / _share(first, step) * mean / root, Moments(mean, square, step)


def _share(decay: float, step: Tensor) -> Tensor:
    """1 - decay^step, to all digits."""
    return -torch.expm1(step * math.log(decay)) if decay else torch.ones_like(step)


def sgd(weights: Tensor, gradient: Tensor, moments: Moments, player: Player, lr: float) -> tuple[Tensor, Moments]:
    """theta - lr m, m = momentum m + gradient."""
    assert isinstance(player.config, Sgd)
    mean = player.config.momentum * moments.mean + gradient
    return weights - lr * mean, Moments(mean, moments.square, moments.step)


def _moments(player: Player) -> Moments:
    """The optimizer's own, flat; zeros before its first update."""
    optimizer = player.optimizer
    held = [optimizer.state.get(weight, {}) for weight in optimizer.param_groups[0]["params"]]

    def flat(name: str) -> Tensor:
        found = [state.get(name) for state in held]
        return torch.cat([
            torch.zeros_like(weight).reshape(-1) if value is None else value.reshape(-1)
            for weight, value in zip(optimizer.param_groups[0]["params"], found)
        ])  # fmt: skip

    step = held[0].get("step", torch.zeros((), device=player.weights[0].device))
    if isinstance(player.config, Sgd):
        return Moments(flat("momentum_buffer"), step, step)
    return Moments(flat("exp_avg"), flat("exp_avg_sq"), step)


def _unflatten(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Parts of a flat vector, each in the shape and the memory order of a weight."""
    shaped = []
    for part, weight in zip(flat.split([weight.numel() for weight in like]), like):
        order = memory_order(weight)
        dense = part.view([weight.shape[place] for place in order])
        shaped.append(dense.permute([order.index(place) for place in range(weight.dim())]))
    return shaped
