"""Previews of points: what the opponent makes of the plane stands beside the samples."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
import torch
from torch import Tensor

from sparring import api, catalogue
from sparring.core.config import presets
from sparring.core.data import Opponent
from sparring.data.images import Images
from sparring.data.points import SIZE, Points
from sparring.tasks.sample import Sample

IN_THE_PLANE = [name for name, found in catalogue.methods().items()
                if "ring" in presets(found.load().Config) and issubclass(found.load().Model, Sample)]  # fmt: skip


def hill(points: Tensor) -> Tensor:
    return -points.square().sum(1)


def test_heat_is_a_logit_s_own_and_centred_where_it_is_relative() -> None:
    data, examples = Points("ring"), torch.zeros(4, 2) + 0.2
    sure = data.opposed(examples, Opponent(lambda points: hill(points) + 9, False))
    assert sure is not None
    # Far above zero everywhere: all orange (more red than blue).
    assert (sure[0, 0] > sure[0, 2]).float().mean() > 0.95
    centred = data.opposed(examples, Opponent(lambda points: hill(points) + 9, True))
    assert centred is not None
    corner, middle = centred[0, :, 2, 2], centred[0, :, SIZE // 2 + 60, SIZE // 2]
    assert corner[2] > corner[0]
    assert middle[0] > middle[2]
    shifted = data.opposed(examples, Opponent(lambda points: 7 * hill(points) - 100, True))
    assert shifted is not None
    assert torch.allclose(shifted, centred, atol=0.02)


def test_arrows_point_uphill() -> None:
    data = Points("ring")
    examples = torch.tensor([[0.8, 0.0]]).repeat(10, 1)
    drawn = data.opposed(examples, Opponent(hill, False))
    flat = data.opposed(examples, Opponent(lambda points: hill(points).detach() + 0 * points.sum(1), False))
    assert drawn is not None
    assert flat is not None
    left, right = (drawn - flat).abs().sum((0, 1, 2)).split(int((0.8 / 1.5 + 1) / 2 * SIZE))[0:2]
    assert left.sum() > 0
    assert right[3:].sum() == 0


def test_nothing_beside_where_the_opponent_does_not_say() -> None:
    assert Points("ring").opposed(torch.zeros(4, 2), Opponent(lambda points: None, False)) is None
    assert Images(size=8).opposed(torch.zeros(4, 1, 8, 8), Opponent(hill, False)) is None


@pytest.mark.parametrize("method", IN_THE_PLANE)
@pytest.mark.parametrize("source", ["ring", "mixture"])
def test_every_game_in_the_plane_is_drawn_with_its_opponent(method: str, source: str, tmp_path: Path) -> None:
    config = api.starting_point(method, "ring").replace(data=Points(source, count=1000), batch=16, steps=2, watch=False)
    result = api.start(method, config, tmp_path / "run", show=False)
    pictures = sorted((result.folder / "previews").glob("*.png"))
    assert len(pictures) == 3
    for path in pictures:
        assert PIL.Image.open(path).size == (2 * SIZE, SIZE)


def test_looking_does_not_change_the_game(tmp_path: Path) -> None:
    """A run with many previews ends at the same weights as one with few."""
    config = api.starting_point("gan", "ring").replace(steps=6, batch=16, watch=False, log_every=2)
    often, seldom = (
        api.start("gan", config.replace(preview_every=every), tmp_path / str(every), show=False).model
        for every in (1, 6)
    )
    for one, other in zip(often.state_dict().values(), seldom.state_dict().values()):
        assert torch.equal(one, other)
