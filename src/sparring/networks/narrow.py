"""Convolutions from or to very few channels, as pictures have.

A processor's convolution works on sixteen channels at a time and wastes the rest. So squares of 4 x 4 pixels are computed as
sixteen channels of one place, by a kernel that has each weight wherever it is needed: the same sums, up to their order. It
takes the place of transposed convolutions to a picture, of convolutions to a picture, and of the way back, in training, from
a convolution to the picture that it saw.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function_unary

from sparring.networks.linear import wanted

SQUARE = 4
FEW = 3
"""channels up to which it is faster"""
WIDE = 7
"""side of a kernel from which on it is faster without a way back, too: 2.1 times at 7 x 7, 2.6 times at 9 x 9"""


@functools.cache
def _taps(kernel: int, stride: int, padding: int) -> tuple[int, list[list[int]]]:
    """The first place, from a square's, that a transposed convolution brings to the square; for each of its pixels the weight
    with which each place is brought there, `kernel` for none."""
    first, last = -((kernel - 1 - padding) // stride), (SQUARE - 1 + padding) // stride
    taps = [[pixel + padding - stride * place for place in range(first, last + 1)] for pixel in range(SQUARE)]
    return first, [[tap if 0 <= tap < kernel else kernel for tap in row] for row in taps]


def fits(size: int, kernel: int, stride: int, padding: int) -> bool:
    """Whether a transposed convolution to this size can be done in squares: they tile it, and both edges are alike."""
    first, taps = _taps(kernel, stride, padding)
    places = (size - kernel + 2 * padding) // stride + 1
    reach = SQUARE // stride * (size // SQUARE - 1) + first + len(taps[0]) - places
    return size % SQUARE == 0 and SQUARE % stride == 0 and first <= 0 and reach == -first


def spread(value: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """`conv_transpose2d(value, weight, bias, stride, padding)`, in squares."""
    first, taps = _taps(weight.shape[2], stride, padding)
    index = torch.tensor(taps, device=weight.device)
    spaced = functional.pad(weight, (0, 1, 0, 1))[:, :, index][..., index]
    squares = spaced.permute(1, 2, 4, 0, 3, 5).reshape(-1, weight.shape[0], *index.shape[1:] * 2)
    if bias is not None:
        bias = bias.repeat_interleave(SQUARE**2)
    return functional.pixel_shuffle(functional.conv2d(value, squares, bias, SQUARE // stride, -first), SQUARE)


class _Spread(torch.autograd.Function):
    """Squares on the way there; the way back is wide."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(value, weight)
        ctx.how, ctx.bias = (stride, padding), bias is not None
        return spread(value, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        value, weight = ctx.saved_tensors
        return *_way_back(slope, value, weight, ctx.bias, ctx.how, True, _wanted(ctx)), None, None


class _Gather(torch.autograd.Function):
    """Squares on the way back; the way there is wide."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.how, ctx.bias = (stride, padding), bias is not None
        return functional.conv2d(image, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        image, weight = ctx.saved_tensors
        by_image, *others = _wanted(ctx)
        found = _way_back(slope, image, weight, ctx.bias, ctx.how, False, (False, *others))
        return spread(slope, weight, None, *ctx.how) if by_image else None, *found[1:], None, None


def _wanted(ctx: Any) -> tuple[bool, ...]:
    """Of value, weight and bias."""
    return (*wanted(ctx), False)[:3]


def _way_back(
    slope: Tensor,
    value: Tensor,
    weight: Tensor,
    bias: bool,
    how: tuple[int, int],
    transposed: bool,
    sought: tuple[bool, ...],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Slopes by value, weight and bias, as far as they are wanted."""
    stride, padding = how
    if not any(sought):
        return None, None, None
    sizes = [weight.shape[1 if transposed else 0]] if bias else None
    return torch.ops.aten.convolution_backward(
        slope, value, weight, sizes, [stride] * 2, [padding] * 2, [1, 1], transposed, [0, 0], 1, list(sought)
    )


def gather(image: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """`conv2d`, whose way back to the image goes in squares."""
    if has_torch_function_unary(image):
        return handle_torch_function(gather, (image,), image, weight, bias, stride, padding)
    return _in_precision(_Gather, image, weight, bias, stride, padding)


gather.convolves = True  # type: ignore[attr-defined]


def _in_precision(function: Any, value: Tensor, weight: Tensor, bias: Tensor | None, *how: int) -> Tensor:
    """As autocast has it."""
    kind = value.device.type
    given = [value, weight, bias]
    if torch.is_autocast_enabled(kind):
        given = [None if part is None else part.to(torch.get_autocast_dtype(kind)) for part in given]
    with torch.autocast(kind, enabled=False):
        return function.apply(*given, *how)


class FromPicture(nn.Conv2d):
    """A convolution that sees a picture of few channels."""

    def forward(self, image: Tensor) -> Tensor:
        stride, padding = int(self.stride[0]), int(self.padding[0])
        if _quick(image, image.shape[1], image.shape[2:], self.kernel_size[0], stride, padding):
            return gather(image, self.weight, self.bias, stride, padding)
        return super().forward(image)


class ToPicture(nn.ConvTranspose2d):
    """A transposed convolution that makes a picture of few channels."""

    def forward(self, value: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel, stride, padding = self.kernel_size[0], int(self.stride[0]), int(self.padding[0])
        sides = [(side - 1) * stride - 2 * padding + kernel for side in value.shape[2:]]
        if self.output_padding[0] == 0 and _quick(value, self.out_channels, sides, kernel, stride, padding):
            return _in_precision(_Spread, value, self.weight, self.bias, stride, padding)
        return super().forward(value, output_size)


class OntoPicture(nn.Conv2d):
    """A convolution of stride 1 that makes a picture of few channels: a transposed one, its kernel turned."""

    def forward(self, value: Tensor) -> Tensor:
        kernel, padding = self.kernel_size[0], int(self.padding[0])
        sides = [side + 2 * padding - kernel + 1 for side in value.shape[2:]]
        if _quick(value, self.out_channels, sides, kernel, 1, kernel - 1 - padding, kernel >= WIDE):
            turned = self.weight.flip(2, 3).transpose(0, 1)
            return _in_precision(_Spread, value, turned, self.bias, 1, kernel - 1 - padding)
        return super().forward(value)


def _quick(
    value: Tensor, few: int, sides: Sequence[int], kernel: int, stride: int, padding: int, always: bool = False
) -> bool:
    """On a processor, and in training, unless `always`: elsewhere narrow maps cost no more than they should."""
    return (
        value.device.type == "cpu"
        and (always or value.requires_grad)
        and few <= FEW
        and all(fits(side, kernel, stride, padding) for side in sides)
    )
