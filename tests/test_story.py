"""A run's story told afterwards: the same findings as while it was watched, and what cannot be had is said."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring import api, cli
from sparring.core import Adam, chart
from sparring.core.report import read_lines
from sparring.data.images import Images
from sparring.judging import story
from sparring.judging.diagnosis import History
from sparring.methods import gan

RING = gan.Config.ring().replace(steps=300, batch=64, log_every=10)
SICK = RING.replace(hidden=(3,), objective="minimax", rounds=2, optimizer=Adam(lr=5e-3, betas=(0.9, 0.999)))


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story") / "sick"
    api.start("gan", SICK, folder, show=False)
    return folder


@pytest.fixture
def copy(sick: Path, tmp_path: Path) -> Path:
    """The sick run, to be spoilt."""
    return Path(shutil.copytree(sick, tmp_path / "copy"))


def test_the_replay_says_what_the_watch_said(sick: Path) -> None:
    told = {mark.text: int(mark.step) for mark in chart.alarms(read_lines(sick / "log.jsonl"))}
    found = api.diagnose(sick, gap=False)
    assert "generator collapsed" in told and {e.finding.name: e.began for e in found.episodes} == told
    assert found.missing == () and found.now is None and found.gap is None
    assert found.verdict.startswith(f"Sick: generator collapsed (since step {told['generator collapsed']})")
    assert (
        found.alarms[0].until == "lasts to the end" and "--objective non_saturating" in found.alarms[0].finding.advice
    )


def test_the_page_tells_it(sick: Path, tmp_path: Path) -> None:
    found = api.diagnose(sick, gap=False, out=tmp_path / "diagnosis.html")
    page = (tmp_path / "diagnosis.html").read_text()
    assert all(source.startswith("data:image/") for source in re.findall(r"(?:src|href|srcset)\s*=\s*\"([^\"]*)", page))
    assert not re.search(r"url\(|@import|<link|<iframe", page) and "default-src 'none'" in page
    assert all(
        page.count(f"<{tag}") == page.count(f"</{tag}")
        for tag in ("section", "div", "svg", "figcaption", "table", "span")
    )
    assert html.escape(found.verdict) in page and "<h2>Duality gap</h2>" not in page and "could not be had" not in page
    for title in ("Findings", "Pictures", "Health", "Saturation", "Curves", "Modes", "Settings"):
        assert f"<h2>{title}</h2>" in page
    assert page.count('class="mark"') == len(found.alarms) * page.count('class="panel') > 0
    captions = re.findall(r"<figcaption><span>step ([\d,]+)</span><span>([^<]+)", page)
    assert captions[0] == ("0", "the beginning") and captions[-1][0] == "300" and "the end" in captions[-1][1]
    assert any("generator collapsed" in caption for _, caption in captions) and page.count("<img") == len(captions)
    # Eight modes, each with its count and what the data would have of 512.
    counts = re.findall(r'<span class="count">(\d+) for (\d+)</span>', page)
    assert (
        len(counts) == 8
        and sum(int(count) for count, _ in counts) == 512
        and {int(share) for _, share in counts} <= {*range(55, 75)}
    )


def history(health: list[float]) -> History:
    """A run of 1000 steps whose samples are as diverse as told at each checkup."""
    usual = {"coverage": 0.8, "precision": 0.9, "distinct": 0.7, "groups": [64] * 8}
    lines = [{"step": 50 * index, **usual, "diversity": value} for index, value in enumerate(health)]
    log = [{"step": step, "D(x)": 0.7, "D(G(z))": 0.3} for step in range(10, 1001, 10)]
    return History(1000, log, lines, expected=[1 / 8] * 8, names=list("01234567"))


def test_an_alarm_that_clears_and_comes_back() -> None:
    """Three checkups below 0.4 make a collapse: from 300 to 450, and again from 750 on."""
    low, high = [0.1] * 3, [0.9] * 4
    (cleared,) = story.replay(history([0.9] * 4 + low + low[:1] + [0.9] * 13))
    assert (cleared.began, cleared.cleared, cleared.times) == (300, 400, 1) and "cleared at step 400" in cleared.until
    (again,) = story.replay(history([0.9] * 4 + low + high + [0.1] * 10))
    assert (again.began, again.cleared, again.times) == (
        300,
        None,
        2,
    ) and again.until == "lasts to the end; seen 2 times"
    assert story.replay(history([0.9] * 21)) == []


def test_verdicts() -> None:
    def verdict(given: History) -> str:
        return story.Story(Path(), {}, given, story.replay(given)).verdict

    assert verdict(history([0.9] * 21)).startswith(
        "Healthy. At the last look its samples covered 80% of the data, 90% of them"
    )
    assert verdict(history([0.5] * 21)).startswith("No alarm, but the samples are not yet like the data.")
    cleared = verdict(history([0.9] * 4 + [0.1] * 4 + [0.9] * 13))
    assert cleared.startswith("Healthy at the end. On the way: generator collapsed (step 300, cleared at 400).")
    assert verdict(history([])).startswith("No alarm, as far as the log shows; its samples were never looked at.")
    assert verdict(History(1000, [], [])) == "Nothing was logged: there is nothing to judge yet."
    assert verdict(History(50, [{"step": 50}], [])).startswith("50 steps are too few")
    assert verdict(History(900, [{"step": 450}], [])).endswith("It stands at step 450 of 900.")


def test_the_ratio_of_gradients() -> None:
    log: list[dict[str, Any]] = [
        {"step": 1, "D(G(z))": 0.5},
        {"step": 2, "D(G(z))": 0.01},
        {"step": 3},
        {"step": 4, "D(G(z))": 1.0},
    ]
    (even, vanishing, won) = story.ratios(log)
    assert even == (1, 1.0) and vanishing == (2, pytest.approx(1 / 99)) and won[0] == 4 and math.isfinite(won[1])


def test_a_run_that_nobody_watched_is_judged_as_it_stands(copy: Path, tmp_path: Path) -> None:
    (copy / "health.jsonl").unlink()
    kept = [line for line in (copy / "log.jsonl").read_text().splitlines() if "alarm" not in line]
    (copy / "log.jsonl").write_text("\n".join(kept))
    found = api.diagnose(copy, gap=False, out=tmp_path / "page.html")
    collapsed = next(e for e in found.alarms if e.finding.name == "generator collapsed")
    assert collapsed.began == 300 and found.now is not None and found.last == found.now
    assert (
        "not watched" in found.missing[0] and "Health of the model as it stands" in (tmp_path / "page.html").read_text()
    )


def test_what_was_told_and_cannot_be_seen_again_is_kept(copy: Path) -> None:
    with (copy / "log.jsonl").open("a") as file:
        file.write('{"step": 250, "alarm": "memorisation", "text": "memorisation: a sample lies near"}\n')
        file.write('{"step": 260, "alarm": "equilibrium", "text": "equilibrium: all is well"}\n')
    found = api.diagnose(copy, gap=False)
    told = {e.finding.name: e for e in found.episodes if not e.replayed}
    assert told["memorisation"].began == 250 and told["memorisation"].finding.text == "a sample lies near"
    assert told["equilibrium"].finding.kind == "good" and "memorisation (step 250, told while" in found.verdict


def test_a_damaged_run_is_told_as_far_as_it_goes(copy: Path, tmp_path: Path) -> None:
    (copy / "game.pt").write_bytes(b"no checkpoint")
    (copy / "game.previous.pt").unlink(missing_ok=True)
    (copy / "model.safetensors").unlink()
    with (copy / "health.jsonl").open("a") as file:
        file.write('{"step": 400, "diversity": "x"}\n{"step": 500, "diversity": 1, "groups": [1]}\n{"st')
    with (copy / "log.jsonl").open("a") as file:
        file.write('{"step": "x"}\n[3]\n{"step": 320, "D(x)": null, "D(G(z))": "<b>"}\n')
    (copy / "events.jsonl").write_text('{"event": "diverged"}\n')
    for path in (copy / "previews").iterdir():
        path.write_bytes(b"no picture")
    found = api.diagnose(copy, out=tmp_path / "page.html")
    assert "generator collapsed" in found.verdict and found.gap is None
    assert "The model cannot be loaded" in found.missing[0] and "cannot be restored" in found.missing[1]
    assert html.escape(found.missing[1]) in (tmp_path / "page.html").read_text()


def test_data_that_is_gone_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8))
    config = gan.Config.tiny().replace(data=Images(str(tmp_path / "grey.npy")))
    api.start("gan", config, tmp_path / "run", show=False)
    (tmp_path / "grey.npy").rename(tmp_path / "moved.npy")
    found = api.diagnose(tmp_path / "run", out=tmp_path / "page.html")
    assert found.gap is None and "cannot be opened" in found.missing[0] and "grey.npy" in found.missing[0]
    assert "too few to judge" in found.verdict and "<h2>Health</h2>" in (tmp_path / "page.html").read_text()
    moved = api.diagnose(tmp_path / "run", tmp_path / "moved.npy")
    assert moved.gap is not None and "cannot be opened" not in " ".join(moved.missing)


def test_the_command(
    sick: Path, quiet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    assert cli.run(["diagnose", str(sick), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Sick: generator collapsed") and "page  diagnosis.html" in shown
    assert "Two samples differ by" in shown and "Try --objective non_saturating" in shown
    assert (
        re.search(r"The duality gap is [\d.]+: playing on alone", shown)
        and "Duality gap" in (quiet / "diagnosis.html").read_text()
    )
    assert cli.run(["diagnose", str(sick), "--no-gap", "--json", "--out", "other.html"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["gap"] is None and found["findings"][0]["name"] == "generator collapsed" and found["gradient_ratio"]


@pytest.mark.parametrize(("arguments", "hint"), [
    (["nowhere"], "nowhere: no run there"),
    (["nowhere", "--out", "page.png"], "ends in .html"),
])  # fmt: skip
def test_mistakes_get_one_clear_line(
    quiet: Path, arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["diagnose", *arguments]) == 2
    said = capsys.readouterr().err
    assert hint in said and len(said.strip().splitlines()) == 1 and list(quiet.iterdir()) == []
