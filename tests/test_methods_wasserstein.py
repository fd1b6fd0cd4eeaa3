"""WGAN, WGAN-GP, R3GAN: their losses, penalties, networks and games, against closed forms; and that they learn."""

from __future__ import annotations

import copy
import itertools
import json
import math
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sparring import core
from sparring.core.config import from_json, to_json
from sparring.core.loop import Loop
from sparring.core.run import Run
from sparring.data.images import ImageBatch, Images
from sparring.data.points import SIZE, SOURCES, PointBatch, Points
from sparring.losses import adversarial, penalties
from sparring.methods import r3gan, wgan, wgan_gp
from sparring.metrics.modes import modes
from sparring.networks import convolutional, critic, perceptron, residual

RESIDUAL = r3gan.Config.tiny().replace(backbone="residual")
LOGITS = torch.tensor([-3.0, 0.2, 1.5, 40.0]), torch.tensor([2.0, -0.7, 1.5, -40.0])


def batches(data: Any, size: int, count: list[int] | None = None) -> Iterator[Any]:
    """Random batches; counted where asked."""
    dataset, chance = data.open(), torch.Generator().manual_seed(0)
    while True:
        if count is not None:
            count.append(1)
        yield dataset.prepare(dataset.batch(torch.randint(len(dataset), (size,), generator=chance), chance))


def build(method: types.ModuleType, config: Any) -> Any:
    torch.manual_seed(0)
    config = config.replace(data=config.data.resolved(), precision="float32")
    return method.Game(method.Model(config), config)


def smooth(sizes: tuple[int, ...] = (3, 16, 1)) -> nn.Sequential:
    """A network whose second derivatives are not zero, in float64."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for given, made in zip(sizes, sizes[1:]):
        layers += [nn.Linear(given, made), nn.Softplus()]
    return nn.Sequential(*layers, nn.Flatten(0)).float()


# --- losses -----------------------------------------------------------------------------------------------------------


def test_wasserstein_is_the_difference_of_means_and_so_are_its_slopes() -> None:
    real, fake = (part.clone().requires_grad_() for part in LOGITS)
    loss = adversarial.wasserstein(real, fake)
    assert loss.item() == pytest.approx(LOGITS[1].mean().item() - LOGITS[0].mean().item())
    slopes = torch.autograd.grad(loss, (real, fake))
    assert torch.equal(slopes[0], torch.full((4,), -0.25)) and torch.equal(slopes[1], torch.full((4,), 0.25))
    assert adversarial.wasserstein_generator(fake).item() == pytest.approx(-LOGITS[1].mean().item())


def test_relativistic_loss_is_of_pairs() -> None:
    """-log sigmoid of each pair's difference: log 2 at a tie, blind to a common shift, not to who is paired with whom."""
    real, fake = LOGITS
    expected = -torch.sigmoid((real - fake).double()).log().mean().item()
    assert adversarial.relativistic(real, fake).item() == pytest.approx(expected, rel=1e-5)
    assert adversarial.relativistic(real, real).item() == pytest.approx(math.log(2))
    shifted = adversarial.relativistic(real + 5, fake + 5).item()
    assert shifted == pytest.approx(expected, rel=1e-5)
    assert abs(adversarial.relativistic(real, fake.flip(0)).item() - expected) > 0.1
    assert softplus(fake - real).mean().item() == pytest.approx(expected, rel=1e-5)
    assert torch.isfinite(adversarial.relativistic(torch.tensor([-1e4]), torch.tensor([1e4])))


# --- penalties --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 2), (6, 1, 4, 4)])
def test_steepness_of_a_linear_critic_is_its_squared_weight(shape: tuple[int, ...]) -> None:
    """Summed over an example's numbers, one value for each example, whatever the size of the batch."""
    weight = torch.randn(shape[1:])
    scores, steepness = penalties.scores_and_steepness(lambda x: (x * weight).flatten(1).sum(1) + 3, torch.randn(shape))
    assert scores.shape == steepness.shape == (6,)
    assert torch.allclose(steepness, weight.square().sum().expand(6))
    assert penalties.slope_from_zero(steepness, 3.0).item() == pytest.approx(1.5 * weight.square().sum().item())
    length = weight.norm().item()
    assert penalties.slope_from_one(steepness).item() == pytest.approx((length - 1) ** 2, rel=1e-4)


def test_a_critic_of_slope_one_is_not_penalised_and_a_flat_one_fully() -> None:
    flat = torch.zeros(2, requires_grad=True)
    _, steepness = penalties.scores_and_steepness(lambda x: x @ flat, torch.randn(5, 2))
    penalty = penalties.slope_from_one(steepness)
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(torch.autograd.grad(penalty, flat)[0]).all()
    _, steepness = penalties.scores_and_steepness(lambda x: x @ torch.tensor([0.6, -0.8]), torch.randn(5, 2))
    assert penalties.slope_from_one(steepness).item() == pytest.approx(0, abs=1e-10)


def finite_difference(score: nn.Module, examples: Tensor, step: float = 1e-4) -> Tensor:
    """Squared length of the slope at each example by central differences, in float64."""
    exact = copy.deepcopy(score).double()
    total = torch.zeros(len(examples), dtype=torch.float64)
    flat = examples.double().flatten(1)
    for index in range(flat.shape[1]):
        ends = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[:, index] += sign * step
            ends.append(exact(moved.view_as(examples)))
        total += ((ends[0] - ends[1]) / (2 * step)).square()
    return total


@pytest.mark.parametrize(
    "penalty", [penalties.slope_from_one, lambda steepness: penalties.slope_from_zero(steepness, 2.0)]
)
def test_penalties_and_their_gradients_are_those_of_finite_differences(penalty: Any) -> None:
    """The second derivative: what the penalty does to a weight, against the penalty with that weight moved a little."""
    network, examples = smooth(), torch.randn(7, 3)
    _, steepness = penalties.scores_and_steepness(network, examples)
    assert torch.allclose(steepness.double(), finite_difference(network, examples), rtol=1e-3)
    weights = list(network.parameters())
    found = torch.autograd.grad(penalty(steepness), weights, allow_unused=True)
    for weight, slope in zip(weights[:3], found):
        assert slope is not None
        for index in (0, weight.numel() - 1):
            ends = []
            for sign in (1, -1):
                moved = copy.deepcopy(network)
                place = dict(zip(weights, moved.parameters()))[weight].data.view(-1)
                place[index] += sign * 1e-2
                ends.append(penalty(finite_difference(moved, examples)).item())
            assert slope.view(-1)[index].item() == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=0.02, abs=2e-4)


@pytest.mark.parametrize("make", [
    lambda: residual.Discriminator((1, 16, 16), 8, 4, 2, 2),
    lambda: critic.Strided((1, 16, 16), 8, 5),
    lambda: critic.Dense((1, 16, 16), (32, 32)),
], ids=["residual", "strided", "dense"])  # fmt: skip
def test_the_opponents_score_each_example_alone(make: Any) -> None:
    """What the penalties ask of them; and their slopes are those of finite differences, also away from the start."""
    torch.manual_seed(0)
    network, examples = make(), torch.randn(3, 1, 16, 16)
    for weight in network.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    scores, steepness = penalties.scores_and_steepness(network, examples)
    assert torch.allclose(network(examples[:1]), scores[:1], atol=1e-5)
    assert torch.allclose(steepness.double(), finite_difference(network, examples, 1e-7), rtol=1e-3)


def test_penalties_are_in_float32_whatever_the_step_is() -> None:
    network, examples = smooth(), torch.randn(7, 3)
    expected = penalties.scores_and_steepness(network, examples)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(examples).dtype == torch.bfloat16
        found = penalties.scores_and_steepness(network, examples.bfloat16().float())
        again = penalties.scores_and_steepness(network, examples)
    assert all(part.dtype == torch.float32 for part in found)
    assert all(torch.equal(one, other) for one, other in zip(expected, again))


def test_between_lies_between_with_a_share_of_its_own_for_each_example() -> None:
    real, fake = torch.zeros(2000, 1, 2, 2), torch.ones(2000, 1, 2, 2)
    share = penalties.between(real, fake.requires_grad_())
    assert not share.requires_grad
    assert torch.equal(share, share[:, :, :1, :1].expand_as(share))
    value = share[:, 0, 0, 0]
    assert value.min() >= 0 and value.max() <= 1 and len(value.unique()) > 1900
    assert value.mean().item() == pytest.approx(0.5, abs=0.03) and value.var().item() == pytest.approx(1 / 12, abs=0.01)


# --- core: RMSprop ----------------------------------------------------------------------------------------------------


def test_rmsprop_takes_the_steps_of_its_equation() -> None:
    """v <- a v + (1 - a) g^2; w <- w - lr g / (sqrt(v) + eps), without momentum."""
    layer = nn.Linear(2, 1, bias=False)
    player = core.Player(layer, optimizer=core.RmsProp(lr=0.1, decay=0.9))
    weight, mean = layer.weight.detach().clone(), torch.zeros(1, 2)
    target = torch.tensor([[1.0, -2.0]])
    for rate in (0.1, 0.1, 0.05):
        player.minimize((layer.weight - target).square().sum(), lr=rate)
        slope = 2 * (weight - target)
        mean = 0.9 * mean + 0.1 * slope.square()
        weight = weight - rate * slope / (mean.sqrt() + 1e-8)
    assert torch.allclose(layer.weight, weight, atol=1e-6)
    assert from_json(core.Optimizer, to_json(core.RmsProp(lr=3e-4))) == core.RmsProp(lr=3e-4)


# --- data: points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_points_follow_their_density(source: str) -> None:
    """Integrates to one, and points are drawn from it: mean log density against its integral over the picture's plane."""
    data = Points(source, sigma=0.1, count=20_000).resolved()
    point = data.open().point
    assert point.shape == (20_000, *data.shape)
    side, reach = 120, 3.0
    steps = (torch.arange(side) + 0.5) / side * 2 * reach - reach
    places = steps[:, None] if data.shape == (1,) else torch.cartesian_prod(steps, steps)
    cell = (2 * reach / side) ** len(data.shape and places[0])
    log = data.log_density(places).double()
    assert (log.exp().sum() * cell).item() == pytest.approx(1, abs=1e-3)
    entropy = (torch.special.xlogy(log.exp(), log.exp()).sum() * cell).item()
    assert data.log_density(point).mean().item() == pytest.approx(entropy, abs=0.03)


@pytest.mark.parametrize("source", SOURCES)
def test_labels_are_modes_or_arms_all_about_equally_likely(source: str) -> None:
    data = Points(source, count=20_000)
    point, label = data.open().batch(torch.arange(20_000), torch.Generator())
    expected = 2 if data.curved else len(data.centres())
    share = torch.bincount(label) / 20_000
    assert len(share) == expected and (share * expected - 1).abs().max() < 0.15
    if data.curved:
        with pytest.raises(core.UserError, match=f"the {source} is a curve"):
            data.centres()
        # Each arm is the other, turned by half a circle.
        way = torch.linspace(0, 1, 9)
        arms = [data.middle(way, torch.full((9,), arm)) for arm in (0, 1)]
        assert torch.allclose(arms[0], -arms[1], atol=1e-6)
    else:
        assert ((point - data.centres()[label]).norm(dim=1) < 6 * data.spread).all()


def test_curves_are_equally_dense_all_along() -> None:
    for source in ("spiral", "moons"):
        data = Points(source)
        places = data.middle(torch.linspace(0, 1, 201), torch.zeros(201))
        steps = (places[1:] - places[:-1]).norm(dim=1)
        assert (steps / steps.mean() - 1).abs().max() < 0.35, source
        assert places.abs().max() < 1.3


def test_one_dimensional_mixture_and_its_log_density_are_exact() -> None:
    data = Points("mixture")
    assert data.shape == (1,) and data.centres().shape == (3, 1) and data.spread == 0.1
    x = torch.linspace(-1.4, 1.4, 50)[:, None]
    normals = torch.distributions.Normal(data.centres().T.double(), 0.1)
    expected = torch.logsumexp(normals.log_prob(x.double()), 1) - math.log(3)
    assert torch.allclose(data.log_density(x).double(), expected, atol=1e-4)


@pytest.mark.parametrize("source", SOURCES)
def test_points_are_drawn(source: str) -> None:
    """Samples in blue, over the density or under it, over what an opponent thinks, with arrows."""
    data = Points(source, count=500)
    point = data.open().point[:200]
    plain = data.picture(point)
    assert plain.shape == (1, 3, SIZE, SIZE) and plain.min() >= -1 and plain.max() <= 1
    places = data.places()
    assert places.shape == ((96, 1) if data.shape == (1,) else (96 * 96, 2))
    heated = data.picture(point, heat=places[:, 0] * 5, arrows=-point)
    assert heated.shape == plain.shape and not torch.equal(heated, plain)
    if data.shape == (2,):
        corner = heated[0, :, 5, [5, -6]]
        assert corner[2, 0] > corner[0, 0] and corner[2, 1] < corner[0, 1]  # left is taken for forged, right for real
    assert torch.equal(data.picture(point), plain)


@pytest.mark.parametrize("changes, text", [
    ({"sigma": -1.0}, "data.sigma is -1.0"),
    ({"sigma": math.nan}, "data.sigma is nan"),
    ({"count": 0}, "data.count is 0"),
])  # fmt: skip
def test_bad_points_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(core.UserError, match=text):
        Points("ring", **changes)


def test_an_unknown_distribution_names_those_there_are() -> None:
    with pytest.raises(core.UserError, match="no distribution 'star'; there are ring, grid, .*, moons"):
        Points("star").resolved()


# --- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, patch", [(28, 2), (28, 1), (32, 1), (32, 4), (64, 2), (24, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_residual_pair_fits_every_size(size: int, patch: int, channels: int) -> None:
    shape = (channels, size, size)
    generator = residual.Generator(5, shape, 8, 2, 1, patch)
    discriminator = residual.Discriminator(shape, 8, 2, 1, patch)
    image = generator(torch.randn(2, 5))
    assert image.shape == (2, *shape) and discriminator(image).shape == (2,)
    assert generator.eval()(100 * torch.randn(2, 5)).abs().max() <= 1


def test_blocks_start_as_the_identity() -> None:
    value = torch.randn(2, 16, 5, 5)
    block = residual.Block(16, 1.0)
    assert torch.equal(block(value), value)
    assert block.mix.groups == 2 and block.mix.weight.shape == (32, 16, 3, 3)


@pytest.mark.parametrize("maps", [(4, 7), (7, 14), (14, 28)])
def test_maps_change_by_a_filter_that_keeps_a_constant(maps: tuple[int, int]) -> None:
    """Inside; and down is the transpose of up."""
    up = residual.Change((3, 3), maps)
    constant = up(torch.ones(1, 3, maps[0], maps[0]))
    assert constant.shape[-1] == maps[1] and torch.allclose(constant[:, :, 1:-2, 1:-2], torch.tensor(1.0))
    down = residual.Change((3, 3), maps[::-1])
    assert torch.allclose(down(torch.ones(1, 3, maps[1], maps[1]))[:, :, 1:-1, 1:-1], torch.tensor(1.0))
    coarse, fine = torch.randn(1, 3, maps[0], maps[0]), torch.randn(1, 3, maps[1], maps[1])
    assert (up(coarse) * fine).sum().item() == pytest.approx(4 * (coarse * down(fine)).sum().item(), rel=1e-4, abs=1e-4)


def test_paper_presets_have_the_papers_sizes() -> None:
    """WGAN-GP's MNIST script: 1.03 million weights in the critic; R3GAN: about 20.7 million in each network."""
    with torch.device("meta"):
        count = {
            "critic": critic.Strided((1, 28, 28), 64, 5),
            "generator": residual.Generator(64, (3, 32, 32), 768, 1, 2, 1),
            "discriminator": residual.Discriminator((3, 32, 32), 768, 1, 2, 1),
        }
    weights = {name: sum(weight.numel() for weight in network.parameters()) for name, network in count.items()}
    assert weights["critic"] / 1e6 == pytest.approx(1.03, abs=0.01)
    assert weights["generator"] / 1e6 == pytest.approx(20.7, abs=0.3)
    assert weights["discriminator"] / 1e6 == pytest.approx(20.7, abs=0.3)


# --- games ------------------------------------------------------------------------------------------------------------


def updates(player: core.Player) -> int:
    return int(next(iter(player.optimizer.state.values()))["step"])


@pytest.mark.parametrize("make", [wgan.Config.tiny, lambda: wgan.Config.ring().replace(batch=8, warm_rounds=3)])
def test_every_weight_of_the_clipped_critic_stays_in_its_box(make: Any) -> None:
    config = make().replace(clip=0.02)
    game = build(wgan, config)
    stream = batches(game.config.data, 8)
    for _ in range(3):
        assert all(weight.abs().max() <= 0.02 for weight in game.critic.parameters())
        game.step(stream)
        game.clock += 1
    assert any(weight.abs().max() > 0.02 for weight in game.model.generator.parameters())


def test_the_critic_warms_up() -> None:
    config = wgan.Config.tiny().replace(critic_rounds=2, warm_rounds=7, warm_steps=2, warm_every=4)
    game, drawn, rounds = build(wgan, config), [], []
    stream = batches(game.config.data, 8, drawn)
    for clock in range(9):
        game.clock, before = clock, len(drawn)
        game.step(stream)
        rounds.append(len(drawn) - before)
    assert rounds == [7, 7, 2, 2, 7, 2, 2, 2, 7]
    assert updates(game.critic_player) == sum(rounds) and updates(game.generator_player) == 9
    game.config = config.replace(warm_steps=0, warm_every=0)
    assert {game.rounds for game.clock in range(9)} == {2}


@pytest.mark.parametrize("method", [wgan_gp, r3gan])
def test_a_batch_in_parts_takes_the_same_step(method: types.ModuleType) -> None:
    """No example knows of another: accumulated halves give the gradients of the whole."""
    # A large epsilon keeps the optimizer from blowing up the rounding of gradients near zero.
    config = method.Config.ring().replace(batch=16, adam=core.Adam(lr=0.1, betas=(0.0, 0.9), eps=1.0))
    shared = next(batches(config.data, 16))
    fixed, kept = torch.rand(16, 2), {}
    for split in (1, 4):
        game = build(method, config)
        game.split = split
        noise = itertools.cycle(fixed.chunk(split))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(game.model), "noise", lambda self, count, chance=None, noise=noise: next(noise))
            patch.setattr(penalties, "between", lambda real, fake: (real + fake.detach()) / 2)
            game.step(itertools.repeat(shared))
        kept[split] = [weight.detach().clone() for weight in game.parameters()]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(kept[1], kept[4]))


def test_wgan_gp_descends_on_its_equation() -> None:
    """Without an update the loss is -distance + lambda E (slope - 1)^2, of the values that it logs."""
    config = wgan_gp.Config.ring().replace(penalty=0.7, batch=64)
    game, notes = build(wgan_gp, config), core.Notes()
    real, fake = next(batches(config.data, 64)).point, torch.randn(64, 2)
    torch.manual_seed(5)
    loss = game.judge(real, fake, notes)
    torch.manual_seed(5)
    places = torch.lerp(real, fake, torch.rand(64, 1)).requires_grad_()
    slope = torch.autograd.grad(game.critic(places).sum(), places)[0].norm(dim=1)
    distance = game.critic(real).mean() - game.critic(fake).mean()
    expected = -distance + 0.7 * (slope - 1).square().mean()
    logged = notes.means()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert logged["distance"].item() == pytest.approx(distance.item(), rel=1e-4)
    assert logged["slope"].item() == pytest.approx(slope.mean().item(), rel=1e-4)


def test_r3gan_descends_on_its_equation_and_its_schedules_run() -> None:
    config = r3gan.Config.ring().replace(penalty=0.6, final_penalty=0.25, batch=32)
    game = build(r3gan, config)
    real, fake = next(batches(config.data, 32)).point, torch.randn(32, 2)
    for clock, share in ((0, 1.0), (config.steps, 0.25)):
        game.clock, notes = clock, core.Notes()
        loss = game.judge(real, fake, notes)
        expected = softplus(game.discriminator(fake) - game.discriminator(real)).mean()
        for examples in (real, fake):
            places = examples.clone().requires_grad_()
            slope = torch.autograd.grad(game.discriminator(places).sum(), places)[0]
            expected = expected + 0.6 * share / 2 * slope.square().sum(1).mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        logged = notes.means()
        assert (logged["D(x)"] + logged["D(G(z))"]).item() == pytest.approx(1, abs=1e-5)
    game.clock = 0
    assert game.settings() == {"lr": pytest.approx(1e-3), "betas": (0.0, pytest.approx(0.9))}
    game.clock = config.steps // 2
    assert game.settings()["lr"] == pytest.approx((1e-3 + 1e-5) / 2)
    game.clock = config.steps
    assert game.settings() == {"lr": pytest.approx(1e-5), "betas": (0.0, pytest.approx(0.99))}


def test_the_generator_of_r3gan_sees_the_exchanged_pairs() -> None:
    game = build(r3gan, r3gan.Config.ring())
    real, fake = torch.randn(8, 2), torch.randn(8, 2, requires_grad=True)
    loss = game.forge(real, fake)
    expected = softplus(game.discriminator(real) - game.discriminator(fake)).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    (slope,), (other,) = torch.autograd.grad(loss, fake), torch.autograd.grad(expected, fake)
    assert torch.allclose(slope, other, atol=1e-6)


@pytest.mark.parametrize("method, data, kinds", [
    (wgan, Images(size=16), (convolutional.Generator, convolutional.Discriminator)),
    (wgan, Points("moons"), (perceptron.Generator, critic.Dense)),
    (wgan_gp, Images(size=16), (convolutional.Generator, critic.Strided)),
    (wgan_gp, Points("mixture"), (perceptron.Generator, critic.Dense)),
    (r3gan, Images(size=16), (convolutional.Generator, critic.Strided)),
    (r3gan, Points("spiral"), (perceptron.Generator, critic.Dense)),
])  # fmt: skip
def test_networks_suit_the_data_and_scores_are_one_for_each_example(
    method: types.ModuleType, data: Images | Points, kinds: tuple[type, type]
) -> None:
    config = method.Config.tiny().replace(data=data, hidden=(16,))
    game = build(method, config)
    opponent = game.discriminator if method is r3gan else game.critic
    assert (type(game.model.generator), type(opponent)) == kinds
    batch: ImageBatch | PointBatch = next(batches(game.config.data, 8))
    assert game.score(batch[0]).shape == (8,)
    values = game.step(batches(game.config.data, 8))
    assert all(torch.isfinite(value) for value in values.values())
    assert game.model.sample(3).shape == (3, *game.config.data.shape)


@pytest.mark.parametrize("make, text", [
    (lambda: wgan.Config(clip=0.0), "--clip must be above 0"),
    (lambda: wgan.Config(critic_rounds=0), "--critic-rounds must be at least 1"),
    (lambda: wgan.Config(warm_rounds=0), "--warm-rounds must be at least 1"),
    (lambda: wgan.Config(warm_every=-1), "--warm-every must be at least 0"),
    (lambda: wgan_gp.Config(critic_rounds=0), "--critic-rounds must be at least 1"),
    (lambda: wgan_gp.Config(penalty=-1.0), "--penalty must be at least 0"),
    (lambda: r3gan.Config(penalty=math.nan), "--penalty must be at least 0"),
    (lambda: r3gan.Config(final_decay=1.0), "--final-decay must be at least 0 and below 1"),
    (lambda: r3gan.Config(widest=0), "--widest must be at least 1"),
    (lambda: build(r3gan, RESIDUAL.replace(patch=3)), "--patch 3 does not divide a side of 16 px"),
    (lambda: build(r3gan, RESIDUAL.replace(patch=8)), "--patch 8 leaves 2 px"),
    (lambda: build(r3gan, RESIDUAL.replace(width=12)), "--width 12 must be a multiple of 8"),
])  # fmt: skip
def test_bad_settings_are_named_before_training(make: Any, text: str) -> None:
    with pytest.raises(core.UserError, match=text):
        make()


# --- theory, seen to happen ---------------------------------------------------------------------------------------------


def test_the_critic_measures_the_distance_between_two_gaussians() -> None:
    """With slopes kept at one the estimate is the shift itself, where the Jensen-Shannon divergence saturates at log 2."""
    data = torch.distributions.Normal(0.0, 0.1)
    found = []
    for shift in (0.5, 1.0, 2.0):
        torch.manual_seed(0)
        network = critic.Dense((1,), (32, 32))
        player = core.Player(network, optimizer=core.Adam(lr=5e-3, betas=(0.0, 0.9)))
        for step in range(250):
            real, fake = data.sample((64, 1)), data.sample((64, 1)) + shift
            _, steepness = penalties.scores_and_steepness(network, penalties.between(real, fake))
            # On a line a critic of the wrong sign is stuck: its slope would have to pass through zero. So it starts free.
            penalty = 10 * min(step / 100, 1) * penalties.slope_from_one(steepness)
            player.minimize(adversarial.wasserstein(network(real), network(fake)) + penalty, lr=5e-3 * (1 - step / 250))
        real, fake = data.sample((2000, 1)), data.sample((2000, 1)) + shift
        with torch.no_grad():
            found.append(-adversarial.wasserstein(network(real), network(fake)).item())
    # The two-sided penalty is a soft one: with weight lambda the slope settles at 1 + shift / (2 lambda).
    for shift, estimate in zip((0.5, 1.0, 2.0), found):
        assert estimate == pytest.approx(shift * (1 + shift / 20), rel=0.06)


def played(method: types.ModuleType, config: Any, folder: Path) -> tuple[Any, list[dict[str, float]]]:
    """The shipped model and the log of a whole run, without its report."""
    game = build(method, config.replace(preview_every=config.steps))
    run = Run.create(folder, {"method": method.__name__, "config": to_json(game.config)})
    loop = Loop(game, game.config.data.open(), run, torch.device("cpu"), show=False)
    assert loop.run()
    run.close()
    return loop.shipped, [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_r3gan_finds_all_modes_of_the_ring(tmp_path: Path) -> None:
    data = Points("ring")
    model, _ = played(r3gan, r3gan.Config.ring().replace(steps=800, ema=0.99), tmp_path / "run")
    found = modes(model.sample(2500, 1), data.centres(), data.spread)
    assert found.captured == 8 and found.high_quality > 0.3, found


@pytest.mark.parametrize("method", [wgan, wgan_gp])
def test_wasserstein_games_bring_their_distance_down(method: types.ModuleType, tmp_path: Path) -> None:
    config = method.Config.ring().replace(
        data=Points("gaussian"), steps=120, batch=64, hidden=(64, 64), log_every=10, ema=0.9
    )
    if method is wgan:
        config = config.replace(warm_rounds=20, optimizer=core.RmsProp(lr=2e-3))
    model, log = played(method, config, tmp_path / "run")
    points = model.sample(2000, 1)
    assert log[-1]["distance"] < 0.5 * max(line["distance"] for line in log)
    assert points.mean(0).abs().max() < 0.3 and (points.std(0) - 0.5).abs().max() < 0.25, (
        points.mean(0),
        points.std(0),
    )
