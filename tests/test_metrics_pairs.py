"""Metrics of pairs of pictures, against scikit-image, torchmetrics and plain float64 numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from sparring.core.errors import UserError
from sparring.metrics.feature_distance import feature_distance
from sparring.metrics.gram import gram_distance
from sparring.metrics.ms_ssim import WEIGHTS, most_scales, ms_ssim, pairwise_ms_ssim
from sparring.metrics.pairs import as_saved, estimate, luma
from sparring.metrics.psnr import psnr
from sparring.metrics.sharpness import gradient_energy, mean_sharpness, sharpness
from sparring.metrics.ssim import ssim

Made = tuple[Tensor, Tensor]


def pairs(*shape: int, noise: float = 0.2, seed: int = 0) -> Made:
    """Smooth pictures with a white, perfectly flat part, and the same with noise; float32."""
    chance = torch.Generator().manual_seed(seed)
    count, channels, height, width = shape
    coarse = torch.randn(count, channels, -(-height // 8), -(-width // 8), generator=chance)
    real = nn.functional.interpolate(coarse, (height, width), mode="bilinear").clamp(-1, 1)
    real[:, :, : height // 3] = 1
    fake = (real + noise * torch.randn(shape, generator=chance)).clamp(-1, 1)
    return real, fake


def reference(pictures: Tensor) -> np.ndarray:
    """N x H x W x C in [0, 1], float64: the form of the other libraries."""
    return ((pictures.double() + 1) / 2).permute(0, 2, 3, 1).numpy()


def agrees(found: Tensor, expected: Any, rel: float = 1e-6) -> None:
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([float(each) for each in expected], rel=rel, abs=0)


def network(channels: int = 3) -> Callable[[Tensor], list[Tensor]]:
    torch.manual_seed(1)
    first, second = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 5, 3, stride=2, padding=1)

    def features(pictures: Tensor) -> list[Tensor]:
        fine = first(pictures).relu()
        return [fine, second(fine).relu()]

    return features


# PSNR


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 40, 33)])
def test_psnr_is_scikit_images(shape: tuple[int, ...]) -> None:
    real, fake = pairs(*shape)
    both = list(zip(reference(real), reference(fake)))
    agrees(psnr(real, fake), [peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in both])
    cut = [peak_signal_noise_ratio(a[4:-4, 4:-4], b[4:-4, 4:-4], data_range=1.0) for a, b in both]
    agrees(psnr(real, fake, border=4), cut)


def test_psnr_of_luma_is_the_super_resolution_fields() -> None:
    """Saved as 8 bits, Y of 16 to 235, a border of 4 px, a peak of 255."""
    real, fake = (as_saved(each) for each in pairs(3, 3, 32, 24))
    expected = []
    for a, b in zip(reference(real), reference(fake)):
        one, other = (np.round(each * 255).astype(np.uint8) for each in (a, b))
        gap = (rgb2ycbcr(one)[..., 0] - rgb2ycbcr(other)[..., 0])[4:-4, 4:-4]
        expected.append(10 * np.log10(255**2 / (gap**2).mean()))
    agrees(psnr(luma(real), luma(fake), border=4), expected)


def test_luma_of_black_and_white() -> None:
    ends = luma(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1))
    assert ((ends + 1) * 127.5).flatten().tolist() == pytest.approx([16, 235])


def test_psnr_of_known_errors() -> None:
    real = torch.zeros(2, 1, 4, 4)
    assert psnr(real, real + 0.2).tolist() == pytest.approx([20.0, 20.0], rel=1e-6)
    assert psnr(real, real).tolist() == [math.inf] * 2


def test_as_saved_has_256_levels() -> None:
    levels = torch.arange(256) / 127.5 - 1
    assert torch.allclose(as_saved(levels + 0.003), levels, atol=1e-6)
    assert as_saved(torch.tensor([-3.0, 3.0])).tolist() == [-1, 1]


# SSIM


WANG: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 40, 33), (1, 1, 11, 12), (2, 3, 256, 256)])
def test_ssim_is_scikit_images(shape: tuple[int, ...]) -> None:
    real, fake = pairs(*shape)
    both = list(zip(reference(real), reference(fake)))
    agrees(ssim(real, fake), [structural_similarity(a, b, channel_axis=-1, **WANG) for a, b in both])


def test_ssim_of_luma_without_a_border_is_scikit_images() -> None:
    real, fake = pairs(2, 3, 40, 36)
    cut = [reference(luma(each))[:, 4:-4, 4:-4, 0] for each in (real, fake)]
    agrees(ssim(luma(real), luma(fake), border=4), [structural_similarity(a, b, **WANG) for a, b in zip(*cut)])


def test_ssim_of_known_pairs() -> None:
    real, _ = pairs(2, 1, 20, 20)
    assert ssim(real, real).tolist() == pytest.approx([1, 1], abs=1e-12)
    noise = torch.randn(1, 1, 20, 20, dtype=torch.float64).clamp(-1, 1)
    assert ssim(noise, -noise).item() < -0.5
    # Flat pictures a and b: only the luminance is left, (2ab + C1) / (a^2 + b^2 + C1), here with a = 1 and b = 0.
    assert ssim(torch.ones(1, 1, 11, 11), -torch.ones(1, 1, 11, 11)).item() == pytest.approx(1e-4 / (1 + 1e-4))


# MS-SSIM


def by_scale(real: Tensor, fake: Tensor, weights: tuple[float, ...]) -> Tensor:
    """The product of torchmetrics' own terms; of its SSIM the part that has the whole window, as at the other scales."""
    first, second = (torch.from_numpy(reference(each)).permute(0, 3, 1, 2) for each in (real, fake))
    result = torch.ones(len(real), dtype=torch.float64)
    for scale, weight in enumerate(weights, 1):
        settings: dict[str, Any] = {"data_range": 1.0, "reduction": "none"}
        _, term = structural_similarity_index_measure(first, second, return_contrast_sensitivity=True, **settings)
        if scale == len(weights):
            _, places = structural_similarity_index_measure(first, second, return_full_image=True, **settings)
            term = places[:, :, 5:-5, 5:-5].flatten(1).mean(1)
        result *= term.clamp(min=0) ** weight
        first, second = (nn.functional.avg_pool2d(each, 2) for each in (first, second))
    return result


def test_ms_ssim_is_the_product_of_torchmetrics_terms() -> None:
    real, fake = pairs(2, 3, 176, 192)
    agrees(ms_ssim(real, fake), by_scale(real, fake, WEIGHTS))


@pytest.mark.parametrize(("scales", "side"), [(1, 28), (2, 28), (3, 44), (4, 88)])
def test_ms_ssim_of_fewer_scales(scales: int, side: int) -> None:
    real, fake = pairs(2, 1, side, side)
    kept = WEIGHTS[:scales]
    agrees(ms_ssim(real, fake, scales), by_scale(real, fake, tuple(each * sum(WEIGHTS) / sum(kept) for each in kept)))


def test_ms_ssim_is_near_torchmetrics_as_it_comes() -> None:
    """It differs by the mirrored frame that torchmetrics adds at the coarsest scale alone."""
    real, fake = pairs(2, 1, 256, 256)
    first, second = (torch.from_numpy(reference(each)).permute(0, 3, 1, 2) for each in (real, fake))
    theirs = multiscale_structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    assert ms_ssim(real, fake).tolist() == pytest.approx(theirs.tolist(), rel=5e-3)


def test_ms_ssim_halves_odd_sides_with_a_mirrored_edge() -> None:
    real, fake = pairs(2, 1, 23, 25)
    mirrored = [nn.functional.pad(each.double(), (0, 1, 0, 1), mode="replicate") for each in (real, fake)]
    halves = [nn.functional.avg_pool2d(each, 2) for each in mirrored]
    expected = by_scale(halves[0], halves[1], (1.0,)) ** (WEIGHTS[1] * sum(WEIGHTS) / sum(WEIGHTS[:2]))
    first, second = (torch.from_numpy(reference(each)).permute(0, 3, 1, 2) for each in (real, fake))
    _, contrast = structural_similarity_index_measure(
        first, second, data_range=1.0, reduction="none", return_contrast_sensitivity=True
    )
    agrees(ms_ssim(real, fake, 2), expected * contrast ** (WEIGHTS[0] * sum(WEIGHTS) / sum(WEIGHTS[:2])))


def test_ms_ssim_ends() -> None:
    real, _ = pairs(2, 1, 28, 28)
    assert ms_ssim(real, real, 2).tolist() == pytest.approx([1, 1], abs=1e-12)
    noise = torch.randn(1, 1, 28, 28).clamp(-1, 1)
    assert ms_ssim(noise, -noise, 2).item() == 0
    assert [most_scales(side) for side in (10, 11, 20, 21, 28, 64, 160, 161, 1000)] == [0, 1, 1, 2, 2, 3, 4, 5, 5]
    assert ms_ssim(*pairs(1, 1, 161, 161)).isfinite().all()


def test_pairwise_ms_ssim_measures_variety() -> None:
    varied, _ = pairs(40, 1, 28, 28)
    varied[:, :, :10] = varied[:, :, 10:20]
    same = varied[:1].expand(40, -1, -1, -1)
    assert pairwise_ms_ssim(same, scales=2).value == pytest.approx(1)
    close = (same + 0.05 * torch.randn(same.shape)).clamp(-1, 1)
    assert pairwise_ms_ssim(varied, scales=2).value < 0.5 < pairwise_ms_ssim(close, scales=2).value
    every = [ms_ssim(varied[[i] * 40], varied, 2)[torch.arange(40) != i].mean() for i in range(40)]
    found = pairwise_ms_ssim(varied, pairs=3000, scales=2)
    assert found.value == pytest.approx(torch.stack(every).mean().item(), abs=4 * found.spread)
    assert found == pairwise_ms_ssim(varied, pairs=3000, scales=2)
    assert found != pairwise_ms_ssim(varied, pairs=3000, scales=2, seed=1)


# Features


@pytest.mark.parametrize("weighted", [False, True])
def test_feature_distance_by_hand(weighted: bool) -> None:
    real, fake = pairs(3, 3, 16, 12)
    features = network()
    weights = [torch.rand(8), torch.rand(1, 5, 1, 1)] if weighted else None
    factors = [each.double().flatten().numpy() for each in weights] if weights else [np.ones(8), np.ones(5)]
    expected = np.zeros(3)
    with torch.no_grad():
        maps = zip(features(real), features(fake), factors)
    for first, second, factor in maps:
        unit = [each.double().numpy() for each in (first, second)]
        unit = [each / (np.sqrt((each**2).sum(1, keepdims=True)) + 1e-10) for each in unit]
        expected += np.einsum("nchw,c->nhw", (unit[0] - unit[1]) ** 2, factor).mean((1, 2))
    agrees(feature_distance(real, fake, features, weights), expected)


def test_feature_distance_ignores_the_length_of_features() -> None:
    real, fake = pairs(2, 3, 8, 8)
    features = network()
    louder = lambda pictures: [3 * each for each in features(pictures)]  # noqa: E731
    agrees(feature_distance(real, fake, louder), feature_distance(real, fake, features).tolist())
    assert feature_distance(real, real, features).tolist() == [0, 0]
    opposite = feature_distance(real, -real, lambda pictures: [pictures])
    assert opposite.tolist() == pytest.approx([4, 4], rel=1e-6)


@pytest.mark.parametrize("patch", [0, 4])
def test_gram_distance_by_hand(patch: int) -> None:
    real, fake = pairs(2, 3, 16, 18)
    features = network()
    with torch.no_grad():
        maps = [[each.double().numpy() for each in found] for found in (features(real), features(fake))]
    expected = np.zeros(2)
    for weight, first, second in zip((0.3, 2.0), *maps):
        height, width = patch or first.shape[2], patch or first.shape[3]
        values = []
        for top in range(0, first.shape[2] - height + 1, height):
            for left in range(0, first.shape[3] - width + 1, width):
                flat = [
                    each[:, :, top : top + height, left : left + width].reshape(2, first.shape[1], -1)
                    for each in (first, second)
                ]
                gap = [np.einsum("nip,njp->nij", each, each) for each in flat]
                values.append(((gap[0] - gap[1]) ** 2).sum((1, 2)) / (4 * first.shape[1] ** 2 * (height * width) ** 2))
        expected += weight * np.mean(values, 0)
    agrees(gram_distance(real, fake, features, (0.3, 2.0), patch), expected)


def test_gram_distance_sees_texture_and_not_place() -> None:
    real, _ = pairs(2, 3, 16, 16)
    moved = real.roll((4, 8), (2, 3))
    itself = lambda pictures: [pictures]  # noqa: E731
    assert gram_distance(real, moved, itself).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert (gram_distance(real, moved, itself, patch=4) > 1e-4).all()
    assert gram_distance(real, real, itself, patch=4).tolist() == [0, 0]


# Sharpness


def test_sharpness_by_hand() -> None:
    real, fake = pairs(3, 3, 12, 10)
    energy = []
    for pictures in (real, fake):
        values = pictures.double().numpy()
        energy.append(sum((np.diff(values, axis=axis) ** 2).mean((1, 2, 3)) for axis in (2, 3)))
    agrees(gradient_energy(real), energy[0])
    agrees(sharpness(real, fake), energy[1] / energy[0])
    ratio = energy[1].mean() / energy[0].mean()
    rest = (energy[1] - ratio * energy[0]).std(ddof=1) / energy[0].mean() / math.sqrt(3)
    assert tuple(mean_sharpness(real, fake)) == pytest.approx((ratio, rest), rel=1e-6)


def test_sharpness_of_blurred_and_of_flat_pictures() -> None:
    real = torch.rand(4, 1, 16, 16) * 2 - 1
    blurred = nn.functional.avg_pool2d(real, 3, 1, 1)
    assert (sharpness(real, blurred) < 0.5).all()
    assert sharpness(real, real / 2).tolist() == pytest.approx([0.25] * 4, rel=1e-6)
    flat = torch.zeros(1, 1, 8, 8)
    assert sharpness(flat, flat).item() == 1
    assert sharpness(flat, real[:1, :, :8, :8]).item() == math.inf
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    assert gradient_energy(board[None, None]).item() == 8
    assert gradient_energy(torch.zeros(2, 1, 1, 1)).tolist() == [0, 0]


def test_the_spread_of_mean_sharpness_is_that_of_repeats() -> None:
    chance = torch.Generator().manual_seed(0)
    scale = torch.rand(6400, 1, 1, 1, generator=chance)
    real = scale * torch.randn(6400, 1, 8, 8, generator=chance)
    fake = real * (0.5 + torch.rand(6400, 1, 1, 1, generator=chance))
    repeats = [mean_sharpness(a, b) for a, b in zip(real.split(64), fake.split(64))]
    values, spreads = (torch.tensor(each) for each in zip(*repeats))
    assert spreads.mean().item() == pytest.approx(values.std().item(), rel=0.2)


# All of them


EACH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "psnr": psnr,
    "ssim": ssim,
    "ms_ssim": lambda real, fake: ms_ssim(real, fake, 2),
    "feature_distance": lambda real, fake: feature_distance(real, fake, network()),
    "gram_distance": lambda real, fake: gram_distance(real, fake, network()),
    "gram_distance in patches": lambda real, fake: gram_distance(real, fake, network(), patch=8),
    "sharpness": sharpness,
}
every = pytest.mark.parametrize("name", EACH)


@every
def test_order_batches_and_layout_do_not_matter(name: str) -> None:
    real, fake = pairs(9, 3, 28, 28)
    whole = EACH[name](real, fake)
    order = torch.randperm(9)
    agrees(EACH[name](real[order], fake[order]), whole[order].tolist(), 1e-6)
    parts = [EACH[name](a, b) for a, b in zip(real.split(4), fake.split(4))]
    agrees(torch.cat(parts), whole.tolist(), 1e-6)
    last = [each.to(memory_format=torch.channels_last) for each in (real, fake)]
    agrees(EACH[name](*last), whole.tolist(), 1e-6)


@every
def test_leaves_its_input_alone(name: str) -> None:
    real, fake = pairs(2, 3, 28, 28)
    kept = real.clone(), fake.clone()
    EACH[name](real.requires_grad_(), fake)
    assert torch.equal(real, kept[0]) and torch.equal(fake, kept[1])
    assert not EACH[name](real, fake).requires_grad


@every
def test_bad_pictures_are_named(name: str) -> None:
    real, fake = pairs(2, 3, 28, 28)
    spoiled = fake.clone()
    spoiled[1, 0, 3, 3] = math.nan
    with pytest.raises(UserError, match="the generated pictures: 1 of 2 examples"):
        EACH[name](real, spoiled)
    spoiled[1, 0, 3, 3], spoiled[0, 0, 0, 0] = math.inf, -math.inf
    with pytest.raises(UserError, match="the real pictures: 2 of 2"):
        EACH[name](spoiled, fake)
    with pytest.raises(UserError, match="not pairs"):
        EACH[name](real, fake[:1])
    with pytest.raises(UserError, match="N x C x H x W"):
        EACH[name](real[0], fake[0])
    with pytest.raises(UserError, match="floats"):
        EACH[name](real.byte(), fake.byte())
    with pytest.raises(UserError, match="at least 1"):
        EACH[name](real[:0], fake[:0])


def test_half_precision_is_taken_as_it_is() -> None:
    real, fake = (each.bfloat16() for each in pairs(2, 1, 28, 28))
    agrees(psnr(real, fake), psnr(real.double(), fake.double()).tolist())
    agrees(ssim(real, fake), ssim(real.double(), fake.double()).tolist())


def test_estimate() -> None:
    found = estimate(torch.tensor([1.0, 2.0, 6.0]))
    assert tuple(found) == pytest.approx((3, math.sqrt(7) / math.sqrt(3)))
    assert math.isnan(estimate(torch.ones(1)).spread)
    assert estimate(torch.tensor([math.inf, 3.0])).value == math.inf


SMALL = torch.zeros(2, 3, 10, 12)
BAD: dict[str, Callable[[], object]] = {
    "sides of 11 px": lambda: ssim(SMALL, SMALL),
    "a border of 5 px": lambda: psnr(SMALL, SMALL, border=5),
    "a border of -1 px": lambda: psnr(SMALL, SMALL, border=-1),
    "sides of 161 px are needed for 5 scales; they have 2": lambda: ms_ssim(*pairs(1, 1, 28, 28)),
    "MS-SSIM has 1 to 5": lambda: ms_ssim(*pairs(1, 1, 28, 28), 6),
    "at least 2": lambda: pairwise_ms_ssim(torch.zeros(1, 1, 28, 28), scales=2),
    "pairs is 0": lambda: pairwise_ms_ssim(torch.zeros(3, 1, 28, 28), pairs=0, scales=2),
    "three channels": lambda: luma(SMALL[:, :1]),
    "no pairs": lambda: estimate(torch.zeros(0)),
    "the layers have": lambda: feature_distance(SMALL, SMALL, network(), [torch.ones(8)]),
    "maps, N x channels": lambda: feature_distance(SMALL, SMALL, lambda pictures: [pictures.flatten(1)]),
    "at least one; they are": lambda: gram_distance(SMALL, SMALL, lambda pictures: []),
    "the features of the real pictures": lambda: gram_distance(SMALL, SMALL, lambda pictures: [pictures / 0]),
    "3 weights are given for 2": lambda: gram_distance(SMALL, SMALL, network(), (1.0, 1.0, 1.0)),
    "no patches of 8 x 8": lambda: gram_distance(SMALL, SMALL, network(), patch=8),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_named(said: str) -> None:
    with pytest.raises(UserError, match=said):
        BAD[said]()
