"""Adversarial losses against their closed forms and against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from sparring.losses import adversarial

LOGITS = some.lists(some.floats(-30, 30), min_size=1, max_size=8)


def probability(logit: Tensor) -> Tensor:
    return torch.sigmoid(logit.double())


@given(LOGITS, LOGITS)
def test_discriminator_loss_is_minus_the_value(real: list[float], fake: list[float]) -> None:
    x, g = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    value = probability(x).log().mean() + probability(-g).log().mean()
    assert adversarial.discriminator_loss(x, g).item() == pytest.approx(-value.item(), rel=1e-5, abs=1e-6)


@given(LOGITS)
def test_generator_losses_in_probabilities(fake: list[float]) -> None:
    g = torch.tensor(fake, dtype=torch.float64)
    assert adversarial.saturating(g).item() == pytest.approx(probability(-g).log().mean().item(), rel=1e-5, abs=1e-6)
    assert adversarial.non_saturating(g).item() == pytest.approx(
        -probability(g).log().mean().item(), rel=1e-5, abs=1e-6
    )


def test_undecided_discriminator_scores_log_four() -> None:
    zero = torch.zeros(5)
    assert adversarial.discriminator_loss(zero, zero).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("loss, slope", [
    (adversarial.saturating, lambda p: -p),
    (adversarial.non_saturating, lambda p: p - 1),
])  # fmt: skip
@pytest.mark.parametrize("logit", [-12.0, -2.0, 0.0, 0.5, 3.0, 12.0])
def test_generator_gradients(loss, slope, logit: float) -> None:
    """The slope by the logit is -D for the saturating loss and D - 1 for the other, and so is the finite difference."""
    value = torch.tensor([logit], requires_grad=True)
    loss(value).backward()
    expected = slope(torch.sigmoid(torch.tensor(logit))).item()
    assert value.grad is not None
    assert value.grad.item() == pytest.approx(expected, rel=1e-4, abs=1e-7)
    step = 1e-2
    around = [loss(torch.tensor([logit + sign * step])).item() for sign in (1, -1)]
    assert (around[0] - around[1]) / (2 * step) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_losses_stay_finite_at_extremes(extreme: float) -> None:
    logit = torch.tensor([extreme], dtype=torch.bfloat16, requires_grad=True)
    for loss in (adversarial.saturating, adversarial.non_saturating):
        value = loss(logit)
        (slope,) = torch.autograd.grad(value, logit)
        assert torch.isfinite(value) and torch.isfinite(slope).all()
        assert value.dtype == torch.float32
