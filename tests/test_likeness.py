"""Models from pictures to pictures are judged by the right answers, beside what was there without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparring import api, cli
from sparring.core import Dataset
from sparring.data.paired import Pairs, PairSet
from sparring.judging import likeness
from sparring.judging.extractors import Extractor, Features, Pixels
from sparring.tasks.compared import Compared


class Means(Extractor):
    name = "means"

    def features(self, examples: Tensor) -> Features:
        return Features(examples.mean((2, 3)))


class Mixing:
    """Goes a share of the way from the input to the target."""

    def __init__(self, share: float, hole: bool = False):
        self.share, self.hole = share, hole

    def compare(self, dataset: Dataset, index: Tensor, chance: torch.Generator) -> list[Compared]:
        given, target = dataset.prepare(dataset.batch(index, chance))
        hole = torch.zeros(len(given), 1, *given.shape[2:]) if self.hole else None
        if hole is not None:
            hole[:, :, 8:16, 8:16] = 1
        return [Compared("mix", torch.lerp(given, target, self.share), target, given, paired=True, hole=hole)]


@pytest.fixture
def pairs() -> tuple[Pairs, PairSet]:
    chance = torch.Generator().manual_seed(0)
    data = Pairs("made", size=32, channels=3, target_channels=3, jitter=0, flip=False)
    images = torch.randint(256, (20, 32, 32, 6), generator=chance, dtype=torch.uint8).numpy()
    return data, PairSet(images, "made", data)


def judged(model: Any, pairs: tuple[Pairs, PairSet], extractor: Extractor) -> tuple[dict[str, float], dict[str, float]]:
    found = likeness.judge(model, *pairs, extractor, 100, 0)
    return tuple({value.name: value.value for value in values} for values in found)  # type: ignore[return-value]


def test_the_right_answer_has_no_fault(pairs: tuple[Pairs, PairSet]) -> None:
    ours, control = judged(Mixing(1.0), pairs, Means())
    assert ours["l1"] == 0 and ours["ssim"] == pytest.approx(1) and ours["sharpness"] == pytest.approx(1)
    assert ours["feature_fid"] == pytest.approx(0, abs=1e-6) and ours["feature_distance"] == pytest.approx(0, abs=1e-6)
    assert control["l1"] > 0.5 and control["ssim"] < 0.1


def test_doing_nothing_is_the_control(pairs: tuple[Pairs, PairSet]) -> None:
    ours, control = judged(Mixing(0.0), pairs, Means())
    assert ours == control


def test_half_the_way_is_half_the_difference(pairs: tuple[Pairs, PairSet]) -> None:
    ours, control = judged(Mixing(0.5), pairs, Pixels())
    assert ours["l1"] == pytest.approx(control["l1"] / 2, rel=1e-5)
    assert ours["psnr"] == pytest.approx(control["psnr"] + 6.02, abs=0.05)
    assert "feature_fid" not in ours


def test_only_the_hole_counts(pairs: tuple[Pairs, PairSet]) -> None:
    ours, control = judged(Mixing(0.5, hole=True), pairs, Pixels())
    dataset = pairs[1]
    given, target = dataset.prepare(dataset.batch(torch.arange(20), torch.Generator()))
    error = (given - target)[:, :, 8:16, 8:16].square().mean((1, 2, 3)).double()
    assert control["hole_psnr"] == pytest.approx((10 * (4 / error).log10()).mean().item(), rel=1e-5)
    assert ours["hole_psnr"] == pytest.approx(control["hole_psnr"] + 6.02, abs=0.01)


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("pix2pix", {"l1", "psnr", "ssim", "sharpness"}),
        ("cyclegan", {"translate_cycle_l1", "back_cycle_l1", "translate_sharpness"}),
        ("srgan", {"l1", "psnr", "sharpness"}),
        ("context_encoder", {"hole_psnr", "hole_sharpness"}),
    ],
)
def test_every_kind_from_the_command_line(
    method: str, names: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = api.starting_point(method, "tiny").replace(steps=1, device="cpu")
    api.start(method, config, tmp_path / "run", show=False)
    assert cli.run(["evaluate", str(tmp_path / "run"), "--samples", "8"]) == 0
    said = capsys.readouterr().out
    assert "untouched" in said and all(name in said for name in names)
    assert cli.run(["evaluate", str(tmp_path / "run"), "--samples", "8", "--metrics", "fid"]) == 2
    assert "--metrics are of models that make pictures from noise" in capsys.readouterr().err
