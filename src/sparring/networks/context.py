"""The encoder-decoder and the discriminator of context encoders: Pathak et al. 2016, sections 3.1 and 4, arXiv:1604.07379.

The picture is halved to 4 px, squeezed through one wide layer in which every place learns of every other, and drawn from there:
the middle of the picture, or all of it. As in the authors' released code, the wide layer is a convolution over the whole map.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sparring.networks.convolutional import initialize, leaky, sides
from sparring.networks.linear import linear
from sparring.networks.narrow import FEW, FromPicture, ToPicture

WIDEST = 8
"""channels of the coarsest map, in widths"""


def widths(levels: int, width: int) -> list[int]:
    """Channels of each map, the finest first: the first two alike, then doubled up to eight times."""
    return [min(width << max(0, level - 1), WIDEST * width) for level in range(levels)]


class Filler(nn.Module):
    """A picture with holes to what belongs in them.

    Args:
        given: channels of what it sees.
        shape: (channels, size, size) of the picture.
        width: channels at half the full size.
        bottleneck: units of the layer between encoder and decoder.
        whole: whether it makes the whole picture; otherwise its middle, of half the side.
    """

    def __init__(self, given: int, shape: tuple[int, ...], width: int, bottleneck: int, whole: bool):
        super().__init__()
        maps = sides(shape[1])
        counts = widths(len(maps) - 1, width)
        self.halvings = nn.ModuleList(halving(pair, side) for pair, side in zip(pairwise([given, *counts]), maps))
        self.halving_norms = nn.ModuleList(nn.BatchNorm2d(count) for count in counts[1:])
        self.start, self.coarse = maps[-1], counts[-1]
        self.squeeze = linear(self.start**2 * self.coarse, bottleneck, bias=False)
        self.squeeze_norm = nn.BatchNorm1d(bottleneck)
        self.unfold = linear(bottleneck, self.start**2 * self.coarse, bias=False)
        made = maps[::-1] if whole else maps[:0:-1]
        counts = counts[::-1] if whole else counts[:0:-1]
        self.doubling_norms = nn.ModuleList(nn.BatchNorm2d(count) for count in counts)
        self.doublings = nn.ModuleList(
            doubling(pair, sizes) for pair, sizes in zip(pairwise([*counts, shape[0]]), pairwise(made))
        )
        initialize(self)

    def encode(self, picture: Tensor) -> Tensor:
        """N x given x H x W to N x bottleneck: the features that the paper hands on to other tasks."""
        found = leaky(self.halvings[0](picture))
        for convolution, norm in zip(self.halvings[1:], self.halving_norms):
            found = leaky(norm(convolution(found)))
        return leaky(self.squeeze_norm(self.squeeze(found.permute(0, 2, 3, 1).flatten(1))))

    def forward(self, picture: Tensor) -> Tensor:
        """N x given x H x W to N x C x H x W, or N x C x H/2 x W/2, in [-1, 1], float32."""
        made = self.unfold(self.encode(picture)).view(-1, self.start, self.start, self.coarse).permute(0, 3, 1, 2)
        for norm, convolution in zip(self.doubling_norms, self.doublings):
            made = convolution(functional.relu(norm(made), inplace=True))
        return made.float().tanh()


class Discriminator(nn.Module):
    """A picture, or the middle of one, to a logit: halved to 4 px, then one product.

    Args:
        shape: (channels, side, side) of what it sees; any side of at least 4 px that halves down to 3 or 4.
        width: channels at half the side; doubled with every halving, at most eight times.
    """

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        maps = [shape[1]]
        while maps[-1] > 4:
            maps.append((maps[-1] + 1) // 2)
        counts = [min(width << level, WIDEST * width) for level in range(len(maps) - 1)]
        self.halvings = nn.ModuleList(halving(pair, side) for pair, side in zip(pairwise([shape[0], *counts]), maps))
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in counts[1:])
        self.score = linear(maps[-1] ** 2 * counts[-1], 1, bias=False)
        initialize(self)

    def forward(self, picture: Tensor) -> Tensor:
        """N x C x H x W to N logits."""
        found = leaky(self.halvings[0](picture))
        for convolution, norm in zip(self.halvings[1:], self.norms):
            found = leaky(norm(convolution(found)))
        return self.score(found.permute(0, 2, 3, 1).flatten(1)).squeeze(1)


def halving(channels: tuple[int, int], side: int) -> nn.Conv2d:
    """Halves a side; 7 px and less by a kernel of 3, which takes an odd side too."""
    kernel = 4 if side > 7 else 3
    kind = FromPicture if channels[0] <= FEW else nn.Conv2d
    return kind(*channels, kernel, 2, 1, bias=False)


def doubling(channels: tuple[int, int], maps: tuple[int, int]) -> nn.ConvTranspose2d:
    """The transpose of `halving`."""
    kernel = 4 if maps[1] > 7 else 3
    more = maps[1] - (2 * maps[0] - 4 + kernel)
    kind = ToPicture if channels[1] <= FEW else nn.ConvTranspose2d
    return kind(*channels, kernel, 2, 1, output_padding=more, bias=False)
