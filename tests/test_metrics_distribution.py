"""Distribution metrics against independent implementations, closed forms, and themselves in another order."""

from __future__ import annotations

import builtins
import contextlib
import io
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import prdc as prdc_package
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
import sklearn.metrics.pairwise
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from sparring.core.errors import UserError
from sparring.metrics import kid as kid_module
from sparring.metrics.distances import Points, nearest_squared, neighbour_radii_squared
from sparring.metrics.frechet import frechet, frechet_of_moments
from sparring.metrics.inception_score import inception_score, inception_score_of_logits
from sparring.metrics.intra_class import frechet_of_each_class, intra_class
from sparring.metrics.kid import kid, kid_of_all
from sparring.metrics.memorisation import memorisation
from sparring.metrics.mmd import median_distance, mmd
from sparring.metrics.path_length import path_length, slerp
from sparring.metrics.prdc import prdc
from sparring.metrics.sliced_wasserstein import sliced_wasserstein
from sparring.metrics.statistics import Moments
from sparring.metrics.transport import transport


def features(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    """Like those of Inception: not negative, related to each other, of unequal spread."""
    chance = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(99)) / width**0.5
    scale = torch.logspace(0, -1.5, width)
    return ((torch.randn(count, width, generator=chance) @ mixing) * scale + 0.4 + shift).relu()


def scipy_frechet(real: Tensor, fake: Tensor) -> float:
    """As pytorch-fid computes it."""
    first, second = real.double().numpy(), fake.double().numpy()
    covariance_1, covariance_2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(covariance_1 @ covariance_2).real
    shift = first.mean(0) - second.mean(0)
    return float(shift @ shift + np.trace(covariance_1) + np.trace(covariance_2) - 2 * np.trace(root))


def cubic_discrepancy(real: Tensor, fake: Tensor) -> float:
    first, second = real.double().numpy(), fake.double().numpy()
    own_1, own_2, across = (
        sklearn.metrics.pairwise.polynomial_kernel(*pair, degree=3, coef0=1)
        for pair in ((first, first), (second, second), (first, second))
    )
    return unbiased(own_1, own_2, across)


def unbiased(own_1: np.ndarray, own_2: np.ndarray, across: np.ndarray) -> float:
    n, m = across.shape
    within = (own_1.sum() - np.trace(own_1)) / (n * (n - 1)) + (own_2.sum() - np.trace(own_2)) / (m * (m - 1))
    return float(within - 2 * across.mean())


def package_prdc(real: Tensor, fake: Tensor, neighbours: int) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        return dict(prdc_package.compute_prdc(real.numpy(), fake.numpy(), neighbours))


@settings(max_examples=20, deadline=None)
@given(some.lists(some.integers(1, 40), min_size=1, max_size=5), some.integers(1, 300))
def test_moments_are_those_of_the_whole_however_it_is_split(sizes: list[int], width: int) -> None:
    whole = features(sum(sizes) + 2, width, seed=1) * 100 + 1000
    streamed, merged = Moments.empty(width), Moments.empty(width)
    for part in whole.split([*sizes, 2]):
        streamed.add(part)
        merged.merge(Moments.of(part))
    expected = np.atleast_2d(np.cov(whole.double().numpy(), rowvar=False))
    for moments in (streamed, merged, Moments.of(whole)):
        assert moments.count == len(whole)
        assert np.allclose(moments.mean.numpy(), whole.double().numpy().mean(0), rtol=1e-12)
        assert np.allclose(moments.covariance().numpy(), expected, rtol=1e-10, atol=1e-10 * expected.max())


def test_moments_in_chunks_and_of_nothing() -> None:
    whole = features(9000, 5, seed=2)
    assert np.allclose(Moments.of(whole).covariance().numpy(), np.cov(whole.double().numpy(), rowvar=False), rtol=1e-10)
    moments = Moments.of(whole)
    moments.merge(Moments.empty(5))
    assert torch.equal(moments.covariance(), Moments.of(whole).covariance())
    with pytest.raises(UserError, match="at least 2"):
        Moments.of(whole[:1]).covariance()
    with pytest.raises(UserError, match="5 and of 4 numbers"):
        moments.add(whole[:, :4])
    with pytest.raises(UserError, match="5 and of 4 numbers"):
        moments.merge(Moments.empty(4))


def test_frechet_is_that_of_scipy() -> None:
    real, fake = features(600, 64, 0), features(500, 64, 1, shift=0.02)
    expected = scipy_frechet(real, fake)
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-6)
    assert frechet_of_moments(Moments.of(real), Moments.of(fake)) == pytest.approx(expected, rel=1e-6)
    assert frechet(real[torch.randperm(600)], fake.flip(0)) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_gaussians_that_do_not_commute() -> None:
    """Of two by two matrices tr(M^(1/2)) = sqrt(tr M + 2 sqrt(det M)): a closed form without a root of a matrix."""
    first = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    second = torch.tensor([[1.0, -0.7], [-0.7, 3.0]]).double()
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).double() * math.sqrt(3 / 4)
    real, fake = corners @ torch.linalg.cholesky(first).T, corners @ torch.linalg.cholesky(second).T + 1
    product = first @ second
    root = math.sqrt(product.trace() + 2 * math.sqrt(torch.linalg.det(product)))
    expected = 2 + first.trace().item() + second.trace().item() - 2 * root
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "other"), [(20, 30), (20, 200), (200, 200)])
def test_frechet_of_flat_covariances(count: int, other: int) -> None:
    """Fewer examples than dimensions, or a dimension that never changes: both ways lead to the same number."""
    real, fake = features(count, 50, 0).double(), features(other, 50, 1, shift=0.1).double()
    real[:, 7] = fake[:, 7] = 0.25
    centred = [(side - side.mean(0)) / math.sqrt(len(side) - 1) for side in (real, fake)]
    overlap = np.linalg.svd(centred[0].numpy() @ centred[1].numpy().T, compute_uv=False).sum()
    spread = sum(float(side.square().sum()) for side in centred)
    expected = float((real.mean(0) - fake.mean(0)).square().sum()) + spread - 2 * overlap
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-9)
    assert frechet_of_moments(Moments.of(real), Moments.of(fake)) == pytest.approx(expected, rel=1e-6)
    assert frechet(real, real) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kid_of_all_is_that_of_a_full_kernel_matrix(dtype: torch.dtype) -> None:
    real, fake = features(700, 96, 0).to(dtype), features(1100, 96, 1, shift=0.01).to(dtype)
    found = kid_of_all(real, fake)
    expected = cubic_discrepancy(real, fake)
    assert found.value == pytest.approx(expected, rel=1e-6 if dtype == torch.float32 else 1e-10)
    again = kid_of_all(real[torch.randperm(700)], fake[torch.randperm(1100)])
    assert again == pytest.approx(found, rel=1e-6)


def test_kid_of_subsets_is_the_mean_of_torchmetrics_on_them() -> None:
    real, fake = features(700, 32, 0).double(), features(600, 32, 1, shift=0.05).double()
    chance = torch.Generator().manual_seed(3)
    expected = [
        poly_mmd(real[torch.randperm(700, generator=chance)[:250]], fake[torch.randperm(600, generator=chance)[:250]])
        for _ in range(20)
    ]
    values = torch.stack(expected)
    found = kid(real, fake, subsets=20, size=250, seed=3)
    assert found.value == pytest.approx(values.mean().item(), rel=1e-8)
    assert found.spread == pytest.approx(values.std().item() * math.sqrt(250 / 350), rel=1e-8)


def test_kid_of_large_and_of_small_sets_take_different_ways_to_one_number() -> None:
    real, fake = features(300, 16, 0).double(), features(300, 16, 1).double()
    pooled = kid_module.subset_values(real, fake, 40, 100, seed=0)
    assert 300**2 * 2 <= 2 * 40 * 100**2
    few = kid_module.subset_values(real, fake, 3, 100, seed=0)
    assert torch.allclose(pooled[:3], few, rtol=1e-9, atol=1e-14)


def test_kid_of_equal_distributions_is_zero_within_its_error() -> None:
    pairs = [(features(400, 16, seed), features(400, 16, seed + 50)) for seed in range(30)]
    whole = [kid_of_all(*pair) for pair in pairs]
    actual = float(np.std([each.value for each in whole]))
    assert abs(np.mean([each.value for each in whole])) < 3 * actual / math.sqrt(30)
    assert actual < np.mean([each.spread for each in whole]) < 3 * actual


def test_kid_error_is_the_spread_of_repeats() -> None:
    found = [kid_of_all(features(300, 16, seed), features(300, 16, seed + 50, shift=0.1)) for seed in range(50)]
    actual = float(np.std([each.value for each in found]))
    assert np.mean([each.spread for each in found]) == pytest.approx(actual, rel=0.35)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_prdc_is_that_of_its_authors(neighbours: int) -> None:
    real, fake = features(700, 24, 0).double(), features(1200, 24, 1, shift=0.03).double()
    expected = package_prdc(real, fake, neighbours)
    assert prdc(real, fake, neighbours)._asdict() == pytest.approx(expected, rel=1e-12)
    assert prdc(real.flip(0), fake[torch.randperm(1200)], neighbours) == pytest.approx(prdc(real, fake, neighbours))
    assert prdc(real.float(), fake.float(), neighbours)._asdict() == pytest.approx(expected, abs=2e-3)


def test_prdc_of_ties_is_that_of_its_authors() -> None:
    """On a coarse grid many points are equal and many lie on a ball's surface, where `<` and `<=` differ."""
    chance = torch.Generator().manual_seed(0)
    for _ in range(5):
        real, fake = (torch.randint(0, 4, (n, 3), generator=chance).double() for n in (150, 90))
        for neighbours in (1, 2, 5):
            assert prdc(real, fake, neighbours)._asdict() == pytest.approx(
                package_prdc(real, fake, neighbours), rel=1e-12
            )


def test_balls_around_equal_points_are_empty() -> None:
    """Also where rounding puts equal points a little apart."""
    points = features(3, 200, 0).repeat(6, 1) * 100 + 1000
    assert neighbour_radii_squared(Points.of(points), 5).tolist() == [0.0] * 18


def test_prdc_of_a_collapsed_generator() -> None:
    real = features(200, 24, 0)
    found = prdc(real, real[:1].expand(200, -1) + 1e-3)
    assert found.recall == 0
    assert found.precision == 1
    assert found.coverage < 0.3


def test_inception_score_is_the_formula() -> None:
    logits = torch.randn(1003, 10, generator=torch.Generator().manual_seed(0)) * 3
    given_class = scipy.special.softmax(logits.double().numpy(), axis=1)
    scores = []
    for part in np.array_split(given_class, 10):
        scores.append(math.exp(np.mean([scipy.stats.entropy(row, part.mean(0)) for row in part])))
    found = inception_score_of_logits(logits)
    assert found == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-9)
    assert inception_score(torch.from_numpy(given_class)) == pytest.approx(found, rel=1e-9)


def test_inception_score_of_the_extremes() -> None:
    assert inception_score(torch.eye(10).repeat(100, 1)) == pytest.approx((10, 0), rel=1e-9)
    assert inception_score(torch.full((100, 10), 0.1)) == pytest.approx((1, 0), rel=1e-6)


def test_intra_class_sees_what_the_whole_does_not() -> None:
    """Two classes that swap places: the distance over all is 0, within each it is the shift squared."""
    centre = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    labels = torch.arange(400) % 2
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).repeat_interleave(2, 0)
    real, fake = centre[labels] + noise, centre[1 - labels] + noise
    assert frechet(real, fake) == pytest.approx(0, abs=1e-4)
    assert intra_class(real, fake, labels, labels) == pytest.approx(25, rel=1e-5)
    each = frechet_of_each_class(real, fake[:300], labels, labels[:300])
    assert each[1] == pytest.approx(scipy_frechet(real[1::2], fake[1:300:2]), rel=1e-6)


def test_intra_class_names_the_classes_that_are_too_small() -> None:
    data, labels = features(40, 3, 0), torch.arange(40) % 4
    labels[labels == 3] = torch.tensor([3] + [2] * 9)
    with pytest.raises(UserError, match=r"class 3 \(1 real, 1 samples\)$"):
        intra_class(data, data, labels, labels)
    with pytest.raises(UserError, match="40 samples need as many labels"):
        intra_class(data, data, labels, labels[:7])


@pytest.mark.parametrize("widths", [(), (0.7,), (0.2, 0.5, 2.0)])
def test_mmd_is_that_of_full_kernel_matrices(widths: Sequence[float]) -> None:
    real, fake = features(300, 12, 0), features(650, 12, 1, shift=0.2)
    first, second = real.double().numpy(), fake.double().numpy()
    median = float(np.sqrt(np.median(scipy.spatial.distance.pdist(np.concatenate([first, second]), "sqeuclidean"))))
    kernel = lambda left, right: np.mean(  # noqa: E731
        [sklearn.metrics.pairwise.rbf_kernel(left, right, gamma=0.5 / width**2) for width in widths or (median,)],
        axis=0,
    )
    expected = unbiased(kernel(first, first), kernel(second, second), kernel(first, second))
    assert median_distance(real, fake) == pytest.approx(median, rel=1e-9)
    assert mmd(real, fake, widths).value == pytest.approx(expected, rel=1e-9)
    assert mmd(real.flip(0), fake.flip(0), widths) == pytest.approx(mmd(real, fake, widths), rel=1e-9)


def test_mmd_finds_a_shift_and_no_difference() -> None:
    same = mmd(features(500, 12, 0), features(500, 12, 1))
    moved = mmd(features(500, 12, 0), features(500, 12, 1, shift=0.3))
    assert abs(same.value) < 3 * same.spread
    assert moved.value > 10 * moved.spread


def test_median_of_many_is_near_that_of_all() -> None:
    real, fake = features(1500, 12, 0), features(1500, 12, 1)
    assert median_distance(real, fake, limit=1000) == pytest.approx(median_distance(real, fake), rel=2e-2)
    with pytest.raises(UserError, match="half of all pairs"):
        mmd(torch.ones(5, 2), torch.ones(5, 2))


@settings(max_examples=20, deadline=None)
@given(some.integers(1, 30), some.integers(1, 30))
def test_sliced_wasserstein_on_a_line_is_exact(count: int, other: int) -> None:
    """In one dimension every direction is that dimension; scipy's quantile integral for power 1 has no square, so by hand."""
    chance = torch.Generator().manual_seed(count * 31 + other)
    first, second = (torch.randn(n, 1, generator=chance, dtype=torch.float64) for n in (count, other))
    repeated = first.sort(0).values.repeat_interleave(other, 0) - second.sort(0).values.repeat_interleave(count, 0)
    assert sliced_wasserstein(first, second, 8) == pytest.approx(repeated.square().mean().sqrt().item(), rel=1e-9)


def test_transport_is_that_of_scipy() -> None:
    chance = torch.Generator().manual_seed(0)
    line_1, line_2 = torch.randn(2, 50, 1, generator=chance, dtype=torch.float64)
    expected = scipy.stats.wasserstein_distance(line_1[:, 0].numpy(), line_2[:, 0].numpy())
    assert transport(line_1, line_2) == pytest.approx(expected, rel=1e-9)
    plane_1, plane_2 = torch.randn(2, 20, 2, generator=chance, dtype=torch.float64)
    assert transport(plane_1, plane_2) == pytest.approx(scipy.stats.wasserstein_distance_nd(plane_1, plane_2), rel=1e-6)
    assert transport(plane_1, plane_2, 2) == pytest.approx(linear_program(plane_1, plane_2), rel=1e-6)
    assert transport(plane_1, plane_1.flip(0), 2) == 0
    assert transport(plane_1, plane_1 + torch.tensor([3.0, 4.0]), 2) == pytest.approx(5, rel=1e-9)


def linear_program(first: Tensor, second: Tensor) -> float:
    """Kantorovich's problem, solved as such: the 2-Wasserstein distance."""
    count = len(first)
    costs = (first[:, None] - second).square().sum(2).flatten().numpy()
    sums = np.concatenate([np.kron(np.eye(count), np.ones(count)), np.kron(np.ones(count), np.eye(count))])
    return math.sqrt(scipy.optimize.linprog(costs, A_eq=sums, b_eq=np.full(2 * count, 1 / count)).fun)


def test_transport_refuses_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.zeros(5001, 1)
    with pytest.raises(UserError, match="at most 5000"):
        transport(points, points)
    with pytest.raises(UserError, match="not 4 and 5"):
        transport(points[:4], points[:5])
    with pytest.raises(UserError, match="power 1 or 2"):
        transport(points[:4], points[:4], 3)
    plain = builtins.__import__

    def without_scipy(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name.startswith("scipy"):
            raise ImportError(name)
        return plain(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(UserError, match=r"pip install 'sparring\[metrics\]'"):
        transport(points[:4], points[:4])


def test_memorisation_finds_copies() -> None:
    draw = lambda seed: features(400, 8, seed)  # noqa: E731
    training, held_out = draw(0), draw(1)
    fresh = memorisation(draw(2), training, held_out)
    assert abs(fresh.z) < 3
    assert fresh.share == pytest.approx(0.05, abs=0.04)
    copied = memorisation(torch.cat([training[:200] + 1e-4, draw(2)[:200]]), training, held_out)
    assert copied.z < -5
    assert copied.share > 0.45
    assert memorisation(draw(2) + 1, training, held_out).z > 5
    assert abs(memorisation(draw(2), training).z) < 3
    assert memorisation(training, training).share == 1


@pytest.mark.parametrize("rounding", [0.0, 1.0])
def test_memorisation_is_the_rank_test_of_scipy(rounding: float) -> None:
    """Also with ties, which pixels on a coarse scale bring."""
    samples, training, held_out = (features(count, 4, seed) * 4 for seed, count in enumerate((150, 200, 120)))
    if rounding:
        samples, training, held_out = samples.round(), training.round(), held_out.round()
    found = memorisation(samples, training, held_out)
    near, usual = nearest_squared(samples, training).numpy(), nearest_squared(held_out, training).numpy()
    test = scipy.stats.mannwhitneyu(near, usual, use_continuity=False, method="asymptotic")
    assert found.rank == pytest.approx(test.statistic / (150 * 120), rel=1e-9)
    assert 2 * scipy.stats.norm.sf(abs(found.z)) == pytest.approx(test.pvalue, rel=1e-6)


def test_path_length_on_a_sphere() -> None:
    """The identity moves at the speed of the angle, so that each distance is the angle squared."""
    chance = torch.Generator().manual_seed(0)
    starts, ends = torch.nn.functional.normalize(torch.randn(2, 200, 6, generator=chance, dtype=torch.float64), dim=2)
    angles = torch.acos((starts * ends).sum(1)).square()
    found = path_length(lambda noise: noise, lambda image: image, starts, ends, cut=0.0)
    assert found.value == pytest.approx(angles.mean().item(), rel=1e-6)
    assert found.spread == pytest.approx(angles.std().item() / math.sqrt(200), rel=1e-5)
    kept = angles.sort().values[1:-1]
    trimmed = path_length(lambda noise: 2 * noise, lambda image: image, starts, ends, batch=7)
    assert 4 * kept.mean().item() == pytest.approx(trimmed.value, rel=1e-6)


def test_path_length_is_the_authors_recipe() -> None:
    """Beside a plain loop: a curved generator, t of the seed, distances between the 1st and the 99th percentile."""
    chance = torch.Generator().manual_seed(0)
    starts, ends = torch.randn(2, 300, 5, generator=chance, dtype=torch.float64)
    weight = torch.randn(5, 12, generator=chance, dtype=torch.float64)
    generator: Callable[[Tensor], Tensor] = lambda noise: (noise @ weight).tanh().view(-1, 3, 2, 2)  # noqa: E731
    found = path_length(generator, lambda image: image.flatten(1) ** 2, starts, ends, seed=4)
    distances = []
    for a, b, t in zip(
        starts, ends, torch.rand(300, 1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    ):
        angle = math.acos(float(a @ b / a.norm() / b.norm()))
        walk = lambda s: (math.sin((1 - s) * angle) * a + math.sin(s * angle) * b) / math.sin(angle)  # noqa: B023, E731
        here, there = (generator(walk(t.item() + step)[None]).flatten() ** 2 for step in (0, 1e-4))
        distances.append(float((here - there).square().sum()) / 1e-8)
    low, high = np.percentile(distances, 1, method="lower"), np.percentile(distances, 99, method="higher")
    assert found.value == pytest.approx(np.mean([d for d in distances if low <= d <= high]), rel=1e-6)


def test_slerp_of_equal_ends() -> None:
    here = torch.randn(3, 4, dtype=torch.float64)
    assert torch.allclose(slerp(here, here, torch.full((3, 1), 0.3).double()), here)


BAD = [
    (frechet, 2),
    (lambda a, b: kid(a, b, 5, 10), 2),
    (kid_of_all, 2),
    (prdc, 6),
    (mmd, 2),
    (sliced_wasserstein, 1),
    (transport, 1),
    (lambda a, b: memorisation(b, a), 2),
    (lambda a, b: intra_class(a, b, torch.zeros(len(a)), torch.zeros(len(b))), 2),
]


@pytest.mark.parametrize(("metric", "least"), BAD)
def test_bad_features_are_refused_in_words(metric: Callable[[Tensor, Tensor], object], least: int) -> None:
    good = features(20, 4, 0)
    holed = good.clone()
    holed[3, 2] = torch.nan
    with pytest.raises(UserError, match="1 of 20 examples have features that are not finite"):
        metric(good, holed)
    with pytest.raises(UserError, match="1 of 20 examples have features that are not finite"):
        metric(holed, good)
    with pytest.raises(UserError, match="4 and of 3 numbers cannot be compared"):
        metric(good, good[:, :3])
    with pytest.raises(UserError, match=f"the samples: 0 examples; at least {least} are needed"):
        metric(good, good[:0])
    with pytest.raises(UserError, match=f"the real examples: {least - 1} examples; at least {least}"):
        metric(good[: least - 1], good)


def test_other_bad_input_is_refused_in_words() -> None:
    good = features(20, 4, 0)
    with pytest.raises(UserError, match="5 subsets of 20 cannot be drawn from 20 real examples"):
        kid(good, good, 5, 20)
    with pytest.raises(UserError, match="must sum to 1"):
        inception_score(good)
    with pytest.raises(UserError, match="5 examples; at least 10"):
        inception_score_of_logits(good[:5])
    with pytest.raises(UserError, match="at least one split"):
        inception_score_of_logits(good, 0)
    with pytest.raises(UserError, match="must be positive, not 1, 0"):
        mmd(good, good, (1.0, 0.0))
    with pytest.raises(UserError, match="between 0 and 1"):
        memorisation(good, good, quantile=1.0)
    with pytest.raises(UserError, match="one shape"):
        path_length(lambda noise: noise, lambda image: image, good, good[:3])
    with pytest.raises(UserError, match="not finite"):
        path_length(lambda noise: noise / 0, lambda image: image, good, good)
    with pytest.raises(UserError, match="epsilon must be positive"):
        path_length(lambda noise: noise, lambda image: image, good, good, epsilon=0.0)
