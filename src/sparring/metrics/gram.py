"""Distance of textures by Gram matrices. Gatys, Ecker & Bethge, "Texture Synthesis Using Convolutional Neural Networks", 2015.
arXiv:1505.07376

Which features go together, wherever they are: blurred or plain regions differ from textured ones, shifted ones do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.pairs import Features, feature_maps


def gram(maps: Tensor) -> Tensor:
    """Equation 1: G_ij = sum over places of F_i F_j. N x channels x height x width to N x channels x channels."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2)


@torch.no_grad()
def gram_distance(
    real: Tensor, fake: Tensor, features: Features, weights: Sequence[float] | None = None, patch: int = 0
) -> Tensor:
    """Equations 2 and 3: sum over layers of w |G1 - G2|^2 / (4 channels^2 places^2).

    Args:
        real, fake: N x C x H x W in [-1, 1].
        features: pictures to maps of features.
        weights: of the layers; 1 / their number by default.
        patch: compare each patch of so many cells a side with the patch at its place, and take the mean: EnhanceNet's texture
            loss (Sajjadi et al. 2017, arXiv:1612.07919, section 4.2.3: 16), which wants each texture where it belongs. Rows
            and columns beyond the last whole patch are left out. 0: whole maps.

    Returns:
        float64 N, at least 0; its scale is that of the features to the fourth power, so compare only within one network.

    Raises:
        UserError: pictures that are not pairs or not finite, features that are not maps, not a weight for each layer, or a map
            that is smaller than a patch.
    """
    maps = feature_maps(real, fake, features)
    weights = [1 / len(maps)] * len(maps) if weights is None else weights
    if len(weights) != len(maps):
        raise UserError(f"{len(weights)} weights are given for {len(maps)} layers")
    total = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    for (first, second), weight in zip(maps, weights):
        if patch:
            first, second = patches(first, patch), patches(second, patch)
        channels, places = first.shape[1], first.shape[2:].numel()
        gap = (gram(first) - gram(second)).square().sum((1, 2)) / (4 * channels**2 * places**2)
        total += weight * gap.view(len(real), -1).mean(1)
    return total


def patches(maps: Tensor, side: int) -> Tensor:
    """N x channels x height x width to (N x patches) x channels x side x side. Raises UserError: not even one fits."""
    if side < 1 or min(maps.shape[2:]) < side:
        raise UserError(f"a map of {maps.shape[2]} x {maps.shape[3]} cells has no patches of {side} x {side}")
    cut = maps.unfold(2, side, side).unfold(3, side, side)
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
