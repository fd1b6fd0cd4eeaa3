"""The command line as its user meets it: a process, its output and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from sparring import catalogue

TINY = ["--preset", "tiny", "--device", "cpu"]


def sparring(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "sparring", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, cwd=folder, env=environment, check=False
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    made = sparring(
        "train", "dcgan", *TINY, "--adam.lr", "0.05", "--ema", "0", "--out", "first", folder=folder
    )  # a rate at which samples differ after four steps
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("sparring apply first") == 2 and "report" in made.stdout
    return folder / "first"


def complaint(*arguments: str, folder: Path | None = None) -> str:
    """Bad usage: status 2, one line on stderr, no traceback."""
    found = sparring(*arguments, folder=folder)
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    return found.stderr


def test_help_is_instant_and_lists_every_command() -> None:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        shown = sparring("--help")
        times.append(time.perf_counter() - began)
    assert shown.returncode == 0
    for command in ("list", "train", "resume", "apply", "evaluate", "data", "doctor"):
        assert command in shown.stdout
    assert min(times) < 1.5


@pytest.mark.parametrize("command", ["list", "resume", "evaluate", "doctor"])
def test_commands_have_help(command: str) -> None:
    shown = sparring(command, "--help")
    assert shown.returncode == 0 and "usage" in shown.stdout


def test_help_does_not_import_torch() -> None:
    code = "import sys, sparring.cli as cli; cli.run(['--help']); cli.run(['list']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_list_is_read_off_the_folder() -> None:
    listed = json.loads(sparring("list", "--json").stdout)
    assert {method["name"] for method in listed} == set(catalogue.methods())
    assert all(method["paper"] and method["idea"] and method["task"] for method in listed)


@pytest.mark.parametrize("arguments, hint", [
    (["trian"], "did you mean 'train'"),
    (["train", "dcgann"], "did you mean 'dcgan'"),
    (["train", "dcgan", "--preset", "papper"], "there are default, demo"),
    (["train", "dcgan", "--data", "no/such/folder"], "no/such/folder"),
    (["train", "dcgan", "--device", "abacus"], "sparring doctor"),
    (["train", "dcgan", "--data.size", "100"], "--data.size 96"),
    (["train"], "METHOD is missing"),
    (["resume", "nowhere"], "no run there"),
    (["apply", "nowhere.safetensors"], "no such file"),
    (["evaluate", "nowhere"], "no such file"),
    (["data", "inspekt"], "sparring data inspect SOURCE"),
])  # fmt: skip
def test_mistakes_get_one_clear_line(arguments: list[str], hint: str, tmp_path: Path) -> None:
    assert hint in complaint(*arguments, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_flag_gets_a_suggestion(tmp_path: Path) -> None:
    found = sparring("train", "dcgan", "--step", "3", folder=tmp_path)
    assert found.returncode == 2
    assert "--steps" in found.stderr and "Traceback" not in found.stderr


def test_apply_lists_verbs_with_an_example_of_each(run: Path) -> None:
    shown = sparring("apply", str(run)).stdout
    for verb in ("sample", "interpolate", "arithmetic", "neighbours", "filters"):
        assert f"sparring apply {run} {verb} " in shown


def test_apply_sample_is_the_seeds(run: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        made = sparring(
            "apply", str(run), "sample", "--count", "4", "--seed", seed, "--out", str(tmp_path / f"{name}.npy")
        )
        assert made.returncode == 0, made.stderr
    first, second, other = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert first.shape == (4, 1, 16, 16)
    assert np.array_equal(first, second) and not np.array_equal(first, other)


def test_apply_writes_grid_folder_and_video(run: Path, tmp_path: Path) -> None:
    sparring("apply", str(run), "sample", "--count", "4", "--out", str(tmp_path / "grid.png"))
    assert PIL.Image.open(tmp_path / "grid.png").size == (34, 34)
    sparring("apply", str(run), "sample", "--count", "3", "--out", str(tmp_path / "many"))
    assert len(list((tmp_path / "many").iterdir())) == 3
    sparring(
        "apply", str(run), "interpolate", "--seeds", "0", "1", "2", "--frames", "5", "--out", str(tmp_path / "walk.gif")
    )
    assert PIL.Image.open(tmp_path / "walk.gif").n_frames == 9  # type: ignore[attr-defined]


def test_apply_with_a_wrong_verb(run: Path) -> None:
    assert "did you mean 'sample'" in complaint("apply", str(run), "sampel")


def test_evaluate_json(run: Path) -> None:
    found = json.loads(sparring("evaluate", str(run), "--samples", "300", "--metrics", "fid", "modes", "--json").stdout)
    (value,) = found[str(run)]["values"]
    assert value["name"] == "feature_fid" and value["value"] > 100 and value["protocol"]["fake"] == 300
    assert "biased upwards" in value["protocol_line"] and "no classifier" in found[str(run)]["refused"]["modes"]


def test_evaluate_shows_protocols_and_controls(run: Path) -> None:
    shown = sparring("evaluate", str(run), "--samples", "200", "--metrics", "fid", "kid", "--controls").stdout
    assert (
        "real" in shown and "untrained" in shown and "(2) feature_kid (100 subsets of 100); extractor pixels" in shown
    )
    assert "no metric 'fidd'" in complaint("evaluate", str(run), "--metrics", "fidd")


def test_resume_of_a_finished_run_and_with_more_steps(run: Path) -> None:
    assert sparring("resume", str(run)).returncode == 0
    more = sparring("resume", str(run), "--steps", "6")
    assert more.returncode == 0
    assert json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"] == 6


def test_own_folder_of_pictures_goes_in(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(12):
            pixels = chance.integers(0, 255, (20 + number, 30, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{number}.png")
    (tmp_path / "pictures" / "cats" / "broken.png").write_bytes(b"not a picture")
    shown = sparring("data", "inspect", "pictures", folder=tmp_path)
    assert shown.returncode == 0 and "broken.png" in shown.stdout and "cats" in shown.stdout
    made = sparring("data", "prepare", "pictures", "store", "--size", "32", folder=tmp_path)
    assert made.returncode == 0 and "24 images of 32 x 32 x 3" in made.stdout, made.stderr
    trained = sparring("train", "dcgan", *TINY, "--data", "store", "--run", "run", "--data.size", "32", folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert PIL.Image.open(tmp_path / "run" / "previews" / "000004.png").mode == "RGB"


def test_points_are_chosen_by_their_name(tmp_path: Path) -> None:
    made = sparring("train", "gan", *TINY, "--data", "ring", "--run", "run", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["data"]["kind"] == "Points"
    drawn = sparring("apply", "run", "sample", "--count", "50", "--out", "points.png", folder=tmp_path)
    assert drawn.returncode == 0, drawn.stderr


def test_doctor_json() -> None:
    report = json.loads(sparring("doctor", "--json").stdout)
    assert report["devices"][0]["name"] == "cpu" and report["versions"]["torch"]
    assert isinstance(report["problems"], list)
