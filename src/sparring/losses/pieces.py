"""Slopes of networks that are linear in pieces, and what weights do to them, without a second derivative.

Around an example a network of linear layers and leaky ReLUs is linear. Let g be the slope of its score by the output of a layer
and h that layer's input: by its weight, the score has the slope g h^T. The score's change along v, a direction at the example,
has the slope g t^T, where t is what v has become at the layer; with the example's own slope as v, that change is the slope's
square. So any loss of scores and squares, with the derivatives c and w by an example's score and square, has the gradient
g (c h + 2 w t)^T: one pass of c x + 2 w v with the leaky ReLUs held as they were, and one product for each weight.
Differentiating twice takes half as many convolutions again, and far slower ones where channels are in groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

MOVES = {
    Tensor.flatten, Tensor.view, Tensor.reshape, Tensor.permute, Tensor.squeeze, Tensor.contiguous, Tensor.float, Tensor.to,
    functional.pixel_unshuffle,
}  # fmt: skip
"""functions that only move numbers"""
SUMS = {Tensor.add, Tensor.__add__, torch.add}


class _Layer(NamedTuple):
    """A linear layer as it was called; or a leaky ReLU, which is linear once it is known what it bent."""

    function: Callable[..., Tensor]
    weight: Tensor | None
    bias: Tensor | None
    made: Tensor
    """a linear layer's output, a leaky ReLU's input"""
    slope: float


class Trace(TorchFunctionMode):
    """Records the layers that examples pass through, and whether the network is linear in pieces as far as it is known."""

    def __init__(self, examples: Tensor):
        super().__init__()
        self.layers: list[_Layer] = []
        self.known = True
        self.flow = {id(examples): examples}
        """what has become of the examples"""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        parts = made if isinstance(made, tuple | list) else [made]
        if any(isinstance(part, Tensor) for part in parts):
            flows = [id(given) in self.flow for given in args if isinstance(given, Tensor)]
            if _is_layer(func, args, kwargs) and flows[0] and not any(flows[1:]):
                self.layers.append(_layer(func, args, kwargs, made))
            elif any(flows):
                self.known &= func in MOVES or (func in SUMS and flows == [True, True] and not kwargs)
            elif func in (functional.linear, functional.conv2d, functional.leaky_relu):
                self.known = False
            else:
                return made
            self.flow[id(made)] = made
        return made


def _is_layer(function: Any, args: Any, kwargs: Any) -> bool:
    if function is functional.leaky_relu:
        return not kwargs.get("inplace")
    if function is functional.linear:
        return args[0].dim() == 2 and not kwargs
    return _convolves(function) and not kwargs and not isinstance((*args, None, 1, 0)[4], str)


def _convolves(function: Any) -> bool:
    """A convolution: PyTorch's, or one that says that it is called and works as that."""
    return function is functional.conv2d or getattr(function, "convolves", False)


def _layer(function: Any, args: Any, kwargs: Any, made: Tensor) -> _Layer:
    if function is functional.leaky_relu:
        slope = args[1] if len(args) > 1 else kwargs.get("negative_slope", 0.01)
        return _Layer(function, None, None, args[0].detach(), slope)
    return _Layer(function, args[1], args[2] if len(args) > 2 else None, made, 0.0)


class _Held(TorchFunctionMode):
    """Runs the network again with its leaky ReLUs held, and gathers the gradient of each weight and bias.

    Args:
        layers: of the first run.
        slopes: of the score with respect to the output of each linear layer.
        share: c, how much of an example is in what is passed; biases count so much. None: nothing.
    """

    def __init__(self, layers: list[_Layer], slopes: list[Tensor], share: Tensor | None):
        super().__init__()
        self.layers, self.slopes, self.share = iter(layers), iter(slopes), share
        self.gradients: list[Tensor | None] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.leaky_relu:
            layer = next(self.layers)
            return torch.ops.aten.leaky_relu_backward(args[0], layer.made, layer.slope, False)
        if func is functional.linear or _convolves(func):
            layer, slope = next(self.layers), next(self.slopes)
            return self.pass_layer(layer, slope, *args)
        return func(*args, **(kwargs or {}))

    def pass_layer(
        self, layer: _Layer, slope: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None = None, *how: Any
    ) -> Tensor:
        dense = layer.function is functional.linear
        made = functional.linear(value, weight) if dense else functional.conv2d(value, weight, None, *how)
        if layer.weight is not None and layer.weight.requires_grad:
            # By input, as `networks.linear` keeps weights.
            self.gradients.append((value.t() @ slope).t() if dense else _by_kernel(slope, value, weight, *how))
        if layer.bias is not None and layer.bias.requires_grad:
            sums = slope if dense else slope.sum((2, 3))
            self.gradients.append(None if self.share is None else self.share @ sums)
        if bias is not None and self.share is not None:
            made = made + (self.share[:, None] * bias).view(len(made), -1, *[1] * (made.dim() - 2))
        return made


def _by_kernel(slope: Tensor, value: Tensor, weight: Tensor, *how: Any) -> Tensor:
    """The gradient of a convolution's weight."""
    usual: tuple[Any, ...] = (1, 0, 1, 1)
    *strides, groups = how + usual[len(how) :]
    stride, padding, dilation = ([number] * 2 if isinstance(number, int) else list(number) for number in strides)
    return torch.ops.aten.convolution_backward(
        slope, value, weight, None, stride, padding, dilation, False, [0, 0], groups, [False, True, False]
    )[1]


class _Pieces(torch.autograd.Function):
    """Scores and squares of slopes as functions of the weights."""

    @staticmethod
    def forward(
        ctx: Any, network: Any, layers: Any, examples: Tensor, scores: Tensor, slopes: Any, *weights: Any
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.network, ctx.layers, ctx.examples, ctx.slopes = network, layers, examples, slopes
        return scores.clone(), slopes[0].square().flatten(1).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_score: Tensor | None, by_square: Tensor | None) -> Any:
        direction, *slopes = ctx.slopes
        parts = [part * share.view(-1, *[1] * (part.dim() - 1))
                 for part, share in ((ctx.examples, by_score), (2 * direction, by_square)) if share is not None]  # fmt: skip
        held = _Held(ctx.layers, slopes, by_score)
        with torch.no_grad(), torch.autocast(direction.device.type, enabled=False), held:
            ctx.network(sum(parts[1:], parts[0]))
        return None, None, None, None, None, *held.gradients


def scores_and_steepness(
    network: Callable[[Tensor], Tensor], trace: Trace, examples: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
    """N scores, and the sum over an example's numbers of its gradient's square, N; both can be differentiated once.

    Args:
        network: examples to scores, linear in pieces.
        trace: of its run.
        examples: N x shape, which it was run on, a leaf that requires its gradient.
        scores: N, which it gave.
    """
    linear = [layer for layer in trace.layers if layer.weight is not None]
    slopes = torch.autograd.grad(scores.sum(), [examples, *(layer.made for layer in linear)])
    weights = [given for layer in linear for given in (layer.weight, layer.bias) if given is not None]
    learned = [given for given in weights if given.requires_grad]
    return _Pieces.apply(network, trace.layers, examples.detach(), scores.detach(), slopes, *learned)
