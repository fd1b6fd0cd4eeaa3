"""Fréchet distance within classes (intra FID). Miyato and Koyama 2018, "cGANs with Projection Discriminator". arXiv:1802.05637,
section 4.

A conditional generator that ignores its label can have a good Fréchet distance over all; not within every class.
"""

from __future__ import annotations

from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.frechet import frechet
from sparring.metrics.value import checked_pair


def intra_class(real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor, least: int = 2) -> float:
    """Mean over classes of the Fréchet distance between real examples and samples of one class; 0 or more.

    Args, errors: those of `frechet_of_each_class`.
    """
    distances = frechet_of_each_class(real, fake, real_labels, fake_labels, least)
    return sum(distances.values()) / len(distances)


def frechet_of_each_class(
    real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor, least: int = 2
) -> dict[int, float]:
    """The Fréchet distance within each class, by label.

    Args:
        real, fake: features, n x d and m x d.
        real_labels, fake_labels: n and m integers; for samples the class that was asked for.
        least: examples that a class needs on both sides.

    Raises:
        UserError: a class with too few examples on a side (named), other widths, or values that are not finite.
    """
    real, fake = checked_pair(real, fake)
    for labels, side, whose in ((real_labels, real, "real examples"), (fake_labels, fake, "samples")):
        if labels.shape != side.shape[:1]:
            raise UserError(f"{len(side)} {whose} need as many labels, not a tensor of shape {tuple(labels.shape)}")
    names = sorted({*real_labels.tolist(), *fake_labels.tolist()})
    counts = {name: (int((real_labels == name).sum()), int((fake_labels == name).sum())) for name in names}
    short = [f"class {name} ({a} real, {b} samples)" for name, (a, b) in counts.items() if min(a, b) < max(least, 2)]
    if short:
        raise UserError(
            f"at least {max(least, 2)} real examples and samples of each class are needed: {', '.join(short)}"
        )
    return {name: frechet(real[real_labels == name], fake[fake_labels == name]) for name in names}
