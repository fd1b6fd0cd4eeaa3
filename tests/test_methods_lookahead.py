"""Unrolled GAN and noise-contrastive estimation: what can be computed beforehand, and that they learn."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring import api
from sparring.core import Adam, Player, Sgd, UserError
from sparring.core.stream import Shuffle, Stream
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.losses import adversarial
from sparring.losses.contrastive import noise_contrastive_loss
from sparring.losses.lookahead import look_ahead
from sparring.methods import gan, nce, unrolled
from sparring.networks import multilayer

OPTIMIZERS = [
    Adam(lr=0.05, betas=(0.5, 0.99), eps=1e-12),
    Adam(lr=0.05, betas=(0.9, 0.999), eps=1e-12, weight_decay=0.1),
    Sgd(lr=0.05, momentum=0.0),
    Sgd(lr=0.05, momentum=0.7, weight_decay=0.1),
]
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)


def stream(config: Any) -> Stream:
    data = config.data.open()
    return Stream(data, Shuffle(len(data), config.batch, 0), 0, torch.device("cpu"))


def small_player(optimizer: Adam | Sgd) -> tuple[multilayer.Score, Player]:
    torch.manual_seed(0)
    network = multilayer.Score((2,), (5,), torch.tanh).double()
    return network, Player(network, optimizer=optimizer)


def loss_of(network: nn.Module, weights: Sequence[Tensor], real: Tensor, fake: Tensor) -> Tensor:
    named = dict(zip([name for name, _ in network.named_parameters()], weights))
    real_score, fake_score = torch.func.functional_call(network, named, (torch.cat([real, fake]),)).split(len(real))
    # In double precision, for the differences below; the library's own loss is in float32.
    return nn.functional.softplus(-real_score).mean() + nn.functional.softplus(fake_score).mean()


@every_optimizer
@pytest.mark.parametrize("warm", [0, 3])
def test_lookahead_is_where_the_optimizer_goes(optimizer: Adam | Sgd, warm: int) -> None:
    """K differentiable updates end where K real ones do, from the optimizer's own moments, which are left alone."""
    network, player = small_player(optimizer)
    real, fake = torch.randn(16, 2).double() + 1, torch.randn(16, 2).double()
    for _ in range(warm):
        player.minimize(loss_of(network, player.weights, real, fake))
    before = copy.deepcopy((network.state_dict(), player.state_dict()))
    ahead = look_ahead(player, lambda weights: loss_of(network, weights, real, fake), 4, optimizer.lr)
    for kept, value in zip(before[0].values(), network.state_dict().values()):
        assert torch.equal(kept, value)
    assert str(before[1]) == str(player.state_dict())
    assert all(weight.grad is None for weight in player.weights) or warm
    for _ in range(4):
        player.minimize(loss_of(network, player.weights, real, fake))
    for reached, weight in zip(ahead, player.weights):
        torch.testing.assert_close(reached.detach(), weight.detach(), rtol=1e-6, atol=1e-6)
        assert reached.stride() == weight.stride()


@every_optimizer
def test_gradient_through_the_lookahead_equals_finite_differences(optimizer: Adam | Sgd) -> None:
    """d f(theta_D^K(fake), fake) / d fake, in double precision."""
    network, player = small_player(optimizer)
    real, fake = torch.randn(6, 2).double() + 1, torch.randn(6, 2).double().requires_grad_()
    player.minimize(loss_of(network, player.weights, real, fake.detach()))

    def surrogate(fake: Tensor) -> Tensor:
        ahead = look_ahead(player, lambda weights: loss_of(network, weights, real, fake), 3, optimizer.lr)
        return loss_of(network, ahead, real, fake)

    assert torch.autograd.gradcheck(surrogate, (fake,), eps=1e-6, atol=1e-6)
    ahead = look_ahead(player, lambda weights: loss_of(network, weights, real, fake.detach()), 3, optimizer.lr)
    held = loss_of(network, [weight.detach() for weight in ahead], real, fake)
    whole, direct = (torch.autograd.grad(value, fake)[0] for value in (surrogate(fake), held))
    assert (whole - direct).abs().max() > 1e-4


def test_a_weight_without_gradient_leaves_the_lookahead_finite() -> None:
    """The root of Adam has infinite slope at zero; dead units must not poison the rest."""
    torch.manual_seed(0)
    network = multilayer.Score((2,), (8,), torch.relu)
    with torch.no_grad():
        network.hidden[0].bias.fill_(-100)
    player = Player(network, optimizer=Adam())
    real, fake = torch.randn(4, 2), torch.randn(4, 2, requires_grad=True)

    def loss(weights: Sequence[Tensor]) -> Tensor:
        return loss_of(network, weights, real, fake)

    ahead = look_ahead(player, loss, 5, 1e-3)
    (slope,) = torch.autograd.grad(loss(ahead), fake)
    assert slope.isfinite().all()


@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
@pytest.mark.parametrize("split", [1, 2])
def test_no_lookahead_is_the_plain_game_bit_for_bit(
    objective: Any, split: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K = 0 and methods/gan.py with the same networks, noise and rates: equal weights after 20 steps."""
    adam = Adam(lr=1e-3, betas=(0.5, 0.999))
    config = unrolled.Config.ring().replace(
        lookahead=0, objective=objective, batch=32, steps=20, hidden=(16, 16), generator_optimizer=adam,
        discriminator_optimizer=adam,
    )  # fmt: skip
    torch.manual_seed(0)
    mine = unrolled.Game(unrolled.Model(config), config)
    plain_config = gan.Config.ring().replace(
        objective=objective, batch=32, steps=20, optimizer=adam, final_rate=config.final_rate
    )
    plain = gan.Game(gan.Model(plain_config), plain_config)
    plain.model.generator = copy.deepcopy(mine.model.generator)
    plain.discriminator = copy.deepcopy(mine.discriminator)
    plain.discriminator_player = Player(plain.discriminator, optimizer=adam)
    plain.generator_player = Player(plain.model.generator, optimizer=adam)
    monkeypatch.setattr(plain.model, "noise", mine.model.noise)
    for game in (mine, plain):
        game.split = split
        batches = stream(config)
        for clock in range(20):
            torch.manual_seed(clock)
            game.clock = clock
            game.step(batches)
    for networks in ((mine.model.generator, plain.model.generator), (mine.discriminator, plain.discriminator)):
        for one, other in zip(*(network.parameters() for network in networks)):
            assert torch.equal(one, other)


@pytest.mark.parametrize("preset", ["ring", "stacked"])
def test_the_discriminator_moves_by_one_update_whatever_is_looked_ahead_to(preset: str) -> None:
    """After one step from the same start the discriminator is the same for every K; the generator is not."""
    found = []
    for rounds in (0, 1, 4):
        config = unrolled.Config.tiny().replace(lookahead=rounds, batch=16)
        if preset == "stacked":
            config = config.replace(data=Stacked("stacked:digits", channels=2, size=16))
        else:
            config = config.replace(data=Points("ring"), hidden=(16,))
        torch.manual_seed(0)
        game = unrolled.Game(unrolled.Model(config), config)
        torch.manual_seed(1)
        game.step(stream(config))
        found.append((game.discriminator.state_dict(), game.discriminator_player.state_dict(), game.model.state_dict()))
    for one, other in ((found[0], found[1]), (found[0], found[2])):
        assert all(torch.equal(a, b) for a, b in zip(one[0].values(), other[0].values()))
        assert str(one[1]) == str(other[1])
        assert not all(torch.equal(a, b) for a, b in zip(one[2].values(), other[2].values()))


def test_minimax_surrogate_is_minus_the_loss_of_the_discriminator_to_come() -> None:
    """By hand for one step of plain gradient descent."""
    sgd = Sgd(lr=0.3, momentum=0.0)
    config = unrolled.Config.ring().replace(lookahead=1, hidden=(8,), discriminator_optimizer=sgd)
    torch.manual_seed(0)
    game = unrolled.Game(unrolled.Model(config), config)
    real, fake = torch.randn(8, 2), torch.randn(8, 2)
    copied = copy.deepcopy(game.discriminator)
    loss = adversarial.discriminator_loss(copied(real), copied(fake))
    for weight, slope in zip(copied.parameters(), torch.autograd.grad(loss, list(copied.parameters()))):
        weight.data -= 0.3 * slope
    expected = -adversarial.discriminator_loss(copied(real), copied(fake))
    torch.testing.assert_close(game.surrogate(real, fake, 0.3), expected)


def test_unrolled_points_find_the_ring(tmp_path: Path) -> None:
    config = unrolled.Config.ring().replace(
        data=Points("ring", sigma=0.1),
        steps=600,
        lookahead=3,
        batch=128,
        hidden=(64, 64),
        device="cpu",
        watch=False,
        preview_every=600,
    )
    result = api.start("unrolled", config, tmp_path / "run", show=False)
    points = result.model.sample(2500, seed=1)
    distance = torch.cdist(points, config.data.centres())
    near = distance.argmin(1)[distance.amin(1) < 0.3]
    assert len(near.unique()) >= 7
    assert len(near) / len(points) > 0.5


@pytest.mark.parametrize(
    ("make", "flag"),
    [
        (lambda: unrolled.Config(lookahead=-1), "--lookahead"),
        (lambda: unrolled.Config(discriminator_width=0), "--discriminator-width"),
        (lambda: nce.Config(ratio=0), "--ratio"),
        (lambda: nce.Config(spread=0.0), "--spread"),
    ],
)
def test_bad_settings_are_named(make: Any, flag: str) -> None:
    with pytest.raises(UserError, match=flag):
        make()


# --- noise-contrastive estimation ---------------------------------------------------------------------------------------


def test_contrastive_loss_is_the_discriminators_at_a_ratio_of_one() -> None:
    real, noise = torch.randn(10), torch.randn(10)
    assert torch.equal(noise_contrastive_loss(real, noise), adversarial.discriminator_loss(real, noise))


@pytest.mark.parametrize("ratio", [1, 5])
def test_contrastive_loss_is_least_at_the_data_density_constant_included(ratio: int) -> None:
    """By quadrature, over mean, width and constant of a Gaussian model: no slope at the truth, more loss around it."""
    line = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    data, noise = (torch.distributions.Normal(*torch.tensor(pair).double()) for pair in ((0.5, 0.7), (0.0, 2.0)))
    p, q = data.log_prob(line).exp(), noise.log_prob(line).exp()

    def loss(mean: Tensor, width: Tensor, constant: Tensor) -> Tensor:
        logit = -(((line - mean) / width) ** 2) / 2 + constant - noise.log_prob(line) - math.log(ratio)
        softplus = nn.functional.softplus
        return torch.trapezoid(p * softplus(-logit) + ratio * q * softplus(logit), line)

    truth = (data.mean.item(), data.stddev.item(), -math.log(data.stddev.item() * math.sqrt(2 * math.pi)))
    values = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in truth]
    least = loss(*values)
    assert all(slope.abs() < 1e-9 for slope in torch.autograd.grad(least, values))
    for place in range(3):
        for change in (-0.1, 0.1):
            moved = [value.detach() + change * (number == place) for number, value in enumerate(values)]
            assert loss(*moved) > least + 1e-4


def fitted(data: Points, steps: int, folder: Path) -> nce.Model:
    config = nce.Config(data=data, hidden=(64, 64, 64), steps=steps, device="cpu", watch=False, preview_every=steps)
    model = api.start("nce", config, folder, show=False).model
    assert isinstance(model, nce.Model)
    return model


def truth(data: Points, points: Tensor) -> Tensor:
    """Log density of the mixture."""
    exponent = -(torch.cdist(points, data.centres()) / data.spread).square() / 2
    constant = math.log(len(data.centres())) + len(data.shape and data.centres()[0]) * math.log(
        data.spread * math.sqrt(2 * math.pi)
    )
    return torch.logsumexp(exponent, 1) - constant


@pytest.mark.parametrize("source", ["line", "gaussian", "ring"])
def test_nce_recovers_density_and_partition_constant(source: str, tmp_path: Path) -> None:
    """Total variation to the truth at most 8 %; Z within 5 % of the integral; moments of samples as the data's."""
    data = Points(source, sigma=0.2 if source == "ring" else 0.0)
    model = fitted(data, 1500 if source == "ring" else 600, tmp_path / "run")
    dimensions = data.shape[0]
    side = torch.linspace(-4, 4, 321)
    points = torch.cartesian_prod(*[side] * dimensions).view(-1, dimensions)
    cell = (side[1] - side[0]).item() ** dimensions
    with torch.no_grad():
        partition = model.log_unnormalised(points).double().exp().sum().item() * cell
    assert abs(model.log_partition.exp().item() / partition - 1) < 0.05
    error = (model.judge(points).exp() - truth(data, points).exp()).abs().sum().item() * cell / 2
    assert error < 0.08
    samples, examples = model.sample(4000, seed=1), data.open().point[:4000]
    assert (samples.mean(0) - examples.mean(0)).abs().max() < 0.08
    assert (samples.std(0) / examples.std(0) - 1).abs().max() < 0.08


def test_density_verb_answers_at_points_and_sums_up(tmp_path: Path) -> None:
    model = fitted(Points("gaussian"), 300, tmp_path / "run")
    seen = model.density((0.0, 0.0, 0.5, -0.5), size=64, reach=3.0)
    assert seen.picture.shape == (1, 3, 64, 64)
    assert abs(seen.mass - 1) < 0.15
    torch.testing.assert_close(seen.points[:, 2], model.judge(torch.tensor([[0.0, 0.0], [0.5, -0.5]])))
    assert torch.equal(model.sample(50, 3), model.sample(50, 3))
    with pytest.raises(UserError, match="--at takes 2 numbers"):
        model.density((0.0,))
    with pytest.raises(UserError, match="--size"):
        model.density(size=1)


def test_metropolis_keeps_a_known_density() -> None:
    """Samples of a standard Gaussian of width 0.5 that the model knows exactly: their moments."""
    config = nce.Config.tiny().replace(data=Points("gaussian"))
    model = nce.Model(config)
    with torch.no_grad():
        model.network.out.weight.zero_()
        model.bell.fill_(math.log(math.expm1(4.0)))
        model.log_partition.fill_(math.log(2 * math.pi * 0.25))
    samples = model.eval().requires_grad_(False).sample(8000, seed=0)
    assert samples.mean(0).abs().max() < 0.03
    assert (samples.std(0) - 0.5).abs().max() < 0.02
    assert abs((samples[:, 0] * samples[:, 1]).mean()) < 0.02
    assert len(samples.unique(dim=0)) > 7900
    assert abs(model.density(reach=3.0).mass - 1) < 1e-4
