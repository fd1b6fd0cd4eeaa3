"""Prints a table: each metric beside an independent implementation on the same examples.

python -m benchmarks.agreement

To extend it, write a function that yields rows and add it to `PARTS`. Rows of random metrics share the random choice.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import prdc as prdc_package
import scipy.linalg
import scipy.optimize
import scipy.special
import scipy.stats
import skimage.metrics
import sklearn.metrics.pairwise
import sklearn.neighbors
import torch
import torchmetrics.functional.image
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from sparring.metrics.frechet import frechet, frechet_of_moments
from sparring.metrics.inception_score import inception_score_of_logits
from sparring.metrics.intra_class import intra_class
from sparring.metrics.kid import kid, kid_of_all
from sparring.metrics.memorisation import memorisation
from sparring.metrics.mmd import mmd
from sparring.metrics.modes import kl_from_uniform
from sparring.metrics.ms_ssim import WEIGHTS, ms_ssim
from sparring.metrics.nearest import diversity, nearest
from sparring.metrics.parzen import log_likelihood
from sparring.metrics.path_length import path_length
from sparring.metrics.prdc import prdc
from sparring.metrics.psnr import psnr
from sparring.metrics.sharpness import sharpness
from sparring.metrics.sliced_wasserstein import sliced_wasserstein
from sparring.metrics.ssim import ssim
from sparring.metrics.statistics import Moments
from sparring.metrics.transport import transport

SSIM = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
"""scikit-image's settings for the window of Wang et al. 2004"""


class Row(NamedTuple):
    metric: str
    ours: float
    reference: float
    by: str


def features(count: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    """Like those of Inception: not negative, related to each other; float32."""
    mixing = torch.randn(64, width, generator=torch.Generator().manual_seed(99)) / 8
    chance = torch.Generator().manual_seed(seed)
    common = torch.randn(count, 64, generator=chance) @ mixing
    return (0.2 * common + 0.2 * torch.randn(count, width, generator=chance) + 0.35 + shift).relu()


def pair(count: int = 2000, other: int = 1500, width: int = 256) -> tuple[Tensor, Tensor]:
    return features(count, width, 0), features(other, width, 1, shift=0.02)


def scipy_frechet(real: Tensor, fake: Tensor) -> float:
    """The formula of pytorch-fid: numpy's covariance, scipy's root of the product."""
    first, second = real.double().numpy(), fake.double().numpy()
    covariance_1, covariance_2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(0) - second.mean(0)
    root = scipy.linalg.sqrtm(covariance_1 @ covariance_2).real
    return float(shift @ shift + np.trace(covariance_1) + np.trace(covariance_2) - 2 * np.trace(root))


def unbiased(kernel: Callable[[np.ndarray, np.ndarray], np.ndarray], real: Tensor, fake: Tensor) -> float:
    first, second = real.double().numpy(), fake.double().numpy()
    own = [kernel(side, side) for side in (first, second)]
    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in own)
    return float(within - 2 * kernel(first, second).mean())


def frechets() -> Iterator[Row]:
    real, fake = pair()
    yield Row("Fréchet distance", frechet(real, fake), scipy_frechet(real, fake), "numpy.cov, scipy.linalg.sqrtm")
    parts = [Moments.of(part) for part in real.split(300)]
    for part in parts[1:]:
        parts[0].merge(part)
    merged = frechet_of_moments(parts[0], Moments.of(fake))
    yield Row(
        "Fréchet distance, merged from 7 parts", merged, scipy_frechet(real, fake), "numpy.cov, scipy.linalg.sqrtm"
    )
    scale, base = torch.linspace(0.5, 2, 8).double(), torch.randn(500, 8).double()
    base = (base - base.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(base.T.cov())).T
    closed = 8 * 0.3**2 + (scale - 1).square().sum().item()
    yield Row("Fréchet distance of two Gaussians", frechet(base, base * scale + 0.3), closed, "closed form")
    labels = torch.arange(2000) % 3
    each = [scipy_frechet(real[labels == name], fake[labels[:1500] == name]) for name in range(3)]
    yield Row(
        "intra-class Fréchet distance", intra_class(real, fake, labels, labels[:1500]), float(np.mean(each)), "the same"
    )


def kernels() -> Iterator[Row]:
    real, fake = pair()
    cubic = lambda left, right: sklearn.metrics.pairwise.polynomial_kernel(left, right, degree=3)  # noqa: E731
    yield Row("KID, all examples", kid_of_all(real, fake).value, unbiased(cubic, real, fake), "scikit-learn, float64")
    chance = torch.Generator().manual_seed(0)
    values = []
    for _ in range(50):
        left, right = (torch.randperm(len(side), generator=chance)[:500] for side in (real, fake))
        values.append(poly_mmd(real[left].double(), fake[right].double()))
    yield Row(
        "KID, 50 subsets of 500", kid(real, fake, 50, 500).value, torch.stack(values).mean().item(), "torchmetrics"
    )
    gauss = lambda left, right: sklearn.metrics.pairwise.rbf_kernel(left, right, gamma=0.5 / 25)  # noqa: E731
    yield Row("maximum mean discrepancy", mmd(real, fake, (5.0,)).value, unbiased(gauss, real, fake), "scikit-learn")


def manifolds() -> Iterator[Row]:
    real, fake = pair(width=64)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = prdc_package.compute_prdc(real.double().numpy(), fake.double().numpy(), 5)
    for name, value in prdc(real, fake)._asdict().items():
        yield Row(name, value, float(reference[name]), "prdc")


def scores() -> Iterator[Row]:
    logits = 3 * torch.randn(5000, 10, generator=torch.Generator().manual_seed(0))
    rows = scipy.special.softmax(logits.double().numpy(), 1)
    splits = [
        np.exp(scipy.stats.entropy(part, part.mean(0, keepdims=True), axis=1).mean()) for part in np.split(rows, 10)
    ]
    yield Row("Inception score", inception_score_of_logits(logits).value, float(np.mean(splits)), "scipy.stats.entropy")


def transports() -> Iterator[Row]:
    chance = torch.Generator().manual_seed(0)
    line_1, line_2 = torch.randn(2, 300, 1, generator=chance).double()
    reference = scipy.stats.wasserstein_distance(line_1[:, 0].numpy(), line_2[:, 0].numpy())
    yield Row("transport distance, a line", transport(line_1, line_2), reference, "scipy.stats.wasserstein_distance")
    plane_1, plane_2 = torch.randn(2, 40, 2, generator=chance).double()
    reference = scipy.stats.wasserstein_distance_nd(plane_1.numpy(), plane_2.numpy())
    yield Row(
        "transport distance, the plane", transport(plane_1, plane_2), reference, "scipy.stats.wasserstein_distance_nd"
    )
    squares = (line_1[:, 0].sort().values - line_2[:, 0].sort().values).square().mean().sqrt().item()
    yield Row("sliced Wasserstein distance", sliced_wasserstein(line_1, line_2), squares, "closed form on a line")
    moved = sliced_wasserstein(line_1, torch.cat([line_1, line_1]) + 2)
    yield Row("sliced Wasserstein distance, n and 2 n", moved, 2.0, "closed form of a shift")


def neighbours() -> Iterator[Row]:
    training, held_out, samples = (features(count, 32, seed) for seed, count in enumerate((1000, 400, 500)))
    found = memorisation(samples, training, held_out)
    finder = sklearn.neighbors.NearestNeighbors(n_neighbors=1).fit(training.double().numpy())
    near, usual = (finder.kneighbors(side.double().numpy())[0][:, 0] for side in (samples, held_out))
    test = scipy.stats.mannwhitneyu(near, usual, use_continuity=False, method="asymptotic")
    yield Row("memorisation, rank", found.rank, test.statistic / (500 * 400), "scipy.stats.mannwhitneyu")
    score = math.copysign(scipy.stats.norm.isf(test.pvalue / 2), found.rank - 0.5)
    yield Row("memorisation, z", found.z, score, "scipy.stats.mannwhitneyu")
    share = float((near < np.quantile(usual, 0.05)).mean())
    yield Row("memorisation, share", found.share, share, "scikit-learn")
    yield Row("nearest", nearest(samples, training)[0].mean().item(), float(near.mean()), "scikit-learn")
    pairs = float(scipy.spatial.distance.pdist(samples.double().numpy()).mean())
    yield Row("diversity", diversity(samples), pairs, "scipy.spatial.distance.pdist")
    density = sklearn.neighbors.KernelDensity(bandwidth=0.3).fit(training.double().numpy())
    likelihood = float(density.score_samples(samples.double().numpy()).mean())
    yield Row("Parzen log-likelihood", log_likelihood(training, samples, 0.3).mean().item(), likelihood, "scikit-learn")


def paths() -> Iterator[Row]:
    chance = torch.Generator().manual_seed(0)
    starts, ends = torch.nn.functional.normalize(torch.randn(2, 500, 8, generator=chance).double(), dim=2)
    angles = torch.acos((starts * ends).sum(1)).square().sort().values
    found = path_length(lambda noise: noise, lambda example: example, starts, ends, cut=0.0)
    yield Row("perceptual path length", found.value, angles.mean().item(), "closed form on a sphere")


def pictures() -> Iterator[Row]:
    chance = torch.Generator().manual_seed(0)
    real = torch.nn.functional.interpolate(torch.rand(4, 3, 24, 24, generator=chance), 192, mode="bicubic").clamp(0, 1)
    fake = (real + 0.1 * torch.randn(real.shape, generator=chance)).clamp(0, 1)
    sides = [side.permute(0, 2, 3, 1).double().numpy() for side in (real, fake)]
    mean = lambda measure: float(np.mean([measure(*images) for images in zip(*sides)]))  # noqa: E731
    peak = mean(lambda first, second: skimage.metrics.peak_signal_noise_ratio(first, second, data_range=1))
    yield Row("PSNR", psnr(real * 2 - 1, fake * 2 - 1).mean().item(), peak, "scikit-image")
    like = mean(lambda first, second: skimage.metrics.structural_similarity(first, second, channel_axis=2, **SSIM))
    yield Row("SSIM", ssim(real * 2 - 1, fake * 2 - 1).mean().item(), like, "scikit-image")
    energies = [sum((np.diff(side, axis=axis) ** 2).mean((1, 2, 3)) for axis in (1, 2)) for side in sides]
    ratio = float((energies[1] / energies[0]).mean())
    yield Row("sharpness", sharpness(real * 2 - 1, fake * 2 - 1).mean().item(), ratio, "numpy")
    yield Row(
        "MS-SSIM", ms_ssim(real * 2 - 1, fake * 2 - 1).mean().item(), by_scale(real, fake), "torchmetrics, by scale"
    )


def by_scale(real: Tensor, fake: Tensor) -> float:
    """MS-SSIM as the product of torchmetrics' terms, none of which sees the frame that it adds around the picture."""
    measure = torchmetrics.functional.image.structural_similarity_index_measure
    first, second, product = real.double(), fake.double(), torch.ones(len(real), dtype=torch.float64)
    for scale, weight in enumerate(WEIGHTS, 1):
        _, term = measure(first, second, data_range=1.0, reduction="none", return_contrast_sensitivity=True)
        if scale == len(WEIGHTS):
            _, places = measure(first, second, data_range=1.0, reduction="none", return_full_image=True)
            term = places[:, :, 5:-5, 5:-5].flatten(1).mean(1)
        product *= term**weight
        first, second = (torch.nn.functional.avg_pool2d(side, 2) for side in (first, second))
    return product.mean().item()


def mode_counts() -> Iterator[Row]:
    counts = torch.randint(0, 40, (1000,), generator=torch.Generator().manual_seed(0))
    reference = scipy.stats.entropy(counts.numpy(), np.ones(1000))
    yield Row("KL from uniform modes", kl_from_uniform(counts), float(reference), "scipy.stats.entropy")


PARTS: tuple[Callable[[], Iterator[Row]], ...] = (
    frechets,
    kernels,
    manifolds,
    scores,
    transports,
    neighbours,
    paths,
    pictures,
    mode_counts,
)


def main() -> None:
    print("| metric | ours | reference | relative difference |\n|---|---|---|---|")
    for part in PARTS:
        for row in part():
            difference = abs(row.ours - row.reference) / max(abs(row.reference), 1e-300)
            print(f"| {row.metric} | {row.ours:.9g} | {row.reference:.9g} ({row.by}) | {difference:.1e} |")


if __name__ == "__main__":
    main()
