"""A run's folder as one page: what came out, how training went, and what is needed to do it again.

The page holds everything it shows, and a policy that forbids it to load anything else. Whatever the folder lacks is
left out; every text from the folder is escaped, since a run may be a stranger's.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
import shlex
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sparring.core import chart
from sparring.core.animation import evenly
from sparring.core.checkpoint import write_atomic
from sparring.core.errors import UserError

PICTURES = 40  # previews on the slider, at most
PICTURE_BYTES = 3_600_000  # for all of them together; base64 makes a third more of it
SIDES = (1024, 768, 512, 384, 256, 128)  # pixels: a preview is reduced to the first at which it fits
SMALL = 400  # pixels: pictures smaller than this show their pixels, and are embedded without loss
EVENTS = 200  # the latest ones
LONG = 2000  # characters of one value


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder from what is there, and return its path.

    Raises:
        UserError: there is no such folder.
    """
    _required(folder)
    path = folder / "report.html"
    # A lone surrogate is valid in JSON and cannot be written.
    write_atomic(path, _page(folder).encode("utf-8", "replace"))
    return path


def write_curves(folder: Path) -> Path:
    """Write `curves.png` into a run's folder from its log, and return its path.

    Raises:
        UserError: there is no such folder.
    """
    _required(folder)
    path = folder / "curves.png"
    chart.curves(read_lines(folder / "log.jsonl"), path, title=_name(read_object(folder / "config.json"), folder))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl file; lines that are none, such as a half-written last one, are passed over."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    return [entry for entry in map(_parsed, text.split("\n")) if isinstance(entry, dict)]


def read_object(path: Path) -> dict[str, Any]:
    """The object in a .json file, or an empty one."""
    try:
        entry = _parsed(path.read_text("utf-8", "replace"))
    except OSError:
        return {}
    return entry if isinstance(entry, dict) else {}


def read_previews(folder: Path) -> list[Path]:
    """A run's previews in the order in which they were drawn."""
    found = [path for path in (folder / "previews").glob("*.png") if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))


def flat(entry: Any, name: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names: {"adam": {"lr": 1}} becomes {"adam.lr": 1}."""
    if not isinstance(entry, dict) or (not entry and name):
        return {name: entry}
    result: dict[str, Any] = {}
    for key, value in entry.items():
        result |= flat(value, f"{name}.{key}" if name else str(key))
    return result


def embedded(path: Path, most: int) -> Embedded | None:
    """A picture as a data: address of about `most` bytes, or None where it cannot be read.

    Small and flat pictures stay exact where that fits; others become WebP or JPEG, whichever is smaller, and are
    reduced until they fit.
    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
    size = picture.size
    if max(size) < SMALL or picture.getcolors(256):
        data, kind = min(_encoded(picture, None), key=lambda found: len(found[0]))
        if len(data) <= most and max(size) <= SIDES[0]:
            return Embedded(_address(data, kind), *size)
    for side in SIDES:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        for quality in (90, 75, 60):
            data, kind = min(_encoded(picture, quality), key=lambda found: len(found[0]))
            if len(data) <= most:
                return Embedded(_address(data, kind), *size)
            if len(data) > 3 * most:  # no quality mends that: a smaller side does
                break
    return Embedded(_address(data, kind), *size)


class Embedded(NamedTuple):
    """A picture inside the page, and the size in pixels that it had outside."""

    address: str
    width: int
    height: int


def _encoded(picture: Image.Image, quality: int | None) -> list[tuple[bytes, str]]:
    """The picture in every format that can hold it, without loss or at this quality."""
    if quality is None:
        wanted: list[tuple[str, dict[str, Any]]] = [("png", {"optimize": True}), ("webp", {"lossless": True})]
    else:
        wanted = [("jpeg", {"quality": quality, "optimize": True}), ("webp", {"quality": quality, "method": 2})]
    found = []
    for kind, options in wanted:
        buffer = io.BytesIO()
        try:
            picture.save(buffer, format=kind, **options)
        except (OSError, KeyError):  # this Pillow was built without the format
            continue
        found.append((buffer.getvalue(), kind))
    return found


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _required(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _name(config: dict[str, Any], folder: Path) -> str:
    return str(config.get("method") or folder.resolve().name)


def _safe(text: Any) -> str:
    """Any text, cut where it is endless, for use between tags and inside quoted attributes."""
    text = str(text)
    return html.escape(text if len(text) <= LONG else text[:LONG] + "...")


def _text(value: Any) -> str:
    if value == "":
        return "(empty)"
    return _safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


# The page, from the top


def _page(folder: Path) -> str:
    config = read_object(folder / "config.json")
    log, timing = read_lines(folder / "log.jsonl"), read_lines(folder / "timing.jsonl")
    name, events = _name(config, folder), read_lines(folder / "events.jsonl")
    previews = [(int(path.stem), path) for path in read_previews(folder)]
    arxiv = f" arXiv:{config['arxiv']}" if config.get("arxiv") else ""
    about = [f"{config.get('paper') or ''}{arxiv}", config.get("idea") or ""]
    header = "".join(f"<p>{_safe(text)}</p>" for text in about if text)
    aside = _tiles(log, timing, previews) + _commands(folder, config.get("task"))
    parts = [
        f"<header><h1>{_safe(name)}</h1>{header}</header>",
        f'<div class="top">{_stage(previews)}<aside>{aside}</aside></div>',
        _curves(log),
        _numbers(log),
        _events(events),
        _settings(config),
        _provenance(config),
    ]
    body = "\n".join(part for part in parts if part)
    return PAGE.format(title=_safe(name), style=STYLE, body=body, script=SCRIPT)


def _stage(previews: list[tuple[int, Path]]) -> str:
    """The last preview, large, with a slider back through time. Without scripts, the last one alone."""
    chosen = evenly(previews, PICTURES)
    most = PICTURE_BYTES // max(1, len(chosen))
    read = [(step, embedded(path, most)) for step, path in chosen]
    pictures = [(step, picture) for step, picture in read if picture]
    if not pictures:
        return '<section class="stage"><p class="none">No previews yet.</p></section>'
    width, pixels = pictures[-1][1].width, max(pictures[-1][1][1:]) < SMALL
    # Whole multiples, so that every pixel of a small picture is as large as the next.
    wide = width * max(1, 620 // width) if pixels else min(width, 1024)
    shown = []
    for index, (step, (address, across, down)) in enumerate(pictures):
        hidden = "" if index == len(pictures) - 1 else " hidden"
        alt = f"Pictures drawn from fixed noise at step {step:,}"
        shown.append(f'<img src="{address}" alt="{alt}" width="{across}" height="{down}" data-step="{step:,}"{hidden}>')
    last = len(pictures) - 1
    # One preview needs no slider.
    slider = (
        f'<div class="time" hidden><button type="button">Play</button><input type="range" min="0" max="{last}" '
        f'value="{last}" aria-label="Preview through training"></div>'
    )
    return (
        f'<section class="stage"><div class="frames{" pixels" if pixels else ""}" style="width:{wide}px">'
        f'{"".join(shown)}</div>{slider if last else ""}<p class="step">step {pictures[-1][0]:,}</p></section>'
    )


def _tiles(log: list[dict[str, Any]], timing: list[dict[str, Any]], previews: list[tuple[int, Path]]) -> str:
    steps = [step for row in log + timing if math.isfinite(step := chart.number(row.get("step")) or 0)]
    images = [count for row in log if math.isfinite(count := chart.number(row.get("images")) or 0)]
    tiles = [("steps", _figure(max([*steps, *(step for step, _ in previews)], default=0)))]
    if images:
        tiles.append(("images seen", _figure(max(images))))
    if seconds := total_seconds(timing):
        tiles.append(("training time", duration(seconds)))
    for key, title in (("steps_per_second", "steps a second"), ("images_per_second", "images a second")):
        if rates := _positive(timing, key):
            tiles.append((title, f"{median(rates):,.4g}" if median(rates) < 1000 else f"{median(rates):,.0f}"))
    return f'<dl class="tiles">{"".join(f"<div><dt>{title}</dt><dd>{text}</dd></div>" for title, text in tiles)}</dl>'


def total_seconds(timing: list[dict[str, Any]]) -> float:
    """Seconds of training up to the last record: they are counted on when a run is resumed."""
    return (_positive(timing, "seconds") or [0.0])[-1]


def duration(seconds: float) -> str:
    """In the two largest units that matter: 3 h 12 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _positive(rows: list[dict[str, Any]], key: str) -> list[float]:
    found = [chart.number(row.get(key)) for row in rows]
    return [value for value in found if value is not None and 0 < value < math.inf]


def _commands(folder: Path, task: Any) -> str:
    path = folder.resolve()
    shown = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    # Windows' shells know no single quotes.
    quoted = f'"{shown}"' if os.name == "nt" and " " in shown else shown
    run = _safe(quoted if os.name == "nt" else shlex.quote(shown))
    # Not whatever a stranger's config holds, in a line made to be pasted into a shell.
    verb = task if isinstance(task, str) and task.isidentifier() else "sample"
    lines = [
        ("Train on", f"sparring resume {run}"),
        ("Use it", f"sparring apply {run} {verb}"),
        ("Judge it", f"sparring evaluate {run}"),
    ]
    rows = "".join(f"<li><span>{title}</span><code>{line}</code></li>" for title, line in lines)
    return f'<section class="next"><h2>Go on</h2><ul>{rows}</ul></section>'


# Curves: the chart's own plan, as SVG that stretches, under labels that do not


def _curves(log: list[dict[str, Any]]) -> str:
    plan = chart.panels(log)
    count = sum(len(panel.lines) for panel in plan)
    # Fewer points where there are many lines keep the page small.
    bins = min(450, max(40, 6000 // max(1, count)))
    drawn = "".join(_panel(panel, bins) for panel in plan)
    note = "Thin: as logged. Bold: smoothed. Point at a curve to read its values."
    shown = f'<p class="note">{note}</p>{drawn}' if plan else '<p class="none">Nothing logged yet.</p>'
    return f"<section><h2>Curves</h2>{shown}</section>"


def _panel(panel: chart.Panel, bins: int) -> str:
    keys = "".join(
        f'<span class="key"><i style="background:var(--line{index})"></i>{_safe(line.name)} '
        f"<output>{_figure(_last(line))}</output></span>"
        for index, line in enumerate(panel.lines)
    )
    beyond = f'<span class="beyond">{panel.beyond():,} beyond the frame</span>' if panel.beyond() else ""
    title = f"<b>{panel.title}</b>" if panel.title else ""
    marks, steps = panel.marks(), panel.steps()
    heights = (100 * panel.down(np.array(marks))).tolist()
    places = (100 * panel.across(np.array(steps))).tolist()
    upwards = _spans("top", heights, chart.labels(marks))
    across = _spans("left", places, chart.labels(steps))
    grid = "".join(f"M0 {10 * y:.1f}H1000" for y in heights) + "".join(f"M{10 * x:.1f} 0V1000" for x in places)
    half = f'<path class="half" d="M0 {1000 * float(panel.down(np.array(0.5))):.1f}H1000"/>' if panel.unit else ""
    names = _safe(", ".join(line.name for line in panel.lines))
    span = f'data-first="{panel.first:.12g}" data-last="{panel.last:.12g}"'
    return (
        f'<figure class="panel" {span} data-lines="{_data(panel, bins)}">'
        f'<figcaption>{title}{keys}{beyond}</figcaption><div class="plot">{upwards}'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="Curves over steps: {names}">'
        f'<path class="grid" d="{grid}"/>{half}{_paths(panel, bins)}</svg>'
        f'<div class="cursor" hidden><span></span></div></div>'
        f'<div class="steps">{across}<span class="unit">steps</span></div></figure>'
    )


def _last(line: chart.Line) -> float:
    return float(line.values[np.isfinite(line.values)][-1])


def _spans(side: str, places: list[float], texts: list[str]) -> str:
    return "".join(f'<span style="{side}:{place:.2f}%">{text}</span>' for place, text in zip(places, texts))


def _paths(panel: chart.Panel, bins: int) -> str:
    raw, calm = "", ""
    for index, line in enumerate(panel.lines):
        thin, bold = (_path(points) for points in chart.strokes(panel, line, bins))
        raw += f'<path class="raw" style="stroke:var(--line{index})" d="{thin}"/>'
        calm += f'<path class="calm" style="stroke:var(--line{index})" d="{bold}"/>'
    return raw + calm


def _path(points: list[tuple[float, float]]) -> str:
    """An SVG path; a lone point is a stroke of no length, which a round cap makes a dot."""
    drawn = ""
    for piece in chart.pieces(points):
        places = [f"{1000 * x:.1f} {1000 * y:.1f}" for x, y in piece]
        drawn += "M" + ("L".join(places) if len(places) > 1 else f"{places[0]}h0")
    return drawn


def _data(panel: chart.Panel, bins: int) -> str:
    """What the page's script reads values from: for each line its steps and values, null where not finite."""
    lines = []
    for line in panel.lines:
        index = chart.thinned(line.values, bins)
        values = [float(f"{value:.4g}") if math.isfinite(value) else None for value in line.values[index].tolist()]
        lines.append([[int(step) if step == int(step) else step for step in line.steps[index].tolist()], values])
    return html.escape(json.dumps(lines, separators=(",", ":")))


# Tables


def _table(head: list[str], rows: list[list[str]], kind: str = "") -> str:
    """Cells are HTML already; the first of each row is its heading."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    body = ""
    for first, *rest in rows:
        body += f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
    return f'<div class="wide"><table class="{kind}">{top}<tbody>{body}</tbody></table></div>'


def _numbers(log: list[dict[str, Any]]) -> str:
    rows = []
    for line in chart.read(log):
        finite = line.values[np.isfinite(line.values)]
        if not len(finite):
            rows.append([_safe(line.name), "not finite", "", "", ""])
            continue
        late = finite[-max(1, len(finite) // 10) :]
        last = _figure(finite[-1]) if math.isfinite(line.values[-1]) else "not finite"
        rows.append([_safe(line.name), last, *map(_figure, (late.mean(), finite.min(), finite.max()))])
    head = ["", "last", "mean of the last tenth", "lowest", "highest"]
    return f"<section><h2>Final numbers</h2>{_table(head, rows, 'numbers')}</section>" if rows else ""


def _events(events: list[dict[str, Any]]) -> str:
    rows = []
    for event in events[-EVENTS:]:
        step = chart.number(event.get("step", ""))
        shown = f"{step:,.0f}" if step is not None and math.isfinite(step) else ""
        rows.append(
            [shown, f'<span class="event">{_text(event.get("event", ""))}</span>', _text(event.get("text", ""))]
        )
    earlier = f'<p class="note">The last {EVENTS} of {len(events):,}.</p>' if len(events) > EVENTS else ""
    return f"<section><h2>Events</h2>{earlier}{_table(['step', 'event', ''], rows, 'events')}</section>" if rows else ""


def _settings(config: dict[str, Any]) -> str:
    settings, defaults = flat(config.get("config") or {}), flat(config.get("defaults") or {})
    rows, changed = [], 0
    for name, value in settings.items():
        shown = f"<code>{_text(value)}</code>"
        # JSON holds no tuples, so that equal means equal; a name without a default marks nothing.
        if name in defaults and defaults[name] != value:
            changed += 1
            shown = f'<strong>{shown}</strong> <small class="changed">default: {_text(defaults[name])}</small>'
        rows.append([f"<code>{_safe(name)}</code>", shown])
    note = f'<p class="note">{changed} of {len(rows)} differ from the defaults.</p>' if config.get("defaults") else ""
    return f"<section><h2>Settings</h2>{note}{_table([], rows)}</section>" if rows else ""


def _provenance(config: dict[str, Any]) -> str:
    """All that `config.json` says beside method, paper and settings: data, seed, versions, machine."""
    known = ("data", "task", "seed", "commit", "device", "machine", "versions")
    chosen = {key: config[key] for key in known if config.get(key) not in (None, "", {}, [])}
    rows = [[_safe(name.replace(".", ": ")), f"<code>{_text(value)}</code>"] for name, value in flat(chosen).items()]
    return f"<section><h2>Made from</h2>{_table([], rows)}</section>" if rows else ""


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{title} | Sparring</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<footer>Written by Sparring</footer>
<script>{script}</script>
</body>
</html>
"""

STYLE = """
:root { --paper: #f6f7f9; --card: #fff; --ink: #1d2430; --muted: #596273; --rule: #e3e6eb; --accent: #0067a3;
  --line0: #0072b2; --line1: #d55e00; --line2: #009e73; --line3: #b8558c; --line4: #d08a00; --line5: #3f9fdc;
  --line6: #5c5c5c; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #12151b; --card: #1b2029; --ink: #e8ebf1; --muted: #a2abba; --rule: #303744; --accent: #6cbcf5;
    --line0: #56aef0; --line1: #ff8b45; --line2: #2fc99c; --line3: #e394c2; --line4: #f0b73c; --line5: #a5d8f7;
    --line6: #b9bec8; }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 8px; }
header { margin: 0 4px 24px; }
h1 { margin: 0; font-size: 2.1rem; line-height: 1.15; letter-spacing: -.02em; overflow-wrap: anywhere; }
header p { margin: 8px 0 0; color: var(--muted); overflow-wrap: anywhere; max-width: 75ch; }
h2 { margin: 0 0 10px; font-size: 1.05rem; }
section, .tiles { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; padding: 20px 22px;
  margin: 0 0 18px; }
.top { display: grid; grid-template-columns: minmax(0, 1fr) 340px; gap: 18px; align-items: start; }
.stage { display: flex; flex-direction: column; align-items: center; margin-bottom: 18px; }
.frames { max-width: 100%; }
.frames img { display: block; width: 100%; height: auto; border-radius: 6px; }
.pixels img { image-rendering: pixelated; }
.time { display: flex; gap: 14px; align-items: center; width: 100%; margin-top: 16px; }
.time input { flex: 1; min-width: 0; accent-color: var(--accent); height: 28px; margin: 0; }
button { font: inherit; font-size: .9rem; min-width: 72px; padding: 5px 14px; border-radius: 8px;
  border: 1px solid var(--rule); background: var(--paper); color: var(--ink); cursor: pointer; }
button:hover { border-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.step { margin: 10px 0 0; color: var(--muted); font-variant-numeric: tabular-nums; }
.none, .note { color: var(--muted); margin: 0 0 8px; font-size: .9rem; }
.tiles { display: grid; grid-template-columns: 1fr 1fr; gap: 16px 20px; }
.tiles div { display: flex; flex-direction: column-reverse; }
.tiles dt { color: var(--muted); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.4rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; }
.next ul { list-style: none; margin: 0; padding: 0; }
.next li + li { margin-top: 12px; }
.next span { display: block; color: var(--muted); font-size: .85rem; }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.next code { display: block; background: var(--paper); border: 1px solid var(--rule); border-radius: 8px;
  padding: 6px 10px; margin-top: 3px; user-select: all; }
.panel { margin: 18px 0 26px; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 20px; align-items: baseline; margin: 0 0 8px; font-size: .9rem; }
.key { overflow-wrap: anywhere; }
.key i { display: inline-block; width: 16px; height: 4px; border-radius: 2px; margin-right: 7px;
  vertical-align: middle; }
output { color: var(--muted); margin-left: 4px; font-variant-numeric: tabular-nums; display: inline-block;
  min-width: 4em; }
.beyond { color: var(--muted); margin-left: auto; font-size: .85em; }
.plot { position: relative; height: 210px; margin-left: 56px; cursor: crosshair; touch-action: pan-y; }
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.plot path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round; }
.plot .grid { stroke: var(--rule); stroke-width: 1; stroke-linecap: butt; }
.plot .half { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 5 5; }
.plot .raw { stroke-width: 1; opacity: .38; }
.plot .calm { stroke-width: 2.2; }
.plot > span, .steps span { position: absolute; color: var(--muted); font-size: .78rem; line-height: 1;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.plot > span { right: calc(100% + 9px); transform: translateY(-50%); }
.steps { position: relative; height: 34px; margin-left: 56px; }
.steps span { top: 8px; transform: translateX(-50%); }
.steps .unit { top: 24px; left: 50%; }
.cursor { position: absolute; top: 0; bottom: 0; width: 0; border-left: 1px solid var(--muted); pointer-events: none; }
.cursor span { position: absolute; bottom: 100%; transform: translateX(-50%); background: var(--ink);
  color: var(--card);   border-radius: 5px; padding: 1px 7px; font-size: .75rem; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: 6px 18px 6px 0; border-top: 1px solid var(--rule); }
thead th { border-top: 0; color: var(--muted); font-weight: 500; font-size: .85rem; }
tbody tr:first-child > * { border-top: 0; }
thead + tbody tr:first-child > * { border-top: 1px solid var(--rule); }
tbody th { font-weight: 500; width: 30%; overflow-wrap: anywhere; }
.numbers td, .numbers thead th + th { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.numbers tbody th { min-width: 9em; }
.events tbody th { width: 7em; }
.events td:nth-child(2) { width: 9em; }
td { overflow-wrap: anywhere; }
.event { background: var(--paper); border: 1px solid var(--rule); border-radius: 6px; padding: 1px 8px;
  white-space: nowrap; }
strong code { font-weight: 700; }
.changed { color: var(--accent); margin-left: 8px; }
footer { max-width: 1080px; margin: 0 auto; padding: 4px 24px 36px; color: var(--muted); font-size: .85rem; }
@media (max-width: 860px) { .top { grid-template-columns: minmax(0, 1fr); gap: 0; } main { padding: 24px 12px 4px; }
  section, .tiles { padding: 16px; } .plot, .steps { margin-left: 46px; } .steps span:nth-child(even):not(.unit) {
  display: none; } }
@media print { body { background: #fff; } .time { display: none; } section { break-inside: avoid; } }
"""

SCRIPT = """
const time = document.querySelector('.time');
if (time) {
  const frames = [...document.querySelectorAll('.frames img')];
  const [button, slider] = time.children;
  const show = index => {
    frames.forEach((frame, other) => { frame.hidden = other !== index; });
    const step = 'step ' + frames[index].dataset.step;
    document.querySelector('.step').textContent = step;
    slider.setAttribute('aria-valuetext', step);
    slider.value = index;
  };
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = 'Play'; };
  slider.oninput = () => { stop(); show(+slider.value); };
  button.onclick = () => {
    if (timer) return stop();
    button.textContent = 'Pause';
    let index = +slider.value === frames.length - 1 ? -1 : +slider.value;
    timer = setInterval(() => { show(++index); if (index === frames.length - 1) stop(); }, 200);
  };
  time.hidden = false;
  show(frames.length - 1);
}
for (const panel of document.querySelectorAll('.panel')) {
  const lines = JSON.parse(panel.dataset.lines), first = +panel.dataset.first, last = +panel.dataset.last;
  const plot = panel.querySelector('.plot'), cursor = panel.querySelector('.cursor');
  const outputs = [...panel.querySelectorAll('output')], rest = outputs.map(output => output.textContent);
  const nearest = (steps, step) => {
    let low = 0, high = steps.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (steps[middle] > step) high = middle; else low = middle;
    }
    return step - steps[low] <= steps[high] - step ? low : high;
  };
  plot.onpointermove = event => {
    const box = plot.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const step = Math.round(first + at * (last - first));
    cursor.hidden = false;
    cursor.style.left = 100 * at + '%';
    cursor.firstChild.textContent = step.toLocaleString('en');
    lines.forEach(([steps, values], index) => {
      const value = values[nearest(steps, step)];
      outputs[index].textContent = value === null ? 'not finite' : String(value);
    });
  };
  plot.onpointerleave = () => {
    cursor.hidden = true;
    outputs.forEach((output, index) => { output.textContent = rest[index]; });
  };
}
"""
