"""Metrics against closed forms and against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from sparring.core.errors import UserError
from sparring.metrics.frechet import frechet
from sparring.metrics.nearest import diversity, nearest
from sparring.metrics.parzen import log_likelihood, parzen
from sparring.metrics.sliced_wasserstein import sliced_wasserstein
from sparring.tasks.sample import slerp


def test_frechet_of_known_gaussians() -> None:
    """Between N(m, s^2) and N(n, t^2) in one dimension it is (m - n)^2 + (s - t)^2; independent dimensions add up."""
    chance = torch.Generator().manual_seed(0)
    base = torch.randn(20_000, 3, generator=chance, dtype=torch.float64)
    base = (base - base.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(base.T.cov())).T
    scale, shift = torch.tensor([2.0, 0.5, 1.0]), torch.tensor([0.0, 3.0, -1.0])
    expected = (shift.square() + (scale - 1).square()).sum().item()
    assert frechet(base, base * scale + shift) == pytest.approx(expected, rel=1e-6)
    assert frechet(base, base) == pytest.approx(0, abs=1e-8)
    assert frechet(base * scale, base) == pytest.approx(frechet(base, base * scale), rel=1e-9)


def test_frechet_with_a_flat_direction_is_finite() -> None:
    features = torch.randn(100, 4)
    features[:, 3] = 0
    assert math.isfinite(frechet(features, features + 1))


def test_parzen_is_the_mixture_density() -> None:
    centres, examples, sigma = torch.randn(7, 3), torch.randn(5, 3), 0.4
    normal = torch.distributions.Normal(0.0, sigma)
    each = normal.log_prob((examples[:, None] - centres[None]).double()).sum(2)
    expected = torch.logsumexp(each, 1) - math.log(7)
    assert torch.allclose(log_likelihood(centres, examples, sigma, chunk=2), expected, atol=1e-6)


def test_parzen_chooses_sigma_on_validation() -> None:
    chance = torch.Generator().manual_seed(0)
    draw = lambda count: torch.randn(count, 2, generator=chance) * 0.5  # noqa: E731
    result = parzen(draw(2000), draw(300), draw(300))
    assert 0.1 <= result.sigma <= 0.3
    entropy = math.log(2 * math.pi * math.e * 0.25)
    assert result.value == pytest.approx(-entropy, abs=4 * result.standard_error + 0.05)


def test_sliced_wasserstein_of_a_shift() -> None:
    """Moving every point by v costs |v . a| in each direction a: the root of the mean square is |v| / sqrt(d)."""
    points = torch.randn(500, 3)
    moved = points + torch.tensor([3.0, 0.0, 4.0])
    assert sliced_wasserstein(points, moved, directions=20_000) == pytest.approx(5 / math.sqrt(3), rel=0.02)
    assert sliced_wasserstein(points, points[torch.randperm(500)]) == pytest.approx(0, abs=1e-6)
    with pytest.raises(UserError, match="cannot be compared"):
        sliced_wasserstein(points, points[:, :2])


@settings(max_examples=25)
@given(some.integers(1, 6), some.integers(1, 20), some.integers(1, 4), some.integers(1, 7))
def test_nearest_is_brute_force(queries: int, examples: int, count: int, chunk: int) -> None:
    chance = torch.Generator().manual_seed(queries * 31 + examples)
    first, second = torch.randn(queries, 2, 2, generator=chance), torch.randn(examples, 2, 2, generator=chance)
    distance, index = nearest(first, second, count, chunk)
    expected = (first[:, None] - second[None]).flatten(2).norm(dim=2).sort(1).values[:, :count]
    assert torch.allclose(distance, expected, atol=1e-3)
    assert torch.allclose((first[:, None] - second[index]).flatten(2).norm(dim=2), expected, atol=1e-3)


def test_diversity() -> None:
    assert diversity(torch.ones(4, 3)) == 0
    assert diversity(torch.tensor([[0.0], [3.0]])) == 3


@given(some.floats(0, 1))
def test_slerp_keeps_the_length_and_meets_both_ends(share: float) -> None:
    chance = torch.Generator().manual_seed(1)
    here, there = torch.randn(2, 50, generator=chance)
    here, there = here / here.norm(), there / there.norm()
    assert slerp(here, there, share).norm().item() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(slerp(here, there, 0.0), here) and torch.allclose(slerp(here, there, 1.0), there, atol=1e-6)
    assert torch.allclose(slerp(here, here, share), here, atol=1e-5)
