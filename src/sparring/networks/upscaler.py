"""Networks that enlarge pictures by two or four, and the discriminators of the papers that trained them.

Each generator says how far it looks (`reach`, in pixels of its input), so that large pictures can go through it in tiles.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.core.media import resized
from sparring.networks.linear import linear
from sparring.networks.narrow import FEW, FromPicture, OntoPicture
from sparring.networks.upsampling import Doubling

SMALLEST = 16
"""side of the smallest pictures that the discriminators take"""


def check_crop(size: int, scale: int) -> None:
    """Raises UserError: squares of this side cannot be trained on."""
    if size < SMALLEST:
        raise UserError(f"--data.size {size} is too small for the discriminator; it must be at least {SMALLEST}")
    if size % scale:
        near = round(size / scale) * scale
        raise UserError(f"--data.size {size} is not divisible by --scale {scale}; {near} is")


class SRResNet(nn.Module):
    """The generator of SRGAN. Ledig et al. 2016, section 2.1 and figure 4.

    Args:
        channels: of the pictures.
        scale: 2 or 4.
        blocks: residual blocks, on the small map; the paper has 16.
        width: channels of every map; the paper has 64.
    """

    def __init__(self, channels: int, scale: int = 4, blocks: int = 16, width: int = 64):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(NormalisedBlock(width) for _ in range(blocks)))
        self.joint = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.doublings = nn.Sequential(*(Shuffle(width) for _ in range(_doublings(scale))))
        self.last = OntoPicture(width, channels, 9, padding=4)
        self.reach = _reach([4, *[1, 1] * blocks, 1], scale, 1, 4)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W in [-1, 1] to N x C x scale H x scale W, float32, not held to the range."""
        value = self.first(image)
        value = value + self.joint(self.blocks(value))
        return self.last(self.doublings(value)).float()


class NormalisedBlock(nn.Module):
    """x + norm(conv(prelu(norm(conv(x)))))."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to the same."""
        return value + self.body(value)


class Shuffle(nn.Module):
    """Twice the side: a convolution to four times the channels, which become squares of 2 x 2 pixels; then PReLU."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.bend = nn.PReLU()
        alike(self.conv)

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to N x width x 2H x 2W."""
        return self.bend(functional.pixel_shuffle(self.conv(value), 2))


class Msr(nn.Module):
    """SRResNet without batch norm, added to the bilinear enlargement: "MSRResNet" of the BasicSR library, whose names it has.

    That network sees and makes pictures in [0, 1]; here they are brought there and back.

    Args:
        channels: of the pictures.
        scale: 2 or 4.
        blocks: residual blocks, on the small map; the library has 16.
        width: channels of every map; the library has 64.
    """

    def __init__(self, channels: int, scale: int = 4, blocks: int = 16, width: int = 64):
        super().__init__()
        self.scale = scale
        self.conv_first = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(*(PlainBlock(width) for _ in range(blocks)))
        self.upconv1 = nn.Conv2d(width, 4 * width, 3, padding=1)
        if _doublings(scale) == 2:
            self.upconv2 = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = OntoPicture(width, channels, 3, padding=1)
        self.reach = _reach([1, *[1, 1] * blocks], scale, 1, 2)
        for conv in [self.conv_first, *self._raising, self.conv_hr, self.conv_last]:
            _start(conv, 0.1 if conv is self.conv_last else 1.0)
        for conv in self._raising:
            alike(conv)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def _raising(self) -> list[nn.Conv2d]:
        return [self.upconv1, self.upconv2] if self.scale == 4 else [self.upconv1]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W in [-1, 1] to N x C x scale H x scale W, float32, not held to the range."""
        image = (image.float() + 1) / 2
        value = self.body(_leaky(self.conv_first(image)))
        for conv in self._raising:
            value = _leaky(functional.pixel_shuffle(conv(value), 2))
        detail = self.conv_last(_leaky(self.conv_hr(value)))
        base = functional.interpolate(image, scale_factor=self.scale, mode="bilinear")
        return (base + detail.float()) * 2 - 1


class PlainBlock(nn.Module):
    """x + conv2(relu(conv1(x)))."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        _start(self.conv1, 1.0)
        _start(self.conv2, 0.1)

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to the same."""
        return value + self.conv2(functional.relu(self.conv1(value), inplace=True))


class Rrdb(nn.Module):
    """The generator of ESRGAN: dense blocks within residual blocks. Wang et al. 2018, section 3.1, arXiv:1809.00219.

    The names of its weights are those of the BasicSR library; it sees and makes pictures in [0, 1], to and from which they are
    brought here. It could look as far as 15 pixels for every block, but each adds a fifth of a fifth: with random weights of
    common size (He et al. 2015), what lies farther off than `reach` changes a pixel by less than a tenth of 1/255.

    Args:
        channels: of the pictures.
        scale: 4.
        blocks: on the small map; the paper has 23.
        width: channels of every map, and twice those that a dense layer adds; the paper has 64.
    """

    reach = 32

    def __init__(self, channels: int, scale: int = 4, blocks: int = 23, width: int = 64):
        super().__init__()
        if scale != 4:
            raise UserError(f"--network rrdb enlarges by 4, not {scale}")
        self.conv_first = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(*(DenseTriple(width) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up1, self.conv_up2 = Doubling(width, width), Doubling(width, width)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = OntoPicture(width, channels, 3, padding=1)
        for conv in [self.conv_first, self.conv_body, self.conv_up1, self.conv_up2, self.conv_hr, self.conv_last]:
            _start(conv, 0.1 if conv is self.conv_last else 1.0)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W in [-1, 1] to N x C x 4H x 4W, float32, not held to the range."""
        value = self.conv_first((image + 1) / 2)
        value = value + self.conv_body(self.body(value))
        for conv in (self.conv_up1, self.conv_up2, self.conv_hr):
            value = _leaky(conv(value), 0.2)
        return self.conv_last(value).float() * 2 - 1


class DenseTriple(nn.Module):
    """x and a fifth of what three dense blocks, one after another, make of it."""

    def __init__(self, width: int):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width) for _ in range(3))

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to the same."""
        return value + 0.2 * self.rdb3(self.rdb2(self.rdb1(value)))


class DenseBlock(nn.Module):
    """x and a fifth of the last of five convolutions, each of which sees x and all that came before."""

    def __init__(self, width: int):
        super().__init__()
        growth = width // 2
        for number in range(1, 6):
            made = growth if number < 5 else width
            conv = nn.Conv2d(width + (number - 1) * growth, made, 3, padding=1)
            _start(conv, 0.1)
            setattr(self, f"conv{number}", conv)

    def forward(self, value: Tensor) -> Tensor:
        """N x width x H x W to the same."""
        known = value
        for number in range(1, 5):
            known = torch.cat([known, _leaky(self.get_submodule(f"conv{number}")(known), 0.2)], 1)
        return value + 0.2 * self.get_submodule("conv5")(known)


class EnhanceNet(nn.Module):
    """The detail that a bicubic enlargement lacks. Sajjadi et al. 2017, section 4.1 and table 1.

    Args:
        channels: of the pictures.
        scale: 2 or 4.
        blocks: residual blocks, on the small map; the paper has 10.
        width: channels of every map; the paper has 64.
    """

    def __init__(self, channels: int, scale: int = 4, blocks: int = 10, width: int = 64):
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(PlainBlock(width) for _ in range(blocks)))
        self.doublings = nn.ModuleList(Doubling(width, width) for _ in range(_doublings(scale)))
        self.fine = nn.Conv2d(width, width, 3, padding=1)
        self.last = OntoPicture(width, channels, 3, padding=1)
        # A convolution after a doubling works on the larger map, which is why the first stands with the others here.
        self.reach = _reach([1, *[1, 1] * blocks], scale, 1, 2, before=False)
        for conv in [self.first, *self.doublings, self.fine, self.last]:
            assert isinstance(conv, nn.Conv2d)
            _start(conv, 0.1 if conv is self.last else 1.0)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x H x W in [-1, 1] to N x C x scale H x scale W, float32, not held to the range."""
        value = self.blocks(functional.relu(self.first(image), inplace=True))
        for doubling in self.doublings:
            value = functional.relu(doubling(value), inplace=True)
        detail = self.last(functional.relu(self.fine(value), inplace=True))
        height, width = image.shape[2:]
        return resized(image.float(), self.scale * height, self.scale * width) + detail.float()


class NormalisedDiscriminator(nn.Module):
    """The discriminator of SRGAN: pairs of convolutions, the second with a stride, batch norm in all but the first.

    Ledig et al. 2016, section 2.1 and figure 4.

    Args:
        channels: of the pictures.
        size: their side, at least 16.
        width: channels of the finest map, doubled with every halving; the paper has 64.
    """

    def __init__(self, channels: int, size: int, width: int = 64):
        super().__init__()
        widths = [width << level for level in range(4)]
        layers = [_from_picture(channels, width), nn.LeakyReLU(0.2, inplace=True), *_normalised(width, width, 2)]
        for narrow, wide in pairwise(widths):
            layers += [*_normalised(narrow, wide, 1), *_normalised(wide, wide, 2)]
        self.body = nn.Sequential(*layers)
        self.head = _head(widths[-1], _halved(size, 4), 16 * width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x size x size to N logits."""
        return self.head(self.body(image).permute(0, 2, 3, 1).flatten(1)).squeeze(1)


class PlainDiscriminator(nn.Module):
    """The discriminator of EnhanceNet: pairs of convolutions, the second with a stride, and no norm.

    Sajjadi et al. 2017, section 4.2.4 and its supplement.

    Args:
        channels: of the pictures.
        size: their side, at least 16.
        width: channels of the finest map, doubled with every halving; the paper has 32.
    """

    def __init__(self, channels: int, size: int, width: int = 32):
        super().__init__()
        widths = [width << level for level in range(5)]
        layers: list[nn.Module] = []
        for number, (given, made) in enumerate(pairwise([channels, *widths])):
            first = nn.Conv2d(given, made, 3, padding=1) if number else _from_picture(given, made)
            second = nn.Conv2d(made, made, 3, 2, 1)
            _start(first, 1.0)
            _start(second, 1.0)
            layers += [first, nn.LeakyReLU(0.2, inplace=True), second, nn.LeakyReLU(0.2, inplace=True)]
        self.body = nn.Sequential(*layers)
        self.head = _head(widths[-1], _halved(size, 5), 32 * width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """N x C x size x size to N logits."""
        return self.head(self.body(image).permute(0, 2, 3, 1).flatten(1)).squeeze(1)


def alike(conv: nn.Conv2d) -> None:
    """The four kernels whose results become a square start equal, or the squares would show. Aitken et al. 2017,
    arXiv:1707.02937."""
    with torch.no_grad():
        conv.weight.copy_(conv.weight[::4].repeat_interleave(4, 0))
        if conv.bias is not None:
            conv.bias.copy_(conv.bias[::4].repeat_interleave(4))


def _doublings(scale: int) -> int:
    if scale not in {2, 4}:
        raise UserError(f"--scale must be 2 or 4, not {scale}")
    return scale // 2


def _reach(small: list[int], scale: int, raising: int, fine: int, before: bool = True) -> int:
    """How far a network looks, in pixels of its input.

    Args:
        small: reach of each convolution on the small map.
        scale: 2 or 4.
        raising: reach of the convolution of each doubling.
        fine: reach of all convolutions on the largest map together.
        before: whether a doubling's convolution works on the smaller of its two maps.
    """
    sides = [2**level for level in range(_doublings(scale))]
    raised = sum(raising / (side if before else 2 * side) for side in sides)
    return math.ceil(sum(small) + raised + fine / scale)


def _halved(side: int, times: int) -> int:
    if side < SMALLEST:
        raise UserError(f"--data.size {side} is too small for the discriminator; it must be at least {SMALLEST}")
    return math.ceil(side / 2**times)


def _from_picture(channels: int, width: int) -> nn.Conv2d:
    return (FromPicture if channels <= FEW else nn.Conv2d)(channels, width, 3, padding=1)


def _normalised(given: int, made: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.LeakyReLU(0.2, inplace=True),
    ]  # fmt: skip


def _head(width: int, side: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(linear(width * side**2, hidden), nn.LeakyReLU(0.2, inplace=True), linear(hidden, 1))


def _leaky(value: Tensor, slope: float = 0.1) -> Tensor:
    return functional.leaky_relu(value, slope, inplace=True)


def _start(conv: nn.Conv2d, gain: float) -> None:
    """Weights from N(0, 2 gain^2 / fan-in) (He et al. 2015); biases zero."""
    nn.init.normal_(conv.weight, std=gain * math.sqrt(2 / conv.weight[0].numel()))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
