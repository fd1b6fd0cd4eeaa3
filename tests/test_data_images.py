"""Images: whatever goes in, the right pixels come out."""

from __future__ import annotations

import io
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sparring.core.errors import UserError
from sparring.data import cache
from sparring.data.decoding import each_picture
from sparring.data.images import ImageBatch, Images, ImageSet
from sparring.data.inspect import inspect, prepare
from sparring.data.listing import Pictures
from sparring.data.pictures import array_pixels, decode, header
from sparring.data.store import Contents, Skipped, Store, read_store, write_store


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    stream.seek(0)
    return stream


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def write_folder(folder: Path, count: int, side: int = 8, suffix: str = "png") -> Path:
    """Grey squares of value 10 x number, in two labelled folders."""
    for number in range(count):
        path = folder / ("even" if number % 2 == 0 else "odd") / f"{number:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (side, side), 10 * number).save(path)
    return folder


# Pictures of every kind


def palette_with_hole() -> io.BytesIO:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (0, 0, 4, 2))
    return encoded(image, transparency=0)


def grey_with_alpha(value: int, alpha: int) -> io.BytesIO:
    return encoded(Image.merge("LA", [Image.new("L", (4, 4), value), Image.new("L", (4, 4), alpha)]))


def sixteen_bits(value: int, format: str = "PNG") -> io.BytesIO:
    return encoded(Image.fromarray(np.full((4, 4), value, np.uint16)), format)


def floats(value: float) -> io.BytesIO:
    return encoded(Image.fromarray(np.full((4, 4), value, np.float32)), "TIFF")


def big_endian() -> io.BytesIO:
    tifffile = pytest.importorskip("tifffile")
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.full((4, 4), 0x8080, ">u2"), byteorder=">")
    stream.seek(0)
    return stream


def moving() -> io.BytesIO:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


KINDS = {
    "one bit": (lambda: encoded(Image.new("1", (4, 4), 1)), (255, 255, 255), True),
    "grey": (lambda: encoded(Image.new("L", (4, 4), 77)), (77, 77, 77), True),
    "grey, half transparent": (lambda: grey_with_alpha(0, 128), (127, 127, 127), True),
    "grey, opaque": (lambda: grey_with_alpha(60, 255), (60, 60, 60), True),
    "palette": (lambda: encoded(Image.new("RGB", (4, 4), (9, 8, 7)).quantize()), (9, 8, 7), False),
    "palette with a hole": (palette_with_hole, (255, 255, 255), False),
    "colour": (lambda: encoded(Image.new("RGB", (4, 4), (1, 2, 3))), (1, 2, 3), False),
    "colour, transparent": (lambda: encoded(Image.new("RGBA", (4, 4), (1, 2, 3, 0))), (255, 255, 255), False),
    "colour, half transparent": (lambda: encoded(Image.new("RGBA", (4, 4), (0, 0, 255, 51))), (204, 204, 255), False),
    "16 bits": (lambda: sixteen_bits(0x8080), (128, 128, 128), True),
    "16 bits, white": (lambda: sixteen_bits(65535), (255, 255, 255), True),
    "16 bits, TIFF": (lambda: sixteen_bits(257 * 40, "TIFF"), (40, 40, 40), True),
    "16 bits, big-endian": (big_endian, (128, 128, 128), True),
    "floats to 1": (lambda: floats(0.4), (102, 102, 102), True),
    "floats to 255": (lambda: floats(102), (102, 102, 102), True),
    "CMYK": (lambda: encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95), (254, 0, 0), False),
    "JPEG": (lambda: encoded(Image.new("RGB", (64, 64), (200, 100, 50)), "JPEG", quality=95), (200, 100, 50), False),
    "BMP": (lambda: encoded(Image.new("RGB", (4, 4), (5, 6, 7)), "BMP"), (5, 6, 7), False),
    "BMP with a palette": (
        lambda: encoded(Image.new("RGB", (4, 4), (9, 8, 7)).quantize(), "BMP"),
        (9, 8, 7),
        False,
    ),
    "WebP": (lambda: encoded(Image.new("RGB", (4, 4), (5, 6, 7)), "WEBP", lossless=True), (5, 6, 7), False),
    "PPM": (lambda: encoded(Image.new("RGB", (4, 4), (5, 6, 7)), "PPM"), (5, 6, 7), False),
    "first frame": (moving, (255, 0, 0), False),
    "one pixel": (lambda: encoded(Image.new("RGB", (1, 1), (5, 6, 7))), (5, 6, 7), False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture(kind: str) -> None:
    make, colour, grey = KINDS[kind]
    assert header(make()).grey == grey
    result = decode(make(), 4, 3, "crop")
    assert result.shape == (4, 4, 3)
    assert result.dtype == np.uint8
    assert np.abs(result[3, 3].astype(int) - colour).max() <= (3 if kind in {"CMYK", "JPEG"} else 0)


def test_grey_of_colour_is_luma() -> None:
    assert decode(encoded(Image.new("RGB", (4, 4), (255, 0, 0))), 4, 1, "crop")[0, 0, 0] == 76


def test_exif_rotation_is_applied() -> None:
    image = Image.new("L", (8, 4), 0)
    image.paste(255, (0, 0, 4, 4))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right: left becomes top
    result = decode(encoded(image, exif=exif), 4, 1, "stretch")[..., 0]
    assert result[0].min() > 200
    assert result[-1].max() < 50


def halves() -> Image.Image:
    """12 x 4: black, white, black."""
    image = Image.new("L", (12, 4), 0)
    image.paste(255, (4, 0, 8, 4))
    return image


def test_crop_takes_the_middle() -> None:
    assert (decode(encoded(halves()), 4, 1, "crop") == 255).all()


def test_pad_keeps_everything_on_black() -> None:
    result = decode(encoded(Image.new("L", (12, 4), 200)), 12, 1, "pad")[..., 0]
    assert (result[4:8] == 200).all()
    assert (result[:4] == 0).all()
    assert (result[8:] == 0).all()


def test_stretch_fills_the_square() -> None:
    result = decode(encoded(halves()), 12, 1, "stretch")[..., 0]
    assert (result[:, 5:7] == 255).all()
    assert (result[:, [0, 11]] == 0).all()


def test_odd_crop_is_exact() -> None:
    ramp = np.tile(np.arange(7, dtype=np.uint8) * 10, (4, 1))
    assert decode(encoded(Image.fromarray(ramp)), 4, 1, "crop")[0, :, 0].tolist() in (
        [10, 20, 30, 40],
        [20, 30, 40, 50],
    )


def test_shrinking_averages() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode(encoded(Image.fromarray(board)), 8, 1, "crop").astype(int) - 127).max() <= 3


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_draft_mode_changes_little(fit: str) -> None:
    ramp = np.add.outer(np.arange(512), np.arange(384)) * 255 / 894
    image = Image.fromarray(ramp.astype(np.uint8))
    exact = decode(encoded(image), 32, 1, fit).astype(int)
    assert np.abs(decode(encoded(image, "JPEG", quality=98), 32, 1, fit) - exact).max() <= 6


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_draft_mode_keeps_detail(fit: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 48), np.uint8)
    image = Image.fromarray(noise).resize((384, 256), Image.Resampling.BICUBIC)
    exact = decode(encoded(image), 32, 1, fit).astype(int)
    assert exact.std() > 30
    assert np.abs(decode(encoded(image, "JPEG", quality=98), 32, 1, fit) - exact).mean() < 3


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.sampled_from(["crop", "pad", "stretch"]),
)
def test_any_extent_and_mode(extent: tuple[int, int], mode: str, size: int, channels: int, fit: str) -> None:
    result = decode(encoded(Image.new(mode, extent)), size, channels, fit)
    assert result.shape == (size, size, channels)
    assert result.dtype == np.uint8


def test_extreme_aspect() -> None:
    assert (decode(encoded(Image.new("L", (1, 5000), 9)), 8, 1, "crop") == 9).all()
    assert decode(encoded(Image.new("L", (5000, 1), 9)), 8, 1, "pad").sum() == 8 * 9


def test_many_channels_are_resized_one_by_one() -> None:
    image = np.zeros((8, 8, 5), np.uint8) + np.arange(5, dtype=np.uint8) * 50
    assert (array_pixels(image, 4, 5, "crop") == np.arange(5) * 50).all()
    with pytest.raises(ValueError, match="5 channels"):
        array_pixels(image, 4, 3, "crop")


# The set


def test_digits_come_with_the_library() -> None:
    data = Images().open()
    assert Images().resolved() == Images(size=28, channels=1, class_names=tuple("0123456789"))
    assert (len(data), data.images.shape, data.class_names) == (10_000, (10_000, 28, 28, 1), list("0123456789"))
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(data.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert 0.13 < data.images.mean() / 255 < 0.134
    assert cache.cache_folder("stores").exists() is False


def test_batches_are_gathered_and_prepared() -> None:
    images = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
    data = ImageSet(images, np.array([0, 1, -1, 1, 0]), ["a", "b"], "")
    raw = data.batch(torch.tensor([4, 0, 4]), chance())
    assert raw.image.dtype == torch.uint8
    assert np.array_equal(raw.image.numpy(), images[[4, 0, 4]])
    assert raw.label.tolist() == [0, 0, 0]
    ready = data.prepare(raw)
    assert ready.image.shape == (3, 3, 2, 2)
    assert ready.image.is_contiguous(memory_format=torch.channels_last)
    expected = images[[4, 0, 4]].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    assert torch.allclose(ready.image, torch.from_numpy(expected))
    assert raw.image.dtype == torch.uint8  # preparing is pure
    assert np.array_equal(raw.image.numpy(), images[[4, 0, 4]])


def test_black_and_white_are_exactly_minus_one_and_one() -> None:
    batch = ImageBatch(torch.tensor([[[[0], [255]]]], dtype=torch.uint8), torch.tensor([0]))
    data = ImageSet(np.zeros((1, 1, 2, 1), np.uint8), np.zeros(1, np.int64), [], "")
    assert data.prepare(batch).image.flatten().tolist() == [-1, 1]


def test_half_are_mirrored_by_chance_alone() -> None:
    images = np.zeros((400, 1, 2, 1), np.uint8)
    images[:, :, 1] = 255
    data = ImageSet(images, np.zeros(400, np.int64), [], "", flip=True)
    index = torch.arange(400)
    first = data.batch(index, chance(1)).image
    mirrored = (first[:, 0, 0, 0] == 255).sum().item()
    assert 150 < mirrored < 250
    assert (first.sum((1, 2, 3)) == 255).all()
    assert torch.equal(first, data.batch(index, chance(1)).image)
    assert not torch.equal(first, data.batch(index, chance(2)).image)
    assert images[0, 0, 0, 0] == 0  # the source is left alone


def test_size_and_channels_suit_the_source(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", 4, side=12)
    named = Images(str(folder), class_names=("even", "odd"))
    assert Images(str(folder)).resolved() == named.replace(size=12, channels=1)
    Image.new("RGB", (12, 12)).save(folder / "odd" / "colour.png")
    assert Images(str(folder)).resolved() == named.replace(size=12, channels=3)
    Image.new("RGB", (12, 13)).save(folder / "odd" / "tall.png")
    assert Images(str(folder)).resolved() == named.replace(size=64, channels=3)
    assert Images(str(folder), size=7).resolved() == named.replace(size=7, channels=3)
    assert Images(str(folder), size=7, channels=1).resolved().shape == (1, 7, 7)


def test_large_squares_become_64(tmp_path: Path) -> None:
    Image.new("L", (257, 257)).save(tmp_path / "a.png")
    assert Images(str(tmp_path)).resolved().size == 64


def test_shape_must_be_known() -> None:
    with pytest.raises(UserError, match=r"data\.size"):
        _ = Images().shape


@pytest.mark.parametrize(
    "wrong", [{"size": -1}, {"size": 10**6}, {"channels": -1}, {"fit": "x"}, {"bad": 2}, {"workers": 0}]
)
def test_wrong_settings_are_named(wrong: dict) -> None:
    with pytest.raises(UserError, match=f"data.{next(iter(wrong))}"):
        Images(**wrong)


def test_channels_that_pictures_cannot_have(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="channels"):
        Images(str(write_folder(tmp_path / "x", 2)), channels=2).open()


def test_folders_are_decoded_once(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "x", 6)
    first = Images(str(folder)).open()
    assert first.images[:, 0, 0, 0].tolist() == [0, 20, 40, 10, 30, 50]
    assert first.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert first.class_names == ["even", "odd"]
    stores = list((own_cache / "sparring" / "stores").glob("*/store.json"))
    assert len(stores) == 1
    monkeypatch.setattr("sparring.data.decoding.decode", None)
    again = Images(str(folder)).open()
    assert np.array_equal(again.images, first.images)
    assert again.fingerprint == first.fingerprint
    assert again.images.base is not None  # memory-mapped


def test_changes_are_noticed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", 6)
    before = Images(str(folder)).open()
    Image.new("L", (8, 8), 99).save(folder / "even" / "00.png")
    after = Images(str(folder)).open()
    assert after.images[0, 0, 0, 0] == 99
    prints = {before.fingerprint, after.fingerprint, Images(str(folder), fit="pad").open().fingerprint}
    assert len(prints) == 3


def test_a_damaged_cache_is_made_anew(tmp_path: Path, own_cache: Path) -> None:
    folder = write_folder(tmp_path / "x", 6)
    first = Images(str(folder)).open()
    expected = first.images.copy()
    store = next((own_cache / "sparring" / "stores").glob("*/images.npy"))
    del first
    store.write_bytes(store.read_bytes()[:-5])
    assert np.array_equal(Images(str(folder)).open().images, expected)


def test_without_a_cache_images_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = write_folder(tmp_path / "x", 3)
    with pytest.warns(UserWarning, match="kept in memory"):
        data = Images(str(folder)).open()
    assert data.images[:, 0, 0, 0].tolist() == [0, 20, 10]


def test_many_openers_at_once_make_one_store(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "x", 20)
    made = []

    def counted(*arguments: Any) -> Store:
        made.append(arguments[0])
        return write_store(*arguments)

    monkeypatch.setattr(cache, "write_store", counted)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: Images(str(folder)).open(), range(6)))
    assert len({data.fingerprint for data in opened}) == 1
    assert all(np.array_equal(data.images, opened[0].images) for data in opened)
    stores = own_cache / "sparring" / "stores"
    assert [path for path in stores.iterdir() if path.is_dir()] == made


# Bad files


SOUND = {
    format: encoded(Image.effect_noise((24, 16), 60).convert(mode), format).getvalue()
    for format, mode in [("PNG", "RGBA"), ("JPEG", "RGB"), ("GIF", "P"), ("TIFF", "L"), ("BMP", "P"), ("WEBP", "RGB")]
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SOUND)), st.integers(0, 700), st.binary(max_size=8), st.integers(1, 4000))
def test_damaged_pictures_give_a_reason(format: str, position: int, noise: bytes, kept: int) -> None:
    content = bytearray(SOUND[format])
    content[position : position + len(noise)] = noise
    source = Pictures("", ["it"], np.array([-1]), [], "", lambda _: io.BytesIO(bytes(content[:kept])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ((index, result),) = each_picture(source, lambda stream: decode(stream, 8, 3, "crop"), 1, "")
    assert index == 0
    if isinstance(result, Skipped):
        assert result.name == "it"
        assert result.reason
    else:
        assert result.shape == (8, 8, 3)


def spoil(folder: Path) -> None:
    (folder / "even" / "01-empty.png").write_bytes(b"")
    (folder / "even" / "02-text.png").write_text("not a picture")
    whole = encoded(Image.effect_noise((32, 32), 50)).getvalue()
    (folder / "odd" / "cut.png").write_bytes(whole[: len(whole) // 2])


def test_bad_files_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", 6)
    spoil(folder)
    with pytest.warns(UserWarning, match="3 of 9 pictures") as caught:
        data = Images(str(folder), size=8, channels=1, bad=0.5).open()
    said = str(caught[0].message)
    assert len(caught) == 1
    assert "even/01-empty.png: the file is empty" in said
    assert "even/02-text.png: not a picture" in said
    assert "odd/cut.png: " in said
    assert data.images[:, 0, 0, 0].tolist() == [0, 20, 40, 10, 30, 50]
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(UserError, match=r"--data\.bad 1"):  # though the store is in the cache by now
        Images(str(folder), size=8, channels=1).open()


def test_too_many_bad_files_are_refused(tmp_path: Path, own_cache: Path) -> None:
    folder = write_folder(tmp_path / "x", 6)
    spoil(folder)
    with pytest.raises(UserError, match=r"3 of 9 pictures cannot be read .*01-empty.*--data\.bad 1"):
        Images(str(folder)).open()
    assert not list((own_cache / "sparring" / "stores").glob("*/store.json"))
    assert not list((own_cache / "sparring" / "stores").glob(".*"))


def test_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="nothing is left"):
        Images(str(tmp_path), size=8, channels=1, bad=1).open()
    with pytest.raises(UserError, match="none of the 1 pictures"):
        Images(str(tmp_path)).resolved()


@pytest.mark.parametrize("pillow_looks", [True, False])
def test_decompression_bomb_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pillow_looks: bool) -> None:
    if not pillow_looks:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    folder = write_folder(tmp_path / "x", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoded_bomb = encoded(Image.new("1", (20_000, 10_000)))
    (folder / "bomb.png").write_bytes(encoded_bomb.getvalue())
    with pytest.raises(UserError, match=r"bomb\.png: .*bomb"):
        Images(str(folder), size=8, channels=1).open()


# Stores


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 4), st.data())
def test_store_roundtrip(count: int, side: int, channels: int, data: st.DataObject) -> None:
    import tempfile

    kept = data.draw(st.integers(0, count))
    rows = np.random.default_rng(count).integers(0, 256, (count, side, side, channels), np.uint8)
    labels = np.arange(kept) % 3 - 1

    def fill(images: np.ndarray) -> Contents:
        images[:] = rows
        return Contents(labels, ["a", "b"], "here", {"size": side}, [Skipped("x", "why")])

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = write_store(Path(folder) / "s", rows.shape, fill)
        assert np.array_equal(store.images, rows[:kept])
        assert store.labels.tolist() == labels.tolist()
        assert (store.class_names, store.source, store.skipped) == (["a", "b"], "here", [Skipped("x", "why")])
        assert sorted(path.name for path in Path(folder).iterdir()) == ["s"]
        del store


def small_store(folder: Path) -> Path:
    def fill(images: np.ndarray) -> Contents:
        images[:] = np.arange(4, dtype=np.uint8)[:, None, None, None]
        return Contents(np.array([0, 1, 0, 1]), ["a", "b"])

    write_store(folder, (4, 6, 6, 1), fill)
    return folder


def test_a_store_is_a_source(tmp_path: Path, own_cache: Path) -> None:
    data = Images(str(small_store(tmp_path / "s"))).open()
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert data.class_names == ["a", "b"]
    assert not (own_cache / "sparring").exists()


@pytest.mark.parametrize("harm", ["cut images", "cut labels", "no images", "text", "count", "names", "format"])
def test_damaged_stores_are_refused(tmp_path: Path, harm: str) -> None:
    folder = small_store(tmp_path / "s")
    about = json.loads((folder / "store.json").read_text())
    if harm.startswith("cut"):
        path = folder / f"{harm[4:]}.npy"
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "no images":
        (folder / "images.npy").unlink()
    elif harm == "text":
        (folder / "store.json").write_text("{")
    else:
        about |= {"count": {"count": 5}, "names": {"class_names": ["a"]}, "format": {"format": 99}}[harm]
        (folder / "store.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"s: (the prepared store is damaged|a store of format 99)"):
        read_store(folder)


def test_prepare_writes_a_store_and_spares_other_folders(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", 6)
    summary = prepare(str(folder), tmp_path / "out", Images(size=4))
    assert (summary.count, summary.shape, summary.class_names, summary.size) == (6, (4, 4, 1), ["even", "odd"], 96)
    assert "6 images of 4 x 4 x 1" in summary.render()
    assert json.loads(json.dumps(summary.as_dict()))["shape"] == [4, 4, 1]
    assert Images(str(tmp_path / "out")).open().images[:, 0, 0, 0].tolist() == [0, 20, 40, 10, 30, 50]
    assert prepare(str(folder), tmp_path / "out", Images(size=5)).shape == (5, 5, 1)  # a store may be replaced
    with pytest.raises(UserError, match="not a prepared store"):
        prepare(str(folder), folder, Images(size=4))
    assert len(list(folder.rglob("*.png"))) == 6


def test_prepare_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        prepare("digits", tmp_path / "file" / "out", Images(size=4))


def test_a_picture_of_examples_is_a_grid() -> None:
    media = pytest.importorskip("sparring.core.media")
    examples = torch.rand(5, 1, 8, 8) * 2 - 1
    assert torch.equal(Images().picture(examples), media.grid(examples))


def test_large_prepared_stores_keep_their_size(tmp_path: Path) -> None:
    prepare(str(write_folder(tmp_path / "x", 2)), tmp_path / "out", Images(size=300))
    assert Images(str(tmp_path / "out")).resolved().size == 300


# Looking


def test_inspect_reports_what_is_there(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", 6)
    spoil(folder)
    Image.new("RGB", (20, 10)).save(folder / "odd" / "wide.jpg")
    (folder / "odd" / "copy.png").write_bytes((folder / "even" / "00.png").read_bytes())
    report = inspect(str(folder))
    assert (report.kind, report.count, report.duplicates, report.unlabelled) == ("folder", 8, 1, 0)
    assert (report.smallest, report.median, report.largest) == ((8, 8), (8, 8), (20, 10))
    assert [tuple(each) for each in report.common] == [(8, 8, 7), (20, 10, 1)]
    assert report.modes == {"L": 7, "RGB": 1}
    assert report.formats == {"PNG": 7, "JPEG": 1}
    assert report.bit_depths == {8: 8}
    assert report.classes == {"even": 3, "odd": 5}
    assert [each.name for each in report.bad] == ["even/01-empty.png", "even/02-text.png", "odd/cut.png"]
    assert report.prepared_bytes == 8 * 64 * 64 * 3
    assert report.suggestion == f"sparring train dcgan --data {folder} --data.size 64"
    assert "odd/cut.png" in report.render()
    assert json.loads(json.dumps(report.as_dict()))["bad"][0]["reason"] == "the file is empty"


def test_inspect_digits() -> None:
    report = inspect("digits")
    assert (report.kind, report.count, report.largest, report.modes) == ("embedded", 10_000, (28, 28), {"L": 10_000})
    assert report.classes["7"] == 1028
    assert report.prepared_bytes == 7_840_000
    assert "0 (980)" in report.render()


def test_inspect_agrees_with_images(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", 3, side=16)
    assert inspect(str(folder)).suggestion.endswith(f"--data.size {Images(str(folder)).resolved().size}")


def test_settings_travel_as_data() -> None:
    data = Images("digits", size=28, channels=1)
    assert replace(data, flip=True) == Images("digits", 28, 1, "crop", True)
