"""LAPGAN and BEGAN: what can be computed beforehand, and that they learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sparring import api
from sparring.core import Config, Player, UserError
from sparring.core.stream import Shuffle, Stream
from sparring.data.images import Images
from sparring.methods import began, lapgan
from sparring.networks import autoencoder, pyramid
from sparring.networks.upsampling import Doubling


def stream(config: Config) -> Stream:
    data = config.data.open()
    return Stream(data, Shuffle(len(data), config.batch, 0), 0, torch.device("cpu"))


def built(module: Any, **changes: Any) -> Any:
    config = module.Config.tiny().replace(**changes)
    config = config.replace(data=config.data.resolved(), precision="float32")
    torch.manual_seed(0)
    return module.Game(module.Model(config), config)


# --- LAPGAN -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "levels"), [(32, 3), (28, 3), (16, 2), (64, 4)])
def test_pyramid_gives_the_picture_back(size: int, levels: int) -> None:
    images = torch.rand(4, 3, size, size) * 2 - 1
    split = pyramid.split(images, levels)
    assert [part.shape[-1] for part in split] == [size >> level for level in reversed(range(levels))]
    assert (pyramid.join(split) - images).abs().max() < 1e-6


def test_pyramid_gives_digits_back() -> None:
    digits = Images("digits").open()
    image = digits.prepare(digits.batch(torch.arange(64), torch.Generator())).image
    assert (pyramid.join(pyramid.split(image, 3)) - image).abs().max() < 1e-6


def test_flat_pictures_have_no_detail() -> None:
    for residual in pyramid.split(torch.full((1, 1, 28, 28), 0.3), 3)[1:]:
        assert residual.abs().max() < 1e-6


def test_sampling_and_training_build_the_same_levels() -> None:
    """A generator whose details are the true residuals draws the very picture: the path of `stages` is that of `join`."""
    game = built(lapgan)
    generator = game.model.generator
    image = next(stream(game.config)).image
    parts = pyramid.split(image, len(generator.sides))
    hooks = [
        network.register_forward_hook(
            lambda network, given, made, number=number: parts[0] if number == 0 else given[0][:, 1:2] + parts[number]
        )
        for number, network in enumerate(generator.levels)
    ]
    assert (generator(game.model.noise(len(image))) - image).abs().max() < 1e-6
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize(("size", "base", "sides"), [(28, 7, [7, 14, 28]), (32, 8, [8, 16, 32]), (28, 8, [14, 28])])
def test_sides_halve_down_to_the_base(size: int, base: int, sides: list[int]) -> None:
    assert pyramid.sides(size, base) == sides


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": Images("digits"), "base": 29}, "28 px are smaller than the pyramid's base, --base 29"),
        ({"data": Images("digits"), "base": 15}, "28 px cannot be halved to 15 px or more.*--data.size 30"),
        ({"base": 3}, "--base must be at least 4"),
        ({"dropout": 1.0}, "--dropout"),
    ],
)
def test_bad_pyramids_are_refused_by_the_flag(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        api.start("lapgan", lapgan.Config.tiny().replace(**changes), tmp_path / "run", show=False)
    assert not (tmp_path / "run").exists()


def test_levels_know_nothing_of_each_other() -> None:
    """With the other levels' networks spoilt, a level learns exactly the same."""
    states = []
    for spoil in (False, True):
        game = built(lapgan, data=Images("digits", size=28), dropout=0.0)
        if spoil:
            for network in (*game.model.generator.levels[:1].parameters(), *game.levels[0].discriminator.parameters()):
                network.data.zero_()
        torch.manual_seed(1)
        game.step(stream(game.config))
        game.step(stream(game.config))
        states.append([network.state_dict() for network in list(game.model.generator.levels)[1:]])
    for one, other in zip(*states):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_levels_may_move_in_turn() -> None:
    game = built(lapgan, turns="alternate", data=Images("digits", size=28))
    batches = stream(game.config)
    for clock in range(7):
        before = [[weight.clone() for weight in level.generator_player.weights] for level in game.levels]
        game.clock = clock
        assert set(game.step(batches)) == {
            f"{name} {side}" for name in ("discriminator", "generator", "D(x)", "D(G(z))") for side in (7, 14, 28)
        }
        moved = [
            any(not torch.equal(old, new) for old, new in zip(weights, level.generator_player.weights))
            for weights, level in zip(before, game.levels)
        ]
        assert moved == ([True] * 3 if clock == 0 else [number == clock % 3 for number in range(3)])


def test_halves_of_a_batch_add_up_to_the_whole() -> None:
    """Without dropout, the same weights after one step of plain gradient descent, split or not."""
    states = []
    for split in (1, 2):
        game = built(lapgan, dropout=0.0, optimizer=lapgan.core.Sgd(lr=0.1, momentum=0.0))
        game.split = split
        torch.manual_seed(1)
        game.step(stream(game.config))
        states.append([*game.parameters()])
    for one, other in zip(*states):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_labels_reach_both_players_at_every_level() -> None:
    game = built(lapgan, conditional=True)
    game.step(stream(game.config))
    model = game.model.eval()
    noise = model.seeded_noise(4, 0)
    one, other = (model.generator.stages(model.labelled(noise, torch.full((4,), label))) for label in (1, 2))
    for number, (first, second) in enumerate(zip(one, other)):
        assert not torch.equal(first, second), number
    image = torch.rand(4, 1, 16, 16)
    judge = game.levels[-1].discriminator
    labels = [functional.one_hot(torch.full((4,), label), 10).float() for label in (1, 2)]
    assert not torch.equal(judge(image, labels[0]), judge(image, labels[1]))
    assert model.sample(3, label=7).shape == (3, 1, 16, 16)
    with pytest.raises(UserError, match="--label is 10"):
        model.sample(3, label=10)
    with pytest.raises(UserError, match="--label is 0; .*--conditional"):
        built(lapgan).model.sample(3, label=0)


def test_labels_that_are_missing_are_named(tmp_path: Path) -> None:
    from sparring.core.media import save_image

    save_image(torch.rand(40, 1, 16, 16) * 2 - 1, tmp_path / "bare")
    config = lapgan.Config.tiny().replace(conditional=True, data=Images(str(tmp_path / "bare"), size=16))
    with pytest.raises(UserError, match="no label"):
        api.start("lapgan", config, tmp_path / "run", show=False)


def test_learned_detail_beats_none(tmp_path: Path) -> None:
    """After seconds of training: sharpness of samples beside that of the data and of the doubled coarser level."""
    config = lapgan.Config(
        data=Images("digits", size=16), base=8, hidden=(64,), discriminator_hidden=(64,), width=12, batch=32, steps=300,
        optimizer=lapgan.core.Adam(lr=3e-3, betas=(0.5, 0.99)), ema=0.9, device="cpu", watch=False, preview_every=250,
    )  # fmt: skip
    model = api.start("lapgan", config, tmp_path / "run", show=False).model
    assert isinstance(model, lapgan.Model)
    digits = config.data.open()
    real = digits.prepare(digits.batch(torch.arange(256), torch.Generator())).image
    coarse = pyramid.copies(real, 2)[0]
    noise = model.seeded_noise(256, 0)
    with torch.no_grad():
        drawn = model.generator.levels[1](model.generator.given(1, noise, coarse)).clamp(-1, 1)

    def sharpness(image: Tensor) -> float:
        across, down = image[..., 1:] - image[..., :-1], image[..., 1:, :] - image[..., :-1, :]
        return (across.square().mean() + down.square().mean()).item()

    wanted, blurred, found = sharpness(real), sharpness(pyramid.double(coarse)), sharpness(drawn)
    assert abs(found - wanted) < 0.5 * abs(blurred - wanted)
    assert (drawn - real).abs().mean() < 1.3 * (pyramid.double(coarse) - real).abs().mean()


# --- BEGAN --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "made", "side"), [(3, 5, 4), (8, 2, 7), (1, 1, 1)])
def test_doubling_is_nearest_then_convolution(given: int, made: int, side: int) -> None:
    """Values and all gradients, in double precision."""
    torch.manual_seed(0)
    layer = Doubling(given, made).double()
    image = torch.randn(2, given, side, side, dtype=torch.float64, requires_grad=True)
    plain = functional.conv2d(functional.interpolate(image, scale_factor=2), layer.weight, layer.bias, padding=1)
    quick = layer(image)
    torch.testing.assert_close(quick, plain)
    slope = torch.randn_like(plain)
    inputs = (image, layer.weight, layer.bias)
    for one, other in zip(torch.autograd.grad(quick, inputs, slope), torch.autograd.grad(plain, inputs, slope)):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("size", "expected"), [(32, (8, 2)), (28, (7, 2)), (64, (8, 3)), (16, (8, 1))])
def test_maps_halve_to_eight_or_fewer(size: int, expected: tuple[int, int]) -> None:
    assert autoencoder.coarsest(size) == expected
    network = autoencoder.Autoencoder(6, (3, size, size), 4)
    assert network(torch.rand(2, 3, size, size)).shape == (2, 3, size, size)


@pytest.mark.parametrize("size", [8, 18, 4])
def test_sizes_that_do_not_halve_are_refused(size: int) -> None:
    with pytest.raises(UserError, match=f"{size} px.*--data.size"):
        began.Model(began.Config.tiny().replace(data=Images(size=size, channels=1)))


@pytest.mark.parametrize(
    ("changes", "flag"),
    [({"gamma": 0.0}, "--gamma"), ({"gamma": 1.5}, "--gamma"), ({"gain": 0.0}, "--gain"), ({"floor": 0.0}, "--floor"),
     ({"patience": 0}, "--patience")],
)  # fmt: skip
def test_bad_settings_are_named(changes: dict[str, Any], flag: str) -> None:
    with pytest.raises(UserError, match=flag):
        began.Config(**changes)


def test_paper_network_has_the_counted_weights() -> None:
    """64 px, n = 128: 1.72 M weights in the generator, 13.4 M in the discriminator; 32 px, n = 64: 0.49 M and 2.3 M."""
    for size, width, millions in ((64, 128, (1.72, 13.4)), (32, 64, (0.49, 2.3))):
        networks = (
            autoencoder.Decoder(64, (3, size, size), width),
            autoencoder.Autoencoder(64, (3, size, size), width),
        )
        for network, wanted in zip(networks, millions):
            assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(wanted, rel=0.03)


def test_balance_and_measure_follow_the_equations() -> None:
    """k' = clip(k + lambda (gamma L(x) - L(G))), M = L(x) + |gamma L(x) - L(G)|, from the losses that were logged."""
    game = built(began, gamma=0.5, gain=0.5, patience=100)
    batches, balance = stream(game.config), 0.0
    for clock in range(5):
        game.clock = clock
        values = game.step(batches)
        real, fake = values["L(x)"].item(), values["L(G(z))"].item()
        balance = min(max(balance + 0.5 * (0.5 * real - fake), 0.0), 1.0)
        assert values["k"].item() == pytest.approx(balance, abs=1e-6)
        assert values["M"].item() == pytest.approx(real + abs(0.5 * real - fake), rel=1e-5)
    assert game.sum.item() > 0


def test_autoencoder_descends_its_own_loss_and_counts_forgeries_by_k() -> None:
    """L(x) - k L(G(z_D)), by hand; with k = 0 forgeries have no part in it."""
    game = built(began)
    game.balance.fill_(0.3)
    real, noise = torch.rand(4, 1, 16, 16), game.model.noise(4)
    fake = game.model.generator(noise)
    expected = game.error(real).mean() - 0.3 * game.error(fake).mean()
    torch.testing.assert_close(game.judge(real, noise, began.core.Notes()), expected)
    assert game.error(real).shape == game.score(real).shape == (4,)
    assert torch.equal(game.score(real), -(real - game.autoencoder(real)).abs().mean((1, 2, 3)))


def test_learning_rate_halves_only_when_the_measure_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    game = built(began, patience=1, floor=0.2)
    for measure, rate in ((1.0, 1.0), (0.5, 1.0), (0.499, 0.5), (0.6, 0.25), (0.3, 0.25), (0.4, 0.2), (0.4, 0.2)):
        game.slow_down(torch.tensor(measure))
        assert game.rate.item() == pytest.approx(rate)
    rates = []
    original = Player.minimize

    def watched(player: Player, loss: Any, **settings: Any) -> Tensor:
        rates.append(settings["lr"])
        return original(player, loss, **settings)

    monkeypatch.setattr(Player, "minimize", watched)
    game.step(stream(game.config))
    assert rates == pytest.approx([0.2 * game.config.adam.lr] * 2)


def test_measure_falls_and_ratio_nears_gamma(tmp_path: Path) -> None:
    config = began.Config(
        data=Images("digits", size=16), latent=16, width=8, batch=16, steps=500, gamma=0.5, gain=0.05, final_rate=1.0,
        log_every=25, device="cpu",
        watch=False, preview_every=500, adam=began.core.Adam(lr=2e-3, betas=(0.5, 0.999)),
    )  # fmt: skip
    api.start("began", config, tmp_path / "run", show=False)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["M"] < 0.5 * log[0]["M"]
    ratio = sum(line["L(G(z))"] for line in log[-8:]) / sum(line["L(x)"] for line in log[-8:])
    assert abs(ratio - 0.5) < 0.1
    assert log[-1]["k"] > 0
