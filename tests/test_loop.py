"""What the loop does when something goes wrong: divergence, memory, disk, two runs in one folder, interruption."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import sparring
from sparring import api
from sparring.core import RunError, UserError, checkpoint
from sparring.core.data import Data
from sparring.core.run import Run
from sparring.methods import dcgan


def config(**changes: Any) -> dcgan.Config:
    made = dcgan.Config.tiny().replace(precision="float32", device="cpu", steps=12, log_every=2, **changes)
    return made.replace(checkpoint_seconds=0.0)


def start(folder: Path, **changes: Any) -> api.Result:
    return api.start("dcgan", config(**changes), folder, show=False)


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def poison(monkeypatch: pytest.MonkeyPatch, clock: int, times: int, where: str = "generator") -> list[int]:
    """Make a loss not a number at this clock, the first `times` times that the step is met by other random numbers."""
    original, met = dcgan.Game.step, []

    def step(game: dcgan.Game, batches: Iterator[Any]) -> dict[str, Tensor]:
        if game.clock == clock and game.detours < times:
            met.append(game.detours)
            player = {"generator": game.generator_player, "discriminator": game.discriminator_player}[where]
            weight = player.weights[0]
            player.minimize((weight * torch.tensor(float("nan"))).sum())
        return original(game, batches)

    monkeypatch.setattr(dcgan.Game, "step", step)
    return met


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_divergence_goes_back_names_the_player_and_goes_on(
    player: str, quiet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, clock=6, times=1, where=player)
    result = start(quiet / "run")
    assert result.finished and result.step == 12
    (event,) = events(quiet / "run")
    assert event["event"] == "diverged" and event["step"] == 6
    assert f"step 7: the loss of {player}_player is not finite" in event["text"]
    assert "--precision float32" in event["text"]
    steps = [json.loads(line)["step"] for line in (quiet / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 8, 10, 12]
    assert all(torch.isfinite(weight).all() for weight in result.model.parameters())


def test_divergence_for_good_stops_with_a_good_checkpoint(quiet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, clock=6, times=100)
    with pytest.raises(RunError, match="after going back 3 times"):
        start(quiet / "run")
    model = sparring.load(quiet / "run")
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    state = checkpoint.load_game(quiet / "run" / "game.pt")
    assert state["game"]["_extra_state"]["clock"] == 6
    assert len(events(quiet / "run")) == 3


def test_nothing_that_is_not_finite_is_saved_when_stopped_in_the_middle(
    quiet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, clock=6, times=1)
    original = dcgan.Game.step

    def step(game: dcgan.Game, batches: Iterator[Any]) -> dict[str, Tensor]:
        if game.clock == 6:
            signal.raise_signal(signal.SIGINT)
        return original(game, batches)

    monkeypatch.setattr(dcgan.Game, "step", step)
    result = start(quiet / "run")
    assert not result.finished
    assert checkpoint.load_game(quiet / "run" / "game.pt")["game"]["_extra_state"]["clock"] == 6
    sparring.load(quiet / "run")


def test_out_of_memory_halves_the_parts_and_keeps_the_batch(quiet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, sizes = dcgan.convolutional.Discriminator.forward, []

    def forward(network: Any, image: Tensor) -> Tensor:
        if len(image) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        sizes.append(len(image))
        return original(network, image)

    monkeypatch.setattr(dcgan.convolutional.Discriminator, "forward", forward)
    result = start(quiet / "run")
    assert result.finished and set(sizes) == {2}
    assert [event["event"] for event in events(quiet / "run")] == ["memory", "memory"]
    assert "batches of 8 are now worked on 2 at a time" in events(quiet / "run")[-1]["text"]
    lines = [json.loads(line) for line in (quiet / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [16, 32, 48, 64, 80, 96]


def test_out_of_memory_with_one_example_is_a_clear_error(quiet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(*_: Any) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(dcgan.convolutional.Discriminator, "forward", forward)
    with pytest.raises(RunError, match="1 examples at a time"):
        start(quiet / "run")


def test_full_disk_stops_with_a_clear_line_and_keeps_the_checkpoint(
    quiet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, writes = checkpoint.write_atomic, []

    def write(path: Path, content: bytes) -> None:
        writes.append(path)
        if len(writes) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, content)

    monkeypatch.setattr(checkpoint, "write_atomic", write)
    with pytest.raises(RunError, match="No space left on device.*sparring resume"):
        start(quiet / "run")
    monkeypatch.undo()
    kept = checkpoint.load_game(quiet / "run" / "game.pt")["game"]["_extra_state"]["clock"]
    assert kept >= 2
    assert api.go_on(quiet / "run", show=False).finished


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser and Windows write everywhere")
def test_unwritable_folder_is_refused(quiet: Path) -> None:
    (quiet / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written"):
        start(quiet / "locked" / "run")


def test_folder_below_a_file_is_refused(quiet: Path) -> None:
    (quiet / "file").write_text("")
    with pytest.raises(UserError, match="choose another --run"):
        start(quiet / "file" / "run")


def test_a_second_run_in_the_folder_is_refused(quiet: Path) -> None:
    start(quiet / "run")
    with pytest.raises(UserError, match="already holds a run"):
        start(quiet / "run")
    with Run.reopen(quiet / "run"), pytest.raises(UserError, match="another process"):
        api.go_on(quiet / "run", show=False)


def test_interrupt_finishes_the_step_saves_and_resumes_exactly(quiet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = start(quiet / "straight")
    original = dcgan.Game.step

    def step(game: dcgan.Game, batches: Iterator[Any]) -> dict[str, Tensor]:
        if game.clock == 4:
            signal.raise_signal(signal.SIGTERM)
        return original(game, batches)

    monkeypatch.setattr(dcgan.Game, "step", step)
    stopped = start(quiet / "stopped")
    assert not stopped.finished and stopped.step == 5
    monkeypatch.undo()
    assert (quiet / "stopped" / "report.html").exists()
    resumed = api.go_on(quiet / "stopped", show=False)
    for first, second in zip(straight.model.parameters(), resumed.model.parameters()):
        assert torch.equal(first, second)
    assert (quiet / "straight" / "log.jsonl").read_bytes() == (quiet / "stopped" / "log.jsonl").read_bytes()


def test_training_works_off_the_main_thread(quiet: Path) -> None:
    results: list[api.Result] = []
    thread = threading.Thread(target=lambda: results.append(start(quiet / "run")))
    thread.start()
    thread.join()
    assert results[0].finished


def test_resume_with_more_steps_goes_on(quiet: Path) -> None:
    start(quiet / "run")
    result = api.go_on(quiet / "run", steps=16, show=False)
    assert result.step == 16
    assert json.loads((quiet / "run" / "config.json").read_text())["config"]["steps"] == 16


def test_changed_data_is_said(quiet: Path) -> None:
    start(quiet / "run")
    description = json.loads((quiet / "run" / "config.json").read_text())
    description["data"]["fingerprint"] = "other"
    (quiet / "run" / "config.json").write_text(json.dumps(description))
    with pytest.warns(UserWarning, match="has changed since the run began"):
        api.go_on(quiet / "run", show=False)


def test_python_interface(quiet: Path) -> None:
    model = sparring.train("dcgan", config=config(), run="run", show=False)
    assert isinstance(model.config.data, Data)
    image = sparring.load("run").sample(3, seed=0)
    assert image.shape == (3, 1, 16, 16) and image.dtype == torch.float32 and image.abs().max() <= 1
    assert torch.equal(image, sparring.load("run/model.safetensors").sample(3, seed=0))
    assert sparring.save_image(image, "grid.png").exists()
    assert sparring.resume("run", steps=13, show=False).config.steps == 13
    answer = sparring.evaluate("run", metrics=("sliced_wasserstein",), samples=500, controls=True)
    found, real, untrained = answer.values[0], answer.controls["real"][0], answer.controls["untrained"][0]
    assert untrained.value > found.value > real.value > 0
    assert found.protocol.fake == 500 and not found.protocol.differs(untrained.protocol)


def test_tensorboard_is_an_extra_that_is_asked_for(quiet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(quiet / "run", tensorboard=True)
    assert list((quiet / "run").glob("events.out.tfevents.*"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'sparring\[tensorboard\]'"):
        start(quiet / "other", tensorboard=True)
