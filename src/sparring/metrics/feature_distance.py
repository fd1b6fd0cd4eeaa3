"""Distance in a network's features, as in LPIPS. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric", 2018. arXiv:1801.03924

Follows judgements of people better than distances of pixels, whatever well-trained network the features are of.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.pairs import Features, feature_maps


@torch.no_grad()
def feature_distance(real: Tensor, fake: Tensor, features: Features, weights: Sequence[Tensor] | None = None) -> Tensor:
    """Equation 1: sum over layers of the mean over places of |w . (f1 - f2)|^2, where f is a place's features at unit length.

    The number depends on the network: it is LPIPS only with LPIPS's network and weights. The network sees pictures in [-1, 1];
    what else it wants (ImageNet's mean and deviation, a size) is for `features` to do.

    Args:
        real, fake: N x C x H x W in [-1, 1].
        features: pictures to maps of features, finest first, say.
        weights: for each layer, a factor for each channel's squared difference (LPIPS's linear layers), not negative; 1 by
            default.

    Returns:
        float64 N, at least 0; 0 for pictures with equal features. A layer of weight 1 adds at most 4 (2 where all features
        are positive, as after ReLU).

    Raises:
        UserError: pictures that are not pairs or not finite, features that are not maps, or weights that do not fit them.
    """
    maps = feature_maps(real, fake, features)
    if weights is None:
        weights = [first.new_ones(first.shape[1]) for first, _ in maps]
    if [factor.numel() for factor in weights] != [first.shape[1] for first, _ in maps]:
        wanted, found = [first.shape[1] for first, _ in maps], [factor.numel() for factor in weights]
        raise UserError(f"the layers have {wanted} channels, but weights are given for {found}")
    total = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    for (first, second), factor in zip(maps, weights):
        gap = (_unit_length(first) - _unit_length(second)).square()
        total += (gap.flatten(2).mean(2) * factor.to(gap).flatten()).sum(1)
    return total


def _unit_length(maps: Tensor) -> Tensor:
    """Every place's features divided by their length; where all are 0 they stay 0."""
    return maps / (maps.norm(dim=1, keepdim=True) + 1e-10)
