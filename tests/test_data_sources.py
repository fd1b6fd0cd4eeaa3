"""Sources: the same content is the same data however it is wrapped; and what is hostile is refused by name."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from PIL import Image

from sparring.core.errors import UserError
from sparring.data.arrays import image_layout
from sparring.data.images import Images
from sparring.data.inspect import inspect
from sparring.data.listing import Arrays, Pictures, folder_labels, is_picture, number_labels
from sparring.data.sources import known_names, open_source

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def png(value: int, side: int = 6) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (value, 2 * value, 255 - value)).save(stream, "PNG")
    return stream.getvalue()


FILES = {f"{label}/{number}.png": png(20 * number + len(label)) for label in ("cat", "horse") for number in range(4)}
LABELS = [name.partition("/")[0] for name in FILES]


def write_files(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def as_folder(place: Path) -> Path:
    folder = write_files(place / "folder")
    (folder / ".hidden.png").write_bytes(b"hidden")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._a.png").write_bytes(b"leftover")
    (folder / "cat" / "notes.txt").write_text("no picture")
    return folder


def as_zip(place: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(place / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in reversed(FILES.items()):
            archive.writestr(prefix + name, content)
        archive.writestr("__MACOSX/cat/._0.png", b"leftover")
    return place / "x.zip"


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **about: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in about.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def as_tar(place: Path, ending: str = ".tar", prefix: str = "./") -> Path:
    with tarfile.open(place / f"x{ending}", "w:gz" if "gz" in ending else "w") as archive:
        for name, content in reversed(FILES.items()):
            add(archive, prefix + name, content)
    return place / f"x{ending}"


def as_parquet(place: Path, struct_column: bool = False) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": content, "path": name} for name, content in FILES.items()]
    column = images if struct_column else list(FILES.values())
    table = pyarrow.table({"image": column, "label": LABELS})
    parquet.write_table(table, place / "x.parquet", row_group_size=3)
    return place / "x.parquet"


def as_csv(place: Path, columns: tuple[str, str] = ("file", "label"), separator: str = ",") -> Path:
    write_files(place)
    with (place / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([columns, *zip(FILES, LABELS)])
    return place / "list.csv"


def as_jsonl(place: Path) -> Path:
    write_files(place)
    lines = [json.dumps({"Image": name, "Category": label}) for name, label in zip(FILES, LABELS)]
    (place / "list.jsonl").write_text("\n".join(lines) + "\n")
    return place / "list.jsonl"


WRAPPINGS: dict[str, Callable[[Path], Path]] = {
    "folder": as_folder,
    "zip": as_zip,
    "zip in a folder": lambda place: as_zip(place, "data set/train/"),
    "tar": as_tar,
    "tar.gz": lambda place: as_tar(place, ".tar.gz"),
    "tgz": lambda place: as_tar(place, ".tgz", "deep/"),
    "parquet": as_parquet,
    "parquet of structs": lambda place: as_parquet(place, True),
    "csv": as_csv,
    "csv with other names": lambda place: as_csv(place, ("filename", "class"), ";"),
    "jsonl": as_jsonl,
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_same_content_same_data(tmp_path: Path, wrapping: str) -> None:
    path = WRAPPINGS[wrapping](tmp_path)
    data = Images(str(path)).open()
    expected = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in FILES.values()])
    assert np.array_equal(data.images, expected)
    assert data.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert data.class_names == ["cat", "horse"]
    assert inspect(str(path)).classes == {"cat": 4, "horse": 4}


def test_content_decides_the_fingerprint(tmp_path: Path) -> None:
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
    prints = {Images(str(as_folder(places[0]))).open().fingerprint, Images(str(as_zip(places[1]))).open().fingerprint}
    assert len(prints) == 1


def test_one_thread_or_many_give_the_same(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number:03}.png").write_bytes(png(number))
    one = Images(str(tmp_path), size=5, workers=1).open().images.copy()
    assert one[:, 0, 0, 0].tolist() == list(range(60))
    os.utime(tmp_path / "000.png", (1, 1))  # so that it is prepared again
    assert np.array_equal(Images(str(tmp_path), size=5, workers=8).open().images, one)


# Labels


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a.png", "b.png"], [None, None]),
        (["x/a.png", "y/b.png"], ["x", "y"]),
        (["top/x/a.png", "top/y/b.png"], ["x", "y"]),
        (["x/deep/a.png", "x/b.png", "y/c.png"], ["x", "x", "y"]),
        (["x/a.png", "b.png"], ["x", None]),
        (["x/a.png", "x/b.png"], ["x", "x"]),
        ([], []),
    ],
)
def test_topmost_folders_are_labels(names: list[str], labels: list[str | None]) -> None:
    assert folder_labels(names) == labels


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        ([2, 0, None, 2], [2, 0, -1, 2], ["0", "1", "2"]),
        (["10", "2", "2"], [1, 0, 0], ["2", "10"]),
        (["b", "", "a", None], [1, -1, 0, -1], ["a", "b"]),
        ([-1, 10**9, 5], [-1, 1, 0], ["5", "1000000000"]),
        ([None], [-1], []),
    ],
)
def test_labels_are_numbered(labels: list, numbers: list[int], names: list[str]) -> None:
    result = number_labels(labels)
    assert (result[0].tolist(), result[1]) == (numbers, names)


@given(st.lists(st.one_of(st.none(), st.text(max_size=4), st.integers(-1, 20_000)), max_size=20))
def test_any_labels_can_be_numbered(labels: list) -> None:
    numbers, names = number_labels(labels)
    assert numbers.shape == (len(labels),)
    for label, number in zip(labels, numbers):
        assert number == -1 if label in {None, "", -1} else names[number] == str(label)


def test_what_counts_as_a_picture() -> None:
    assert all(map(is_picture, ["a.png", "x/B.JPG", "c.tiff", "a.b.webp"]))
    assert not any(map(is_picture, ["a.txt", ".a.png", "x/.cache/a.png", "__MACOSX/a.png", "png", "a.npy"]))


# idx


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


DIGITS = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
NUMBERS = np.array([3, 0, 1, 1, 9], np.uint8)


def write_idx(place: Path, packed: bool, name: str = "train") -> Path:
    ending, pack = (".gz", gzip.compress) if packed else ("", bytes)
    (place / f"{name}-images-idx3-ubyte{ending}").write_bytes(pack(idx(DIGITS)))
    (place / f"{name}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(NUMBERS)))
    return place / f"{name}-images-idx3-ubyte{ending}"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("as_file", [False, True])
def test_idx(tmp_path: Path, packed: bool, as_file: bool) -> None:
    path = write_idx(tmp_path, packed)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(DIGITS[:1]))
    source = open_source(str(path if as_file else tmp_path))
    assert isinstance(source, Arrays)
    assert np.array_equal(source.images, DIGITS[..., None])
    assert source.labels.tolist() == [3, 0, 1, 1, 9]
    assert source.class_names == list("0123456789")


def test_idx_without_labels(tmp_path: Path) -> None:
    (tmp_path / "my-images-idx3-ubyte").write_bytes(idx(DIGITS))
    assert open_source(str(tmp_path)).labels.tolist() == [-1] * 5


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (idx(DIGITS)[:-1], "claims 80 bytes, but it holds 79"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**20, 2**10, 2**10), "refused"),
        (bytes([0, 0, 13, 3]) + idx(DIGITS)[4:], "not an idx file"),
        (idx(DIGITS)[:9], "not an idx file"),
        (b"", "not an idx file"),
        (idx(DIGITS[:0]), "holds no images"),
    ],
)
def test_lying_idx_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UserError, match=f"a-images-idx3-ubyte.*{says}"):
        open_source(str(tmp_path))


def test_idx_labels_must_match(tmp_path: Path) -> None:
    write_idx(tmp_path, False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(NUMBERS[:4]))
    with pytest.raises(UserError, match="5 images, but labels of shape 4"):
        open_source(str(tmp_path))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 40), st.booleans())
def test_damaged_idx_never_crashes(noise: bytes, position: int, packed: bool) -> None:
    content = bytearray(gzip.compress(idx(DIGITS)) if packed else idx(DIGITS))
    content[position : position + len(noise)] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x-images-idx3-ubyte{'.gz' if packed else ''}"
        path.write_bytes(bytes(content))
        try:
            source = open_source(str(path))
        except UserError as error:
            assert path.name in str(error)
        else:
            assert source.images.dtype == np.uint8


# npy and npz


@pytest.mark.parametrize(
    ("array", "note", "expected"),
    [
        (DIGITS, "N x H x W, 8 bits", DIGITS[..., None]),
        (DIGITS[:, None], "N x C x H x W, 8 bits", DIGITS[..., None]),
        (np.repeat(DIGITS[..., None], 3, 3), "N x H x W x C, 8 bits", np.repeat(DIGITS[..., None], 3, 3)),
        (np.asfortranarray(DIGITS), "N x H x W, 8 bits", DIGITS[..., None]),
        (DIGITS.astype(np.uint16) * 257, "N x H x W, 16 bits", DIGITS[..., None]),
        (DIGITS.astype(">u2") * 257, "N x H x W, 16 bits", DIGITS[..., None]),
        (DIGITS.astype(np.uint16), "N x H x W, 8 bits in 16", DIGITS[..., None]),
        (DIGITS / 255, r"N x H x W, floats in [0, 1]", DIGITS[..., None]),
        ((DIGITS / 127.5 - 1).astype(np.float32), r"N x H x W, floats in [-1, 1]", DIGITS[..., None]),
        ((DIGITS / 255).astype(np.float16), r"N x H x W, floats in [0, 1]", DIGITS[..., None]),
        (DIGITS % 2 == 1, "N x H x W, 1 bit", (DIGITS % 2 * 255)[..., None]),
    ],
)
def test_npy(tmp_path: Path, array: np.ndarray, note: str, expected: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    source = open_source(str(tmp_path / "x.npy"))
    assert source.note == note
    assert np.array_equal(source.images, expected)
    data = Images(str(tmp_path / "x.npy")).open()
    assert np.array_equal(data.images, expected)


def test_right_sized_arrays_make_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.save(tmp_path / "x.npy", DIGITS)
    Images(str(tmp_path / "x.npy"), size=4).open()
    assert not (tmp_path / "cache").exists()
    assert Images(str(tmp_path / "x.npy"), size=2).open().images.shape == (5, 2, 2, 1)
    assert (tmp_path / "cache").exists()


@pytest.mark.parametrize("changed", ["last image", "label", "nothing"])
def test_every_pixel_and_label_is_in_the_fingerprint(tmp_path: Path, changed: str) -> None:
    np.savez(tmp_path / "a.npz", x=DIGITS, y=NUMBERS)
    images, labels = DIGITS.copy(), NUMBERS.copy()
    images[-1, -1, -1] ^= changed == "last image"
    labels[-1] -= changed == "label"
    np.savez(tmp_path / "b.npz", x=images, y=labels)
    first, second = (Images(str(tmp_path / name)).open().fingerprint for name in ("a.npz", "b.npz"))
    assert (first == second) == (changed == "nothing")


def test_many_channels_need_an_array(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 8, 8), np.uint8)
    np.save(tmp_path / "x.npy", array)
    data = Images(str(tmp_path / "x.npy"))
    assert data.resolved().shape == (5, 8, 8)
    assert np.array_equal(data.open().images, array.transpose(0, 2, 3, 1))
    with pytest.raises(UserError, match="5 channels"):
        Images(str(tmp_path / "x.npy"), channels=3).open()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([{"a": 1}], object), "pickle"),
        (np.full((2, 3, 3), np.nan), "not finite"),
        (np.full((2, 3, 3), np.inf, np.float32), "not finite"),
        (np.full((2, 3, 3), 200.0), "from 200 to 200"),
        (np.zeros((2, 3, 3), np.int64), "int64"),
        (np.zeros((2, 3), np.uint8), "2 dimensions"),
        (np.zeros((2, 0, 3), np.uint8), "x.npy"),
        (np.zeros((2, 3, 3), np.complex64), "complex64"),
    ],
)
def test_unfit_npy_is_refused(tmp_path: Path, array: np.ndarray, says: str) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match=f"x.npy.*{says}|{says}"):
        open_source(str(tmp_path / "x.npy"))


def test_npy_that_claims_too_much(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(UserError, match="claims 100,000,000,000,000 bytes"):
        open_source(str(tmp_path / "x.npy"))


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=30), st.integers(0, 160))
def test_damaged_npy_never_crashes(noise: bytes, position: int) -> None:
    stream = io.BytesIO()
    np.save(stream, DIGITS)
    content = bytearray(stream.getvalue())
    content[position : position + len(noise)] = noise
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "x.npy"
        path.write_bytes(bytes(content))
        try:
            assert open_source(str(path)).images.dtype == np.uint8
        except UserError as error:
            assert "x.npy" in str(error)


@settings(max_examples=40, deadline=None)
@given(
    numpy_strategies.arrays(
        np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
    )
)
def test_npy_roundtrip(array: np.ndarray) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        np.save(Path(folder) / "x.npy", array)
        source = open_source(str(Path(folder) / "x.npy"))
        back, _ = image_layout(array, Path("x"))
        assert np.array_equal(source.images, back)
        assert back.size == array.size
        del source


@pytest.mark.parametrize("shape", [(9, 28, 28, 1), (9, 64, 64, 3), (9, 64, 96, 3), (9, 1, 1, 3), (9, 4, 4, 3)])
def test_layouts_are_told_apart(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.uint8)
    assert image_layout(array, Path())[0].shape == shape
    assert image_layout(array.transpose(0, 3, 1, 2), Path())[0].shape == shape


@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y"), ("x_train", "y_train"), ("arr_0", "arr_1")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, keys: tuple[str, str], save: Callable[..., None]) -> None:
    save(tmp_path / "x.npz", **{keys[0]: DIGITS, keys[1]: NUMBERS[:, None]})
    source = open_source(str(tmp_path / "x.npz"))
    assert np.array_equal(source.images, DIGITS[..., None])
    assert source.labels.tolist() == [3, 0, 1, 1, 9]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"pixels": DIGITS}, "none of the keys"),
        ({"x": DIGITS, "y": NUMBERS[:3]}, "5 images, but labels of shape 3"),
        ({"x": DIGITS, "y": NUMBERS / 2}, "whole numbers"),
        ({"x": np.array([None])}, "pickle"),
    ],
)
def test_unfit_npz_is_refused(tmp_path: Path, content: dict, says: str) -> None:
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(UserError, match=says):
        open_source(str(tmp_path / "x.npz"))


# Archives that lie


@pytest.mark.parametrize("name", ["/etc/a.png", "../a.png", "x/../../a.png", "..\\a.png", "C:\\a.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_outside_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("fine.png", png(1))
            archive.writestr(name, png(2))
    else:
        with tarfile.open(path, "w") as archive:
            add(archive, "fine.png", png(1))
            add(archive, name, png(2))
    with pytest.raises(UserError, match="points outside the archive"):
        open_source(str(path))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12), max_size=5))
def test_any_member_names(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in dict.fromkeys([*names, "fine.png"]):
                archive.writestr(name, png(1))
        try:
            source = open_source(str(path))
        except UserError as error:
            assert "outside" in str(error)
        else:
            assert "fine.png" in source.names
            assert not any(name.startswith("/") or ".." in name.split("/") for name in source.names)
            source.close()


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png(1))
    content = (tmp_path / "x.zip").read_bytes()
    claim = struct.pack("<I", 2**31)
    at = content.rindex(b"PK\x01\x02") + 24
    (tmp_path / "x.zip").write_bytes(content[:at] + claim + content[at + 4 :])
    with pytest.raises(UserError, match=r"x\.zip: refused.* claim to unpack to 2,147,483,648"):
        open_source(str(tmp_path / "x.zip"))


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_tar_bombs_are_refused(tmp_path: Path, ending: str) -> None:
    member = tarfile.TarInfo("a.png")
    member.size = 2**40
    content = member.tobuf() + bytes(2048)
    path = tmp_path / f"x{ending}"
    path.write_bytes(gzip.compress(content) if "gz" in ending else content)
    with pytest.raises(UserError, match=r"refused.* claim to unpack to 1,099,511,627,776"):
        open_source(str(path))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_bad_files(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add(archive, "fine.png", png(1))
        add(archive, "link.png", type=kind, linkname="/etc/passwd")
    with pytest.raises(UserError, match=r"1 of 2 pictures cannot be read \(link\.png: a link, device"):
        Images(str(tmp_path / "x.tar"), size=6, channels=3).open()
    with pytest.warns(UserWarning, match=r"link\.png"):
        assert len(Images(str(tmp_path / "x.tar"), size=6, channels=3, bad=1).open()) == 1


def test_members_with_wrong_checksums_are_bad_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png(1))
        archive.writestr("b.png", png(2))
    content = (tmp_path / "x.zip").read_bytes()
    at = content.index(b"IDAT") + 6
    (tmp_path / "x.zip").write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    with pytest.warns(UserWarning, match=r"a\.png: Bad CRC"):
        assert Images(str(tmp_path / "x.zip"), size=6, bad=0.5).open().images[0, 0, 0, 0] == 2


@pytest.mark.parametrize(
    "name", ["x.zip", "x.tar", "x.tar.gz", "x.npz", "x.npy", "x.parquet", "x-images-idx3-ubyte.gz"]
)
@pytest.mark.parametrize("content", [b"", b"nonsense" * 200])
def test_nonsense_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize(
    ("wrapping", "kept"), [("zip", 500), ("tar", 500), ("tar", 700), ("tar", 1100), ("tar.gz", 200)]
)
def test_archives_cut_short_are_refused(tmp_path: Path, wrapping: str, kept: int) -> None:
    path = WRAPPINGS[wrapping](tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=path.name):
        open_source(str(path))


# Tables


def test_tables_without_a_file_column(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"x\.csv: no column of files: has \['a', 'b'\], needs one of file"):
        open_source(str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"", "no rows"),
        ("x.csv", b"file,label\n", "no rows"),
        ("x.csv", b"file\n\xff\xfe\n", "as text"),
        ("x.jsonl", b'{"file": "a.png"}\n{', "line 2: not JSON"),
        ("x.jsonl", b"[1]\n", "line 1: not a JSON object"),
    ],
)
def test_damaged_tables(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.*{says}"):
        open_source(str(tmp_path / name))


def test_missing_files_of_a_table_are_bad_files(tmp_path: Path) -> None:
    path = as_csv(tmp_path)
    (tmp_path / "cat" / "2.png").unlink()
    with pytest.warns(UserWarning, match=r"cat/2\.png: there is no such file"):
        data = Images(str(path), bad=0.2).open()
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_names_kept_by_hugging_face(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"img": [png(1), png(2)], "label": [1, 0]})
    features = {"info": {"features": {"label": {"names": ["plane", "car"]}}}}
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "x.parquet")
    source = open_source(str(tmp_path / "x.parquet"))
    assert (source.labels.tolist(), source.class_names) == ([1, 0], ["plane", "car"])
    source.close()


def test_parquet_without_pictures(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1], "b": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet: needs one column of encoded pictures.*a: int64, b: string"):
        open_source(str(tmp_path / "x.parquet"))


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"pip install 'sparring\[parquet\]'"):
        open_source(str(tmp_path / "x.parquet"))


# Names


def test_missing_sources_get_a_suggestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers").mkdir()
    with pytest.raises(UserError, match=r"'flower': no such file.*Did you mean flowers\?.*digits, mnist"):
        open_source("flower")
    with pytest.raises(UserError, match="Did you mean digits"):
        open_source("digit")
    with pytest.raises(UserError, match="no such file"):
        open_source("")
    assert known_names() == ["digits", "mnist", "fashion_mnist", "cifar10"]


def test_a_path_goes_before_a_known_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path / "digits")
    assert isinstance(open_source("digits"), Pictures)


def test_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pictures"):
        open_source(str(tmp_path))
    as_zip(tmp_path)
    with pytest.raises(UserError, match=r"it holds 1 \.zip"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["a.png", "a.pdf"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(png(1))
    with pytest.raises(UserError, match="not a kind of file"):
        open_source(str(tmp_path / name))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_in_a_circle_end(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "x")
    (folder / "cat" / "again").symlink_to(folder)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    source = open_source(str(folder))
    assert sorted(source.names) == sorted([*FILES, "gone.png"])


# Real sets


@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="the shared data sets are not beside the repository")
def test_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_DATA", str(SHARED))
    data = Images("mnist").open()
    assert data.images.shape == (60_000, 28, 28, 1)
    assert data.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert abs(data.images.mean() / 255 - 0.1307) < 1e-3
    fashion = Images("fashion_mnist").open()
    assert fashion.class_names[fashion.labels[0]] == "Ankle boot"


@pytest.mark.skipif(not (SHARED / "faces").is_dir(), reason="the shared data sets are not beside the repository")
def test_real_photographs() -> None:
    data = Images(str(SHARED / "unpaired" / "impressionism2photo-128.zip"), size=16).open()
    assert data.class_names == ["testA", "testB", "trainA", "trainB"]
    assert 60 < data.images.mean() < 180
    assert data.images.std(axis=(1, 2, 3)).min() > 1
