"""A run's folder as one page: what came out, how training went, and what is needed to do it again.

The page holds everything it shows, and a policy that forbids it to load anything else. Whatever the folder lacks is
left out; every text from the folder is escaped, since a run may be a stranger's.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from sparring.core import chart, svg
from sparring.core.animation import evenly
from sparring.core.checkpoint import write_atomic
from sparring.core.errors import UserError
from sparring.core.page import SMALL, document, embedded, figure, safe, section, table, words

PICTURES = 40  # previews on the slider, at most
PICTURE_BYTES = 3_600_000  # for all of them together; base64 makes a third more of it
EVENTS = 200  # the latest ones


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder from what is there, and return its path.

    Raises:
        UserError: there is no such folder.
    """
    _required(folder)
    path = folder / "report.html"
    write_atomic(path, _page(folder))
    return path


def write_curves(folder: Path) -> Path:
    """Write `curves.png` into a run's folder from its log, and return its path.

    Raises:
        UserError: there is no such folder.
    """
    _required(folder)
    path = folder / "curves.png"
    chart.curves(read_lines(folder / "log.jsonl"), path, title=run_name(read_object(folder / "config.json"), folder))
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


def _required(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def run_name(config: dict[str, Any], folder: Path) -> str:
    """The method of a run, or the name of its folder where that is unknown."""
    return str(config.get("method") or folder.resolve().name)


# The page, from the top


def _page(folder: Path) -> bytes:
    config = read_object(folder / "config.json")
    log, timing = read_lines(folder / "log.jsonl"), read_lines(folder / "timing.jsonl")
    name, events = run_name(config, folder), read_lines(folder / "events.jsonl")
    previews = [(int(path.stem), path) for path in read_previews(folder)]
    arxiv = f" arXiv:{config['arxiv']}" if config.get("arxiv") else ""
    about = [f"{config.get('paper') or ''}{arxiv}", config.get("idea") or ""]
    header = "".join(f"<p>{safe(text)}</p>" for text in about if text)
    aside = _tiles(log, timing, previews) + _commands(folder, config.get("task"))
    parts = [
        f"<header><h1>{safe(name)}</h1>{header}</header>",
        f'<div class="top">{_stage(previews)}<aside>{aside}</aside></div>',
        _curves(log),
        _numbers(log),
        _events(events, log),
        settings(config),
        provenance(config),
    ]
    body = "\n".join(part for part in parts if part)
    return document(name, body)


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
    tiles = [("steps", figure(max([*steps, *(step for step, _ in previews)], default=0)))]
    if images:
        tiles.append(("images seen", figure(max(images))))
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
    run = safe(quoted if os.name == "nt" else shlex.quote(shown))
    # Not whatever a stranger's config holds, in a line made to be pasted into a shell.
    verb = task if isinstance(task, str) and task.isidentifier() else "sample"
    lines = [
        ("Train on", f"sparring resume {run}"),
        ("Use it", f"sparring apply {run} {verb}"),
        ("Judge it", f"sparring evaluate {run}"),
    ]
    rows = "".join(f"<li><span>{title}</span><code>{line}</code></li>" for title, line in lines)
    return f'<section class="next"><h2>Go on</h2><ul>{rows}</ul></section>'


def _curves(log: list[dict[str, Any]]) -> str:
    plan, alarms = chart.panels(log), chart.alarms(log)
    note = "Thin: as logged. Bold: smoothed. Point at a curve to read its values."
    note += " Numbers above: alarms, listed under Events." if alarms else ""
    shown = (
        f'<p class="note">{note}</p>{svg.panels(plan, alarms)}' if plan else '<p class="none">Nothing logged yet.</p>'
    )
    return f"<section><h2>Curves</h2>{shown}</section>"


def _numbers(log: list[dict[str, Any]]) -> str:
    rows = []
    for line in chart.read(log):
        finite = line.values[np.isfinite(line.values)]
        if not len(finite):
            rows.append([safe(line.name), "not finite", "", "", ""])
            continue
        late = finite[-max(1, len(finite) // 10) :]
        last = figure(finite[-1]) if math.isfinite(line.values[-1]) else "not finite"
        rows.append([safe(line.name), last, *map(figure, (late.mean(), finite.min(), finite.max()))])
    head = ["", "last", "mean of the last tenth", "lowest", "highest"]
    return f"<section><h2>Final numbers</h2>{table(head, rows, 'numbers')}</section>" if rows else ""


def _events(events: list[dict[str, Any]], log: list[dict[str, Any]]) -> str:
    """What happened, and the alarms of the log, by step; an alarm bears its number above the curves."""
    listed = [(_step(event), "event", event.get("event", ""), event.get("text", "")) for event in events]
    for number, alarm in enumerate(chart.alarms(log), 1):
        listed.append((alarm.step, "event alarm", f"{number} {alarm.text}", alarm.told))
    listed.sort(key=lambda row: row[0])
    rows = [
        [f"{step:,.0f}" if math.isfinite(step) else "", f'<span class="{kind}">{words(name)}</span>', words(text)]
        for step, kind, name, text in listed[-EVENTS:]
    ]
    note = f"The last {EVENTS} of {len(listed):,}." if len(listed) > EVENTS else ""
    return section("Events", table(["step", "event", ""], rows, "events"), note) if rows else ""


def _step(event: dict[str, Any]) -> float:
    """The step of an event; events without one come first."""
    step = chart.number(event.get("step", ""))
    return step if step is not None and math.isfinite(step) else -math.inf


def settings(config: dict[str, Any]) -> str:
    """Every field of the run's config, those marked that differ from the defaults."""
    fields, defaults = flat(config.get("config") or {}), flat(config.get("defaults") or {})
    rows, changed = [], 0
    for name, value in fields.items():
        shown = f"<code>{words(value)}</code>"
        # JSON holds no tuples, so that equal means equal; a name without a default marks nothing.
        if name in defaults and defaults[name] != value:
            changed += 1
            shown = f'<strong>{shown}</strong> <small class="changed">default: {words(defaults[name])}</small>'
        rows.append([f"<code>{safe(name)}</code>", shown])
    note = f'<p class="note">{changed} of {len(rows)} differ from the defaults.</p>' if config.get("defaults") else ""
    return f"<section><h2>Settings</h2>{note}{table([], rows)}</section>" if rows else ""


def provenance(config: dict[str, Any]) -> str:
    """All that `config.json` says beside method, paper and settings: data, seed, versions, machine."""
    known = ("data", "task", "seed", "commit", "device", "machine", "versions")
    chosen = {key: config[key] for key in known if config.get(key) not in (None, "", {}, [])}
    rows = [[safe(name.replace(".", ": ")), f"<code>{words(value)}</code>"] for name, value in flat(chosen).items()]
    return f"<section><h2>Made from</h2>{table([], rows)}</section>" if rows else ""
