"""The Laplacian pyramid and the networks of its levels: Burt & Adelson 1983; Denton et al. 2015, section 2.

A picture is its coarsest copy and, for each doubling, what the doubled copy lacks. Halving is the mean of 2 x 2 pixels and
doubling is bilinear, both everywhere the same: with that the pyramid gives the picture back exactly, whatever the two are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.networks.dropout import dropout
from sparring.networks.linear import linear
from sparring.networks.narrow import FromPicture, OntoPicture
from sparring.networks.perceptron import Generator as Perceptron


def halve(image: Tensor) -> Tensor:
    """N x C x 2H x 2W to N x C x H x W."""
    return functional.avg_pool2d(image, 2)


def double(image: Tensor) -> Tensor:
    """u: N x C x H x W to N x C x 2H x 2W."""
    return functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


def copies(image: Tensor, levels: int) -> list[Tensor]:
    """The image at every size, coarsest first."""
    found = [image]
    for _ in range(levels - 1):
        found.insert(0, halve(found[0]))
    return found


def split(image: Tensor, levels: int) -> list[Tensor]:
    """The coarsest copy, then h_k = I_k - u(I_(k+1)), coarse to fine. Equation 3."""
    sizes = copies(image, levels)
    return [sizes[0], *(fine - double(coarse) for coarse, fine in zip(sizes, sizes[1:]))]


def join(pyramid: Sequence[Tensor]) -> Tensor:
    """The inverse of `split`: I_k = u(I_(k+1)) + h_k. Equation 4."""
    image = pyramid[0]
    for residual in pyramid[1:]:
        image = double(image) + residual
    return image


def sides(size: int, base: int) -> list[int]:
    """Sides of the copies, coarsest first: halved while they stay whole and at least `base`.

    Raises:
        UserError: the picture is smaller than the base, or cannot be halved even once.
    """
    if size < base:
        raise UserError(f"pictures of {size} px are smaller than the pyramid's base, --base {base}; lower it")
    found = [size]
    while found[0] % 2 == 0 and found[0] // 2 >= base:
        found.insert(0, found[0] // 2)
    if len(found) == 1:
        raise UserError(
            f"{size} px cannot be halved to {base} px or more: there is no pyramid; use --data.size {2 * base} or a "
            "lower --base"
        )
    return found


def maps(label: Tensor, side: int) -> Tensor:
    """N x classes as constant maps, N x classes x side x side."""
    return label[:, :, None, None].expand(-1, -1, side, side)


class Detail(nn.Module):
    """One level's generator: adds to a doubled picture what it lacks, from a plane of noise.

    Args:
        channels: of the picture.
        classes: further maps that say the label.
        width: channels of the two hidden layers.
        kernel: side of their kernels.
    """

    def __init__(self, channels: int, classes: int, width: int, kernel: int):
        super().__init__()
        self.channels = channels
        self.first = nn.Conv2d(1 + channels + classes, width, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.out = OntoPicture(width, channels, min(kernel, 5), padding=min(kernel, 5) // 2)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, given: Tensor) -> Tensor:
        """N x (1 of noise, channels of the doubled picture, classes) x H x W to the picture, N x channels x H x W."""
        value = functional.relu(self.first(given), inplace=True)
        value = functional.relu(self.second(value), inplace=True)
        return given[:, 1 : 1 + self.channels].float() + self.out(value).float()


class DetailDiscriminator(nn.Module):
    """One level's discriminator: two convolutions of 5 x 5 without padding, dropout, one product.

    Args:
        channels: of the picture.
        classes: further maps that say the label.
        side: of the picture in pixels.
        width: channels of the two layers.
        share: of the last map that is dropped in training.
    """

    def __init__(self, channels: int, classes: int, side: int, width: int, share: float):
        super().__init__()
        last = (side - 4 - 5) // 2 + 1
        self.first = FromPicture(channels + classes, width, 5)
        self.second = nn.Conv2d(width, width, 5, 2)
        self.share = share
        self.score = linear(width * last**2, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Pictures N x channels x H x W and labels N x classes to N logits."""
        given = torch.cat([image, maps(label, image.shape[-1])], 1)
        value = functional.relu(self.second(functional.relu(self.first(given))))
        return self.score(dropout(value.flatten(1), self.share, self.training)).squeeze(1)


class BaseDiscriminator(nn.Module):
    """The coarsest level's discriminator: fully connected, ReLU, dropout."""

    def __init__(self, shape: tuple[int, int, int], classes: int, hidden: Sequence[int], share: float):
        super().__init__()
        widths = [shape[0] * shape[1] * shape[2] + classes, *hidden]
        self.hidden = nn.ModuleList(linear(given, made) for given, made in zip(widths, widths[1:]))
        self.share = share
        self.score = linear(widths[-1], 1)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Pictures N x channels x H x W and labels N x classes to N logits."""
        value = torch.cat([image.flatten(1), label], 1)
        for layer in self.hidden:
            value = dropout(functional.relu(layer(value)), self.share, self.training)
        return self.score(value).squeeze(1)


class Generator(nn.Module):
    """All levels' generators: noise to picture, coarse to fine.

    One noise vector holds the base's noise, then a plane for each further level, then the label (a number for each class).

    Args:
        latent: length of the base's noise.
        shape: (channels, size, size) of the picture.
        base: least side of the coarsest copy.
        classes: length of the label; 0 without.
        hidden: units of the base's hidden layers.
        width: channels of the further levels.
        kernel: side of their kernels.
    """

    def __init__(
        self,
        latent: int,
        shape: tuple[int, ...],
        base: int,
        classes: int,
        hidden: Sequence[int],
        width: int,
        kernel: int,
    ):
        super().__init__()
        self.sides = sides(shape[1], base)
        self.pieces = [latent, *(side**2 for side in self.sides[1:]), classes]
        coarsest = (shape[0], self.sides[0], self.sides[0])
        levels = [Perceptron(latent + classes, hidden, coarsest, bounded=True)]
        details = [Detail(shape[0], classes, width, kernel) for _ in self.sides[1:]]
        self.levels = nn.ModuleList([*levels, *details])

    def given(self, level: int, noise: Tensor, coarser: Tensor | None) -> Tensor:
        """What a level's generator is told: noise vectors, and the picture at the level below (none for the base)."""
        pieces = noise.split(self.pieces, 1)
        label = pieces[-1]
        if coarser is None:
            return torch.cat([pieces[0], label], 1)
        side = self.sides[level]
        plane = pieces[level].view(-1, 1, side, side)
        return torch.cat([plane, double(coarser), maps(label, side)], 1)

    def stages(self, noise: Tensor) -> list[Tensor]:
        """The picture at every level, coarsest first. Equation 5."""
        images: list[Tensor] = []
        for level, network in enumerate(self.levels):
            images.append(network(self.given(level, noise, images[-1] if images else None)))
        return images

    def forward(self, noise: Tensor) -> Tensor:
        """N x (latent, planes, classes) to N x C x H x W, not bounded."""
        return self.stages(noise)[-1]
