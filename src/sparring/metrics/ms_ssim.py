"""Multi-scale structural similarity. Wang, Simoncelli & Bovik, "Multiscale structural similarity for image quality assessment",
2003.

Between the samples of one set it says how alike they are: Odena et al. 2017, arXiv:1610.09585, section 4.2.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.metrics.pairs import checked_pairs, checked_pictures, estimate
from sparring.metrics.ssim import WINDOW, check_side, similarity, unit
from sparring.metrics.value import Estimate

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""of the scales, finest first, as printed: they add up to 1.0001"""


@torch.no_grad()
def ms_ssim(real: Tensor, fake: Tensor, scales: int = 5) -> Tensor:
    """Equation 7: the product over scales of contrast x structure, and of the luminance at the coarsest, each to its weight.

    Each scale halves the one before by the mean of 2 x 2 px (at an odd edge of what there is: the authors' code mirrors the
    edge, which is the same). The terms are averaged over channels and places; one below 0, which has no such power, counts
    as 0.

    Args:
        real, fake: N x C x H x W in [-1, 1]; five scales need sides of 161 px and more.
        scales: 1 to 5; with fewer than five, the weights of the finest so many, enlarged to add up to the same.

    Returns:
        float64 N in [0, 1]; 1 for equal pictures.

    Raises:
        UserError: not pictures, not of one shape, not finite, too small for so many scales, or no such number of scales.
    """
    real, fake = checked_pairs(real, fake)
    if not 1 <= scales <= len(WEIGHTS):
        raise UserError(f"scales is {scales}; MS-SSIM has 1 to {len(WEIGHTS)}")
    most = most_scales(min(real.shape[2:]))
    check_side(real, _least_side(scales), f" for {scales} scales; they have {most}" if most else "")
    first, second, result = unit(real), unit(fake), torch.ones(len(real), dtype=torch.float64, device=real.device)
    for scale, weight in enumerate(WEIGHTS[:scales], 1):
        found = similarity(first, second)
        term = found.whole if scale == scales else found.contrast
        result = result * term.clamp(min=0) ** (weight * sum(WEIGHTS) / sum(WEIGHTS[:scales]))
        if scale < scales:
            first, second = (functional.avg_pool2d(each, 2, ceil_mode=True) for each in (first, second))
    return result


def most_scales(side: int) -> int:
    """How many scales pictures have whose shorter side is so many pixels: 0 below 11 px, 2 at 28, 5 from 161 on."""
    return sum(side >= _least_side(scales) for scales in range(1, len(WEIGHTS) + 1))


def _least_side(scales: int) -> int:
    """The shortest side that, halved and rounded up for each further scale, still holds the window."""
    return (WINDOW - 1) * 2 ** (scales - 1) + 1


def pairwise_ms_ssim(samples: Tensor, pairs: int = 100, scales: int = 5, seed: int = 0) -> Estimate:
    """Mean MS-SSIM between random samples: low where they vary, 1 where all are one. Compare with that of real examples.

    Odena et al. take 100 pairs within each class: call it for each class. Of unlike pictures (other classes, noise) it says
    little.

    Args:
        samples: N x C x H x W in [-1, 1], at least two.
        pairs: how many pairs of different samples are drawn, with replacement.
        scales: as in `ms_ssim`.
        seed: of the pairs.

    Returns:
        the mean over the pairs and its standard error.

    Raises:
        UserError: as `ms_ssim`; or fewer than two samples, or no pairs.
    """
    checked_pictures(samples, "the samples", least=2)
    if pairs < 1:
        raise UserError(f"pairs is {pairs}; at least 1 is needed")
    chance = torch.Generator().manual_seed(seed)
    first = torch.randint(len(samples), (pairs,), generator=chance)
    second = (first + torch.randint(1, len(samples), (pairs,), generator=chance)) % len(samples)
    return estimate(
        torch.cat(
            [ms_ssim(samples[one], samples[other], scales) for one, other in zip(first.split(64), second.split(64))]
        )
    )
