"""Data sets known by name, and how their files are fetched: resumed where cut, checked, from several mirrors."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sparring.core.errors import UserError
from sparring.data.cache import cache_folder, progress_bar

TIMEOUT = 30
"""seconds without a byte"""
SIZE_LIMIT = 2**31
CHUNK = 2**16


@dataclass(frozen=True)
class RemoteFile:
    """One file of a known data set."""

    name: str
    digest: str
    """algorithm:hexadecimal digits"""


@dataclass(frozen=True)
class Known:
    """A data set known by name; its first file holds the images."""

    folders: tuple[str, ...]
    """names its folder may have below SPARRING_DATA; the first one is used in the cache"""
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...]
    class_names: tuple[str, ...]


KNOWN = {
    "mnist": Known(
        ("mnist",),
        (
            RemoteFile(
                "train-images-idx3-ubyte.gz", "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz", "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        tuple("0123456789"),
    ),
    "fashion_mnist": Known(
        ("fashion-mnist", "fashion_mnist"),
        (
            RemoteFile(
                "train-images-idx3-ubyte.gz", "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz", "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
        ),
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": Known(
        ("cifar10", "cifar-10", "cifar_10"),
        # The binary version: the one "for Python" is a pickle, which could run code. Its authors publish an MD5 only.
        (RemoteFile("cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530"),),
        ("https://www.cs.toronto.edu/~kriz/",),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}


def locate(name: str) -> Path:
    """The folder with a known data set's files; what is missing is fetched into the cache.

    A folder named by the environment variable SPARRING_DATA is looked into first.

    Raises:
        UserError: a file is missing and cannot be fetched.
    """
    known = KNOWN[name]
    own = os.environ.get("SPARRING_DATA")
    for folder in [Path(own).expanduser() / each for each in known.folders] if own else []:
        if all((folder / file.name).is_file() for file in known.files):
            return folder
    folder = cache_folder("data") / known.folders[0]
    for file in known.files:
        if not (folder / file.name).is_file():
            fetch([mirror + file.name for mirror in known.mirrors], folder / file.name, file.digest)
    return folder


def fetch(urls: str | Sequence[str], path: Path, digest: str, limit: int = SIZE_LIMIT) -> Path:
    """Download a file from the first mirror that has it; a download that was cut goes on where it ended.

    Args:
        urls: one address, or several of the same file.
        path: where the file goes; until it is whole and checked it is `<name>.part` beside that.
        digest: "sha256:..." or "md5:...".
        limit: largest size in bytes.

    Raises:
        UserError: no mirror gave the right file; says where to put it by hand.
    """
    urls = [urls] if isinstance(urls, str) else list(urls)
    part = path.with_name(path.name + ".part")
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if path.is_file():
                return path  # another process was faster
            for url in urls:
                reason = _fetch_from(url, part, digest, limit)
                if not reason:
                    return part.replace(path)
                reasons.append(f"{url}: {reason}")
    except (OSError, NotImplementedError) as error:
        raise UserError(f"{path}: cannot be fetched or written ({error})") from None
    raise UserError(
        f"{path.name} cannot be downloaded ({'; '.join(reasons)}). Put the file {path.name} at {path} yourself"
    )


def _fetch_from(url: str, part: Path, digest: str, limit: int) -> str:
    """Complete the partial file from one mirror; gives the reason why not, or nothing when all is well."""
    leftover = _size(part)
    while True:
        before = _size(part)
        try:
            _continue(url, part, limit)
            break
        except ValueError as error:
            part.unlink(missing_ok=True)
            return str(error)
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if _size(part) <= before:
                return str(error.reason if isinstance(error, urllib.error.URLError) else error)
    if _digest(part, digest.partition(":")[0]) != digest:
        part.unlink()
        if leftover:
            return _fetch_from(url, part, digest, limit)  # what lay here before may have been the culprit
        return "its checksum is wrong, so it was deleted"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _continue(url: str, part: Path, limit: int) -> None:
    """Append what is missing; a server that ignores the Range header sends all of it again."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("only http and https are fetched")
    start = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing: the checksum will tell
            return
        raise
    with response:
        match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        resumed = response.status == 206 and match is not None and int(match[1]) == start
        if response.status == 206 and not resumed:
            raise ValueError("the server sent another part of the file than was asked for")
        start = start if resumed else 0
        length = int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as file, progress_bar(f"fetching {url}", length) as advance:
            received = 0
            while chunk := response.read(CHUNK):
                received += len(chunk)
                if start + received > limit:
                    raise ValueError(f"more than {limit:,} bytes")
                file.write(chunk)
                advance(len(chunk))
    if received < length:
        raise ConnectionError(f"the connection was cut after {received:,} of {length:,} bytes")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        # MD5 guards against damage here, not against an attacker.
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return f"{algorithm}:{digest.hexdigest()}"
