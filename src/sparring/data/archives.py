"""Pictures inside zip and tar files, read in place: nothing is ever unpacked to disk.

Archives come from strangers. One that names files outside itself, or claims more than its bytes can hold, is refused.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zipfile
import zlib
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from sparring.core.errors import UserError
from sparring.data.listing import FILE_LIMIT, Pictures, folder_labels, is_picture, number_labels, stamp_of_file

RATIO_LIMIT = 1032
"""deflate cannot pack better than this; an archive that claims more overlaps or lies"""
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


def open_zip(path: Path) -> Pictures:
    """The pictures of a zip file.

    Raises:
        UserError: damaged, or refused for what it claims.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (*DAMAGED, NotImplementedError) as error:
        raise UserError(f"{path}: not a readable zip file ({error})") from None
    try:
        members = [member for member in archive.infolist() if not member.is_dir()]
        check_names(path, [member.filename for member in archive.infolist()])
        check_claims(path, sum(member.file_size for member in members))
        members = sorted((m for m in members if is_picture(m.filename)), key=lambda member: member.filename)
    except UserError:
        archive.close()
        raise
    lock = Lock()

    def open_member(index: int) -> BinaryIO:
        member = members[index]
        _check_member(member.file_size)
        with lock, archive.open(member) as stream:
            return io.BytesIO(stream.read())

    names = [member.filename for member in members]
    labels, class_names = number_labels(folder_labels(names))
    return Pictures("zip", names, labels, class_names, stamp_of_file(path), open_member, close=archive.close)


def open_tar(path: Path) -> Pictures:
    """The pictures of a tar file, compressed with gzip or not.

    Raises:
        UserError: damaged, or refused for what it claims.
    """
    try:
        archive = tarfile.open(path, "r:*")  # noqa: SIM115 (closed by the source's own close)
    except DAMAGED as error:
        raise UserError(f"{path}: not a readable tar file ({error})") from None
    try:
        members = _tar_members(path, archive)
    except (*DAMAGED, UserError) as error:
        archive.close()
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: the archive is damaged ({error})") from None
    lock = Lock()

    def open_member(index: int) -> BinaryIO:
        member = members[index]
        if not member.isreg() or member.issparse():
            raise ValueError("a link, device or sparse file, not a plain one")
        _check_member(member.size)
        with lock:
            stream = archive.extractfile(member)
            assert stream is not None
            return io.BytesIO(stream.read())

    names = [member.name for member in members]
    labels, class_names = number_labels(folder_labels(names))
    # Going back in a gzip stream means unpacking it again from its start.
    order = sorted(range(len(members)), key=lambda index: members[index].offset_data)
    return Pictures("tar", names, labels, class_names, stamp_of_file(path), open_member, order, archive.close)


def _tar_members(path: Path, archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    claimed, members = 0, []
    for member in archive:
        check_names(path, [member.name])
        # Checked before moving on, since moving on unpacks what is claimed.
        claimed += member.size
        check_claims(path, claimed)
        if not member.isdir() and is_picture(_plain(member.name)):
            member.name = _plain(member.name)
            members.append(member)
    _check_end(archive)
    return sorted(members, key=lambda member: member.name)


def _check_end(archive: tarfile.TarFile) -> None:
    """The tarfile module takes a cut or damaged header for the end, and would lose what follows without a word."""
    stream = archive.fileobj
    assert stream is not None
    stream.seek(archive.offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if block.strip(b"\0") or len(block) not in {0, tarfile.BLOCKSIZE}:
        raise ValueError("it is cut short, or a member's header is wrong")


def _plain(name: str) -> str:
    """Without the leading "./" that `tar c .` writes, which would look like a hidden folder."""
    while name.startswith("./"):
        name = name[2:]
    return name


def check_names(path: Path, names: list[str]) -> None:
    for name in names:
        plain = name.replace("\\", "/")
        if plain.startswith("/") or re.match("[A-Za-z]:", plain) or ".." in plain.split("/"):
            raise UserError(f"{path}: refused, because its member {name!r} points outside the archive")


def check_claims(path: Path, claimed: int) -> None:
    size = path.stat().st_size
    if claimed > RATIO_LIMIT * size + 2**20:
        raise UserError(f"{path}: refused, because its {size:,} bytes claim to unpack to {claimed:,} (a zip bomb?)")


def _check_member(size: int) -> None:
    if size > FILE_LIMIT:
        raise ValueError(f"claims to unpack to {size:,} bytes")
