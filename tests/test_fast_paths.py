"""What is computed another way because it is faster: equal to the plain form, with all its derivatives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring import core
from sparring.core import device
from sparring.losses import penalties, pieces
from sparring.networks import coarse, critic, narrow, residual, unequal

# --- convolutions from and to pictures ----------------------------------------------------------------------------------

PAIRS: list[tuple[nn.Module, nn.Module, tuple[int, ...]]] = [
    (narrow.ToPicture(5, 1, 4, 2, 1), nn.ConvTranspose2d(5, 1, 4, 2, 1), (2, 5, 6, 4)),
    (narrow.ToPicture(5, 3, 4, 2, 1, bias=False), nn.ConvTranspose2d(5, 3, 4, 2, 1, bias=False), (2, 5, 6, 6)),
    (narrow.FromPicture(1, 5, 4, 2, 1), nn.Conv2d(1, 5, 4, 2, 1), (2, 1, 12, 8)),
    (narrow.FromPicture(3, 5, 5, 2, 2, bias=False), nn.Conv2d(3, 5, 5, 2, 2, bias=False), (2, 3, 12, 12)),
    (narrow.FromPicture(2, 5, 5), nn.Conv2d(2, 5, 5), (2, 2, 12, 12)),
    (narrow.OntoPicture(5, 1, 3, padding=1), nn.Conv2d(5, 1, 3, padding=1), (2, 5, 8, 8)),
    (narrow.OntoPicture(5, 2, 5, padding=2), nn.Conv2d(5, 2, 5, padding=2), (2, 5, 8, 12)),
    (narrow.OntoPicture(3, 2, 7), nn.Conv2d(3, 2, 7), (2, 3, 14, 18)),
]


@pytest.mark.parametrize(("quick", "plain", "shape"), PAIRS)
def test_squares_are_the_convolution(
    quick: nn.Module, plain: nn.Module, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, gradients, and gradients of gradients."""
    calls: list[int] = []
    spread = narrow.spread
    monkeypatch.setattr(narrow, "spread", lambda *given: calls.append(1) or spread(*given))
    quick.load_state_dict(plain.state_dict())
    found = [_derivatives(network.double(), torch.Generator().manual_seed(0), shape) for network in (quick, plain)]
    assert calls
    for one, other in zip(*found):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("kernel", "squares"), [(3, False), (7, True), (9, True)])
def test_pictures_are_made_in_squares_from_wide_kernels(
    kernel: int, squares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a way back narrow kernels gain nothing."""
    calls: list[int] = []
    spread = narrow.spread
    monkeypatch.setattr(narrow, "spread", lambda *given: calls.append(1) or spread(*given))
    layer = narrow.OntoPicture(5, 3, kernel, padding=kernel // 2)
    value = torch.randn(1, 5, 12, 16)
    with torch.no_grad():
        made, plain = layer(value), functional.conv2d(value, layer.weight, layer.bias, padding=kernel // 2)
    assert bool(calls) == squares
    torch.testing.assert_close(made, plain)


def _derivatives(network: nn.Module, chance: torch.Generator, shape: tuple[int, ...]) -> list[Tensor]:
    given = torch.randn(shape, generator=chance, dtype=torch.float64, requires_grad=True)
    inputs = [given, *network.parameters()]
    made = network(given)
    first = torch.autograd.grad(made.pow(3).mean(), inputs, create_graph=True)
    total = sum((slope.square().sum() for slope in first), torch.zeros(()))
    return [made, *first, *torch.autograd.grad(total, inputs)]


@pytest.mark.parametrize("quick", [narrow.FromPicture(1, 5, 4, 2, 1), narrow.ToPicture(5, 1, 4, 2, 1)])
def test_nothing_is_computed_for_an_opponents_weights(quick: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    way_back = narrow._way_back
    monkeypatch.setattr(narrow, "_way_back", lambda *given: found.append(way_back(*given)) or found[-1])
    given = torch.randn(2, quick.in_channels, 12, 12, requires_grad=True)
    quick(given).square().sum().backward(inputs=[given])
    assert found[0][1] is None
    assert given.grad is not None
    quick(given).square().sum().backward(inputs=list(quick.parameters()))
    assert all(weight.grad is not None for weight in quick.parameters())


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), [(14, 4, 2, 1), (28, 3, 2, 1), (12, 4, 3, 0)])
def test_sizes_that_squares_do_not_tile_take_the_plain_way(size: int, kernel: int, stride: int, padding: int) -> None:
    assert not narrow.fits(size, kernel, stride, padding)
    layer = narrow.FromPicture(1, 3, kernel, stride, padding)
    image = torch.randn(2, 1, size, size, requires_grad=True)
    assert torch.equal(layer(image), functional.conv2d(image, layer.weight, layer.bias, stride, padding))


# --- slopes -------------------------------------------------------------------------------------------------------------


def twice(score: Any, examples: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and squares of slopes by differentiating twice."""
    places = examples.detach().requires_grad_()
    scores = score(places)
    (slope,) = torch.autograd.grad(scores.sum(), places, create_graph=True)
    return scores, slope.square().flatten(1).sum(1)


@pytest.mark.parametrize(("make", "size"), [
    (lambda: residual.Discriminator((1, 16, 16), 8, 4, 2, 2), 16),
    (lambda: critic.Strided((1, 16, 16), 8, 5), 16),
    (lambda: critic.Strided((1, 28, 28), 4, 4), 28),
    (lambda: critic.Dense((1, 16, 16), (32, 32)), 16),
], ids=["residual", "strided", "strided 28", "dense"])  # fmt: skip
def test_slopes_of_linear_pieces_are_those_of_differentiating_twice(make: Any, size: int) -> None:
    torch.manual_seed(0)
    network, examples = make(), torch.randn(5, 1, size, size)
    for weight in network.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    with pieces.Trace(examples) as trace:
        network(examples)
    assert trace.known
    weights = list(network.parameters())
    losses = {
        "both": lambda scores, squares: scores.sin().mean() + penalties.slope_from_one(squares),
        "slopes": lambda scores, squares: penalties.slope_from_zero(squares, 3.0),
        "scores": lambda scores, squares: scores.square().mean(),
    }
    for loss in losses.values():
        found, expected = (
            torch.autograd.grad(loss(*way(network, examples)), weights, allow_unused=True)
            for way in (penalties.scores_and_steepness, twice)
        )
        for one, other in zip(found, expected):
            one, other = (torch.zeros(()) if slope is None else slope for slope in (one, other))
            torch.testing.assert_close(*torch.broadcast_tensors(one, other), rtol=1e-4, atol=1e-5)


def test_a_dense_critic_is_as_steep_as_the_pieces_that_are_found_in_it() -> None:
    torch.manual_seed(0)
    network, examples = critic.Dense((2,), (32, 32)), torch.randn(50, 2)
    found = []
    for score in (network, network.__call__):
        scores, squares = penalties.scores_and_steepness(score, examples)
        loss = scores.sin().mean() + penalties.slope_from_one(squares)
        found.append([scores, squares, *torch.autograd.grad(loss, list(network.parameters()))])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("score", [
    lambda x: (x @ torch.ones(3)).tanh(),
    lambda x: functional.leaky_relu(x).square().sum(1),
    lambda x: (functional.linear(x, torch.ones(2, 3)) * x[:, :2]).sum(1),
    lambda x: functional.linear(x, x[:1]).squeeze(1),
])  # fmt: skip
def test_what_is_not_known_to_be_linear_in_pieces_is_differentiated_twice(score: Any) -> None:
    examples = torch.randn(4, 3)
    with pieces.Trace(examples) as trace:
        score(examples)
    assert not trace.known
    for one, other in zip(penalties.scores_and_steepness(score, examples), twice(score, examples)):
        assert torch.equal(one, other)


# --- looking ahead ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 28])
def test_columns_are_the_convolutions(size: int) -> None:
    """Values, gradients, and gradients of gradients, image included."""
    torch.manual_seed(0)
    network = unequal.Discriminator((2, size, size), 2).double()
    for halving in network.halvings:
        assert isinstance(halving, nn.Conv2d) and halving.bias is not None
        nn.init.normal_(halving.bias, 0, 0.2)

    def plain(image: Tensor) -> Tensor:
        for halving in network.halvings:
            image = functional.leaky_relu(halving(image), 0.3)
        return network.score(image.flatten(1)).squeeze(1)

    image = torch.randn(6, 2, size, size, dtype=torch.float64, requires_grad=True)
    inputs, found = [image, *network.parameters()], []
    for way in (network, plain):
        made = way(image)
        first = torch.autograd.grad(made.pow(3).mean(), inputs, create_graph=True)
        total = sum((slope.square().sum() for slope in first), torch.zeros(()))
        found.append([made, *first, *torch.autograd.grad(total, inputs)])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other)


# --- core ---------------------------------------------------------------------------------------------------------------


def test_seed_is_torchs() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    device.seed(7, torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("config", [core.Adam(weight_decay=0.1), core.RmsProp(lr=1e-3), core.Sgd()])
def test_moving_is_torchs_step(config: Any) -> None:
    """Bit for bit: also with a weight left out, and after loading."""
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5)]
    quick, usual = ([weight.clone() for weight in start] for _ in range(2))
    mine, theirs = config.build(quick), config.build(usual)
    for step in range(8):
        gradients = [torch.randn(3, 4), None if step == 4 else torch.randn(5)]
        if step == 6:
            state, mine = mine.state_dict(), config.build(quick)
            mine.load_state_dict(state)
        mine.move(gradients)
        for weight, gradient in zip(usual, gradients):
            weight.grad = gradient
        theirs.step()
        assert all(torch.equal(one, other) for one, other in zip(quick, usual))
    for one, other in zip(mine.state_dict()["state"].values(), theirs.state_dict()["state"].values()):
        assert all(torch.equal(one[name], other[name]) for name in one if one[name] is not None)


def test_what_is_computed_in_float32_is_differentiated_in_float32() -> None:
    """Also where the step around it is in bfloat16."""
    torch.manual_seed(0)
    layer, data = nn.Linear(64, 64), torch.randn(32, 64)
    player = core.Player(layer, optimizer=core.Sgd(lr=0.0))
    (expected,) = torch.autograd.grad(layer(data).square().mean(), [layer.weight])
    with torch.autocast("cpu", torch.bfloat16):
        with torch.autocast("cpu", enabled=False):
            loss = layer(data).square().mean()
        player.minimize(loss)
    assert torch.equal(layer.weight.grad, expected)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("side", [1, 4])
def test_coarse_convolutions_are_the_convolutions_that_they_stand_for(count: int, side: int) -> None:
    """Also their slopes."""
    for layer, plain, given in (
        (coarse.Halving(5, 7), functional.conv2d, 2 * side),
        (coarse.Doubling(5, 7), functional.conv_transpose2d, side),
    ):
        image = torch.randn(count, 5, given, given, requires_grad=True)
        found, wanted = layer(image), plain(image, layer.weight, layer.bias, 2, 1)
        assert torch.allclose(found, wanted, atol=1e-5)
        slope = torch.randn_like(wanted)
        inputs = [image, *layer.parameters()]
        for one, other in zip(*(torch.autograd.grad(made, inputs, slope) for made in (found, wanted))):
            assert torch.allclose(one, other, atol=1e-4)
