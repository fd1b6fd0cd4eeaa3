"""Losses on maps of features, N x channels x height x width, as a fixed network makes them of pictures.

What is compared is what the pictures show and how they feel, and not their pixels. All are means, computed in float32.
"""

from __future__ import annotations

from torch import Tensor

from sparring.core.device import as_is

PATCH = 16
"""side of the patches whose textures are compared, in cells of the map"""


def mean_squared(fake: Tensor, real: Tensor) -> Tensor:
    """mean |fake - real|^2, of pictures or of maps. Of maps it is the content loss: Ledig et al. 2016, equations 4 and 5.

    Args:
        fake, real: of one shape.
    """
    return (fake.float() - real.float()).square().mean()


def level(maps: Tensor) -> Tensor:
    """maps / mean(maps), for each example: so that layers weigh the same whatever their scale. Sajjadi et al. 2017, supplement.

    Args:
        maps: not negative.
    """
    maps = maps.float()
    return maps / maps.mean((1, 2, 3), keepdim=True).clamp(min=1e-6)


def texture(fake: Tensor, real: Tensor, patch: int = PATCH) -> Tensor:
    """mean over patches and pairs of channels of (G(fake) - G(real))^2, with G_ij = sum over the patch's cells of F_i F_j.

    Sajjadi et al. 2017, arXiv:1612.07919, equation 5: each patch against the one at its place. Rows and columns beyond the
    last whole patch are left out; a map that is smaller than a patch is one.

    Args:
        fake, real: N x channels x height x width.
        patch: side of a patch, in cells.
    """
    with as_is(fake.device):
        return (gram(cut(fake.float(), patch)) - gram(cut(real.float(), patch))).square().mean()


def gram(maps: Tensor) -> Tensor:
    """G_ij = sum over places of F_i F_j: N x channels x height x width to N x channels x channels. Gatys et al. 2015."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2)


def cut(maps: Tensor, patch: int) -> Tensor:
    """N x channels x height x width to (N x patches) x channels x side x side."""
    height, width = (min(patch, side) for side in maps.shape[2:])
    patches = maps.unfold(2, height, height).unfold(3, width, width)
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
