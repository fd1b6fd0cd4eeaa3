"""Schedules: functions of progress (0 at the start of the run, 1 at its end)."""

from __future__ import annotations

import math


def linear(start: float, end: float, progress: float) -> float:
    """Straight from `start` to `end`."""
    return start + (end - start) * min(max(progress, 0.0), 1.0)


def flat_then_linear(start: float, end: float, flat: float, progress: float) -> float:
    """`start` for the first `flat` share of the run, then straight to `end`."""
    return start if progress <= flat else linear(start, end, (progress - flat) / (1 - flat))


def cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2


def exponential(start: float, factor: float, floor: float, count: int) -> float:
    """`start` divided by `factor` `count` times, never below `floor` (Goodfellow et al. 2014 decay by minibatch)."""
    return max(start * math.exp(-count * math.log(factor)), floor)
