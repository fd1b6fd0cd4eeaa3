"""Faces are found where they are, and cut out alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparring import cli
from sparring.data.faces import Face, cut, find

skimage_data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """The astronaut of scikit-image, a public-domain photo by NASA."""
    return Image.fromarray(skimage_data.astronaut())


def test_a_face_is_found_where_it_is(portrait: Image.Image) -> None:
    face = find(portrait)[0]
    assert 150 < face.left + face.side / 2 < 300 and 40 < face.top + face.side / 2 < 200
    larger = find(portrait.resize((1024, 1024)))[0]
    assert larger.side / face.side == pytest.approx(2, rel=0.25)


def test_what_is_cut_out_is_the_square_around_it() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[40:60, 30:50] = 255
    found = np.asarray(cut(Image.fromarray(pixels), Face(30, 40, 20), 26))
    assert found.shape == (26, 26)
    assert (found[5:21, 5:21] > 200).all() and found[0].max() < 60


def test_a_face_at_the_edge_is_filled_up_with_the_outermost_pixels() -> None:
    pixels = np.full((40, 40, 3), 90, np.uint8)
    assert (np.asarray(cut(Image.fromarray(pixels), Face(-5, 10, 40), 32)) == 90).all()


def test_from_the_command_line(tmp_path: Path, portrait: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    portrait.save(photos / "one.jpg")
    Image.new("RGB", (200, 200), (10, 200, 10)).save(photos / "lawn.png")
    (photos / "broken.png").write_bytes(b"no picture")
    assert cli.run(["data", "faces", str(photos), str(tmp_path / "faces"), "--size", "64"]) == 0
    said = capsys.readouterr()
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["one.png"]
    assert Image.open(tmp_path / "faces" / "one.png").size == (64, 64)
    assert "1 face" in said.out and "lawn.png: no face found" in said.err and "broken.png: not a readable" in said.err


def test_no_face_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "lawn.png")
    assert cli.run(["data", "faces", str(tmp_path / "lawn.png"), str(tmp_path / "face.png")]) == 2
    assert "lawn.png: no face found" in capsys.readouterr().err
    assert cli.run(["data", "faces", str(tmp_path / "none.png"), str(tmp_path / "face.png")]) == 2
    assert "no such file" in capsys.readouterr().err
