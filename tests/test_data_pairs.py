"""Pairs, two sets, squares of photos: every layout that people have, and what is said of those that do not fit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.core.errors import UserError
from sparring.data.cropping import crops
from sparring.data.paired import Pairs, outline
from sparring.data.photos import Extent, Photos, corners, tile_side
from sparring.data.sources import open_source
from sparring.data.unpaired import Domains, coloured

chance = torch.Generator()


def shade(value: int, size: tuple[int, int] = (40, 40), kind: str = "RGB") -> Image.Image:
    return Image.new(kind, size, value if kind == "L" else (value, value, value))


def folders(root: Path, count: int = 6, names: tuple[str, str] = ("sketch", "photo")) -> Path:
    """Pictures whose shade is their number, and partners ten lighter."""
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(count):
            shade(number + 100 * place).save(root / name / f"{number}.png")
    return root


def first_pixels(data: Pairs) -> list[tuple[int, int]]:
    opened = data.open()
    batch = opened.batch(torch.arange(len(opened)), chance)
    return [(int(one[0, 0, 0]), int(two[0, 0, 0])) for one, two in zip(batch.input, batch.target)]


EXPECTED = [(number + 100, number) for number in range(6)]
"""`photo` comes before `sketch`"""


def test_two_folders_in_one_place_are_matched_by_name(tmp_path: Path) -> None:
    assert first_pixels(Pairs(str(folders(tmp_path / "both")), size=32)) == EXPECTED


def test_the_other_way_round(tmp_path: Path) -> None:
    data = Pairs(str(folders(tmp_path / "both")), size=32, swap=True)
    assert first_pixels(data) == [pair[::-1] for pair in EXPECTED]


def test_two_places_and_other_suffixes(tmp_path: Path) -> None:
    root = folders(tmp_path / "both")
    for file in (root / "photo").iterdir():
        Image.open(file).save(file.with_suffix(".bmp"))
        file.unlink()
    assert first_pixels(Pairs(str(root / "photo"), other=str(root / "sketch"), size=32)) == EXPECTED


def test_side_by_side(tmp_path: Path) -> None:
    for number in range(6):
        both = Image.new("RGB", (80, 40), (number + 100,) * 3)
        both.paste((number,) * 3, (40, 0, 80, 40))
        both.save(tmp_path / f"{number}.png")
    assert first_pixels(Pairs(str(tmp_path), size=32)) == EXPECTED


def test_inside_an_archive(tmp_path: Path) -> None:
    root = folders(tmp_path / "both")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, f"set/train/{file.relative_to(root)}")
            archive.write(file, f"set/test/{file.relative_to(root)}")
    assert first_pixels(Pairs(f"{tmp_path}/set.zip/set/train", size=32)) == EXPECTED
    assert len(open_source(f"{tmp_path}/set.zip/set/test/photo").labels) == 6
    with pytest.raises(UserError, match="no folder 'set/trian'.*set/train"):
        open_source(f"{tmp_path}/set.zip/set/trian")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_of_two_columns(tmp_path: Path, suffix: str) -> None:
    folders(tmp_path)
    rows = [(f"photo/{number}.png", f"sketch/{number}.png") for number in range(6)]
    if suffix == ".csv":
        text = "input,target\n" + "\n".join(",".join(row) for row in rows)
    else:
        text = "\n".join(f'{{"input": "{one}", "target": "{two}"}}' for one, two in rows)
    (tmp_path / f"pairs{suffix}").write_text(text)
    assert first_pixels(Pairs(str(tmp_path / f"pairs{suffix}"), size=32)) == EXPECTED
    (tmp_path / f"half{suffix}").write_text(text.replace("target", "other"))
    with pytest.raises(UserError, match="needed are input and target"):
        Pairs(str(tmp_path / f"half{suffix}"), size=32).open()


def test_arrays_of_any_channels(tmp_path: Path) -> None:
    np.save(tmp_path / "five.npy", np.full((3, 32, 32, 5), 7, np.uint8))
    np.save(tmp_path / "grey.npy", np.full((3, 32, 32, 1), 9, np.uint8))
    data = Pairs(str(tmp_path / "five.npy"), other=str(tmp_path / "grey.npy"), size=32, jitter=0).resolved()
    assert (data.input_shape, data.shape) == ((5, 32, 32), (1, 32, 32))
    assert first_pixels(data) == [(7, 9)] * 3
    np.save(tmp_path / "few.npy", np.zeros((2, 32, 32, 1), np.uint8))
    with pytest.raises(UserError, match="3 pictures and .*few.npy 2"):
        Pairs(str(tmp_path / "five.npy"), other=str(tmp_path / "few.npy"), size=32).open()


def test_grey_to_colour(tmp_path: Path) -> None:
    for place, kind in (("a", "L"), ("b", "RGB")):
        (tmp_path / place).mkdir()
        picture = shade(50, kind="L") if kind == "L" else Image.new("RGB", (40, 40), (200, 10, 10))
        picture.save(tmp_path / place / "0.png")
    data = Pairs(str(tmp_path), size=32).resolved()
    assert (data.channels, data.target_channels) == (1, 3)


def test_pairs_are_cropped_and_mirrored_alike() -> None:
    images = np.arange(8 * 20 * 20 * 2, dtype=np.int64).reshape(8, 20, 20, 2)
    found = crops(images.astype(np.uint8), torch.arange(8), 16, True, chance.manual_seed(1))
    whole = images.astype(np.uint8)
    mirrored = 0
    for picture, square in zip(whole, found.numpy()):
        places = [(top, left) for top in range(5) for left in range(5)]
        windows = [picture[top : top + 16, left : left + 16] for top, left in places]
        straight = any((window == square).all() for window in windows)
        turned = any((window[:, ::-1] == square).all() for window in windows)
        assert straight or turned
        mirrored += turned and not straight
    assert 0 < mirrored < 8


def test_a_missing_partner_is_named(tmp_path: Path) -> None:
    root = folders(tmp_path / "both")
    (root / "photo" / "3.png").unlink()
    with pytest.raises(UserError, match=r"no partner: .*sketch: 3\.png"):
        Pairs(str(root), size=32).open()


def test_a_partner_that_a_table_names_in_vain_is_named(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "1.png")
    (tmp_path / "pairs.csv").write_text("input,target\n1.png,1.png\n1.png,2.png\n")
    with pytest.raises(UserError, match=r"1\.png: its partner 2\.png: there is no such file"):
        Pairs(str(tmp_path / "pairs.csv"), size=16).open()


def test_partners_of_other_shapes_are_named(tmp_path: Path) -> None:
    root = folders(tmp_path / "both")
    shade(3, (60, 40)).save(root / "sketch" / "3.png")
    with pytest.raises(UserError, match=r"3\.png: 40 x 40 pixels, but its partner 60 x 40"):
        Pairs(str(root), size=32).open()
    with pytest.warns(UserWarning, match="left out"):
        assert len(Pairs(str(root), size=32, bad=1).open()) == 5


def test_plain_photos_are_no_pairs(tmp_path: Path) -> None:
    shade(1, (50, 40)).save(tmp_path / "0.png")
    with pytest.raises(UserError, match="not two squares side by side"):
        Pairs(str(tmp_path), size=32).open()


def test_an_outline_is_where_neighbours_differ() -> None:
    image = torch.full((1, 1, 8, 8), -1.0)
    image[:, :, 2:6, 2:6] = 1
    found = outline(image)
    assert found[0, 0, 0, 0] == -1 and found[0, 0, 1, 1] == 1 and found[0, 0, 2, 2] == 1
    assert found[0, 0, 3, 3] == -1


# --- two sets -------------------------------------------------------------------------------------------------------------


def test_train_folders_are_taken_where_there_are_more(tmp_path: Path) -> None:
    for name, value in (("trainA", 10), ("trainB", 20), ("testA", 30), ("testB", 40)):
        (tmp_path / name).mkdir()
        for number in range(3):
            shade(value).save(tmp_path / name / f"{number}.png")
    batch = Domains(str(tmp_path), size=32).open().batch(torch.arange(3), chance)
    assert set(batch.first.unique().tolist()) == {10}
    assert set(batch.second.unique().tolist()) == {20}


def test_an_epoch_is_as_long_as_the_larger_set(tmp_path: Path) -> None:
    for name, count in (("one", 2), ("two", 5)):
        (tmp_path / name).mkdir()
        for number in range(count):
            shade(number).save(tmp_path / name / f"{number}.png")
    opened = Domains(str(tmp_path / "one"), other=str(tmp_path / "two"), size=32).open()
    assert len(opened) == 5
    assert set(opened.batch(torch.arange(5), chance).first.unique().tolist()) == {0, 1}


def test_one_folder_is_not_two_sets(tmp_path: Path) -> None:
    shade(0).save(tmp_path / "0.png")
    with pytest.raises(UserError, match="two sets of pictures are needed"):
        Domains(str(tmp_path), size=32).open()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: there are no pictures"):
        Domains(str(tmp_path), other=str(tmp_path / "empty"), size=32).open()


def test_coloured_keeps_the_strokes() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1)
    found = coloured(images, torch.tensor([[200, 100, 50]], dtype=torch.uint8))
    assert found[0, 0].tolist() == [[200, 100, 50], [0, 0, 0]]


def test_the_toy_sets_share_no_image() -> None:
    opened = Domains(size=28, jitter=0, flip=False).open()
    batch = opened.batch(torch.arange(64), chance)
    first = batch.first[..., 0].flatten(1)
    strokes = (batch.second.amax(3) < 128).flatten(1)
    assert not any(((one > 128) == two).all() for one in first for two in strokes)


# --- photos ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extent", [(96, 96), (130, 97), (300, 200), (288, 1000)])
def test_tiles_cover_every_photo(extent: tuple[int, int]) -> None:
    side = tile_side([Extent(*extent)], 96)
    seen = np.zeros(extent[::-1], bool)
    for left, top in corners(Extent(*extent), side, 96):
        assert left >= 0 and top >= 0 and left + side <= extent[0] and top + side <= extent[1]
        seen[top : top + side, left : left + side] = True
    assert seen.all()


def test_squares_come_from_the_photo_upright(tmp_path: Path) -> None:
    picture = np.arange(60 * 50, dtype=np.uint8).reshape(50, 60)
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    opened = Photos(str(tmp_path), size=50, flip=False).open()
    square = opened.batch(torch.tensor([0]), chance).image[0, :, :, 0].numpy()
    upright = np.rot90(picture, -1)
    assert any((upright[top : top + 50] == square).all() for top in range(11))


def test_small_photos_are_left_out_or_refused(tmp_path: Path) -> None:
    for number in range(3):
        shade(0, (64, 64)).save(tmp_path / f"{number}.png")
    shade(0, (20, 64)).save(tmp_path / "thin.png")
    with pytest.raises(UserError, match=r"thin\.png: 20 x 64 pixels are too few"):
        Photos(str(tmp_path), size=32).open()
    with pytest.warns(UserWarning, match="left out"):
        assert len(Photos(str(tmp_path), size=32, bad=0.5).open()) == 3 * len(corners(Extent(64, 64), 64, 32))
    with pytest.raises(UserError, match="no photo is at least 100 px.*the largest has 64"):
        Photos(str(tmp_path), size=100).open()


def test_photos_must_be_named() -> None:
    with pytest.raises(UserError, match="photos to learn from are needed: --data FOLDER"):
        Photos().open()


def test_a_zip_of_photos(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for number in range(2):
            stream = io.BytesIO()
            shade(number, (70, 50)).save(stream, "PNG")
            archive.writestr(f"train/{number}.png", stream.getvalue())
    assert Photos(str(tmp_path / "photos.zip"), size=32).resolved().channels == 3
