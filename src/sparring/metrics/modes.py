"""Modes: how many of them a generator has found, and how evenly it visits them.

The protocols of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and PacGAN (Lin et al. 2018, arXiv:1712.04086). In the plane
a mode is a Gaussian of known centre; among pictures it is a class that a classifier sees: a digit, or the code of two or three
stacked digits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.value import checked

HIGH_QUALITY_OF_REAL = 1 - math.exp(-4.5)
"""share of real points that the 3-sigma rule takes for high quality in the plane: 98.89 %"""


class Modes(NamedTuple):
    """What samples of a mixture in the plane came to."""

    captured: int
    """modes that at least one high-quality sample is nearest to"""
    total: int
    high_quality: float
    """share of the samples that lie within 3 sigma of the nearest centre; 0.9889 for real ones"""
    reverse_kl: float
    """KL divergence of the histogram of high-quality samples over modes from the uniform one, in nats: 0 (even) to
    log(modes) (one mode); infinite where there is no such sample"""
    counts: Tensor
    """int64 (modes,): that histogram"""


def modes(samples: Tensor, centres: Tensor, sigma: float) -> Modes:
    """The 3-sigma rule: a sample is of high quality if its distance from the nearest centre is below 3 sigma.

    The square of a Gaussian point's distance in the plane is exponential: P(distance < 3 sigma) = 1 - exp(-9/2) = 98.89 %. No
    more than that is to be had (`HIGH_QUALITY_OF_REAL`): a share above it means that the modes are too narrow.

    Args:
        samples: N x 2; the protocol takes 2,500.
        centres: modes x 2.
        sigma: standard deviation of a mode along each axis.

    Raises:
        UserError: not points in the plane, not finite, none, or a sigma that is not positive.
    """
    for points, whose in ((samples, "the samples"), (centres, "the centres")):
        if points.dim() != 2 or points.shape[1] != 2:
            raise UserError(f"{whose}: points in the plane are N x 2, not {tuple(points.shape)}")
        checked(points, whose, least=1)
    if not sigma > 0:
        raise UserError(f"sigma is {sigma}; it is above 0")
    exact = "donot_use_mm_for_euclid_dist"
    distance, index = torch.cdist(samples.double(), centres.to(samples.device, torch.float64), compute_mode=exact).min(
        1
    )
    good = distance < 3 * sigma
    counts = torch.bincount(index[good], minlength=len(centres))
    captured, share = int((counts > 0).sum()), good.double().mean().item()
    return Modes(captured, len(centres), share, kl_from_uniform(counts), counts)


def kl_from_uniform(counts: Tensor) -> float:
    """sum p log(p / (1 / K)) in nats, where p = counts / their sum; empty classes add nothing. Infinite where all are empty."""
    share = counts.double() / counts.sum()
    return (torch.xlogy(share, share).sum() + math.log(len(counts))).item() if counts.sum() else math.inf


class Floor(NamedTuple):
    """What N samples of a perfect generator, every class as likely as any other, come to on average."""

    captured: float
    """classes hit: K (1 - (1 - 1/K)^N)"""
    kl: float
    """KL divergence of their histogram from the uniform one, exactly, in nats"""
    kl_about: float
    """the usual approximation for many samples, (K - 1) / 2N"""
    kl_spread: float
    """about its standard deviation, for many samples: sqrt((K - 1) / 2) / N, since 2 N KL is chi^2 with K - 1 degrees"""


def kl_floor(classes: int, samples: int) -> Floor:
    """The finite-sample floor, to be printed beside every KL: no generator is better than this, but by luck.

    E KL = log(K / N) + E log(1 + B), B ~ Binomial(N - 1, 1/K): a class is binomial, and n P(n) of Binomial(N, 1/K) is N/K times
    P(n - 1) of Binomial(N - 1, 1/K). At the protocol's 26,000 samples of 1,000 classes: 0.0193, and all 1,000 classes.

    Args:
        classes: K.
        samples: N; memory and time grow with it.

    Raises:
        UserError: fewer than one of either.
    """
    if classes < 1 or samples < 1:
        raise UserError(f"a floor is for at least one class and one sample, not {classes} and {samples}")
    others, share = torch.tensor(samples - 1, dtype=torch.float64), torch.tensor(1 / classes, dtype=torch.float64)
    hits = torch.arange(samples, dtype=torch.float64)
    ways = torch.lgamma(others + 1) - torch.lgamma(hits + 1) - torch.lgamma(others - hits + 1)
    log_chance = ways + torch.xlogy(hits, share) + torch.special.xlog1py(others - hits, -share)
    kl = math.log(classes / samples) + (log_chance.exp() * torch.log1p(hits)).sum().item()
    captured = classes * (1 - (1 - 1 / classes) ** samples)
    return Floor(captured, max(0.0, kl), (classes - 1) / (2 * samples), math.sqrt((classes - 1) / 2) / samples)


class ClassModes(NamedTuple):
    """What classified samples came to."""

    captured: int
    """classes hit at least once"""
    total: int
    kl: float
    """KL divergence of the histogram of classes from the uniform one, in nats: 0 to log(total)"""
    floor: Floor
    """what a perfect generator would come to with as many samples"""
    counts: Tensor
    """int64 (total,): that histogram"""


def class_modes(labels: Tensor, classes: int) -> ClassModes:
    """Classes hit and KL divergence from uniform: digits (10 classes), stacked digits (100 or 1,000; see `stacked_labels`).

    Stacked MNIST's protocol: 26,000 samples (25,600 after Metz et al. 2017), each channel seen by a classifier of digits. Real
    digits are not quite even themselves; the protocol compares with uniform all the same.

    Args:
        labels: the class that a classifier gives each sample, integers (N,) from 0 to classes - 1.
        classes: how many there are.

    Raises:
        UserError: no labels, or labels that are not such integers.
    """
    if labels.dim() != 1 or labels.is_floating_point() or labels.is_complex():
        raise UserError(f"labels are integers, (N,), not {labels.dtype} {tuple(labels.shape)}")
    checked(labels, "the labels", least=1)
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise UserError(
            f"labels go from {int(labels.min())} to {int(labels.max())}; with {classes} classes, 0 to {classes - 1}"
        )
    return counted_modes(torch.bincount(labels, minlength=classes))


def counted_modes(counts: Tensor) -> ClassModes:
    """`class_modes` of a histogram, int64 (classes,): histograms of batches add up. Raises UserError: it is empty."""
    samples = int(counts.sum()) if counts.dim() == 1 else 0
    if samples < 1 or int(counts.min()) < 0:
        raise UserError("a histogram counts, for each class, 0 samples or more, and at least one in all")
    floor = kl_floor(len(counts), samples)
    return ClassModes(int((counts > 0).sum()), len(counts), kl_from_uniform(counts), floor, counts)


def stacked_labels(digits: Tensor, classes: int = 10) -> Tensor:
    """The code of stacked digits: 3, 1, 4 is 314, the label that `data.stacked` gives them.

    Args:
        digits: the class of each channel, integers N x channels, from 0 to classes - 1.
        classes: of one channel.

    Returns:
        int64 (N,), from 0 to classes^channels - 1.

    Raises:
        UserError: not such integers.
    """
    if digits.dim() != 2 or digits.is_floating_point() or bool(((digits < 0) | (digits >= classes)).any()):
        raise UserError(
            f"digits are integers from 0 to {classes - 1}, N x channels, not {digits.dtype} {tuple(digits.shape)}"
        )
    places = classes ** torch.arange(digits.shape[1] - 1, -1, -1, device=digits.device)
    return (digits.long() * places).sum(1)
