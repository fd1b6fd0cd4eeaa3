"""The pieces of core: configs, players, streams, averages, checkpoints."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn

from sparring.core import Adam, Player, Replay, Sgd, UserError, checkpoint, schedule
from sparring.core.config import from_json, to_json
from sparring.core.ema import Average
from sparring.core.media import grid, save_image, to_pil
from sparring.core.stream import Shuffle, mix
from sparring.methods import dcgan, gan


@dataclass(frozen=True)
class Sample:
    optimizer: Adam | Sgd = Sgd()
    widths: tuple[int, ...] = (1, 2)
    name: str | None = None


@given(some.tuples(some.floats(1e-6, 1), some.floats(0, 0.99)), some.lists(some.integers(1, 999)))
def test_config_comes_back_from_json(numbers: tuple[float, float], widths: list[int]) -> None:
    for optimizer in (Sgd(numbers[0], numbers[1]), Adam(numbers[0], (numbers[1], 0.9))):
        config = Sample(optimizer, tuple(widths), "x")
        assert from_json(Sample, json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize("wrong", [
    {"optimizer": {"kind": "Popen", "args": "rm"}},
    {"widths": "abc"},
    {"widths": [1, "2"]},
    {"unknown": 1},
    {"optimizer": {"kind": "Adam", "betas": [0.5]}},
    [],
])  # fmt: skip
def test_config_that_does_not_fit_is_refused(wrong: object) -> None:
    with pytest.raises(UserError):
        from_json(Sample, wrong)


def test_player_moves_only_its_own_and_computes_no_other_gradient() -> None:
    mine, other = nn.Linear(3, 3), nn.Linear(3, 1)
    player = Player(mine, optimizer=Sgd(lr=0.5, momentum=0.0))
    before, loss = mine.weight.clone(), other(mine(torch.ones(2, 3))).mean()
    (slope,) = torch.autograd.grad(loss, mine.weight, retain_graph=True)
    returned = player.minimize(loss)
    assert torch.allclose(mine.weight, before - 0.5 * slope)
    assert other.weight.grad is None
    assert returned.item() == loss.item()


def test_losses_of_parts_make_the_gradient_of_the_whole() -> None:
    torch.manual_seed(0)
    data, networks = torch.randn(8, 3), [nn.Linear(3, 1), nn.Linear(3, 1)]
    networks[1].load_state_dict(networks[0].state_dict())
    whole, parted = (Player(network, optimizer=Sgd(lr=1.0)) for network in networks)
    whole.minimize(networks[0](data).square().mean())
    parted.minimize(networks[1](part).square().mean() for part in data.chunk(4))
    assert torch.allclose(networks[0].weight, networks[1].weight, atol=1e-6)


def test_settings_reach_the_optimizer() -> None:
    network = nn.Linear(1, 1, bias=False)
    player = Player(network, optimizer=Sgd(lr=1.0, momentum=0.0))
    before = network.weight.item()
    player.minimize(network(torch.ones(1, 1)).sum(), lr=0.25)
    assert network.weight.item() == pytest.approx(before - 0.25)


def test_update_is_seen_under_autocast() -> None:
    """Autocast keeps low-precision copies of weights; a stale one would make the opponent play an old network."""
    network, data = nn.Linear(4, 4, bias=False), torch.ones(1, 4)
    player = Player(network, optimizer=Sgd(lr=10.0))
    with torch.autocast("cpu", torch.bfloat16):
        first = network(data)
        player.minimize(first.float().square().mean())
        second = network(data)
    with torch.autocast("cpu", torch.bfloat16):
        fresh = network(data)
    assert torch.equal(second, fresh) and not torch.equal(first, second)


@pytest.mark.parametrize("parts", [1, 3])
def test_replay_runs_once_for_one_part_and_anew_for_more(parts: int) -> None:
    calls: list[int] = []

    def network(value: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return value * 2

    replay = Replay(network, list(torch.arange(parts).split(1)))
    for _ in range(2):
        assert torch.cat(list(replay)).tolist() == [2 * number for number in range(parts)]
    assert len(calls) == (1 if parts == 1 else 2 * parts)


@settings(max_examples=40)
@given(some.integers(1, 40), some.integers(1, 17), some.integers(0, 3), some.integers(1, 3))
def test_every_epoch_holds_every_example_once(examples: int, batch: int, seed: int, processes: int) -> None:
    shuffles = [Shuffle(examples, batch, seed, number, processes) for number in range(processes)]
    seen: list[int] = []
    position = 0
    while len(seen) < 3 * examples:
        for shuffle in shuffles:
            seen += shuffle.index(position).tolist()
        position += 1
    for epoch in range(3):
        assert sorted(seen[epoch * examples : (epoch + 1) * examples]) == list(range(examples))


def test_a_batch_depends_on_seed_and_position_alone() -> None:
    straight = Shuffle(100, 32, 7)
    expected = [straight.index(position).tolist() for position in range(20)]
    for position in (13, 2, 19, 0):
        assert Shuffle(100, 32, 7).index(position).tolist() == expected[position]
    assert Shuffle(100, 32, 8).index(0).tolist() != expected[0]


@given(some.lists(some.integers(0, 2**40), min_size=1, max_size=4))
def test_mixed_seeds_fit_torch_and_differ(numbers: list[int]) -> None:
    seed = mix(*numbers)
    assert 0 <= seed < 2**63
    assert seed != mix(*numbers[:-1], numbers[-1] + 1)
    torch.Generator().manual_seed(seed)


def test_average_follows_its_equation_and_starts_warm() -> None:
    model = nn.BatchNorm1d(2)
    average = Average(model, 0.99)
    for clock in range(1, 1100):
        before = average.model.weight.clone()
        with torch.no_grad():
            model.weight.fill_(clock / 1000)
            model.running_mean.fill_(clock / 1000)
        average.update(model, clock)
        decay = min(0.99, (1 + clock) / (10 + clock))
        if clock > 100:
            decay = decay**8 if clock % 8 == 0 else 1.0
        assert torch.allclose(average.model.weight, decay * before + (1 - decay) * clock / 1000)
    assert torch.equal(average.model.running_mean, average.model.weight)
    assert not average.model.weight.requires_grad


def tiny_state() -> dict[str, object]:
    return {"game": {"weight": torch.arange(1000.0), "_extra_state": {"clock": 3}}}


def test_damaged_checkpoint_falls_back_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "game.pt"
    for clock in (1, 2, 3):
        checkpoint.save_game(path, {"game": {"clock": clock, "weight": torch.arange(1000.0)}})
    assert checkpoint.load_game(path)["game"]["clock"] == 3
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(torch.arange(1000.0).numpy().tobytes()[:64]) + 32] ^= 255
    for broken in (whole[: len(whole) // 2], b"", whole[:-1], bytes(flipped)):
        path.write_bytes(broken)
        with pytest.warns(UserWarning, match="damaged"):
            assert checkpoint.load_game(path)["game"]["clock"] == 2
    path.unlink()
    assert checkpoint.load_game(path)["game"]["clock"] == 2
    checkpoint.previous(path).write_bytes(b"junk")
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load_game(path)


def test_pickles_are_never_executed(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "attacked",)

    path = tmp_path / "game.pt"
    torch.save({"format": 1, "game": Attack()}, path)
    with pytest.raises(UserError):
        checkpoint.load_game(path)
    with pytest.raises(UserError):
        checkpoint.read_card(path)
    assert not (tmp_path / "attacked").exists()


def tiny_model() -> dcgan.Model:
    config = dcgan.Config.tiny()
    return dcgan.Model(config.replace(data=config.data.replace(channels=1)))


def test_model_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, path = tiny_model(), tmp_path / "model.safetensors"
    model.save(path, config=to_json(model.config.replace(width=10**6)))
    with pytest.raises(UserError, match="do not fit"):
        checkpoint.load_weights(path, dcgan.Model, model.config.replace(width=10**6))
    with torch.no_grad():
        next(model.parameters())[0] = math.nan
    with pytest.raises(UserError, match="not finite"):
        model.save(tmp_path / "nan.safetensors")
    assert not (tmp_path / "nan.safetensors").exists()


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "game.pt"
    checkpoint.save_game(path, tiny_state())
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError):
        checkpoint.save_game(path, tiny_state())
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["game.pt"]


def test_schedules() -> None:
    assert schedule.linear(1, 0, 0.25) == 0.75
    assert schedule.flat_then_linear(1, 0, 0.5, 0.5) == 1 and schedule.flat_then_linear(1, 0, 0.5, 0.75) == 0.5
    assert schedule.cosine(1, 0, 0) == 1 and schedule.cosine(1, 0, 0.5) == pytest.approx(0.5)
    assert schedule.exponential(0.1, 1.000004, 1e-6, 1000) == pytest.approx(0.1 / 1.000004**1000)
    assert schedule.exponential(0.1, 2, 1e-6, 1000) == 1e-6


def test_grid_places_every_picture() -> None:
    images = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 1, 3, 4)
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (1, 1, 7, 14)
    assert sheet[0, 0, 5, 6] == images[4, 0, 0, 0] and sheet[0, 0, 3].eq(-1).all()


@pytest.mark.parametrize("channels, mode", [(1, "L"), (2, "RGB"), (3, "RGB"), (4, "RGBA")])
def test_pictures_of_any_channel_count(channels: int, mode: str, tmp_path: Path) -> None:
    image = torch.full((channels, 5, 6), 1.0)
    assert to_pil(image).mode == mode
    assert to_pil(image).getpixel((0, 0)) in (255, (255, 255, 0), (255, 255, 255), (255, 255, 255, 255))
    assert save_image(image, tmp_path / "deep" / "picture.png").exists()
    with pytest.raises(UserError, match="suffix"):
        save_image(image, tmp_path / "picture.xyz")


@pytest.mark.parametrize("size", [8, 30, 100, 257])
def test_size_that_does_not_halve_is_refused_with_the_nearest(size: int) -> None:
    with pytest.raises(UserError, match="--data.size"):
        dcgan.Model(dcgan.Config(data=dcgan.Images(size=size, channels=3)))


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("size", [16, 28, 32, 40, 48, 64, 96, 112, 128, 256])
@pytest.mark.parametrize("channels", [1, 4])
def test_dcgan_of_every_size(size: int, kernel: int, channels: int) -> None:
    config = dcgan.Config(data=dcgan.Images(size=size, channels=channels), width=2, kernel=kernel, latent=3)
    model = dcgan.Model(config)
    image = model.generator(torch.randn(2, 3))
    assert image.shape == (2, channels, size, size) and image.abs().max() <= 1
    assert model.discriminator(image).shape == (2,)


def test_projection_equals_the_transposed_convolution_of_the_torch_version() -> None:
    """Noise as a 1 x 1 map through a kernel of the coarsest size is the same product as our first layer."""
    model = tiny_model()
    project, start = model.generator.project, model.generator.start
    convolution = nn.ConvTranspose2d(8, model.generator.width, start, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(project.weight.view(start, start, -1, 8).permute(3, 2, 0, 1))
    noise = torch.randn(2, 8)
    ours = project(noise).view(-1, start, start, model.generator.width).permute(0, 3, 1, 2)
    assert torch.allclose(ours, convolution(noise[:, :, None, None]), atol=1e-6)


def test_paper_networks_have_the_papers_size() -> None:
    """Counted from the layer lists of the papers, batch norm included: DCGAN 18.9 M and 17.2 M, GAN 2.50 M and 1.23 M."""
    config = dcgan.Config.paper()
    model = dcgan.Model(config.replace(data=config.data.replace(channels=3)))
    counts = [sum(weight.numel() for weight in part.parameters()) for part in (model.generator, model.discriminator)]
    assert [round(count / 1e6, 1) for count in counts] == [18.9, 17.2]
    perceptrons = gan.Config.paper().replace(data=dcgan.Images(size=28, channels=1))
    game = gan.Game(gan.Model(perceptrons), perceptrons)
    counts = [
        sum(weight.numel() for weight in part.parameters()) for part in (game.model.generator, game.discriminator)
    ]
    assert [round(count / 1e6, 2) for count in counts] == [2.50, 1.23]
