"""Judges: trained on embedded digits in seconds, honest about their accuracy, kept, found, and read without trust."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
from torch import Tensor

from sparring import cli
from sparring.core.config import to_json
from sparring.core.errors import UserError
from sparring.data.images import Images
from sparring.judging import judge
from sparring.judging.extractors import extract, named


def save_npz(path: Path, images: np.ndarray, labels: np.ndarray | None) -> Images:
    arrays = {"images": images} if labels is None else {"images": images, "labels": labels}
    np.savez(path, **arrays)
    return Images(str(path)).resolved()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """2,000 of the embedded digits."""
    data = Images("digits").resolved().open()
    return save_npz(tmp_path_factory.mktemp("data") / "some.npz", data.images[:2000], data.labels[:2000])


@pytest.fixture(scope="module")
def trained(digits: Images) -> judge.Judge:
    return judge.train(digits, epochs=5)


@pytest.fixture(scope="module")
def unseen() -> tuple[Tensor, Tensor]:
    """1,000 digits that are not among the 2,000: pictures and labels."""
    data = Images("digits").resolved().open()
    found = data.prepare(data.batch(torch.arange(5000, 6000), torch.Generator()))
    return found.image, found.label


def noise(count: int, side: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)


# --- training -----------------------------------------------------------------------------------------------------------


def test_it_learns_and_says_how_well(trained: judge.Judge, unseen: tuple[Tensor, Tensor]) -> None:
    card = trained.card
    assert card.accuracy > 0.93
    assert (card.examples, card.held_out, card.epochs, card.task) == (1800, 200, 5, "classes")
    assert card.class_names == tuple("0123456789")
    images, labels = unseen
    probabilities = trained.classify(images)
    assert probabilities.shape == (1000, 10) and torch.allclose(probabilities.sum(1), torch.ones(1000))
    accuracy = (probabilities.argmax(1) == labels).double().mean().item()
    assert accuracy > 0.93
    assert abs(accuracy - card.accuracy) < 0.05
    found = judge.shares(probabilities)
    assert 0.6 < found.sure <= 1
    assert sum(found.classes) == pytest.approx(1) and min(found.classes) > 0.03


def test_its_name_stands_in_the_protocol(trained: judge.Judge) -> None:
    card = trained.card
    assert trained.name == f"judge some.npz {100 * card.accuracy:.1f} % sha256:{card.digest}"
    assert len(card.digest) == 8
    assert (trained.resize, trained.classes) == ("none, 8 bit", 10)


def test_features_do_not_depend_on_the_batch(trained: judge.Judge, unseen: tuple[Tensor, Tensor]) -> None:
    images = unseen[0][:100]
    whole, parts = extract(trained, images), extract(trained, images, 7)
    assert whole.features.shape == (100, judge.FEATURES) and whole.features.dtype == torch.float32
    assert (whole.features - parts.features).abs().max() < 1e-5 * whole.features.abs().max()
    assert whole.logits is not None and parts.logits is not None
    assert (whole.logits - parts.logits).abs().max() < 1e-5 * whole.logits.abs().max()
    assert torch.allclose(trained.classify(images), whole.logits.softmax(1))


def test_held_out_digits_are_never_learned(tmp_path: Path) -> None:
    """Of labels that say nothing, the held-out ones can only be guessed."""
    labels = np.random.default_rng(1).integers(0, 2, 600)
    found = judge.train(save_npz(tmp_path / "noise.npz", noise(600, 16, 1), labels), epochs=12)
    assert found.card.accuracy < 0.7


def test_the_same_seed_gives_the_same_judge(tmp_path: Path) -> None:
    data = save_npz(tmp_path / "noise.npz", noise(150, 16, 1), np.arange(150) % 3)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = judge.train(data, epochs=2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert judge.train(data, epochs=2, seed=1).card.digest == first.card.digest
    assert judge.train(data, epochs=2, seed=2).card.digest != first.card.digest


def test_without_labels_it_learns_rotations(tmp_path: Path, digits: Images) -> None:
    data = save_npz(tmp_path / "faces.npz", digits.open().images[:1000], None)
    found = judge.train(data, epochs=4)
    assert found.card.accuracy > 0.6
    assert (found.card.task, found.classes, found.card.class_names) == ("rotations", 0, ())
    assert found.name.startswith("judge faces.npz (self-supervised: rotations) ")
    seen = found(torch.zeros(2, 1, 28, 28))
    assert seen.features.shape == (2, judge.FEATURES) and seen.logits is None
    with pytest.raises(UserError, match="without labels, so it knows no classes"):
        found.classify(torch.zeros(2, 1, 28, 28))
    assert judge.load(found.save(tmp_path / "faces.safetensors")).name == found.name


@pytest.mark.parametrize(("side", "channels"), [(16, 4), (17, 1), (33, 2), (64, 3), (100, 3), (256, 1)])
def test_any_shape(tmp_path: Path, side: int, channels: int) -> None:
    data = save_npz(tmp_path / "noise.npz", noise(60, side, channels), np.arange(60) % 2).replace(
        size=side, channels=channels
    )
    found = judge.train(data, epochs=1)
    resize = "64 px antialiased bicubic, 8 bit" if side > 64 else "none, 8 bit"
    assert found.resize == resize
    seen = judge.load(found.save(tmp_path / "any.safetensors"))(torch.rand(3, channels, side, side))
    assert seen.features.shape == (3, 128) and seen.logits is not None and seen.logits.shape == (3, 2)


def test_large_pictures_are_shrunk_as_pillow_does(tmp_path: Path) -> None:
    images = noise(60, 150, 3)
    data = save_npz(tmp_path / "noise.npz", images, None).replace(size=150)
    small = judge._small(data.open(), np.array([5, 7]), 64)
    wanted = PIL.Image.fromarray(images[7]).resize((64, 64), PIL.Image.Resampling.BICUBIC)
    assert np.abs(small[1].astype(int) - np.asarray(wanted)).max() <= 1


def test_turns_and_shifts() -> None:
    images = torch.from_numpy(noise(4, 8, 2))
    turned = judge._rotated(images, torch.arange(4))
    for number in range(4):
        assert np.array_equal(turned[number], np.rot90(images[number], number))
    marked = np.zeros((1, 28, 28, 1), np.uint8)
    marked[0, 14, 14] = 255
    chance = torch.Generator().manual_seed(0)
    places = {
        tuple(judge._shifted(marked, np.array([0]), chance)[0, :, :, 0].nonzero()[0].tolist()) for _ in range(300)
    }
    assert places == {(down, right) for down in range(12, 17) for right in range(12, 17)}


def test_too_little_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"few\.npz: 20 pictures; a judge needs at least 50"):
        judge.train(save_npz(tmp_path / "few.npz", noise(20, 16, 1), np.arange(20) % 2))
    with pytest.raises(UserError, match="1 channels and 8 px"):
        judge.train(save_npz(tmp_path / "tiny.npz", noise(60, 8, 1), np.arange(60) % 2))


def test_one_class_tells_nothing_apart(tmp_path: Path) -> None:
    data = save_npz(tmp_path / "same.npz", noise(60, 16, 1), np.zeros(60, int))
    assert judge.train(data, epochs=1).card.task == "rotations"
    data = save_npz(tmp_path / "two.npz", noise(60, 16, 1), np.arange(60) % 2)
    assert judge.train(data, epochs=1, labels=False).card.task == "rotations"


def test_other_pictures_are_refused(trained: judge.Judge) -> None:
    with pytest.raises(UserError, match="judges pictures of 1 x 28 x 28; these are 3 x 28 x 28"):
        trained(torch.zeros(1, 3, 28, 28))
    with pytest.raises(UserError, match="these are 2"):
        trained(torch.zeros(1, 2))


# --- files --------------------------------------------------------------------------------------------------------------


def test_kept_and_found(trained: judge.Judge, digits: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert judge.kept() == {} and judge.find(digits) is None
    path = judge.keep(trained)
    assert path.parent == tmp_path / "sparring" / "judges"
    assert judge.kept() == {path: trained.card}
    for data in (digits, digits.replace(flip=True), Images(digits.source)):
        found = judge.find(data)
        assert found is not None and found.card == trained.card
    assert judge.find(digits.replace(size=32)) is None
    assert judge.find(digits.replace(channels=3)) is None
    extractor = named("judge", digits)
    images = torch.rand(5, 1, 28, 28) * 2 - 1
    assert extractor.name == trained.name
    assert torch.equal(extractor(images).features, trained(images).features)
    assert named(str(path), digits).name == trained.name
    path.write_bytes(b"nonsense")
    with pytest.warns(UserWarning, match="not a judge, or damaged"):
        assert judge.kept() == {}


def test_damaged_files_are_refused(trained: judge.Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trained.save(tmp_path / "judge.safetensors")
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-1] ^= 1
    for damaged in (content[: len(content) // 2], content[:100], b"", b"nonsense" * 100, bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"judge\.safetensors: .*damaged"):
            judge.load(path)
    with pytest.raises(UserError, match="no such file"):
        judge.load(tmp_path / "missing.safetensors")
    path.write_bytes(content)
    monkeypatch.setattr(judge, "FILE_LIMIT", 1000)
    with pytest.raises(UserError, match="larger than any judge"):
        judge.load(path)


def write(path: Path, state: dict[str, Tensor], card: judge.Card, changes: dict[str, object]) -> None:
    """A judge's file with whatever inside."""
    text = json.dumps({**to_json(card), **changes})
    safetensors.torch.save_file({name: value.contiguous() for name, value in state.items()}, path, {judge.KEY: text})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "another version"),
        ({"size": 64}, r"its weights do not fit its card \(body"),
        ({"size": 10**9}, "do not fit its card"),
        ({"channels": 3}, "do not fit its card"),
        ({"channels": 10**6}, "makes no sense"),
        ({"size": -5}, "makes no sense"),
        ({"accuracy": 7.0}, "makes no sense"),
        ({"class_names": []}, "makes no sense"),
        ({"class_names": ["a"] * 3}, r"do not fit its card \(head"),
        ({"size": "28"}, "is not a"),
        ({"evil": 1}, "no field evil"),
        ({"digest": "00000000"}, "damaged: its weights are not the ones of its card"),
    ],
)
def test_cards_that_lie_are_refused(
    trained: judge.Judge, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = tmp_path / "judge.safetensors"
    write(path, trained.network.state_dict(), trained.card, changes)
    with pytest.raises(UserError, match=rf"judge\.safetensors.*{message}"):
        judge.load(path)


def test_a_model_is_no_judge(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, {"sparring": "{}"})
    with pytest.raises(UserError, match=r"model\.safetensors: not a judge"):
        judge.load(path)


def test_weights_of_another_kind_are_refused(trained: judge.Judge, tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    state = {name: value.double() for name, value in trained.network.state_dict().items()}
    write(path, state, trained.card, {})
    with pytest.raises(UserError, match=r"judge\.safetensors: damaged"):
        judge.load(path)


def test_a_folder_that_cannot_be_written(trained: judge.Judge, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        trained.save(tmp_path / "file" / "judge.safetensors")


# --- the command line ---------------------------------------------------------------------------------------------------


def test_train_and_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data = save_npz(tmp_path / "some.npz", noise(100, 16, 1), np.arange(100) % 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.run(["judge", "list"]) == 0
    assert "sparring judge train --data SOURCE" in capsys.readouterr().out
    train = ["judge", "train", "--data", data.source, "--epochs", "1", "--device", "cpu"]
    assert cli.run(train) == 0
    path = Path(capsys.readouterr().out.splitlines()[-1])
    assert path.is_file() and path.parent == tmp_path / "sparring" / "judges"
    assert cli.run(["judge", "list"]) == 0
    assert capsys.readouterr().out.startswith("judge some.npz ")
    assert cli.run(["judge", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["file"] == str(path) and listed[0]["held_out"] == 10
    assert cli.run([*train, "--seed", "3", "--out", str(tmp_path / "mine.safetensors")]) == 0
    assert judge.load(tmp_path / "mine.safetensors").card.seed == 3
    assert len(judge.kept()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["judge"], "what to do is missing"),
        (["judge", "burn"], "no such thing as `sparring judge burn`"),
        (["judge", "train", "--epochs", "-1"], "--epochs is -1"),
        (["judge", "train", "--out", "judge.pt"], "ends in .safetensors"),
        (["judge", "train", "--data", "nowhere"], "no such file or folder"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert message in capsys.readouterr().err


def test_the_command_line_loads_no_torch_for_it() -> None:
    code = "import sys, sparring.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
