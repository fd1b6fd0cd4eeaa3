"""The theory of the 2014 paper, seen to happen."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import softplus

from sparring import api
from sparring.core import Adam, Player
from sparring.data.points import Points
from sparring.losses import adversarial
from sparring.methods import gan
from sparring.networks import perceptron


def test_discriminator_against_a_fixed_generator_finds_its_optimum() -> None:
    """Proposition 1: D*(x) = p(x) / (p(x) + p_g(x)); mean error under 0.03 over the mixture of both."""
    torch.manual_seed(0)
    data = torch.distributions.Normal(0.5, 0.5)
    forger = torch.distributions.Normal(-0.5, 0.8)
    discriminator = perceptron.Discriminator((1,), (64, 64), 2, 0.0, 0.0)
    player = Player(discriminator, optimizer=Adam(lr=2e-3, betas=(0.9, 0.999)))
    for step in range(1500):
        real, fake = data.sample((1024, 1)), forger.sample((1024, 1))
        loss = adversarial.discriminator_loss(discriminator(real), discriminator(fake))
        player.minimize(loss, lr=2e-3 * (1 - step / 1500))
    points = torch.cat([data.sample((4000, 1)), forger.sample((4000, 1))])
    density = [which.log_prob(points).exp() for which in (data, forger)]
    optimum = (density[0] / (density[0] + density[1])).squeeze(1)
    error = (discriminator(points).sigmoid() - optimum).abs().mean().item()
    assert error < 0.03


def test_value_at_the_optimum_is_minus_log_four_plus_twice_the_divergence() -> None:
    """Theorem 1, by quadrature: V(D*, G) = -log 4 + 2 JSD(p || p_g)."""
    grid = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(mean, scale).log_prob(grid) for mean, scale in ((0.5, 0.5), (-0.5, 0.8)))
    logit = p - q
    value = torch.trapezoid(p.exp() * -softplus(-logit) + q.exp() * -softplus(logit), grid)
    middle = torch.logaddexp(p, q) - math.log(2)
    divergence = sum(torch.trapezoid(each.exp() * (each - middle), grid) for each in (p, q)) / 2
    assert torch.allclose(value, -math.log(4) + 2 * divergence, atol=1e-6)


def test_two_dimensional_game_ends_near_log_four(tmp_path: Path) -> None:
    """At equilibrium the discriminator's loss is log 4 = 1.386 (within 0.1) and the forgeries have the data's moments."""
    config = gan.Config.ring().replace(data=Points("gaussian"), steps=1500, seed=0, device="cpu")
    result = api.start("gan", config, tmp_path / "run", show=False)
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    last = [json.loads(line)["discriminator"] for line in log[-5:]]
    assert abs(sum(last) / len(last) - math.log(4)) < 0.1
    points = result.model.sample(4000, seed=1)
    assert points.mean(0).abs().max() < 0.2
    assert (points.std(0) - 0.5).abs().max() < 0.15


def test_saturating_gradient_vanishes_where_the_other_does_not() -> None:
    """At D(G(z)) = 0.01 the non-saturating slope is 99 times the saturating one; at 1/2 they are equal."""
    slopes = {}
    for probability in (0.01, 0.5, 0.9):
        logit = torch.tensor([math.log(probability / (1 - probability))], requires_grad=True)
        slopes[probability] = [
            abs(torch.autograd.grad(loss(logit), logit)[0].item())
            for loss in (adversarial.saturating, adversarial.non_saturating)
        ]
    assert slopes[0.01][1] / slopes[0.01][0] > 98
    assert math.isclose(*slopes[0.5], rel_tol=1e-5)
    assert slopes[0.9][0] > slopes[0.9][1]


def test_rounds_are_discriminator_updates() -> None:
    """k = 3: three batches and three updates of D for one of G."""
    config = gan.Config.tiny().replace(data=Points("ring"), rounds=3, precision="float32")
    game = gan.Game(gan.Model(config), config)
    drawn: list[int] = []

    def batches():
        data = config.data.open()
        while True:
            drawn.append(1)
            yield data.batch(torch.arange(8), torch.Generator())

    game.step(batches())
    assert len(drawn) == 3
    updates = [next(iter(player.optimizer.state.values()))["step"].item() for player in game.players.values()]
    assert sorted(updates) == [1, 3]


def test_maxout_takes_the_largest_piece() -> None:
    layer = perceptron.Maxout(3, 4, 5)
    value = torch.randn(6, 3)
    pieces = nn.functional.linear(value, layer.linear.weight, layer.linear.bias).view(6, 5, 4)
    assert torch.equal(layer(value), pieces.max(1).values)
