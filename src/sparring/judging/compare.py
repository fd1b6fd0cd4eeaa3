"""Runs side by side: what they are, what they cost, how good they are, how they went.

Numbers stand in one row only as what they are: where a value's protocol differs from that of the row's first value, it is
marked, in the table and on the page, with the reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from torch import Tensor

from sparring.core import Model, UserError, chart, svg
from sparring.core.page import figure, safe, section, table, words
from sparring.core.report import duration, flat, read_lines, run_name, total_seconds
from sparring.judging.evaluation import Answer
from sparring.judging.page import HEALTH, Exhibit, alarm_rows, gallery, kind, picture, swatch, write_page
from sparring.judging.samples import HIGHER_IS_BETTER
from sparring.metrics.value import Value
from sparring.tasks.sample import Sample

SHOWN = 64
"""samples of each run on the page"""
LOWER_IS_BETTER = frozenset(
    ("fid", "kid", "mmd", "intra_class_fid", "sliced_wasserstein", "transport", "reverse_kl", "mode_kl", "nearer_than_real",
     "path_length")
)  # fmt: skip
Columns = Mapping[str, Mapping[str, Value]]
"""of each run, by its label: its values by their names"""


class Cost(NamedTuple):
    """What a run took, and what its model takes."""

    seconds: float
    """of training"""
    images: int
    """examples seen"""
    images_per_second: float
    parameters: int
    """of the model that is kept"""
    weights_bytes: int
    """size of its file"""


class Mismatch(NamedTuple):
    """A value that is not comparable with the first of its row."""

    metric: str
    run: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """A run as it is compared."""

    label: str
    """short, and different from every other's"""
    folder: Path
    description: dict[str, Any]
    """content of its config.json"""
    cost: Cost
    log: list[dict[str, Any]]
    health: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    samples: Tensor
    """1 x C x H x W in [-1, 1]: one picture of many samples"""
    answer: Answer | None = None
    unjudged: str = ""
    """why there are no metrics"""

    @property
    def values(self) -> dict[str, Value]:
        return {value.name: value for value in self.answer.values} if self.answer else {}

    @property
    def told(self) -> list[chart.Mark]:
        """What the log told of the game's health, good news too."""
        return chart.alarms(self.log)

    @property
    def alarms(self) -> list[chart.Mark]:
        return [mark for mark in self.told if kind(mark.text) == "alarm"]

    @property
    def facts(self) -> dict[str, str]:
        """What the run is, in words."""
        config, data = self.description.get("config") or {}, self.description.get("data") or {}
        done = max((int(line["step"]) for line in self.log if isinstance(line.get("step"), int)), default=0)
        planned = config.get("steps") if isinstance(config, dict) else None
        return {
            "method": run_name(self.description, self.folder),
            "data": f"{data.get('source', '')} ({_count(data.get('count'))} examples)" if data else "",
            "steps": figure(done) if planned == done else f"{done:,} of {_count(planned)}",
            "seed": str(self.description.get("seed", "")),
            "began": str(self.description.get("started", ""))[:16].replace("T", " "),
            "made with": f"sparring {(self.description.get('versions') or {}).get('sparring', '?')}, "
            f"commit {str(self.description.get('commit') or 'unknown')[:10]}",
        }


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    entries: list[Entry]
    seed: int
    """of the samples"""
    page: Path | None = None
    """where the page was written"""

    @property
    def columns(self) -> Columns:
        return {entry.label: entry.values for entry in self.entries}

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for values in self.columns.values() for name in values))

    @property
    def differences(self) -> dict[str, list[Any]]:
        """Settings that are not the same in all runs: for each of them its value in each run, None where it has none."""
        settings = [flat(entry.description.get("config") or {}) for entry in self.entries]
        names = dict.fromkeys(name for setting in settings for name in setting)
        held = {name: [setting.get(name) for setting in settings] for name in names if name not in ("steps", "seed")}
        return {name: values for name, values in held.items() if any(value != values[0] for value in values)}

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "runs": [_as_dict(entry) for entry in self.entries],
            "differences": self.differences,
            "not_comparable": [mismatch._asdict() for mismatch in mismatches(self.columns)],
            "page": str(self.page) if self.page else None,
        }


def _as_dict(entry: Entry) -> dict[str, Any]:
    return {
        "run": entry.label,
        "folder": str(entry.folder),
        **entry.facts,
        "cost": entry.cost._asdict(),
        "values": [value.as_dict() for value in entry.values.values()],
        "refused": entry.answer.refused if entry.answer else {},
        "unjudged": entry.unjudged or None,
        "alarms": [{"step": alarm.step, "alarm": alarm.text, "text": alarm.told} for alarm in entry.alarms],
    }


def entry(label: str, folder: Path, description: dict[str, Any], model: Model, seed: int = 0) -> Entry:
    """A run as it is compared, not yet judged.

    Args:
        label: from `labels`.
        folder: of the run.
        description: content of its config.json.
        model: the one that it ships.
        seed: of the samples that are shown.
    """
    log, timing = read_lines(folder / "log.jsonl"), read_lines(folder / "timing.jsonl")
    rates = [rate for line in timing if 0 < (rate := chart.number(line.get("images_per_second")) or 0) < math.inf]
    seen = [count for line in log if math.isfinite(count := chart.number(line.get("images")) or 0)]
    file = folder / "model.safetensors"
    cost = Cost(
        total_seconds(timing),
        int(max(seen, default=0)),
        median(rates) if rates else 0.0,
        sum(weight.numel() for weight in model.parameters()),
        file.stat().st_size if file.exists() else 0,
    )
    if isinstance(model, Sample):
        shown = model.config.data.picture(model.sample(SHOWN, seed))
    else:
        shown = model.preview(seed)
    health, evaluations = read_lines(folder / "health.jsonl"), read_lines(folder / "evaluations.jsonl")
    return Entry(label, folder, description, cost, log, health, evaluations, shown.cpu())


def labels(folders: Sequence[Path]) -> list[str]:
    """A short name for each run: its folder's, or where two are alike, its path; the same run twice is numbered."""
    short = [folder.resolve().name for folder in folders]
    if len(set(short)) < len(short):
        short = [str(folder) for folder in folders]
    alike, seen = Counter(short), Counter[str]()
    for index, name in enumerate(short):
        seen[name] += 1
        if alike[name] > 1:
            short[index] = f"{name} ({seen[name]})"
    return short


def mismatches(columns: Columns) -> list[Mismatch]:
    """Every value that is not comparable with the first of its row, and why."""
    found: list[Mismatch] = []
    first: dict[str, tuple[str, Value]] = {}
    for run, values in columns.items():
        for name, value in values.items():
            other_run, other = first.setdefault(name, (run, value))
            if fields := other.protocol.differs(value.protocol):
                here, there = vars(value.protocol), vars(other.protocol)
                reason = "; ".join(f"{field} {here[field] or 'none'}, not {there[field] or 'none'}" for field in fields)
                found.append(Mismatch(name, run, f"unlike {other_run}: {reason}"))
    return found


def numbered(found: Iterable[Mismatch]) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """The number of each mismatch's reason, by metric and run; and the reasons themselves with their numbers."""
    reasons: dict[str, int] = {}
    marks = {}
    for mismatch in found:
        reason = f"{mismatch.run} is {mismatch.reason}"
        marks[mismatch.metric, mismatch.run] = reasons.setdefault(reason, len(reasons) + 1)
    return marks, reasons


def arrow(metric: str) -> str:
    """Which way is better, where that can be said."""
    name = metric.removeprefix("feature_")
    return "↑" if name in HIGHER_IS_BETTER else "↓" if name in LOWER_IS_BETTER else ""


def said(value: Value) -> str:
    """The number with its standard error."""
    spread = "" if value.spread is None else f" ± {value.spread:.2g}"
    return f"{value.value:.5g}{spread}"


def costs(cost: Cost) -> dict[str, str]:
    """What a run cost, in words; what is unknown is left out."""
    found = {
        "training time": duration(cost.seconds) if cost.seconds else "",
        "images seen": f"{cost.images:,}" if cost.images else "",
        "images a second": f"{cost.images_per_second:,.0f}" if cost.images_per_second else "",
        "parameters of the model": f"{cost.parameters:,}",
        "size of its file": f"{cost.weights_bytes / 1e6:.3g} MB" if cost.weights_bytes else "",
    }
    return {name: text for name, text in found.items() if text}


def _count(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else "?"


# --- the page ---------------------------------------------------------------------------------------------------------


def write(comparison: Comparison, path: Path) -> Path:
    """Write the page. Raises UserError when it cannot be written."""
    entries = comparison.entries
    names = ", ".join(safe(entry.label) for entry in entries)
    body = [
        f"<header><h1>{len(entries)} runs side by side</h1><p>{names}</p></header>",
        _samples(entries, comparison.seed),
        _what(comparison),
        _cost(entries),
        _metrics(comparison),
        _over_steps(entries),
        _health(entries),
        _curves(entries),
        _alarms(entries),
    ]
    return write_page(path, f"{len(entries)} runs side by side", body)


def _heads(entries: Sequence[Entry]) -> list[str]:
    return ["", *(swatch(index) + safe(entry.label) for index, entry in enumerate(entries))]


def _samples(entries: Sequence[Entry], seed: int) -> str:
    shown = [
        Exhibit(swatch(index) + safe(entry.label), picture(entry.samples), f"{SHOWN} samples of {entry.label}")
        for index, entry in enumerate(entries)
    ]
    return section("Samples", gallery(shown), f"{SHOWN} of each run, from the noise of seed {seed}.")


def _what(comparison: Comparison) -> str:
    facts = [entry.facts for entry in comparison.entries]
    rows = [[safe(name), *(safe(fact[name]) for fact in facts)] for name in facts[0]]
    for name, values in comparison.differences.items():
        shown = [f"<code>{words(value)}</code>" if value is not None else "–" for value in values]
        rows.append([f"<code>{safe(name)}</code>", *shown])
    note = "Of the settings only those that are not the same in all runs."
    return section("What they are", table(_heads(comparison.entries), rows, "apart"), note)


def _cost(entries: Sequence[Entry]) -> str:
    found = [costs(entry.cost) for entry in entries]
    names = dict.fromkeys(name for cost in found for name in cost)
    rows = [[name, *(cost.get(name, "–") for cost in found)] for name in names]
    return section("What they cost", table(_heads(entries), rows, "apart numbers"))


def _metrics(comparison: Comparison) -> str:
    entries, columns = comparison.entries, comparison.columns
    marks, reasons = numbered(mismatches(columns))
    rows = []
    for name in comparison.metrics:
        cells = []
        for run, values in columns.items():
            unlike = f' <span class="unlike">≠ {marks[name, run]}</span>' if (name, run) in marks else ""
            cells.append(safe(said(values[name])) + unlike if name in values else "–")
        rows.append([safe(f"{name} {arrow(name)}".strip()), *cells])
    shown = table(_heads(entries), rows, "apart numbers") if rows else ""
    refused = [f"{entry.label}: no metrics: {entry.unjudged}" for entry in entries if entry.unjudged]
    for entry in entries:
        refused += [f"{entry.label}: no {name}: {text}" for name, text in (entry.answer or Answer([])).refused.items()]
    return section(
        "Metrics",
        _reasons(reasons) + shown + _list([safe(text) for text in refused]) + _protocols(columns),
        "± is the standard error. Of the last weights; ↑ higher is better, ↓ lower is better.",
    )


def _reasons(reasons: Mapping[str, int]) -> str:
    """Why values are marked: above the table, for who reads no footnotes."""
    warning = "Not comparable, though in one row (their protocols differ):"
    rows = [f'<span class="unlike">≠ {number}</span> {safe(reason)}' for reason, number in reasons.items()]
    return f'<p class="unlike">{warning}</p>{_list(rows)}<br>' if rows else ""


def _list(rows: Sequence[str]) -> str:
    return f'<ul class="reasons">{"".join(f"<li>{row}</li>" for row in rows)}</ul>' if rows else ""


def _protocols(columns: Columns) -> str:
    lines: dict[str, list[str]] = {}
    for run, values in columns.items():
        for value in values.values():
            lines.setdefault(str(value.protocol), []).append(run)
    rows = [f"<code>{safe(line)}</code> ({safe(', '.join(runs))})" for line, runs in lines.items()]
    return f"<details><summary>Protocols</summary>{_list(rows)}</details>" if rows else ""


def overlaid(entries: Sequence[Entry], lines: Sequence[Mapping[str, chart.Line]], bins: int = 300) -> str:
    """For each name a panel, with one line of every run that has it, in the run's colour."""
    names = dict.fromkeys(name for held in lines for name in held)
    drawn = ""
    for name in names:
        there = [index for index, held in enumerate(lines) if name in held]
        named = [lines[index][name]._replace(name=entries[index].label) for index in there]
        drawn += svg.panel(chart.together(name, named), bins, colours=there)
    return drawn


def _finite(lines: Iterable[chart.Line]) -> dict[str, chart.Line]:
    return {line.name: line for line in lines if line.values.size and any(map(math.isfinite, line.values.tolist()))}


def _over_steps(entries: Sequence[Entry]) -> str:
    last: dict[str, dict[str, Value]] = {entry.label: {} for entry in entries}
    lines = []
    for entry in entries:
        rows = []
        for line in entry.evaluations:
            values = [value for given in line.get("values") or () if (value := _value(given)) is not None]
            last[entry.label] |= {value.name: value for value in values}
            rows.append({"step": line.get("step", ""), **{value.name: value.value for value in values}})
        lines.append(_finite(chart.read(rows)))
    _, reasons = numbered(mismatches(last))
    note = "As measured while they were trained (evaluations.jsonl)."
    shown = overlaid(entries, lines)
    return section("Metrics over steps", _reasons(reasons) + shown if shown else "", note)


def _value(given: Any) -> Value | None:
    """A value of a stranger's file, which may be none."""
    try:
        return Value.from_dict(given)
    except (KeyError, TypeError, AttributeError):
        return None


def _health(entries: Sequence[Entry]) -> str:
    rows = [[{name: line[name] for name in ("step", *HEALTH) if name in line} for line in e.health] for e in entries]
    return section(
        "Health",
        overlaid(entries, [_finite(chart.read(lines)) for lines in rows]),
        "Each against its own data: 1 is what other real examples would get (health.jsonl).",
    )


def _curves(entries: Sequence[Entry]) -> str:
    note = "Thin: as logged. Bold: smoothed. Losses of different methods are different quantities."
    return section("Curves", overlaid(entries, [_finite(chart.read(entry.log)) for entry in entries]), note)


def _alarms(entries: Sequence[Entry]) -> str:
    rows = []
    for index, entry in enumerate(entries):
        rows += [[swatch(index) + safe(entry.label), *cells] for cells in alarm_rows(entry.told)]
    quiet = [entry.label for entry in entries if not entry.alarms]
    note = f"None: {', '.join(quiet)}." if quiet else ""
    shown = table(["run", "step", "alarm", ""], rows, "findings") if rows else "<p></p>"
    return section("Alarms while they were trained", shown, note)


def check(folders: Sequence[Path]) -> None:
    """Whether these can be compared at all. Raises UserError."""
    if len(folders) < 2:
        raise UserError("a comparison needs two runs at least: sparring compare RUN RUN ...")
    for folder in folders:
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no run there (it has no config.json)")
