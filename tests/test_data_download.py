"""Downloads: resumed, checked, from the next mirror when one fails. All from this machine's own little server."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sparring.core.errors import UserError
from sparring.data import download
from sparring.data.images import Images
from sparring.data.sources import open_source

CONTENT = bytes(range(256)) * 2000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """/whole honours Range; /plain ignores it; /cut breaks off half-way; /wrong differs; the rest is missing."""

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))  # type: ignore[attr-defined]
        kind = self.path.split("/")[1]
        content = CONTENT[::-1] if kind == "wrong" else CONTENT
        if kind not in {"whole", "plain", "cut", "wrong", "stuck"}:
            self.send_error(404)
            return
        start = int(asked[6:-1]) if asked and kind != "plain" else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        if kind == "stuck":
            rest = b""
        elif kind == "cut" and start < len(content) * 3 // 4:
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.requests = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def url(server: ThreadingHTTPServer, kind: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{kind}/file.bin"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_whole_file(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    path = download.fetch(url(server, "whole"), tmp_path / "deep" / "file.bin", DIGEST)
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == {"file.bin"}
    assert server.requests == [("/whole/file.bin", None)]


def test_a_whole_file_is_not_fetched_again(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    for _ in range(2):
        download.fetch(url(server, "whole"), tmp_path / "file.bin", DIGEST)
    assert len(server.requests) == 1


def test_md5(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    digest = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    assert download.fetch(url(server, "whole"), tmp_path / "file.bin", digest).read_bytes() == CONTENT


def test_an_earlier_part_is_continued(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert download.fetch(url(server, "whole"), tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT
    assert server.requests == [("/whole/file.bin", "bytes=1000-")]


def test_a_cut_connection_is_continued(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    assert download.fetch(url(server, "cut"), tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT
    half = len(CONTENT) // 2
    asked = [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert [each for _, each in server.requests] == asked


def test_a_server_that_ignores_ranges(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert download.fetch(url(server, "plain"), tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_wrong_leftover_is_thrown_away(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert download.fetch(url(server, "whole"), tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=1000-", None]


def test_a_leftover_that_is_too_long(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"x")
    assert download.fetch(url(server, "whole"), tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT


def test_a_complete_leftover_is_taken(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert download.fetch(url(server, "whole"), tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_wrong_checksum_is_deleted_and_reported(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(UserError, match=r"wrong/file\.bin: its checksum is wrong, so it was deleted") as caught:
        download.fetch(url(server, "wrong"), path, DIGEST)
    assert f"Put the file file.bin at {path} yourself" in str(caught.value)
    assert files(tmp_path) == set()


def test_the_next_mirror(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    mirrors = [url(server, kind) for kind in ("missing", "wrong", "whole")]
    assert download.fetch(mirrors, tmp_path / "file.bin", DIGEST).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/missing/file.bin", "/wrong/file.bin", "/whole/file.bin"]


def test_all_mirrors_fail(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    with pytest.raises(UserError, match=r"missing/file\.bin: Not Found; .*stuck/file\.bin: the connection was cut"):
        download.fetch([url(server, "missing"), url(server, "stuck")], tmp_path / "file.bin", DIGEST)


def test_offline(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    address = url(server, "whole")
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=r"cannot be downloaded .*yourself"):
        download.fetch(address, tmp_path / "file.bin", DIGEST)


def test_too_large(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        download.fetch(url(server, "whole"), tmp_path / "file.bin", DIGEST, limit=1000)
    assert files(tmp_path) == set()


def test_only_the_web(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    with pytest.raises(UserError, match="only http"):
        download.fetch((tmp_path / "secret").as_uri(), tmp_path / "file.bin", DIGEST)


def test_a_folder_that_cannot_be_written(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be fetched or written"):
        download.fetch(url(server, "whole"), tmp_path / "file" / "file.bin", DIGEST)


def cifar(path: Path) -> np.ndarray:
    """Five batches of two records each."""
    records = np.random.default_rng(0).integers(0, 256, (5, 2, 3073), np.uint8)
    records[..., 0] = np.arange(10).reshape(5, 2)
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for number, batch in enumerate(records, 1):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{number}.bin")
            member.size = batch.nbytes
            archive.addfile(member, io.BytesIO(batch.tobytes()))
    return records.reshape(-1, 3073)


def test_known_sets_are_found_in_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = cifar(tmp_path / "mine" / "cifar-10" / "cifar-10-binary.tar.gz")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = Images("cifar10").open()
    assert np.array_equal(data.images, records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert data.labels.tolist() == list(range(10))
    assert (data.class_names[0], data.class_names[9]) == ("airplane", "truck")
    assert not (tmp_path / "cache").exists()


def test_known_sets_are_fetched_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(urls: list[str], path: Path, digest: str) -> Path:
        asked.append((urls, path, digest))
        raise UserError("offline")

    monkeypatch.delenv("SPARRING_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="offline"):
        open_source("mnist")
    urls, path, digest = asked[0]
    assert urls[0] == "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz"
    assert path == tmp_path / "sparring" / "data" / "mnist" / "train-images-idx3-ubyte.gz"
    assert digest.startswith("sha256:440fcabf")


def test_known_digests_are_well_formed() -> None:
    lengths = {"sha256": 64, "md5": 32}
    for known in download.KNOWN.values():
        assert len(known.class_names) == 10
        for file in known.files:
            algorithm, _, digits = file.digest.partition(":")
            assert len(bytes.fromhex(digits)) * 2 == lengths[algorithm]


def test_damaged_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    path.write_bytes(b"nonsense")
    monkeypatch.setenv("SPARRING_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path / "cifar10")
    with pytest.raises(UserError, match="not the binary version"):
        open_source("cifar10")
