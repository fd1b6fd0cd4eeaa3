"""Modes: known samplers, and the floor against sums by hand and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor

from sparring.core.errors import UserError
from sparring.data.points import Points
from sparring.metrics.modes import (
    HIGH_QUALITY_OF_REAL,
    class_modes,
    counted_modes,
    kl_floor,
    kl_from_uniform,
    modes,
    stacked_labels,
)

RING, GRID = Points("ring"), Points("grid")


def drawn(data: Points, count: int = 100_000) -> Tensor:
    return data.replace(count=count, seed=3).open().point


@pytest.mark.parametrize("data", [RING, GRID], ids=["ring", "grid"])
def test_real_samples_reach_the_ceiling(data: Points) -> None:
    found = modes(drawn(data), data.centres(), data.spread)
    total = len(data.centres())
    assert (found.captured, found.total) == (total, total)
    error = math.sqrt(HIGH_QUALITY_OF_REAL * (1 - HIGH_QUALITY_OF_REAL) / 100_000)
    assert abs(HIGH_QUALITY_OF_REAL - 0.98889) < 1e-5
    assert found.high_quality == pytest.approx(HIGH_QUALITY_OF_REAL, abs=4 * error)
    assert 0 <= found.reverse_kl < 1e-3
    assert found.counts.sum() == round(found.high_quality * 100_000)


def test_a_collapsed_generator_has_one_mode() -> None:
    centres = RING.centres()
    found = modes(centres[[2]] + 0.01 * torch.randn(2500, 2), centres, 0.01)
    assert found.captured == 1
    assert found.reverse_kl == pytest.approx(math.log(8))
    assert found.counts.nonzero().tolist() == [[2]]
    spread_out = modes(centres[[2]].expand(10, 2), centres, 0.01)
    assert spread_out.high_quality == 1  # above the ceiling: too narrow


def test_nothing_of_quality() -> None:
    found = modes(torch.zeros(10, 2), RING.centres(), 0.01)
    assert (found.captured, found.high_quality, found.reverse_kl) == (0, 0.0, math.inf)


def test_three_sigma_is_below_not_at() -> None:
    samples = torch.tensor([[0.0, 3.0], [2.999, 0.0], [0.0, 7.1]], dtype=torch.float64)
    found = modes(samples, torch.tensor([[0.0, 0.0], [0.0, 10.0]]), 1.0)
    assert found.counts.tolist() == [1, 1]
    assert found.high_quality == pytest.approx(2 / 3)


def test_modes_by_hand() -> None:
    """Against a plain loop in numpy."""
    samples, centres = drawn(GRID, 2500) * 1.01, GRID.centres()
    counts = np.zeros(25)
    for sample in samples.double().numpy():
        distance = np.sqrt(((sample - centres.double().numpy()) ** 2).sum(1))
        counts[distance.argmin()] += distance.min() < 3 * GRID.spread
    found = modes(samples, centres, GRID.spread)
    assert found.counts.tolist() == counts.tolist()
    share = counts[counts > 0] / counts.sum()
    assert found.reverse_kl == pytest.approx((share * np.log(share * 25)).sum(), rel=1e-9)


def test_order_and_batches_do_not_matter() -> None:
    samples, centres = drawn(GRID, 5000), GRID.centres()
    whole = modes(samples, centres, GRID.spread)
    shuffled = modes(samples[torch.randperm(5000)], centres, GRID.spread)
    assert whole[:4] == shuffled[:4] and torch.equal(whole.counts, shuffled.counts)
    parts = [modes(part, centres, GRID.spread).counts for part in samples.split(999)]
    assert torch.equal(sum(parts, torch.zeros(25, dtype=torch.int64)), whole.counts)
    labels = torch.randint(50, (5000,))
    counts = [torch.bincount(part, minlength=50) for part in labels.split(777)]
    assert counted_modes(torch.stack(counts).sum(0))[:4] == class_modes(labels, 50)[:4]


def test_an_ideal_uniform_sampler_of_stacked_digits() -> None:
    """The protocol: 1,000 of 1,000 modes, and a KL of 0.0193 at 26,000 samples (simulated before: 0.0194)."""
    floor = kl_floor(1000, 26_000)
    assert floor.captured == pytest.approx(1000, abs=1e-6)
    assert floor.kl == pytest.approx(0.0194, abs=1e-4)
    assert floor.kl_about == pytest.approx(999 / 52_000)
    assert kl_floor(1000, 25_600).kl == pytest.approx(0.0197, abs=1e-4)
    few = kl_floor(1000, 2500)
    assert (round(few.captured), round(few.kl, 3)) == (918, 0.223)
    chance = torch.Generator().manual_seed(0)
    labels = [torch.randint(1000, (26_000,), generator=chance) for _ in range(100)]
    found = [class_modes(each, 1000) for each in labels]
    assert {each.captured for each in found} == {1000}
    values = torch.tensor([each.kl for each in found], dtype=torch.float64)
    assert values.mean().item() == pytest.approx(floor.kl, abs=4 * floor.kl_spread / 10)
    assert values.std().item() == pytest.approx(floor.kl_spread, rel=0.3)
    assert found[0].floor == floor


@settings(max_examples=30, deadline=None)
@given(some.integers(1, 12), some.integers(1, 60))
def test_the_floor_is_the_binomial_sum(classes: int, samples: int) -> None:
    """E KL = sum over classes and counts of P(n) n/N log(n K / N), summed plainly."""
    chances = [math.comb(samples, n) * (classes - 1) ** (samples - n) / classes**samples for n in range(samples + 1)]
    terms = [chances[n] * n / samples * math.log(n * classes / samples) for n in range(1, samples + 1)]
    floor = kl_floor(classes, samples)
    assert floor.kl == pytest.approx(classes * sum(terms), rel=1e-6, abs=1e-12)
    assert floor.captured == pytest.approx(classes * (1 - chances[0]), rel=1e-9)


def test_the_floor_holds_for_many_samples() -> None:
    floor = kl_floor(1000, 2_000_000)
    assert floor.kl == pytest.approx(floor.kl_about, rel=2e-3)


def test_class_modes_by_hand() -> None:
    found = class_modes(torch.tensor([0, 0, 0, 2]), 4)
    assert (found.captured, found.total, found.counts.tolist()) == (2, 4, [3, 0, 1, 0])
    assert found.kl == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert class_modes(torch.full((9,), 3), 10).kl == pytest.approx(math.log(10))
    assert class_modes(torch.arange(10), 10).kl == pytest.approx(0, abs=1e-12)
    assert kl_from_uniform(torch.zeros(3)) == math.inf


def test_stacked_labels_are_digits_in_order() -> None:
    digits = torch.tensor([[3, 1, 4], [0, 0, 0], [9, 9, 9]])
    assert stacked_labels(digits).tolist() == [314, 0, 999]
    assert stacked_labels(digits[:, :2].to(torch.uint8)).tolist() == [31, 0, 99]
    assert stacked_labels(torch.tensor([[1, 0]]), classes=2).tolist() == [2]


BAD = {
    "N x 2": lambda: modes(torch.zeros(3, 3), RING.centres(), 0.1),
    "the centres": lambda: modes(torch.zeros(3, 2), torch.zeros(2), 0.1),
    "at least 1": lambda: modes(torch.zeros(0, 2), RING.centres(), 0.1),
    "not finite": lambda: modes(torch.full((3, 2), math.nan), RING.centres(), 0.1),
    "sigma is": lambda: modes(torch.zeros(3, 2), RING.centres(), 0.0),
    "0 to 9": lambda: class_modes(torch.tensor([0, 10]), 10),
    "from -1": lambda: class_modes(torch.tensor([-1]), 10),
    "labels are integers": lambda: class_modes(torch.zeros(3), 10),
    "the labels: 0": lambda: class_modes(torch.zeros(0, dtype=torch.int64), 10),
    "histogram": lambda: counted_modes(torch.zeros(4, dtype=torch.int64)),
    "floor": lambda: kl_floor(10, 0),
    "digits are integers": lambda: stacked_labels(torch.tensor([[1, 10]])),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_named(said: str) -> None:
    with pytest.raises(UserError, match=said):
        BAD[said]()


def test_groups_are_matched_to_classes() -> None:
    from sparring.metrics.matching import matching

    classes = torch.arange(10).repeat(20)
    renamed = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    found = matching(renamed[classes], classes)
    assert found.accuracy == 1
    assert torch.equal(found.classes[renamed], torch.arange(10))
    one_wrong = renamed[classes].clone()
    one_wrong[0] = (one_wrong[0] + 1) % 10
    assert matching(one_wrong, classes).accuracy == 1 - 1 / 200
    assert matching(torch.zeros(200, dtype=torch.long), classes).accuracy == 0.1
    with pytest.raises(UserError, match="a group and a class of each"):
        matching(classes, classes[1:])
