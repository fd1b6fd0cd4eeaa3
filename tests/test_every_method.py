"""What every method owes its user, for every file of `methods/`."""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import sparring
from sparring import api, catalogue, cli
from sparring.core import Game, Player
from sparring.core.checkpoint import read_card
from sparring.core.config import Config, from_json, presets, to_json
from sparring.core.loop import Loop
from sparring.core.media import medium, save_image, save_score
from sparring.core.model import verbs
from sparring.core.run import Run
from sparring.core.score import NOTE, Score, Track
from sparring.core.stream import Shuffle, Stream

METHODS = sorted(catalogue.methods())
every_method = pytest.mark.parametrize("method", METHODS)


def tiny(method: str, **changes: Any) -> Config:
    config = api.starting_point(method, "tiny")
    return config.replace(data=config.data.resolved(), precision="float32", device="cpu", **changes)


def build(method: str, config: Config) -> Game[Any, Any]:
    module = catalogue.find(method).load()
    torch.manual_seed(0)
    return module.Game(module.Model(config), config)


def stream(config: Config) -> Stream:
    data = config.data.open()
    return Stream(data, Shuffle(len(data), config.batch, 0), 0, torch.device("cpu"))


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Bit for bit equal state dicts."""
    flat = [list(_leaves(state)) for state in (first, second)]
    return len(flat[0]) == len(flat[1]) and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(*flat)
    )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in value:
            yield str(key)
            yield from _leaves(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


@every_method
def test_every_preset_survives_json(method: str) -> None:
    for name, make in presets(catalogue.find(method).load().Config).items():
        config = make()
        assert from_json(type(config), to_json(config)) == config, name


@every_method
def test_has_a_default_and_a_tiny_preset(method: str) -> None:
    assert {"default", "tiny"} <= set(presets(catalogue.find(method).load().Config))


@every_method
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_step_is_finite_and_moves_every_player(method: str, precision: str) -> None:
    config = tiny(method)
    game = build(method, config)
    before = {name: [weight.clone() for weight in player.weights] for name, player in game.players.items()}
    batches = stream(config)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        for _ in range(2):
            values = game.step(batches)
    assert values
    for name, value in values.items():
        assert value.dim() == 0 and torch.isfinite(value), name
        assert not value.requires_grad, name
    for name, player in game.players.items():
        changed = [not torch.equal(old, new) for old, new in zip(before[name], player.weights)]
        assert all(torch.isfinite(weight).all() for weight in player.weights)
        assert any(changed), f"{name} did not move"


@every_method
def test_minimize_touches_nobody_else(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each update moves its own player's weights and leaves all other weights and gradients as they were."""
    game = build(method, tiny(method))
    original, seen = Player.minimize, []

    def watched(player: Player, loss: Any, **settings: Any) -> Tensor:
        own = {id(weight) for weight in player.weights}
        others = [weight for weight in game.parameters() if id(weight) not in own]
        before = [(weight.clone(), None if weight.grad is None else weight.grad.clone()) for weight in others]
        result = original(player, loss, **settings)
        for weight, (value, gradient) in zip(others, before):
            assert torch.equal(weight, value)
            assert (weight.grad is None) == (gradient is None)
            assert gradient is None or torch.equal(weight.grad, gradient)
        seen.append(player)
        return result

    monkeypatch.setattr(Player, "minimize", watched)
    batches = stream(game.config)
    for _ in range(2):
        game.step(batches)
    assert set(seen) == set(game.players.values())


@every_method
def test_split_batches_need_not_change_the_algorithm(method: str) -> None:
    """Half batches, accumulated, keep the size of the batch and stay finite."""
    game = build(method, tiny(method))
    game.split = 2
    values = game.step(stream(game.config))
    assert all(torch.isfinite(value) for value in values.values())


def play(method: str, folder: Path, config: Config, stops: list[int]) -> tuple[dict[str, Any], str]:
    """State and log after `config.steps`, reached in pieces that end at `stops`."""
    data = config.data.open()
    game = build(method, config)
    run = Run.create(folder, {"method": method, "config": to_json(config)})
    for stop in [*stops, config.steps]:
        game = build(method, config)
        loop = Loop(game, data, run, torch.device("cpu"), show=False)
        if run.game.exists():
            loop.restore()
        run.rewind(game.clock)
        assert loop.run(stop) is (stop == config.steps)
    run.close()
    state = {"game": game.state_dict(), "average": loop.average.state_dict()}
    return copy.deepcopy(state), (folder / "log.jsonl").read_text()


@every_method
@pytest.mark.parametrize("changes", [{}, {"read_ahead": 2}, {"precision": "bfloat16"}], ids=str)
def test_resuming_is_bit_exact(method: str, changes: dict[str, Any], tmp_path: Path) -> None:
    config = tiny(method).replace(steps=9, log_every=2, **changes)
    straight, log = play(method, tmp_path / "straight", config.replace(read_ahead=0), [])
    stopped, stopped_log = play(method, tmp_path / "stopped", config, [1, 4, 7])
    assert same(straight, stopped)
    assert log == stopped_log
    assert len(log.splitlines()) == 4


@every_method
def test_same_seed_same_result_other_seed_other_result(method: str, tmp_path: Path) -> None:
    config = tiny(method)
    first, second = (play(method, tmp_path / name, config, [])[0] for name in "ab")
    other = play(method, tmp_path / "c", config.replace(seed=1), [])[0]
    assert same(first, second)
    assert not same(first["average"], other["average"])


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny trained run of every method."""
    folders = {}
    for method in METHODS:
        folders[method] = tmp_path_factory.mktemp("runs") / method
        api.start(method, tiny(method), folders[method], show=False)
    return folders


@every_method
def test_a_run_leaves_everything_in_its_folder(method: str, trained: dict[str, Path]) -> None:
    held = {path.name for path in trained[method].iterdir()}
    wanted = {"config.json", "log.jsonl", "previews", "curves.png", "model.safetensors", "game.pt", "report.html"}
    assert wanted <= held
    assert held & {"training.mp4", "training.gif"}


@every_method
def test_every_verb_runs_from_the_shipped_weights_alone(
    method: str, trained: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((trained[method] / "model.safetensors").read_bytes())
    model = sparring.load(alone)
    assert not model.training and not any(weight.requires_grad for weight in model.parameters())
    found = verbs(type(model))
    assert found
    shown = tmp_path / "image.png"
    save_image(torch.rand(3, 20, 30) * 2 - 1, shown)
    hole = torch.full((1, 20, 30), -1.0)
    hole[:, 5:12, 8:20] = 1
    tune = Score(np.array([(0, 480, 60, 80, 0), (480, 480, 64, 80, 0)], NOTE), (Track("tune"),))
    files = {
        "image.png": str(shown),
        "mask.png": str(save_image(hole, tmp_path / "mask.png")),
        "melody.mid": str(save_score(tune, tmp_path / "melody.mid")),
    }
    for verb in found.values():
        out = tmp_path / f"{verb.name}.png"
        flags = [files.get(word, word) for word in verb.example.split()]
        del flags[flags.index("--out") :]
        assert cli.run(["apply", str(alone), verb.name, *flags, "--out", str(out), "--device", "cpu"]) == 0
        assert out.stat().st_size > 100
        assert str(out) in capsys.readouterr().out


@every_method
def test_verbs_explain_themselves(method: str) -> None:
    for verb in verbs(catalogue.find(method).load().Model).values():
        documentation = inspect.getdoc(verb.function) or ""
        hints = typing.get_type_hints(verb.function, include_extras=True)
        for name in list(inspect.signature(verb.function).parameters)[1:]:
            assert f"{name}:" in documentation, f"{verb.name}: {name} is not explained"
            assert name in hints
        assert medium(hints["return"]) or hasattr(hints["return"], "_fields"), verb.name


@every_method
def test_sampling_leaves_the_random_state_alone(method: str, trained: dict[str, Path]) -> None:
    model = sparring.load(trained[method])
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    model.preview(0)
    assert torch.equal(torch.rand(2), expected)


@every_method
def test_help_renders(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.run(["train", method, "--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    for flag in ("--steps", "--batch", "--seed", "--data", "--preset", "--run", "--device", "--precision"):
        assert flag in shown


@every_method
def test_a_loaded_model_lies_in_memory_as_a_built_one_and_does_the_same(method: str, trained: dict[str, Path]) -> None:
    loaded = sparring.load(trained[method])
    module, config = api.read_config(read_card(trained[method] / "model.safetensors"))
    built = module.Model(config).eval().requires_grad_(False)
    built.load_state_dict(loaded.state_dict())
    for (name, one), (_, other) in zip(loaded.state_dict().items(), built.state_dict().items(), strict=True):
        assert one.stride() == other.stride() and one.dtype == other.dtype and torch.equal(one, other), name
    assert torch.equal(loaded.preview(0), built.preview(0))
