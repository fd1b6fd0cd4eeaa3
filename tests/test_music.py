"""Music from files to phrases, and a model that writes it: the command line, its errors, and what it gives."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import sparring
from sparring import api, cli
from sparring.core import midi
from sparring.core.errors import UserError
from sparring.core.media import save_score
from sparring.core.score import NOTE, Meter, Score, Track
from sparring.data.scores import Scores
from sparring.methods import midinet

SHARED = Path(__file__).resolve().parents[1].parent / "shared/data/music"
PIANO = (Track("melody"), Track("chords"))


def piece(*meters: Meter, bars: int = 4, pitch: int = 60) -> Score:
    """A note on every quarter, over a fifth that lasts."""
    rows = [(480 * beat, 240, pitch + beat % 5, 80, 0) for beat in range(4 * bars)]
    rows += [(1920 * bar, 1920, low, 80, 1) for bar in range(bars) for low in (48, 55)]
    return Score(np.array(rows, NOTE), PIANO, 480, meters=meters or (Meter(0, 4, 4),))


def folder(tmp_path: Path, **pieces: Score) -> Path:
    place = tmp_path / "music"
    for name, score in pieces.items():
        save_score(score, place / f"{name}.mid")
    return place


def rolls(data: Scores) -> torch.Tensor:
    found = data.open()
    return found.prepare(found.batch(torch.arange(len(found)), torch.Generator().manual_seed(0))).roll


def test_phrases_are_what_the_files_hold(tmp_path: Path) -> None:
    data = Scores(str(folder(tmp_path, one=piece())), bars=2).resolved()
    assert (data.tracks, data.names, data.programs, data.bpm) == (2, ("melody", "chords"), (0, 0), 120.0)
    found = rolls(data)
    assert found.shape == (3, 2, 2, 16, 48)
    whole = piece().roll(4, 36, 84).view(2, 4, 16, 48)
    assert torch.equal(found, torch.stack([whole[:, start : start + 2] for start in range(3)]))
    again = data.score(found[0])
    assert torch.equal(again.roll(4, 36, 84), whole[:, :2].flatten(1, 2))
    assert again.tracks == PIANO


def test_transposition_moves_all_tracks_and_the_chord(tmp_path: Path) -> None:
    data = Scores(str(folder(tmp_path, one=piece())), bars=1, transpose=3).resolved()
    found = data.open()
    batch = found.prepare(found.batch(torch.zeros(40, dtype=torch.int64), torch.Generator().manual_seed(0)))
    plain = rolls(data.replace(transpose=0))[0]
    assert set(batch.shift.tolist()) == set(range(-3, 4))
    for roll, chord, shift in zip(batch.roll, batch.chord, batch.shift.tolist()):
        assert torch.equal(roll, plain.roll(shift, -1))
        assert chord.tolist() == [(0 + shift) % 12]


def test_other_metres_and_tracks_are_left_out_and_counted(tmp_path: Path) -> None:
    mixed = piece(Meter(0, 4, 4), Meter(1920, 3, 4), Meter(1920 + 1440, 4, 4))
    single = Score(piece().notes[piece().notes["track"] == 0], PIANO[:1])
    data = Scores(str(folder(tmp_path, mixed=mixed, single=single, plain=piece(Meter(0, 2, 2)))), tracks=2, bars=1)
    with pytest.warns(UserWarning, match="1 pieces that have not 2 tracks, and 1 bars of other metres"):
        found = data.open()
    assert len(found) == 1 + 3 + 4
    with pytest.raises(UserError, match="no 8 bars of 4/4 follow each other"):
        data.replace(bars=8).open()


def test_notes_beyond_the_range_are_moved_by_octaves(tmp_path: Path) -> None:
    found = rolls(Scores(str(folder(tmp_path, high=piece(pitch=96))), low=60, high=84, bars=1))
    assert sorted(set((found[:, 0] == 2).nonzero()[:, -1].tolist())) == [12, 13, 14, 15, 16]


def test_broken_files_are_skipped_by_name(tmp_path: Path) -> None:
    place = folder(tmp_path, **{f"good{number}": piece() for number in range(9)})
    (place / "bad.mid").write_bytes(b"MThd")
    (place / "empty.mid").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"2 of 11 files cannot be read \(bad.mid: .*empty.mid"):
        assert len(Scores(str(place), bad=0.2).open())
    with pytest.raises(UserError, match=r"more than 5%; .*--data.bad 1"):
        Scores(str(place)).open()


def test_archives_and_voices_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a/one.mid", midi.midi_bytes(piece()))
        archive.writestr("b/two.mid", midi.midi_bytes(piece(bars=2)))
    assert len(Scores(f"{tmp_path}/all.zip", bars=1).open()) == 6
    assert len(Scores(f"{tmp_path}/all.zip/b", bars=1).open()) == 2
    voices = {"train": [[[72, 60, -1, 48]] * 32], "test": [[[72, 60, 55, 48]] * 16]}
    with gzip.open(tmp_path / "voices.json.gz", "wt") as file:
        json.dump(voices, file)
    assert rolls(Scores(f"{tmp_path}/voices.json.gz/test", bars=1)).shape == (1, 4, 1, 16, 48)
    with pytest.raises(UserError, match="has no part 'valid'; it has train, test"):
        Scores(f"{tmp_path}/voices.json.gz/valid").open()
    (tmp_path / "other.json").write_text('{"train": 5}')
    with pytest.raises(UserError, match=r"other.json: parts are expected"):
        Scores(f"{tmp_path}/other.json").open()
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../one.mid", midi.midi_bytes(piece()))
    with pytest.raises(UserError, match="points outside"):
        Scores(f"{tmp_path}/evil.zip").open()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source": "nowhere"}, "'nowhere': no such file"),
        ({"meter": "4"}, "data.meter is '4'"),
        ({"meter": "7/16", "steps": 1}, "whole steps"),
        ({"low": 60, "high": 66}, "at least an octave"),
        ({"bars": 0}, "data.bars"),
        ({"transpose": 13}, "data.transpose"),
        ({"tracks": 5}, "no piece has 5 tracks; there are 32 with 2"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Scores(**settings).open()  # type: ignore[arg-type]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not beside the repository")
def test_real_quartets_and_chorales() -> None:
    with pytest.warns(UserWarning, match="bars of other metres"):
        quartets = Scores(str(SHARED / "openscore-string-quartets-midi.zip")).resolved()
        found = quartets.open()
    assert (quartets.names, quartets.programs) == (("Violin 1", "Violin 2", "Viola", "Violoncello"), (40, 40, 41, 42))
    assert len(found) > 15_000
    assert len(Scores(str(SHARED / "Jsb16thSeparated.json.gz/train")).open()) > 2_500


# --- a model that writes ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "midinet"
    api.start("midinet", api.starting_point("midinet", "tiny"), place)
    return place


def test_symbols_are_heard_as_the_melody_that_they_were(run: Path) -> None:
    model = sparring.load(run)
    assert isinstance(model, midinet.Model)
    data = model.config.data
    found = data.open()
    roll = found.prepare(found.batch(torch.arange(20), torch.Generator().manual_seed(0))).roll[:, 0]
    for phrase in roll:
        assert torch.equal(model.heard(model.symbols(phrase)), phrase)


def test_bars_are_chosen_as_they_are_heard_and_can_be_learned_through(run: Path) -> None:
    model = sparring.load(run).requires_grad_()
    noise, chord = torch.randn(3, model.latent), torch.zeros(3, 13)
    bar = model.bar(noise, chord, torch.zeros(3, model.pitches + 2, model.steps))
    assert torch.allclose(bar.sum(1), torch.ones(3, model.steps), atol=1e-5)
    assert ((bar - bar.round()).abs() < 1e-5).all()
    bar[:, 0].sum().backward()
    assert model.generator.last.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["song.mid", "song.png", "song.wav", "song"])
def test_a_song_over_chords(run: Path, tmp_path: Path, name: str) -> None:
    flags = ["--bars", "4", "--chords", "C Am", "--seed", "3", "--tempo", "90"]
    assert cli.run(["apply", str(run), "compose", *flags, "--out", str(tmp_path / name)]) == 0
    if name == "song":
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["song.mid", "song.png", "song.wav"]
    if name != "song.mid":
        return
    score = midi.read_score(tmp_path / name)
    model = sparring.load(run)
    assert score.tempos[0].bpm == pytest.approx(90, abs=0.01)
    chord = score.notes[score.notes["track"] == len(score.tracks) - 1]
    assert [set((chord["pitch"][chord["start"] == 16 * bar] % 12).tolist()) for bar in range(2)] == [
        {0, 4, 7},
        {9, 0, 4},
    ]
    with torch.no_grad():
        model.generator.first.weight.mul_(1000)  # hardly trained, it would write the same whatever the noise
    assert model.compose(4, 3, 90, "C Am") == model.compose(4, 3, 90, "C Am") != model.compose(4, 4, 90, "C Am")


def test_a_melody_is_gone_on_with(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_score(piece(bars=2, pitch=100), tmp_path / "in.mid")
    out = tmp_path / "out.mid"
    assert cli.run(["apply", str(run), "continue", str(tmp_path / "in.mid"), "--bars", "3", "--out", str(out)]) == 0
    assert "moved by octaves" in capsys.readouterr().err
    made = midi.read_score(out)
    begun = made.notes[(made.notes["track"] == 0) & (made.notes["start"] < 2 * 16)]
    assert (begun["pitch"] % 12).tolist() == [(100 + beat % 5) % 12 for beat in range(8)]
    assert len(made.bars()) - 1 == 5


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["compose", "--chords", "C H"], "no chord 'H'; known are C, C#"),
        (["compose", "--chords", ""], "no chords are named"),
        (["compose", "--bars", "0"], "--bars is 0"),
        (["compose", "--tempo", "-3"], "--tempo is -3"),
        (["continue", "{}/text.mid"], "text.mid: not a readable file of music"),
        (["continue", "{}/waltz.mid"], "waltz.mid: its metre is 3/4; the model knows 4/4"),
    ],
)
def test_bad_requests_get_one_clear_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    (tmp_path / "text.mid").write_text("no music")
    save_score(piece(Meter(0, 3, 4)), tmp_path / "waltz.mid")
    flags = [flag.replace("{}", str(tmp_path)) for flag in flags]
    assert cli.run(["apply", str(run), *flags, "--out", str(tmp_path / "x.mid")]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error


def test_a_folder_of_melodies_is_worked_on(run: Path, tmp_path: Path) -> None:
    place = folder(tmp_path, a=piece(bars=1), b=piece(bars=2))
    assert cli.run(["apply", str(run), "continue", str(place), "--bars", "1", "--out", str(tmp_path / "made")]) == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["a.mid", "b.mid"]


def test_evaluation_puts_the_data_beside(run: Path) -> None:
    answer = api.evaluate(run, samples=20)
    ours, theirs = ({value.name: value.value for value in each} for each in (answer.values, answer.controls["real"]))
    assert theirs["track_1_empty_bars"] == 0
    assert theirs["track_1_scale_share"] == 1
    assert {"track_1_notes_per_bar", "tonal_distance_1_2"} <= set(ours) & set(theirs)
    with pytest.raises(UserError, match="of models that make pictures"):
        api.evaluate(run, metrics=("fid",))


def test_the_bar_before_and_the_chord_are_wanted_by_the_config() -> None:
    with pytest.raises(UserError, match="--data.bars is 4; midinet learns from 2"):
        midinet.Config(data=Scores(bars=4, tracks=2))
    with pytest.raises(UserError, match="--data.tracks is 1; midinet learns from 2"):
        midinet.Config(data=Scores(bars=2, tracks=1))
    with pytest.raises(UserError, match="bars of 12 steps"):
        midinet.Config(data=Scores(bars=2, tracks=2, meter="3/4"))
