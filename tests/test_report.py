"""The run's report: chart, film and page, checked by what a reader would see in them."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sparring.core import animation, chart, report
from sparring.core.errors import UserError

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def logged(**columns: Any) -> list[dict[str, Any]]:
    """A log with a row for every tenth step."""
    rows = zip(*columns.values())
    return [{"step": 10 * (index + 1)} | dict(zip(columns, row)) for index, row in enumerate(rows)]


def where(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of this very colour."""
    return np.nonzero((np.asarray(picture) == colour).all(axis=-1))


def grid(value: int, size: int = 20, colour: bool = False) -> Image.Image:
    pixels = np.full((size, size, 3), value, np.uint8)
    if colour:
        pixels[: size // 2, :, 0] = 255 - value
    return Image.fromarray(pixels)


def a_run(folder: Path, count: int = 5, **config: Any) -> Path:
    (folder / "previews").mkdir(parents=True)
    for index in range(count):
        grid(40 * index % 256).save(folder / "previews" / f"{250 * index:06d}.png")
    log = [
        {"step": 10 * i, "images": 640 * i, "generator": 1 + i / 50, "critic": 0.5, "D(x)": 0.75} for i in range(1, 101)
    ]
    timing = [
        {"step": 100 * i, "seconds": 4.0 * i, "steps_per_second": 25.0, "images_per_second": 1600.0}
        for i in range(1, 11)
    ]
    about = {"method": "toy_gan", "paper": "Nobody, 2020", "task": "sample", "config": {"adam": {"lr": 0.1}}, "seed": 7}
    about |= {"data": {"source": "digits", "fingerprint": "abc123", "count": 1797}, "versions": {"torch": "2.13.0"}}
    (folder / "config.json").write_text(json.dumps(about | config))
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    (folder / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in timing))
    (folder / "events.jsonl").write_text('{"step": 500, "event": "rollback", "text": "to step 400"}\n')
    return folder


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


# Chart: numbers


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 1, 2, [0, 0.5, 1]),
        (-0.31, 0.29, 5, [-0.3, -0.2, -0.1, 0, 0.1, 0.2]),
        (0, 9_870, 5, [0, 2000, 4000, 6000, 8000]),
        (1e-6, 3.1e-6, 4, [1e-6, 1.5e-6, 2e-6, 2.5e-6, 3e-6]),
        (4, 4, 5, [4]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert chart.ticks(low, high, count) == expected


def test_labels_share_a_unit() -> None:
    assert chart.labels([0, 5000, 10000]) == ["0", "5k", "10k"]
    assert chart.labels([0, 500, 1000]) == ["0", "500", "1000"]
    assert chart.labels([0, 2_500_000]) == ["0", "2.5M"]
    assert chart.labels([-0.2, 0, 0.2]) == ["-0.2", "0", "0.2"]


def test_smoothing_is_corrected_for_its_start() -> None:
    """A constant stays itself from the first value on; the second of two is weighed 2/3 at span 2."""
    assert np.allclose(chart.smoothed(np.full(7, 3.0), span=10), 3.0)
    assert np.allclose(chart.smoothed(np.array([0.0, 3.0]), span=2), [0.0, 2.0])


def test_smoothing_passes_over_gaps() -> None:
    found = chart.smoothed(np.array([1.0, math.nan, 1.0]), span=4)
    assert found[0] == pytest.approx(1) and math.isnan(found[1]) and found[2] == pytest.approx(1)


def test_thinning_keeps_extremes_and_ends() -> None:
    values = np.sin(np.arange(5000.0))
    values[1234], values[4321] = 9.0, -9.0
    index = chart.thinned(values, 100)
    assert {0, 1234, 4321, 4999} <= set(index.tolist())
    assert len(index) <= 202 and (np.diff(index) > 0).all()


def test_panels_put_like_beside_like() -> None:
    plan = chart.panels(
        logged(
            generator=[1.0, 2.0],
            critic_a=[0.2, 0.3],
            **{"D(x)": [0.01, 0.02], "D(G(z))": [0.4, 0.5], "penalty": [0.01, 0.02]},
            norm=[900.0, 950.0],
            path=[1500.0, 1400.0],
        )
    )
    assert [[line.name for line in panel.lines] for panel in plan] == [
        ["generator", "critic_a"],
        ["D(x)", "D(G(z))"],
        ["penalty"],
        ["norm", "path"],
    ]
    assert [panel.unit for panel in plan] == [False, True, False, False]


def test_a_spike_is_clipped_and_counted() -> None:
    [panel] = chart.panels(logged(generator=[1.0 + 0.01 * (i % 10) for i in range(500)] + [1e9]))
    assert 0.9 < panel.low < 1.0 and 1.09 < panel.high < 1.5
    assert panel.beyond() == 1
    assert panel.down(np.array([1e9, -1e9])).tolist() == [0.0, 1.0]


def test_what_a_rollback_undid_is_dropped() -> None:
    steps, values = [10, 20, 30, 20, 30], [1.0, 2.0, 3.0, 4.0, 5.0]
    [line] = chart.read([{"step": step, "generator": value} for step, value in zip(steps, values)])
    assert (line.steps.tolist(), line.values.tolist()) == ([10, 20, 30], [1.0, 4.0, 5.0])


def test_entries_that_are_no_numbers_are_passed_over() -> None:
    rows = [{"step": 1, "a": None, "b": "x", "c": True, "d": 10**400}, {"a": 1.0}, {"step": math.nan, "a": 2.0}]
    lines = {line.name: line.values.tolist() for line in chart.read(rows)}
    assert list(lines) == ["a", "d"] and all(math.isnan(value) for [value] in lines.values())


# Chart: pixels


def test_a_constant_line_is_drawn_where_it_must_be() -> None:
    picture = chart.curves(logged(**{"D(x)": [0.5] * 50}), width=400)
    rows, columns = where(picture, BLUE)
    line = rows[columns == 300]  # right of the legend
    # Without a title: 14 above, the legend's 22 and 8 more, then the frame.
    assert abs(line.mean() - (14 + 30 + chart.PLOT / 2)) <= 1 and len(line) in (1, 2)
    assert set(range(80, 370)) <= set(columns[rows == round(line.mean())].tolist())


def test_two_lines_keep_their_colours_and_order() -> None:
    picture = chart.curves(logged(**{"D(x)": [0.9] * 9, "D(G(z))": [0.1] * 9}), width=400)
    rows_blue, _ = where(picture.crop((80, 44, 370, 234)), BLUE)
    rows_orange, _ = where(picture.crop((80, 44, 370, 234)), ORANGE)
    assert abs(rows_blue.mean() - chart.PLOT * 0.14 / 1.08) <= 1.5
    assert abs(rows_orange.mean() - chart.PLOT * 0.94 / 1.08) <= 1.5


def test_the_half_line_is_dashed() -> None:
    picture = chart.curves(logged(**{"D(x)": [0.9] * 9}), width=400)
    y = 14 + 30 + chart.PLOT // 2
    darkest = np.asarray(picture.convert("L"))[y - 1 : y + 2, 70:370].min(axis=0)
    assert 0.3 < (darkest < 185).mean() < 0.7


def test_a_gap_stays_empty() -> None:
    values = [0.5] * 40 + [math.nan] * 20 + [0.5] * 40
    _, columns = where(chart.curves(logged(**{"D(x)": values}), width=488).crop((66, 44, 466, 234)), BLUE)
    assert not set(range(170, 230)) & set(columns.tolist())
    assert {100, 150, 250, 300} <= set(columns.tolist())


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [0.0] * 5, [math.nan] * 3, [1e30, -1e30, 1e308], [math.inf]])
def test_hardly_any_values_still_draw(values: list[float]) -> None:
    picture = chart.curves(logged(generator=values), width=300, title="few")
    finite = [value for value in values if math.isfinite(value)]
    rows, _ = where(picture.crop((66, 76, 278, 266)), BLUE) if finite else where(picture, BLUE)
    assert picture.width == 300 and bool(len(rows)) == bool(finite)


def test_a_long_log_draws_quickly_and_lands_in_its_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(4, 10_000)).tolist()
    log = logged(generator=noise[0], critic=noise[1], distance=noise[2], penalty=noise[3])
    start = time.process_time()
    picture = chart.curves(log, tmp_path / "curves.png")
    assert time.process_time() - start < 2.5  # a second on a quiet machine
    assert np.array_equal(np.asarray(Image.open(tmp_path / "curves.png")), np.asarray(picture))
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_a_crowded_legend_wraps() -> None:
    many = {f"a rather long name for a loss {index}": [1.0, 2.0] for index in range(6)}
    few = chart.curves(logged(loss=[1.0, 2.0]), width=500)
    assert chart.curves(logged(**many), width=500).height >= few.height + 2 * chart.ROW


# Animation


def durations(path: Path) -> list[int]:
    picture = Image.open(path)
    found = []
    for index in range(picture.n_frames):
        picture.seek(index)
        picture.load()  # WebP knows a frame's duration only then
        found.append(picture.info["duration"])
    return found


def frames(count: int, height: int = 24, width: int = 32, colour: bool = True) -> list[np.ndarray]:
    chance = np.random.default_rng(1)
    shape = (count, height, width, 3 if colour else 1)
    return list(np.broadcast_to(chance.integers(0, 256, shape, np.uint8), (count, height, width, 3)))


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_moving_pictures_hold_their_last_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"walk{suffix}"
    animation.write_video(frames(6), path, fps=10, hold=1.5)
    picture: Any = Image.open(path)
    assert (picture.size, picture.info["loop"]) == ((32, 24), 0)
    assert durations(path) == [100] * 5 + [1600]


def test_a_grey_gif_is_exact(tmp_path: Path) -> None:
    grey = frames(3, colour=False)
    animation.write_video(iter(grey), tmp_path / "grey.gif", fps=5)
    picture = Image.open(tmp_path / "grey.gif")
    for index, frame in enumerate(grey):
        picture.seek(index)
        assert np.array_equal(np.asarray(picture.convert("RGB")), frame)


def test_a_gif_of_few_colours_is_exact(tmp_path: Path) -> None:
    parts = [np.asarray(grid(value, colour=True)) for value in (0, 90, 200)]
    animation.write_video(parts, tmp_path / "few.gif", fps=5)
    picture = Image.open(tmp_path / "few.gif")
    for index, frame in enumerate(parts):
        picture.seek(index)
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - frame).max() <= 4


def test_an_mp4_reads_back(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    shades = [np.full((31, 45, 3), value, np.uint8) for value in (20, 120, 220)]
    animation.write_video(shades, tmp_path / "walk.mp4", fps=4, hold=1)
    with av.open(str(tmp_path / "walk.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (46, 32, 4)
        read = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(container.duration) / 1e6 == pytest.approx(7 / 4, abs=0.01)
    assert [round(float(frame.mean()), -1) for frame in read] == [20, 120, 220, 220, 220, 220, 220]


def previews(folder: Path, values: list[int]) -> list[Path]:
    paths = [folder / f"{index:06d}.png" for index in range(len(values))]
    for path, value in zip(paths, values):
        grid(value).save(path)
    return paths


def test_training_becomes_a_film(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    paths = previews(tmp_path, [0, 50, 100, 150])
    paths[1].write_bytes(b"not a picture")
    paths[2].write_bytes(paths[2].read_bytes()[:40])
    found = animation.animate([*paths, tmp_path / "missing.png"], tmp_path / "training", seconds=1)
    assert found == tmp_path / "training.mp4"
    with av.open(str(found)) as container:
        assert container.streams.video[0].average_rate == 5
        read = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(read) == 2 + 10 and read[0].shape == (480, 480, 3)
    assert read[0].mean() < 5 and abs(read[-1].mean() - 150) < 5


def test_without_pyav_training_becomes_a_gif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    found = animation.animate(previews(tmp_path, [0, 50, 100, 150]), tmp_path / "training", seconds=1)
    assert found == tmp_path / "training.gif"
    assert durations(found) == [250, 250, 250, 2250]


def test_errors_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no picture"):
        animation.animate([], tmp_path / "training")
    with pytest.raises(UserError, match=r"\.mp4, \.gif or \.webp"):
        animation.write_video(frames(1), tmp_path / "walk.avi", fps=5)
    with pytest.raises(UserError, match="no frames"):
        animation.write_video([], tmp_path / "walk.gif", fps=5)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=re.escape("pip install 'sparring[video]' or use .gif")):
        animation.write_video(frames(1), tmp_path / "walk.mp4", fps=5)


def test_a_broken_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "walk.gif").write_text("old")

    def broken() -> Any:
        yield frames(1)[0]
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError):
        animation.write_video(broken(), tmp_path / "walk.gif", fps=5)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("walk.gif", "old")]


def test_evenly_keeps_both_ends() -> None:
    assert animation.evenly(list(range(101)), 5) == [0, 25, 50, 75, 100]
    assert animation.evenly([1, 2, 3], 5) == [1, 2, 3]
    assert animation.evenly([1, 2, 3], 1) == [3]


# Report


def test_the_report_says_it_all(tmp_path: Path) -> None:
    path = report.write_report(a_run(tmp_path / "run"))
    page = path.read_text("utf-8")
    assert (
        path == tmp_path / "run" / "report.html" and page.startswith("<!doctype html>") and '<html lang="en">' in page
    )
    assert "<h1>toy_gan</h1><p>Nobody, 2020</p>" in page
    for title, value in [
        ("steps", "1,000"),
        ("images seen", "64,000"),
        ("training time", "40 s"),
        ("steps a second", "25"),
        ("images a second", "1,600"),
    ]:
        assert f"<dt>{title}</dt><dd>{value}</dd>" in page
    # generator: last, mean of the last ten, lowest, highest
    assert '<th scope="row">generator</th><td>3</td><td>2.91</td><td>1.02</td><td>3</td>' in page
    for text in ("abc123", "digits", "2.13.0", "rollback", "to step 400", "sparring resume", "sparring evaluate"):
        assert text in page
    assert re.search(r"sparring apply \S+run sample", page)


def test_the_report_shows_the_last_preview_and_hides_the_others(tmp_path: Path) -> None:
    page = report.write_report(a_run(tmp_path / "run")).read_text("utf-8")
    assert [np.asarray(picture.convert("RGB")).mean() for picture in pictures(page)] == [0, 40, 80, 120, 160]
    tags = re.findall(r"<img [^>]*>", page)
    assert [" hidden" in tag for tag in tags] == [True] * 4 + [False]
    assert all(re.search(r'alt="[^"]+ step [\d,]+"', tag) for tag in tags) and 'max="4"' in page
    assert '<div class="frames pixels"' in page


def test_the_report_loads_nothing_from_outside(tmp_path: Path) -> None:
    page = report.write_report(a_run(tmp_path / "run", paper="https://arxiv.org/abs/1406.2661")).read_text("utf-8")
    assert "https://arxiv.org/abs/1406.2661" in page
    assert all(source.startswith("data:image/") for source in re.findall(r"(?:src|href|srcset)\s*=\s*\"([^\"]*)", page))
    assert not re.search(r"url\(|@import|<link|<iframe", page) and "default-src 'none'" in page


def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = "\"'><script>alert(1)</script>"
    folder = a_run(
        tmp_path / "run",
        **dict.fromkeys(("method", "paper", "task", "commit", "device", "machine"), evil),
        config={evil: evil, "deep": {evil: [evil]}},
        defaults={evil: evil + evil},
        versions={evil: evil},
        data={"source": evil, "fingerprint": evil},
    )
    (folder / "log.jsonl").write_text(json.dumps({"step": 1, evil: 0.5, f"D({evil})": 0.5}))
    (folder / "events.jsonl").write_text(json.dumps({"step": evil, "event": evil, "text": evil}))
    page = report.write_report(folder).read_text("utf-8")
    assert page.count("<script>") == 1 and "<script>alert" not in page  # the page's own
    assert "\"'>" not in page and page.count(html.escape(evil)) > 12
    assert "sample</code>" in page


def test_changed_settings_are_marked(tmp_path: Path) -> None:
    settings = {"batch": 64, "adam": {"lr": 0.1, "betas": [0.5, 0.9]}}
    defaults = {"batch": 128, "adam": {"lr": 0.1, "betas": [0.5, 0.9]}}
    page = report.write_report(a_run(tmp_path / "run", config=settings, defaults=defaults)).read_text("utf-8")
    assert "1 of 3 differ from the defaults." in page
    assert '<strong><code>64</code></strong> <small class="changed">default: 128</small>' in page
    assert "<code>adam.lr</code></th><td><code>0.1</code></td>" in page


@pytest.mark.parametrize("missing", ["config.json", "log.jsonl", "timing.jsonl", "events.jsonl", "previews"])
def test_a_missing_part_is_left_out(tmp_path: Path, missing: str) -> None:
    folder = a_run(tmp_path / "run")
    for path in [*(folder / missing).glob("*"), folder / missing]:
        path.rmdir() if path.is_dir() else path.unlink()
    page = report.write_report(folder).read_text("utf-8")
    signs = {
        "config.json": "abc123",
        "log.jsonl": "<svg",
        "timing.jsonl": "training time",
        "events.jsonl": "to step 400",
        "previews": "<img",
    }
    assert {part: sign in page for part, sign in signs.items()} == {part: part != missing for part in signs}


def test_an_empty_folder_reports(tmp_path: Path) -> None:
    page = report.write_report(tmp_path).read_text("utf-8")
    assert f"<h1>{tmp_path.name}</h1>" in page and "No previews yet." in page and "Nothing logged yet." in page
    assert Image.open(report.write_curves(tmp_path)).width == 960
    with pytest.raises(UserError, match="no such run folder"):
        report.write_report(tmp_path / "missing")


def test_broken_files_report(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    with (folder / "log.jsonl").open("a") as file:
        file.write('[1]\n\n{"step": 2000, "generator": NaN}\n{"step": 3000, "gene')
    (folder / "config.json").write_bytes(b'{"method": "\xff')
    (folder / "timing.jsonl").write_text(
        '{"step": "x", "steps_per_second": null}\n{"step": 1, "steps_per_second": 0}\n'
    )
    (folder / "events.jsonl").write_text('{"step": null}\n{"text": "\\ud800"}\n3\n')
    (folder / "previews" / "001000.png").write_bytes(b"\x89PNG")
    (folder / "previews" / "notes.png").write_bytes(b"")
    page = report.write_report(folder).read_text("utf-8")
    assert "<dt>steps</dt><dd>2,000</dd>" in page and "training time" not in page
    assert len(pictures(page)) == 4 and '<th scope="row">generator</th><td>not finite</td><td>2.91</td>' in page


def test_the_curves_are_the_charts(tmp_path: Path) -> None:
    """D(x) is 3/4 throughout: a level stroke at (1.04 - 0.75) / 1.08 of the frame; the script reads 0.75."""
    page = report.write_report(a_run(tmp_path / "run")).read_text("utf-8")
    [panel] = [part for part in page.split("<figure")[1:] if "D(x)" in part]
    path = re.search(r'class="calm"[^>]* d="([^"]+)"', panel)
    assert path and set(re.findall(r" ([\d.]+)", path[1])) == {f"{1000 * 0.29 / 1.08:.1f}"}
    data = re.search(r'data-lines="([^"]+)"', panel)
    [[steps, values]] = json.loads(html.unescape(data[1])) if data else [[[], []]]
    assert steps == list(range(10, 1001, 10)) and set(values) == {0.75} and 'class="half"' in panel


def test_the_page_stays_small(tmp_path: Path) -> None:
    """The worst there is: large noise, which no format can shrink, and a long log of many names."""
    folder = a_run(tmp_path / "run", count=0)
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (420, 420, 3), np.uint8)
    for index in range(44):
        Image.fromarray(np.roll(noise, index, 0)).save(folder / "previews" / f"{index:06d}.png", compress_level=0)
    rows = [{"step": step} | {f"value {n}": float(chance.normal()) for n in range(20)} for step in range(900)]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = report.write_report(folder)
    shown = pictures(path.read_text("utf-8"))
    assert path.stat().st_size < 6_000_000 and len(shown) == 40 and min(shown[-1].size) >= 256


def test_small_pictures_are_embedded_exactly(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = report.embedded(tmp_path / "a.png", 50_000)
    assert found and (found.width, found.height) == (60, 60)
    assert np.array_equal(np.asarray(pictures(f'src="{found.address}"')[0].convert("RGB")), pixels)


def test_time_in_words() -> None:
    assert report.total_seconds([{"seconds": 5.0}, {"seconds": 9.5}, {"seconds": None}]) == 9.5
    found = [report.duration(seconds) for seconds in (5.04, 42, 250, 11_520, 100_000)]
    assert found == ["5.0 s", "42 s", "4 min 10 s", "3 h 12 min", "1 d 3 h"]


# Alarms, which a watched game's log holds among its lines


def alarmed(folder: Path) -> Path:
    with (folder / "log.jsonl").open("a") as file:
        for step, name in ((1000, "generator collapsed"), (1000, "<b>modes missing")):
            file.write(json.dumps({"step": step, "alarm": name, "text": f"{name}: two samples are alike"}) + "\n")
    return folder


def test_alarms_upset_no_curve(tmp_path: Path) -> None:
    """They stand at the step of the line that they are about, which stays."""
    log = report.read_lines(alarmed(a_run(tmp_path / "run")) / "log.jsonl")
    assert [(line.name, len(line.steps), line.steps[-1]) for line in chart.read(log)] == [
        ("generator", 100, 1000), ("critic", 100, 1000), ("D(x)", 100, 1000),
    ]  # fmt: skip
    assert [(mark.step, mark.text, mark.told) for mark in chart.alarms(log)] == [
        (1000, "generator collapsed", "two samples are alike"), (1000, "<b>modes missing", "two samples are alike"),
    ]  # fmt: skip
    quiet = chart.curves([line for line in log if "alarm" not in line])
    assert chart.curves(log).height == quiet.height + 2 * chart.ROW


def test_alarms_are_marks_and_events_of_the_report(tmp_path: Path) -> None:
    page = report.write_report(alarmed(a_run(tmp_path / "run"))).read_text("utf-8")
    marks = re.findall(r'<path class="mark" d="M1000 0V1000"><title>([^<]+)</title>', page)
    assert marks == ["generator collapsed, step 1,000; &lt;b&gt;modes missing, step 1,000"] * page.count(
        "<figure class="
    )
    assert '<span class="event alarm">1 generator collapsed</span></td><td>two samples are alike</td>' in page
    assert "2 &lt;b&gt;modes missing" in page and "<b>modes" not in page
