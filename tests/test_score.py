"""Scores: the same through files and grids, at the right time; damaged and oversized files are refused by name."""

from __future__ import annotations

import json
import wave
import zipfile
from pathlib import Path

import numpy as np
import PIL.ImageColor
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.core import midi, pianoroll, synthesis
from sparring.core.errors import UserError
from sparring.core.score import NOTE, SOUNDING, STRUCK, Meter, Score, Tempo, Track, Word, pitch_name

DATA = Path(__file__).resolve().parents[1].parent / "shared/data/music"


def notes(*rows: tuple[int, int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), NOTE)


def tune() -> Score:
    """Two tracks and a drum, a change of tempo and of metre, and words."""
    return Score(
        notes(
            (0, 480, 60, 80, 0),
            (480, 240, 64, 90, 0),
            (720, 240, 64, 90, 0),
            (0, 1920, 43, 70, 1),
            (960, 60, 38, 99, 2),
        ),
        (Track("Voice", 52), Track("Bass", 32), Track("Drums", 0, True)),
        480,
        (Tempo(0, 120.0), Tempo(960, 60.0)),
        (Meter(0, 4, 4), Meter(1920, 3, 4)),
        (Word(0, 0, "ev-"), Word(480, 0, "er")),
    )


@pytest.mark.parametrize("suffix", [".mid", ".npz"])
def test_a_score_reads_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tune{suffix}"
    (midi.write_midi if suffix == ".mid" else midi.write_npz)(tune(), path)
    assert midi.read_score(path) == tune()


scores = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 2000), st.integers(0, 127), st.integers(1, 127), st.integers(0, 2)),
    min_size=1,
    max_size=40,
)


@given(rows=scores, resolution=st.sampled_from([24, 480, 960]), bpm=st.floats(20, 400))
@settings(max_examples=60, deadline=None)
def test_any_score_reads_as_it_was_written(rows: list[tuple[int, ...]], resolution: int, bpm: float) -> None:
    used = sorted({row[4] for row in rows})
    rows = [(*row[:4], used.index(row[4])) for row in rows]
    tracks = tuple(Track(f"track {number}", 7 * number) for number in range(len(used)))
    score = Score(notes(*rows), tracks, resolution, (Tempo(0, bpm),))
    assert midi.parse_score(midi.midi_bytes(score), "made.mid") == score


@given(rows=scores, steps=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_a_grid_is_the_grid_of_its_notes(rows: list[tuple[int, ...]], steps: int) -> None:
    score = Score(notes(*rows), (Track(),) * 3)
    roll = score.roll(steps)
    assert torch.equal(Score.of_roll(roll, steps, score.tracks).roll(steps), roll)


def test_a_grid_tells_notes_that_go_on_from_notes_that_are_struck_again() -> None:
    roll = tune().roll(2, 60, 72)
    assert roll.shape == (3, 3 + 1, 12)
    assert roll[0, :, 0].tolist() == [STRUCK, SOUNDING, 0, 0]
    assert roll[0, :, 4].tolist() == [0, 0, STRUCK, STRUCK]
    assert not roll[1].any()
    again = Score.of_roll((roll > 0).byte(), 2, tune().tracks, low=60)
    assert [tuple(note)[:3] for note in again.notes.tolist()] == [(0, 2, 60), (2, 2, 64)]


def test_notes_go_to_the_nearest_step_and_last_one_at_least() -> None:
    score = Score(notes((110, 20, 60, 80, 0), (130, 500, 62, 80, 0)), (Track(),))
    found = Score.of_roll(score.roll(4), 4, score.tracks).notes
    assert [tuple(note)[:3] for note in found.tolist()] == [(1, 1, 60), (1, 4, 62)]


def test_a_note_that_is_struck_again_ends_there() -> None:
    score = Score(notes((0, 1000, 60, 80, 0), (480, 100, 60, 80, 0)), (Track(),))
    assert score.notes["length"].tolist() == [480, 100]


def test_seconds_follow_the_tempos_and_bars_the_metres() -> None:
    score = tune()
    assert score.seconds(np.array([0, 480, 960, 1440])).tolist() == [0, 0.5, 1, 2]
    assert score.bars().tolist() == [0, 1920, 1920 + 1440]
    assert (score.end, pitch_name(60), pitch_name(70)) == (1920, "C4", "A#4")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tempos": (Tempo(0, 0.0),)}, "tempo of 0"),
        ({"tempos": (Tempo(0, float("inf")),)}, "tempo of inf"),
        ({"meters": (Meter(0, 4, 3),)}, "metre of 4/3"),
        ({"resolution": 0}, "0 ticks"),
        ({"notes": notes((0, 10, 128, 80, 0))}, "pitch"),
        ({"notes": notes((0, 10, 60, 80, 1))}, "track"),
        ({"notes": notes((-1, 10, 60, 80, 0))}, "begins before"),
        ({"notes": notes((2_000_000_000, 10, 60, 80, 0))}, "quarter notes"),
    ],
)
def test_impossible_scores_are_refused(changes: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"notes": notes((0, 10, 60, 80, 0)), "tracks": (Track(),), **changes}
    with pytest.raises(UserError, match=said):
        Score(**given)  # type: ignore[arg-type]


def broken() -> dict[str, bytes]:
    whole = midi.midi_bytes(tune())
    tempo = whole.index(b"\xff\x51\x03")
    return {
        "nothing.mid": b"",
        "words.mid": b"these are words",
        "short.mid": whole[: len(whole) // 2],
        "still.mid": whole[: tempo + 3] + b"\0\0\0" + whole[tempo + 6 :],
        "silent.mid": midi.midi_bytes(Score(np.zeros(0, NOTE), (Track("silent"),))),
        "large.mid": b"\0" * (midi.FILE_LIMIT + 1),
        "many.mid": b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk"
        + (7 * 400_000).to_bytes(4, "big")
        + b"\1\x90\x3c\x40\1\x3c\0" * 400_000,
        "picture.png": b"\x89PNG",
        "arrays.npz": b"PK\3\4 and no more",
        "tune.abc": b"no tune",
    }


@pytest.mark.parametrize("name", list(broken()))
def test_broken_files_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(broken()[name])
    with pytest.raises(UserError, match=name) as found:
        midi.read_score(tmp_path / name)
    assert "\n" not in str(found.value)


def arrays(**changes: object) -> dict[str, object]:
    said = {"tracks": [["tune", 0, False]], "resolution": 480, "tempos": [], "meters": [], "words": []}
    return {"notes": notes((0, 10, 60, 80, 0)), "score": json.dumps(said), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"notes": np.zeros(3)},
        {"notes": notes((0, 10, 60, 80, 0))[None]},
        {"score": "{}"},
        {"score": "[1, 2]"},
        {"score": json.dumps({"tracks": 3})},
        {"notes": np.zeros(2**24, NOTE)},
    ],
)
def test_arrays_that_are_no_score_are_named(tmp_path: Path, changes: dict[str, object]) -> None:
    np.savez_compressed(tmp_path / "good.npz", **arrays())
    assert len(midi.read_score(tmp_path / "good.npz").notes) == 1
    np.savez_compressed(tmp_path / "bad.npz", **arrays(**changes))
    with pytest.raises(UserError, match=r"bad\.npz"):
        midi.read_score(tmp_path / "bad.npz")


def test_no_pickle_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "trap.npz", notes=np.array([{"a": 1}], object), score="{}")
    with pytest.raises(UserError, match=r"trap\.npz"):
        midi.read_score(tmp_path / "trap.npz")


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_damaged_midi_never_ends_otherwise_than_in_a_score_or_a_clear_error(seed: int) -> None:
    chance = np.random.default_rng(seed)
    content = np.frombuffer(midi.midi_bytes(tune()), np.uint8).copy()
    content[chance.integers(0, len(content), 4)] = chance.integers(0, 256, 4)
    try:
        midi.parse_score(content.tobytes(), "damaged.mid")
    except UserError as error:
        assert "damaged.mid" in str(error)


def test_abc_is_read() -> None:
    score = midi.parse_score(b"X:1\nT:Scale\nM:4/4\nL:1/4\nK:G\nGABc|d4|\n", "scale.abc")
    assert score.notes["pitch"].tolist() == [67, 69, 71, 72, 74]
    assert (score.notes["length"] / score.resolution).round().tolist() == [1, 1, 1, 1, 4]


def test_real_tunes_read_as_they_are_written() -> None:
    source = DATA / "nottingham-abc-midi.zip"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    with zipfile.ZipFile(source) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("MIDI/") and name.count("/") == 1)[1:40]
        for name in names:
            score = midi.parse_score(archive.read(name), name)
            assert midi.parse_score(midi.midi_bytes(score), name) == score


def test_the_picture_shows_each_track_in_its_colour_at_its_pitch() -> None:
    sheet = pianoroll.draw(tune())
    bars = tune().bars()
    assert sheet.width == pianoroll.LEFT + round(bars[-1] / 480 * pianoroll.QUARTER) + 1
    x, y = pianoroll.LEFT + pianoroll.QUARTER // 2, pianoroll.TOP + (71 - 60) * pianoroll.ROW + 2
    assert sheet.getpixel((x, y)) == PIL.ImageColor.getrgb(pianoroll.COLOURS[0])
    assert sheet.getpixel((x, pianoroll.TOP + (71 - 43) * pianoroll.ROW + 2)) == PIL.ImageColor.getrgb(
        pianoroll.COLOURS[1]
    )
    assert pianoroll.picture(tune()).shape == (1, 3, sheet.height, sheet.width)


def test_long_scores_fit_a_picture() -> None:
    long = Score(notes((0, 480, 60, 80, 0), (480 * 20_000, 480, 62, 80, 0)), (Track(),))
    assert pianoroll.draw(long).width <= pianoroll.WIDEST + pianoroll.QUARTER


def test_the_sound_has_the_pitch_of_its_note_when_it_sounds() -> None:
    made = synthesis.sound(Score(notes((480, 960, 69, 100, 0)), (Track("organ", 16),)))
    assert abs(made).max() == pytest.approx(0.9)
    assert not made[:, : synthesis.RATE // 2 - 10].any()
    heard = made[0, synthesis.RATE // 2 : synthesis.RATE // 2 + synthesis.RATE]
    assert abs(np.fft.rfft(heard)).argmax() == 440


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
def test_sound_files_last_as_long_as_the_music(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / f"tune{suffix}"
    synthesis.write_sound(tune(), path)
    if suffix == ".wav":
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getnframes() / file.getframerate()) == (2, 4.0)
        return
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        assert container.duration / 1e6 == pytest.approx(4.0, abs=0.1)
