"""What an opponent sees: packing and differentiable augmentation, in every game that has them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sparring import api, catalogue
from sparring.core.errors import UserError
from sparring.core.game import Notes
from sparring.methods import dcgan, gan, r3gan, wgan_gp
from sparring.networks.sight import CHANGES, Config, packed, seen
from sparring.tasks.sample import Sample

METHODS = [found.name for found in catalogue.methods().values() if issubclass(found.load().Config, Config)]


def test_the_games_that_have_it() -> None:
    assert METHODS == ["dcgan", "gan", "r3gan", "wgan", "wgan_gp"]


def test_packs_are_neighbours() -> None:
    images = torch.arange(4 * 2 * 3 * 3.0).view(4, 2, 3, 3)
    joined = packed(images, 2)
    assert joined.shape == (2, 4, 3, 3)
    assert torch.equal(joined[1, :2], images[2])
    assert torch.equal(joined[1, 2:], images[3])
    points = torch.arange(12.0).view(6, 2)
    assert torch.equal(packed(points, 3)[1], points[3:].flatten())
    assert packed(points, 1) is points


def test_a_pack_must_be_whole() -> None:
    with pytest.raises(UserError, match="5 examples are not whole packs of 2"):
        packed(torch.zeros(5, 2), 2)


@pytest.mark.parametrize("name", METHODS)
def test_bad_flags_are_told_before_anything_starts(name: str) -> None:
    config = api.starting_point(name, "tiny")
    with pytest.raises(UserError, match="--pack must be at least 1"):
        config.replace(pack=0)
    with pytest.raises(UserError, match="--pack 3 does not divide --batch 8"):
        config.replace(pack=3)


def test_points_are_not_augmented() -> None:
    with pytest.raises(UserError, match="--augment changes pictures"):
        gan.Config.ring().replace(augment=("color",))


@pytest.mark.parametrize("name", METHODS)
def test_every_game_plays_packed_and_augmented(name: str, tmp_path: Path) -> None:
    config = api.starting_point(name, "tiny").replace(pack=2, augment=("color", "translation", "cutout"))
    config = api.with_data(config, "digits")
    result = api.start(name, config, tmp_path / "run", show=False)
    assert result.finished
    assert isinstance(result.model, Sample)
    assert result.model.sample(3).isfinite().all()


def game_of(config: dcgan.Config, **changes: object) -> dcgan.Game:
    config = dataclasses.replace(config, data=config.data.replace(source="digits").resolved(), **changes)  # type: ignore[arg-type]
    return dcgan.Game(dcgan.Model(config), config)


def test_the_opponent_has_the_pack_s_channels_and_half_the_scores() -> None:
    game = game_of(dcgan.Config.tiny(), pack=2)
    assert game.seen_score(torch.zeros(8, 1, 16, 16)).shape == (4,)
    assert game.score(torch.zeros(8, 1, 16, 16)) is None
    assert game_of(dcgan.Config.tiny()).score(torch.zeros(8, 1, 16, 16)) is not None


def test_a_packed_discriminator_tells_sameness_from_variety() -> None:
    """Real: two different signs; forged: the same sign twice. Examples alone are alike; packs are not."""
    torch.manual_seed(0)
    config = gan.Config.ring().replace(pack=2, batch=64)
    game = gan.Game(gan.Model(config), config)
    first = (torch.rand(4096, 1) < 0.5) * 2.0 - 1
    real = torch.stack([first.expand(-1, 2), -first.expand(-1, 2)], 1).flatten(0, 1)
    fake = torch.stack([first.expand(-1, 2), first.expand(-1, 2)], 1).flatten(0, 1)
    for index in torch.arange(4096 * 2).view(-1, 256)[:32]:
        game.discriminator_player.minimize(game.judge(real[index], fake[index], Notes()))
    with torch.no_grad():
        real_score, fake_score = (game.discriminator(packed(part, 2)) for part in (real, fake))
    assert (real_score > 0).float().mean() > 0.99
    assert (fake_score < 0).float().mean() > 0.99


def images(count: int = 6, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, 16, 16) * 2 - 1


@pytest.mark.parametrize("name", CHANGES)
def test_changes_keep_shape_differ_by_example_and_pass_gradients(name: str) -> None:
    torch.manual_seed(0)
    given = images(1).repeat(32, 1, 1, 1).requires_grad_()
    made = CHANGES[name](given)
    assert made.shape == given.shape
    assert not all(torch.equal(made[0], other) for other in made[1:])
    (slope,) = torch.autograd.grad(made.square().sum(), given, create_graph=True)
    assert slope.abs().sum() > 0
    (twice,) = torch.autograd.grad(slope.square().sum(), given)
    assert twice.isfinite().all()


def test_translation_moves_and_fills_with_grey() -> None:
    torch.manual_seed(0)
    given = torch.ones(64, 1, 16, 16)
    made = CHANGES["translation"](given)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    shares = made.mean((1, 2, 3))
    assert shares.min() >= (14 / 16) ** 2
    assert shares.max() == 1
    spot = torch.zeros(64, 1, 16, 16)
    spot[:, :, 8, 8] = 1
    rows, columns = (CHANGES["translation"](spot).sum(axes).argmax(1) for axes in ((1, 3), (1, 2)))
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}


def test_cutout_hides_at_most_a_quarter() -> None:
    torch.manual_seed(0)
    hidden = 1 - CHANGES["cutout"](torch.ones(256, 1, 16, 16)).mean((1, 2, 3))
    assert hidden.max() == 0.25
    assert 0 < hidden.min() < 0.2


def test_grey_pictures_have_no_saturation() -> None:
    torch.manual_seed(0)
    given = images(8, 1)
    made = CHANGES["color"](given)
    # Brightness and contrast are affine in each picture.
    for before, after in zip(given.flatten(1), made.flatten(1)):
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.9999


def test_seen_changes_then_packs() -> None:
    torch.manual_seed(0)
    config = r3gan.Config.tiny().replace(pack=2, augment=("cutout",))
    made = seen(torch.ones(8, 1, 16, 16), config)
    assert made.shape == (4, 2, 16, 16)
    assert (made == 0).any()


def test_penalties_are_of_the_pack() -> None:
    """The slope of f(a, b) = a - b is sqrt(2) along the pack, not 1 for each of its members."""
    from sparring.losses.penalties import scores_and_steepness

    points = packed(torch.randn(8, 1), 2)
    _, steepness = scores_and_steepness(lambda pack: pack[:, 0] - pack[:, 1], points)
    assert steepness.shape == (4,)
    assert torch.allclose(steepness, torch.full((4,), 2.0))
    config = wgan_gp.Config.ring().replace(pack=2)
    assert config.seen_shape == (4,)
