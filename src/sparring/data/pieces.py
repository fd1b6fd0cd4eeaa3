"""Pieces of music: every one that a folder, an archive, a file or JSON of voices holds, read one by one."""

from __future__ import annotations

import functools
import gzip
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sparring.core import chords, midi
from sparring.core.errors import UserError
from sparring.core.media import MUSIC
from sparring.core.score import PITCHES, SOUNDING, STRUCK, Score, Track
from sparring.data.archives import DAMAGED, check_claims, check_names
from sparring.data.store import Skipped

TOY = "tunes"
SUFFIXES = tuple(suffix for suffix in MUSIC if suffix != ".npz")
STEPS_OF_JSON = 4
"""steps of a quarter note in JSON of voices, as the JSB chorales come"""


class Piece(NamedTuple):
    name: str
    read: Callable[[], Score]


def read_pieces(name: str) -> tuple[dict[str, Score], list[Skipped]]:
    """Every piece of a source by name, and the files that cannot be read.

    Raises:
        UserError: missing, or no piece can be read.
    """
    found, skipped = {}, []
    for piece in _pieces(name):
        try:
            found[piece.name] = piece.read()
        except (UserError, *DAMAGED) as error:
            skipped.append(Skipped(piece.name, str(error).removeprefix(f"{piece.name}: ")))
    if not found:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in skipped[:5])
        raise UserError(f"{name}: no piece of music can be read in it" + (f" ({reasons})" if reasons else ""))
    return found, skipped


def _pieces(source: str) -> Iterator[Piece]:
    path = Path(source).expanduser()
    if source == TOY:
        yield from (Piece(f"{TOY}/{number}", functools.partial(_toy, number)) for number in range(32))
        return
    if not source:
        raise UserError("music to learn from is needed: --data FOLDER, or a .zip, of MIDI files")
    above = next((each for each in (path, *path.parents) if each.is_file()), None)
    inside = path.relative_to(above).as_posix() if above is not None and above != path else ""
    if path.is_dir():
        files = sorted(Path(parent) / name for parent, _, names in os.walk(path) for name in names)
        for file in files:
            if file.name.lower().endswith(SUFFIXES) and not file.name.startswith("."):
                yield Piece(file.relative_to(path).as_posix(), lambda file=file: midi.read_score(file))  # type: ignore[misc]
    elif above is None:
        raise UserError(f"{source!r}: no such file or folder ({path.absolute()})")
    elif above.suffix.lower() == ".zip":
        yield from _of_zip(above, inside)
    elif above.name.lower().endswith((".json", ".json.gz")):
        yield from _of_json(above, inside)
    else:
        yield Piece(above.name, lambda: midi.read_score(above))


def _of_zip(path: Path, folder: str) -> Iterator[Piece]:
    """The music in a folder of a zip file; with none named, in all of it."""
    try:
        archive = zipfile.ZipFile(path)
    except (*DAMAGED, NotImplementedError) as error:
        raise UserError(f"{path}: not a readable zip file ({error})") from None
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        check_names(path, [member.filename for member in members])
        check_claims(path, sum(member.file_size for member in members))
        for member in sorted(members, key=lambda member: member.filename):
            name = member.filename
            beside = not folder or str(Path(name).parent.as_posix()) == folder
            if beside and name.lower().endswith(SUFFIXES) and "__MACOSX" not in name:

                def read(member: zipfile.ZipInfo = member) -> Score:
                    if member.file_size > midi.FILE_LIMIT:
                        raise UserError(f"has {member.file_size:,} bytes; music has at most {midi.FILE_LIMIT:,}")
                    return midi.parse_score(archive.read(member), member.filename)

                yield Piece(name, read)


def _of_json(path: Path, part: str) -> Iterator[Piece]:
    """Voices of the JSB chorales: {part: [piece: [step: [pitch or -1 of each voice]]]}."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(2**28)
        found = json.loads(content)
    except (*DAMAGED, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not readable JSON ({error})") from None
    if not isinstance(found, dict) or not all(isinstance(pieces, list) for pieces in found.values()):
        raise UserError(f"{path}: parts are expected, each a list of pieces, as the JSB chorales come")
    if part and part not in found:
        raise UserError(f"{path}: has no part {part!r}; it has {', '.join(map(str, found))[:200]}")
    for name in [part] if part else sorted(found):
        for number, piece in enumerate(found[name]):
            yield Piece(f"{name}/{number}", lambda piece=piece: _of_voices(piece))  # type: ignore[misc]


def _of_voices(piece: list[list[int]]) -> Score:
    """A pitch that goes on is one note: such files do not tell it from a repeated one."""
    try:
        pitches = np.array(piece, np.int64)
        if pitches.ndim != 2 or not len(pitches) or pitches.min() < -1 or pitches.max() >= PITCHES:
            raise ValueError
    except (ValueError, OverflowError, TypeError):
        raise UserError("steps of as many pitches, one for each voice and -1 for silence, are expected") from None
    roll = torch.from_numpy((pitches.T[:, :, None] == np.arange(PITCHES)).astype(np.uint8))
    return Score.of_roll(roll, STEPS_OF_JSON, tuple(Track(f"voice {n + 1}", 0) for n in range(len(roll))))


def _toy(number: int) -> Score:
    """A melody over four chords: on strong beats a tone of the chord, in between the nearest in the scale."""
    chance = np.random.default_rng(number)
    roll = np.zeros((2, 8 * 16, PITCHES), np.uint8)
    table, scale, pitch = chords.tones(), np.isin(np.arange(PITCHES) % 12, (0, 2, 4, 5, 7, 9, 11)), 67
    for bar, chord in enumerate(np.tile(chance.permutation([0, 7, 21, 5]), 2)):
        inside = np.isin(np.arange(PITCHES) % 12, np.flatnonzero(table[chord]))
        roll[1, bar * 16 : bar * 16 + 16, 48:60] = inside[48:60]
        roll[1, bar * 16] *= 2
        for beat in range(4):
            for step, length in ((0, 2), (2, 2)) if chance.random() < 0.5 else ((0, 4),):
                known = np.flatnonzero((scale if step else inside)[60:80]) + 60
                near = known[np.argsort(np.abs(known - pitch - chance.integers(-3, 4)), kind="stable")]
                pitch = int(near[0])
                place = bar * 16 + beat * 4 + step
                roll[0, place : place + length, pitch] = SOUNDING
                roll[0, place, pitch] = STRUCK
    return Score.of_roll(torch.from_numpy(roll), 4, (Track("Melody", 73), Track("Chords", 0)))
