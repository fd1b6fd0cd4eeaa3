"""Scores in files: MIDI, ABC, MusicXML, and Sparring's own .npz. Files come from strangers: they are small, or refused."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparring.core.errors import UserError
from sparring.core.score import NOTE, Meter, Score, Tempo, Track, Word

FILE_LIMIT = 2**23
"""bytes that a file of music may have"""
NOTE_LIMIT = 300_000
UNPACKED_LIMIT = 2**27
"""bytes to which a packed file may unpack"""
DAMAGED = (
    RuntimeError, ValueError, TypeError, AttributeError, LookupError, OverflowError, MemoryError, OSError, EOFError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
"""what libraries raise on files that are not what they seem"""


def read_score(path: Path) -> Score:
    """The score in a file.

    Raises:
        UserError: it is none, is damaged, too large, or has no notes.
    """
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise UserError(f"{path}: has {path.stat().st_size:,} bytes; music has at most {FILE_LIMIT:,}")
        return parse_score(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def parse_score(content: bytes, name: str) -> Score:
    """The score in the content of a file; the name says of what kind it is. Errors as `read_score`."""
    reader = READERS.get(Path(name).suffix.lower())
    if reader is None:
        raise UserError(f"{name}: not a kind of file that music is read from; known are {', '.join(READERS)}")
    if len(content) > FILE_LIMIT:
        raise UserError(f"{name}: has {len(content):,} bytes; music has at most {FILE_LIMIT:,}")
    try:
        score = reader(content)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except DAMAGED as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise UserError(f"{name}: not a readable file of music ({reason})") from None
    if not len(score.notes):
        raise UserError(f"{name}: there are no notes in it")
    return score


def library() -> Any:
    """symusic, which reads and writes MIDI."""
    try:
        import symusic
    except ImportError:
        raise UserError("music needs the extra `music`: pip install 'sparring[music]'") from None
    return symusic


def _midi(content: bytes) -> Score:
    return _taken(library().Score.from_midi(content))


def _abc(content: bytes) -> Score:
    """The first tune of the file."""
    return _taken(library().Score.from_abc(content.decode("utf-8", "replace")))


def _musicxml(content: bytes) -> Score:
    try:
        from music21 import converter
    except ImportError:
        raise UserError("MusicXML is read by music21: pip install music21") from None
    if content[:2] == b"PK":
        _check_unpacked(content)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / ("score.mxl" if content[:2] == b"PK" else "score.musicxml")
        source.write_bytes(content)
        try:
            made = converter.parse(source).write("midi", Path(folder) / "score.mid")
        except Exception as error:  # its errors have no common ancestor
            raise ValueError(str(error)) from None
        return _midi(Path(made).read_bytes())


def _taken(found: Any) -> Score:
    """A symusic score as ours; tracks without notes are left out. Words that stand on one of those, as files for singing along
    have them, go to the track where most of them have a note."""
    count = found.note_num()
    if count > NOTE_LIMIT:
        raise UserError(f"it has {count:,} notes; at most {NOTE_LIMIT:,}")
    kept = [track for track in found.tracks if len(track.notes)]
    parts, words = [], []
    for number, track in enumerate(kept):
        values = track.notes.numpy()
        part = np.zeros(len(track.notes), NOTE)
        for field, theirs in (("start", "time"), ("length", "duration"), ("pitch", "pitch"), ("velocity", "velocity")):
            part[field] = values[theirs]
        part["length"] = np.maximum(part["length"], 1)
        part["track"] = number
        parts.append(part)
        words += [Word(each.time, number, each.text) for each in track.lyrics]
    if kept:
        for sung in (track.lyrics for track in found.tracks if not len(track.notes)):
            ticks = [each.time for each in sung]
            singer = int(np.argmax([np.isin(ticks, part["start"]).sum() for part in parts]))
            words += [Word(each.time, singer, each.text) for each in sung]
    return Score(
        np.concatenate(parts) if parts else np.zeros(0, NOTE),
        tuple(Track(track.name, track.program, track.is_drum) for track in kept),
        found.ticks_per_quarter,
        tuple(Tempo(each.time, each.qpm) for each in found.tempos),
        tuple(Meter(each.time, each.numerator, each.denominator) for each in found.time_signatures),
        tuple(words),
    )


def write_midi(score: Score, path: Path) -> None:
    """As a MIDI file of type 1, which reads as the same score."""
    path.write_bytes(midi_bytes(score))


def midi_bytes(score: Score) -> bytes:
    symusic = library()
    made = symusic.Score(score.resolution)
    for tempo in score.tempos:
        made.tempos.append(symusic.Tempo(tempo.start, qpm=tempo.bpm))
    for meter in score.meters:
        made.time_signatures.append(symusic.TimeSignature(*meter))
    for number, track in enumerate(score.tracks):
        own = symusic.Track(track.name, track.program, track.drums)
        notes = score.notes[score.notes["track"] == number]
        own.notes = symusic.Note.from_numpy(
            notes["start"].astype(np.int32), notes["length"].astype(np.int32), notes["pitch"].astype(np.int8),
            notes["velocity"].astype(np.int8),
        )  # fmt: skip
        for word in score.words:
            if word.track == number:
                own.lyrics.append(symusic.TextMeta(word.start, word.text))
        made.tracks.append(own)
    return made.dumps_midi()


def _check_unpacked(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > UNPACKED_LIMIT:
        raise UserError(f"claims to unpack to {size:,} bytes; music has at most {UNPACKED_LIMIT:,}")


def _npz(content: bytes) -> Score:
    _check_unpacked(content)
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        notes, said = found["notes"], json.loads(str(found["score"]))
    if notes.dtype != NOTE or notes.ndim != 1:
        raise ValueError(f"notes are {notes.dtype} {notes.shape}")
    return Score(
        notes,
        tuple(Track(*each) for each in said["tracks"]),
        said["resolution"],
        tuple(Tempo(*each) for each in said["tempos"]),
        tuple(Meter(*each) for each in said["meters"]),
        tuple(Word(*each) for each in said["words"]),
    )


def write_npz(score: Score, path: Path) -> None:
    """As arrays: what `read_score` reads without any library."""
    said = {name: getattr(score, name) for name in ("tracks", "resolution", "tempos", "meters", "words")}
    np.savez_compressed(path, notes=score.notes, score=json.dumps(said))


READERS: dict[str, Callable[[bytes], Score]] = {
    ".mid": _midi,
    ".midi": _midi,
    ".abc": _abc,
    ".musicxml": _musicxml,
    ".mxl": _musicxml,
    ".npz": _npz,
}
