"""Runs side by side: what is the same is left out, what differs is said, what is not comparable is marked."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparring import api, cli
from sparring.core import UserError
from sparring.core.media import to_pil
from sparring.data.images import Images
from sparring.judging import compare
from sparring.methods import gan
from sparring.metrics.value import Protocol, Value

RING = gan.Config.ring().replace(steps=60, batch=64, hidden=(16,), maxout=(16,), log_every=10, preview_every=20, seed=1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on the ring, one on the grid, and one on an array of pictures."""
    folder = tmp_path_factory.mktemp("runs")
    np.save(folder / "grey.npy", np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8))
    grid = RING.data.replace(source="grid")
    for name, config in {
        "ring": RING.replace(evaluate_every=30),
        "wide": RING.replace(hidden=(32,), evaluate_every=30),
        "grid": RING.replace(data=grid, watch=False),
        "grey": gan.Config.tiny().replace(data=Images(str(folder / "grey.npy"))),
    }.items():
        api.start("gan", config, folder / name, show=False)
    return folder


class Sound(HTMLParser):
    """Fails on a tag that is closed and was not open, or is left open."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "br", "input", "path", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open and self.open.pop() == tag, tag


def whole(path: Path) -> str:
    """The page, once it is sure that it loads nothing from outside."""
    page = path.read_text("utf-8")
    Sound(page)
    assert all(source.startswith("data:image/") for source in re.findall(r"(?:src|href|srcset)\s*=\s*\"([^\"]*)", page))
    assert not re.search(r"url\(|@import|<link|<iframe", page) and "default-src 'none'" in page
    return page


def test_runs_are_compared(runs: Path, tmp_path: Path) -> None:
    found = api.compare([runs / "ring", runs / "wide"], samples=300, seed=3, out=tmp_path / "compare.html")
    assert found.differences == {"hidden": [[16], [32]]}
    first, second = found.entries
    assert first.cost.images == 60 * 64 and first.cost.seconds > 0 and first.cost.images_per_second > 0
    assert (first.cost.parameters, second.cost.parameters) == (2 * 16 + 16 + 16 * 2 + 2, 2 * 32 + 32 + 32 * 2 + 2)
    assert first.cost.weights_bytes == (runs / "ring" / "model.safetensors").stat().st_size
    assert (
        first.facts["steps"] == "60" and first.facts["seed"] == "1" and first.facts["data"].startswith("ring (100,000")
    )
    assert first.values["feature_fid"].protocol.fake == 300 and first.values["feature_kid"].spread is not None
    assert compare.mismatches(found.columns) == []

    page = whole(tmp_path / "compare.html")
    assert page.count("<td><code>[16]</code></td><td><code>[32]</code></td>") == 1 and "optimizer.lr" not in page
    assert "≠" not in page.partition("Metrics over steps")[0] and f"{first.values['feature_kid'].value:.5g} ± " in page
    for title in ("What they are", "What they cost", "Metrics", "Metrics over steps", "Samples", "Health", "Curves"):
        assert f"<h2>{title}</h2>" in page
    [panel] = [part for part in page.split("<figure")[1:] if "<b>D(x)</b>" in part]
    assert re.findall(r"</i>(\w+) <output>", panel) == ["ring", "wide"]
    assert "var(--line0)" in panel and "var(--line1)" in panel and panel.count('class="calm"') == 2
    assert sum("<b>feature_fid</b>" in part for part in page.split("<figure")) == 1


def test_samples_are_those_of_the_seed(runs: Path, tmp_path: Path) -> None:
    api.compare([runs / "ring", runs / "wide"], samples=100, metrics=["modes"], seed=3, out=tmp_path / "compare.html")
    shown = re.findall(r'src="data:image/\w+;base64,([^"]+)"', (tmp_path / "compare.html").read_text())
    for name, data in zip(("ring", "wide"), shown, strict=True):
        model = api.load(runs / name)
        drawn = np.asarray(to_pil(model.config.data.picture(model.sample(64, 3))[0]))  # type: ignore[attr-defined]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")), drawn)


def test_values_of_other_data_are_marked(runs: Path, tmp_path: Path) -> None:
    paths = [runs / "ring", runs / "grid"]
    found = api.compare(paths, samples=200, metrics=["fid", "modes"], out=tmp_path / "compare.html")
    unlike = {mismatch.metric: mismatch for mismatch in compare.mismatches(found.columns)}
    assert set(unlike) == set(found.metrics) and {mismatch.run for mismatch in unlike.values()} == {"grid"}
    assert re.fullmatch(r"unlike ring: data grid \w+, not ring \w+", unlike["feature_fid"].reason)
    assert "25 modes" in unlike["modes"].reason
    page = whole(tmp_path / "compare.html")
    [row] = re.findall(r'<th scope="row">feature_fid ↓</th>(.*?)</tr>', page)
    assert re.fullmatch(r'<td>[^<]+</td><td>[^<]+ <span class="unlike">≠ 1</span></td>', row)
    assert f"grid is {unlike['feature_fid'].reason}" in page

    same = api.compare(paths, "ring", samples=200, metrics=["fid"])
    assert compare.mismatches(same.columns) == [] and same.page is None


def value(name: str, **protocol: object) -> Value:
    return Value(name, 1.0, Protocol(name, **{"extractor": "pixels", **protocol}))  # type: ignore[arg-type]


def test_other_extractors_are_marked_and_other_seeds_are_not() -> None:
    columns = {
        "a": {"fid": value("fid", seed=0)},
        "b": {"fid": value("fid", seed=1), "kid": value("kid")},
        "c": {"fid": value("fid", extractor="judge"), "kid": value("kid", real=7)},
    }
    found = compare.mismatches(columns)
    assert found == [
        compare.Mismatch("fid", "c", "unlike a: extractor judge, not pixels"),
        compare.Mismatch("kid", "c", "unlike b: real 7, not none"),
    ]
    marks, reasons = compare.numbered(found)
    assert marks == {("fid", "c"): 1, ("kid", "c"): 2} and len(reasons) == 2


def test_labels_differ() -> None:
    paths = [Path("runs/a"), Path("runs/b"), Path("old/a")]
    assert compare.labels(paths[:2]) == ["a", "b"]
    assert compare.labels(paths) == [str(path) for path in paths]
    assert compare.labels([Path("a"), Path("a")]) == ["a (1)", "a (2)"]


def test_names_are_escaped(runs: Path, tmp_path: Path) -> None:
    evil = "x'><script>alert(1)<"
    for name in ("first", "second"):
        shutil.copytree(runs / "grid", tmp_path / f"{evil}{name}")
    folder = tmp_path / f"{evil}first"
    about = json.loads((folder / "config.json").read_text())
    about |= {"commit": evil, "config": {**about["config"], evil: evil}}
    (folder / "config.json").write_text(json.dumps(about))
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": 60, "alarm": evil, "text": evil}) + "\n")
        file.write(json.dumps({"step": 70, evil: 0.5}) + "\n")
    (folder / "evaluations.jsonl").write_text('{"step": 1, "values": [3, {}]}\n{"step": 2}\n{"values": 3')
    api.compare(sorted(tmp_path.iterdir()), samples=100, metrics=["modes"], out=tmp_path / "compare.html")
    page = whole(tmp_path / "compare.html")
    assert page.count("<script>") == 1 and "<script>alert" not in page and page.count(html.escape(evil)) > 8


def test_data_that_is_gone_is_said(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "grey", tmp_path / "grey")
    (runs / "grey.npy").rename(runs / "moved.npy")
    try:
        found = api.compare(
            [runs / "ring", tmp_path / "grey"], samples=100, metrics=["fid"], out=tmp_path / "page.html"
        )
        assert "feature_fid" in found.entries[0].values and found.entries[1].answer is None
        assert "cannot be opened" in found.entries[1].unjudged and "grey.npy" in found.entries[1].unjudged
        assert html.escape(found.entries[1].unjudged) in whole(tmp_path / "page.html")
    finally:
        (runs / "moved.npy").rename(runs / "grey.npy")


def test_the_command(
    runs: Path, quiet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = [
        "compare",
        str(runs / "ring"),
        str(runs / "grid"),
        "--samples",
        "100",
        "--metrics",
        "modes",
        "--device",
        "cpu",
    ]
    assert cli.run(arguments) == 0
    shown = capsys.readouterr().out
    assert re.search(r"modes ↑ +\d+ +\d+  \[≠ 1\]", shown) and "data.source" in shown and "page  compare.html" in shown
    assert "grid is unlike ring: settings 25 modes" in shown.replace("\n", " ")
    assert cli.run([*arguments, "--json", "--out", "pages/other.htm"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in found["runs"]] == ["ring", "grid"] and found["differences"]["data.source"] == [
        "ring",
        "grid",
    ]
    assert found["not_comparable"][0]["metric"] == "modes" and found["runs"][0]["cost"]["images"] == 3840
    assert sorted(path.name for path in quiet.rglob("*.htm*")) == ["compare.html", "other.htm"]


@pytest.mark.parametrize(("arguments", "hint"), [
    ([], "two runs at least"),
    (["ring"], "two runs at least"),
    (["ring", "nowhere"], "nowhere: no run there"),
    (["ring", "grid", "--metrics", "fidd"], "no metric 'fidd'"),
    (["ring", "grid", "--out", "ring/model.safetensors"], "ends in .html"),
    (["ring", "grid", "--extractor", "no/such.pt", "--samples", "100"], "no/such.pt"),
])  # fmt: skip
def test_mistakes_get_one_clear_line(
    runs: Path, arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    assert cli.run(["compare", *arguments]) == 2
    said = capsys.readouterr().err
    assert hint in said and len(said.strip().splitlines()) == 1 and not (runs / "compare.html").exists()


def test_one_run_is_no_comparison(runs: Path) -> None:
    with pytest.raises(UserError, match="two runs at least"):
        api.compare([runs / "ring"])
