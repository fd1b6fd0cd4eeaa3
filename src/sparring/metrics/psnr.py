"""Peak signal-to-noise ratio: the mean squared error of a picture on a logarithmic scale."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.metrics.pairs import checked_pairs


@torch.no_grad()
def psnr(real: Tensor, fake: Tensor, border: int = 0) -> Tensor:
    """10 log10(peak^2 / mean squared error) of each pair, in decibels; pictures in [-1, 1] have a peak of 2.

    The mean is over channels too. The super-resolution field (Ledig et al. 2017, section 3.1, arXiv:1609.04802) reports it on
    the Y channel, without as many pixels at each edge as the factor of enlargement, and on saved pictures:
    `psnr(luma(as_saved(real)), luma(as_saved(fake)), border=4)`, both of `metrics.pairs`.

    Args:
        real, fake: N x C x H x W in [-1, 1].
        border: pixels at each edge that do not count.

    Returns:
        float64 N; infinite for equal pictures.

    Raises:
        UserError: not pictures, not of one shape, not finite, or no larger than twice the border.
    """
    real, fake = checked_pairs(real, fake, border)
    # A row is short enough for float32; the rows are added up in float64.
    error = (real - fake).square_().mean(3).flatten(1).mean(1, dtype=torch.float64)
    return 10 * torch.log10(4 / error)
