"""Where images come from: `open_source` takes whatever a person has and finds out what it is.

Folders, zip and tar archives, idx, npy, npz, Parquet, CSV and JSON lines, prepared stores, and data sets known by name.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sparring.core.errors import UserError
from sparring.data import arrays, download
from sparring.data.archives import open_tar, open_zip
from sparring.data.listing import Arrays, Pictures, Source, folder_labels, is_picture, number_labels, stamp_of
from sparring.data.store import is_store, read_store
from sparring.data.tables import open_file, open_parquet, open_table

READERS: dict[str, Callable[[Path], Source]] = {
    ".zip": open_zip,
    ".tar": open_tar,
    ".tar.gz": open_tar,
    ".tgz": open_tar,
    ".npy": arrays.open_npy,
    ".npz": arrays.open_npz,
    ".parquet": open_parquet,
    ".csv": open_table,
    ".tsv": open_table,
    ".jsonl": open_table,
    "idx3-ubyte": arrays.open_idx,
    "idx3-ubyte.gz": arrays.open_idx,
}

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def known_names() -> list[str]:
    """The data sets that are found, or fetched, by name alone."""
    return ["digits", *download.KNOWN]


def open_source(name: str) -> Source:
    """Find out what a source is, and list it. Nothing is decoded yet.

    Args:
        name: a path, which may go on inside an archive (`photos.zip/train`), or one of `known_names` where no such path
            exists.

    Raises:
        UserError: missing, empty, damaged, of no known kind, or refused because it claims too much.
    """
    path = Path(name).expanduser()
    try:
        archive = _archive_above(path)
        if archive is not None:
            source: Source = _inside(archive, path.relative_to(archive).as_posix(), name)
        elif not name or not os.path.lexists(path):
            return _open_known(name, path)
        else:
            source = _open_folder(path) if path.is_dir() else _open_one(path)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error})") from None
    if isinstance(source, Pictures) and not source.names:
        source.close()
        raise UserError(f"{name}: there are no pictures in it (looked for .png, .jpg and the like){_hint(path)}")
    return source


def _archive_above(path: Path) -> Path | None:
    """The archive that a path leads into."""
    above = next((parent for parent in path.parents if parent.is_file()), None)
    return above if above is not None and above.name.lower().endswith(ARCHIVES) else None


def _inside(archive: Path, folder: str, name: str) -> Pictures:
    """The pictures of one folder of an archive.

    Raises:
        UserError: there is no such folder.
    """
    whole = _open_one(archive)
    assert isinstance(whole, Pictures)
    kept = [index for index, file in enumerate(whole.names) if file.startswith(f"{folder}/")]
    if not kept:
        whole.close()
        folders = sorted({"/".join(file.split("/")[:-1]) for file in whole.names} - {""})
        near = difflib.get_close_matches(folder, folders, 3) or folders[:5]
        raise UserError(f"{name}: {archive.name} has no folder {folder!r} with pictures; it has {', '.join(near)}")
    return picked(whole, kept, folder)


def picked(whole: Pictures, kept: list[int], folder: str = "") -> Pictures:
    """Some pictures of a source, in this order; their names as seen from a folder of it."""
    names = [whole.names[index].removeprefix(f"{folder}/") for index in kept]
    labels, class_names = number_labels(folder_labels(names))
    order = None
    if whole.order is not None:
        place = {index: number for number, index in enumerate(kept)}
        order = [place[index] for index in whole.order if index in place]
    stamp = stamp_of(whole.stamp, folder, *names)
    return Pictures(whole.kind, names, labels, class_names, stamp, lambda n: whole.open(kept[n]), order, whole.close)


def _open_known(name: str, path: Path) -> Source:
    if name == "digits":
        return _open_digits()
    if name not in download.KNOWN:
        raise UserError(_missing(name, path))
    known = download.KNOWN[name]
    folder = download.locate(name)
    if name == "cifar10":
        return arrays.open_cifar(folder / known.files[0].name, known.class_names)
    found = arrays.open_idx(folder / known.files[0].name)
    return Arrays("idx", found.images, found.labels, list(known.class_names), found.stamp)


def _open_digits() -> Arrays:
    """MNIST's test set, which comes with the library: see digits.LICENSE.md."""
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as content:
        images, labels = content["images"], content["labels"]
    names = [str(number) for number in range(10)]
    return Arrays("embedded", images[..., None], labels.astype(np.int64), names, stamp_of("digits", 1))


def _missing(name: str, path: Path) -> str:
    beside = [str(entry) for entry in sorted(path.parent.iterdir())] if path.parent.is_dir() else []
    near = difflib.get_close_matches(name, [*known_names(), *beside], n=3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"{name!r}: no such file or folder ({path.absolute()}).{meant} Known by name: {', '.join(known_names())}"


def _open_one(path: Path) -> Source:
    endings = [ending for ending in READERS if path.name.lower().endswith(ending)]
    if not endings:
        advice = "give the folder it is in" if is_picture(path.name) else f"known are {', '.join(READERS)} and folders"
        raise UserError(f"{path}: not a kind of file that images are read from; {advice}")
    return READERS[max(endings, key=len)](path)


def _open_folder(folder: Path) -> Source:
    if is_store(folder):
        store = read_store(folder)
        note = f"{len(store.skipped):,} left out" if store.skipped else ""
        return Arrays("store", store.images, store.labels, store.class_names, store.fingerprint, note)
    idx = arrays.find_idx(folder)
    if idx is not None:
        return arrays.open_idx(idx)
    found = sorted(_walk(folder))
    names = [name for name, _, _ in found]
    labels, class_names = number_labels(folder_labels(names))

    def open_one(index: int) -> BinaryIO:
        return open_file(folder / names[index])

    return Pictures("folder", names, labels, class_names, stamp_of(folder.resolve(), *found), open_one)


def _walk(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Relative name, size and time of writing of every picture below."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        # Links are followed, since large sets are often put together with them; but never in a circle.
        seen.add(os.path.realpath(parent))
        folders[:] = [each for each in sorted(folders) if os.path.realpath(os.path.join(parent, each)) not in seen]  # noqa: PTH118
        above = Path(parent).relative_to(folder)
        for file in files:
            name = (above / file).as_posix()
            if is_picture(name):
                try:
                    status = (folder / name).stat()
                except OSError:
                    yield name, -1, 0  # a dangling link: reading it will say so
                else:
                    yield name, status.st_size, status.st_mtime_ns


def _hint(path: Path) -> str:
    """What else is in a folder without pictures, if Sparring could read that."""
    if not path.is_dir():
        return ""
    endings = Counter(file.suffix.lower() for file in path.iterdir() if file.suffix.lower() in READERS)
    return "".join(f"; it holds {count} {ending} file(s): name one of those" for ending, count in endings.items())
