"""Stacked images: 100 and 1,000 modes out of ten digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import api
from sparring.core import media
from sparring.core.config import from_json, to_json
from sparring.core.data import hold_out
from sparring.core.errors import UserError
from sparring.data.images import Images
from sparring.data.stacked import Stacked
from sparring.methods import dcgan
from sparring.metrics.modes import class_modes, kl_floor, stacked_labels

DIGITS = Stacked("stacked:digits", size=28)


@pytest.fixture
def chance() -> torch.Generator:
    return torch.Generator()


@pytest.mark.parametrize("channels", [2, 3])
def test_each_channel_is_an_image_and_the_label_its_code(channels: int, chance: torch.Generator) -> None:
    images, stacked = Images("digits").open(), DIGITS.replace(channels=channels).open()
    index = torch.tensor([0, 5, 127_999, 5])
    batch = stacked.batch(index, chance)
    assert (batch.image.shape, batch.image.dtype) == ((4, 28, 28, channels), torch.uint8)
    members = stacked.members[index]
    for row in range(4):
        for channel in range(channels):
            assert np.array_equal(
                batch.image[row, :, :, channel].numpy(), images.images[members[row, channel], :, :, 0]
            )
    digits = torch.from_numpy(images.labels)[members]
    assert torch.equal(batch.label, stacked_labels(digits))
    assert torch.equal(batch.image[1], batch.image[3])


def test_prepared_as_images_are(chance: torch.Generator) -> None:
    stacked = DIGITS.open()
    batch = stacked.batch(torch.arange(6), chance)
    ready = stacked.prepare(batch)
    assert (ready.image.shape, ready.image.dtype) == ((6, 3, 28, 28), torch.float32)
    assert ready.image.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ready.image, batch.image.permute(0, 3, 1, 2) / 127.5 - 1)
    assert (ready.image.min(), ready.image.max()) == (-1, 1)
    assert torch.equal(ready.label, batch.label)


@pytest.mark.parametrize(("channels", "total"), [(2, 100), (3, 1000)])
def test_all_modes_are_there(channels: int, total: int, chance: torch.Generator) -> None:
    stacked = DIGITS.replace(channels=channels).open()
    assert len(stacked) == 128_000
    labels = torch.from_numpy(Images("digits").open().labels)
    found = class_modes(stacked_labels(labels[stacked.members]), total)
    assert found.captured == total
    # Digits are not quite even (a one in 8.8, a five in 11.2): that much stays, however many examples there are.
    uneven = channels * class_modes(labels, 10).kl
    assert found.kl == pytest.approx(uneven + kl_floor(total, 128_000).kl, abs=2e-3)


def test_the_draw_is_fixed_by_the_seed() -> None:
    first, again, other = DIGITS.open(), DIGITS.open(), DIGITS.replace(seed=1).open()
    assert torch.equal(first.members, again.members) and first.fingerprint == again.fingerprint
    assert not torch.equal(first.members, other.members)
    changed = [{"seed": 1}, {"channels": 2}, {"count": 10}, {"size": 16}]
    prints = {DIGITS.replace(**each).open().fingerprint for each in changed}
    assert len(prints | {first.fingerprint, Images("digits").open().fingerprint}) == 6


def test_nothing_is_made_before_it_is_asked_for() -> None:
    stacked = DIGITS.replace(count=2_000_000).open()
    assert stacked.members.nbytes == 2_000_000 * 3 * 8
    assert len(stacked.images.images) == 10_000


def test_size_comes_from_the_source_and_can_be_set(chance: torch.Generator) -> None:
    assert Stacked("stacked:digits").resolved() == DIGITS
    assert DIGITS.shape == (3, 28, 28)
    small = Stacked("stacked:digits", size=16, channels=2)
    assert small.shape == (2, 16, 16)
    assert small.open().batch(torch.arange(3), chance).image.shape == (3, 16, 16, 2)
    with pytest.raises(UserError, match=r"data\.size"):
        _ = Stacked().shape


def test_a_part_of_it_can_be_held_out(chance: torch.Generator) -> None:
    kept, held = hold_out(DIGITS.replace(count=100).open(), 0.1)
    assert held is not None and (len(kept), len(held)) == (90, 10)
    assert held.prepare(held.batch(torch.arange(10), chance)).image.shape == (10, 3, 28, 28)


def test_folders_can_be_stacked_but_not_without_labels(tmp_path: Path, chance: torch.Generator) -> None:
    for label, value in (("dark", 10), ("light", 200)):
        (tmp_path / label).mkdir()
        Image.new("L", (8, 8), value).save(tmp_path / label / "it.png")
    stacked = Stacked(f"stacked:{tmp_path}", channels=2, count=64, size=8).open()
    batch = stacked.batch(torch.arange(64), chance)
    assert stacked.classes == 2
    assert set(batch.label.tolist()) == {0, 1, 2, 3}
    light = (batch.image[:, 0, 0] > 100).long()
    assert torch.equal(batch.label, 2 * light[:, 0] + light[:, 1])
    with pytest.raises(UserError, match="1 of 1 images have no label"):
        Stacked(f"stacked:{tmp_path / 'dark'}", size=8).open()


@pytest.mark.parametrize("channels", [2, 3])
def test_pictures_can_be_looked_at(channels: int, tmp_path: Path) -> None:
    data = DIGITS.replace(channels=channels)
    examples = torch.rand(5, *data.shape) * 2 - 1
    picture = data.picture(examples)
    assert picture.shape[:2] == (1, 3)
    assert torch.equal(picture[:, :channels], media.grid(examples))
    assert channels == 3 or (picture[:, 2] == -1).all()
    for value, name in ((picture, "grid.png"), (examples, "examples.png"), (examples, "each")):
        saved = media.save_image(value, tmp_path / name)
        with Image.open(saved if saved.is_file() else saved / "00000.png") as image:
            assert image.mode == "RGB"


def test_settings_travel_as_json() -> None:
    config = dcgan.Config(data=DIGITS.replace(channels=2))
    assert from_json(dcgan.Config, to_json(config)) == config


def test_a_source_is_known_by_its_prefix() -> None:
    assert Stacked.claims("stacked:digits") and not Stacked.claims("digits")
    config = api.with_data(dcgan.Config(), "stacked:digits")
    assert config.data == Stacked("stacked:digits")
    assert isinstance(api.with_data(config, "digits").data, Images)


@pytest.mark.parametrize("channels", [2, 3])
def test_an_image_method_trains_on_it(channels: int, tmp_path: Path) -> None:
    config = api.starting_point("dcgan", "tiny").replace(data=DIGITS.replace(channels=channels, size=16), steps=2)
    result = api.start("dcgan", config, tmp_path / "run", show=False)
    assert result.finished
    sample: Any = result.model
    assert sample.sample(2).shape == (2, channels, 16, 16)
    assert sorted((tmp_path / "run" / "previews").iterdir())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": 1}, "stacked by 2 or 3"),
        ({"count": 0}, r"data\.count is 0"),
        ({"size": -1}, r"data\.size is -1"),
        ({"source": "stacked:nothing-here"}, "nothing-here"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        DIGITS.replace(**changes).open()
