"""How far a game is from its equilibrium. Grnarova et al. 2019, "A Domain Agnostic Measure for Monitoring and Evaluating GANs",
arXiv:1811.05512.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparring.core import Game, Player, UserError, device
from sparring.core.stream import mix


class Gap(NamedTuple):
    """max over D' of V(D', G) - min over G' of V(D, G'): zero at an equilibrium, larger the more a player can gain."""

    value: float
    best_opponent: float
    """V when the opponent alone has played on: what it can still gain against this generator"""
    best_generator: float
    """V when the generator alone has played on"""


def duality_gap(game: Game[Any, Any], batches: Iterator[Any], steps: int = 200, rounds: int = 20, seed: int = 0) -> Gap:
    """An estimate from below: each player's best response is a copy of it that plays on alone for a few steps.

    V is minus the opponent's loss. The game itself is left as it is.

    Args:
        game: a game with one generator's player (its name holds "generator") and one opponent's.
        batches: of the game's data, on its device.
        steps: that each player plays alone.
        rounds: over which V is averaged afterwards.
        seed: of the noise.

    Raises:
        UserError: the game is not one of two players.
    """
    generator, opponent = roles(game)
    values = []
    for alone in (opponent, generator):
        played = copy.deepcopy(game)
        for name, player in played.players.items():
            player.resting = name != alone
        for clock in range(steps):
            _step(played, batches, mix(seed, clock))
        for player in played.players.values():
            player.resting = True
        losses: list[Tensor] = []
        for clock in range(rounds):
            _step(played, batches, mix(seed, steps + clock))
            loss = played.players[opponent].loss
            assert loss is not None
            losses.append(loss.float())
        values.append(-torch.stack(losses).mean().item())
    return Gap(values[0] - values[1], values[0], values[1])


def _step(game: Game[Any, Any], batches: Iterator[Any], seed: int) -> None:
    torch.manual_seed(seed)
    with device.autocast(game.config.precision, game.model.device):
        game.step(batches)


def roles(game: Game[Any, Any]) -> tuple[str, str]:
    """Names of the generator's player and of its opponent's. Raises UserError."""
    players: dict[str, Player] = game.players
    generators = [name for name in players if "generator" in name]
    if len(players) != 2 or len(generators) != 1:
        raise UserError(f"the duality gap is for games of a generator and one opponent, not of {', '.join(players)}")
    return generators[0], next(name for name in players if name != generators[0])
