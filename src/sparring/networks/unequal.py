"""A convolutional pair whose discriminator is far smaller than its generator, which makes modes collapse.

Metz et al. 2016, appendix on stacked MNIST: there the discriminator of `width` 2 has a quarter of the generator's channels.
Convolutions of 3 x 3 halve and double the sides, with batch norm on both.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sparring.networks.convolutional import sides
from sparring.networks.linear import linear


class Generator(nn.Module):
    """Noise to image: a projection, a transposed convolution with batch norm and ReLU for each doubling, a convolution, tanh.

    Args:
        latent: length of the noise vector.
        shape: (channels, size, size) of the image.
        width: channels at the full size; doubled with every halving.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int):
        super().__init__()
        maps = sides(shape[1])[::-1]
        widths = [width << level for level in reversed(range(len(maps)))]
        self.start = (widths[0], maps[0], maps[0])
        self.project = linear(latent, widths[0] * maps[0] ** 2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in widths)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(*channels, 3, 2, 1, output_padding=large - 2 * small + 1, bias=False)
            for channels, (small, large) in zip(pairwise(widths), pairwise(maps))
        )
        self.out = nn.Conv2d(width, shape[0], 3, 1, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """N x latent to N x C x H x W in [-1, 1]."""
        image = functional.relu(self.norms[0](self.project(noise).view(-1, *self.start)))
        for doubling, norm in zip(self.doublings, self.norms[1:]):
            image = functional.relu(norm(doubling(image)))
        return self.out(image).float().tanh()


class Discriminator(nn.Module):
    """Image to logit: a strided convolution with batch norm and leaky ReLU (0.3) for each halving, then one product.

    Batch norm takes the statistics of the batch at hand and keeps none: a pass through weights that are looked ahead to leaves
    no trace.

    Args:
        shape: (channels, size, size) of the image.
        width: channels at half the full size; doubled with every halving.
    """

    def __init__(self, shape: tuple[int, ...], width: int):
        super().__init__()
        maps = sides(shape[1])
        widths = [shape[0], *(width << level for level in range(len(maps) - 1))]
        self.halvings = nn.ModuleList(nn.Conv2d(*channels, 3, 2, 1, bias=False) for channels in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(count, track_running_stats=False) for count in widths[1:])
        self.score = linear(widths[-1] * maps[-1] ** 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W to N logits."""
        for halving, norm in zip(self.halvings, self.norms):
            image = functional.leaky_relu(norm(halving(image)), 0.3)
        return self.score(image.flatten(1)).squeeze(1)
