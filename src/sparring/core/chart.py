"""A run's log as curves, drawn with Pillow alone.

`panels` plans what is drawn (which lines share a frame, over which range); `curves` paints that plan into a picture,
and the run report paints the same plan as SVG.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sparring.core.checkpoint import write_atomic

# Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow, too pale on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b8558c", "#d08a00", "#3f9fdc", "#5c5c5c")
INK, MUTED, GRID, PAPER, ALARM = "#1d2430", "#6a7280", "#e6e8ec", "#ffffff", "#b3261e"

SCALE = 2  # drawn this much larger, then reduced: Pillow's own lines have hard edges
LEFT, RIGHT, PLOT, ROW, GAP = 66, 22, 190, 22, 20
LARGEST = 1e30  # larger values count as this: sums and squares of them must not overflow

# A loss is named by the player it moves ("generator", "critic_a"), or says so.
LOSS = re.compile(
    r"(generator|discriminator|critic|encoder|decoder|autoencoder|classifier)([ _/.-]?\w)?|.*loss.*", re.I
)


class Line(NamedTuple):
    """One logged name: the steps at which it was logged and its values there, NaN where they were not finite."""

    name: str
    steps: np.ndarray
    values: np.ndarray


class Mark(NamedTuple):
    """A step worth a line from top to bottom, and what happened there."""

    step: float
    text: str
    told: str = ""
    """all that was said of it"""


class Panel(NamedTuple):
    """Lines that share one frame: steps from `first` to `last` across, values from `low` to `high` upwards."""

    title: str
    lines: list[Line]
    first: float
    last: float
    low: float
    high: float
    unit: bool
    """whether the values live in [0, 1], where 1/2 is marked: a discriminator that cannot tell says so"""

    def across(self, steps: np.ndarray) -> np.ndarray:
        """Steps as fractions of the frame's width, from the left."""
        return (steps - self.first) / (self.last - self.first)

    def down(self, values: np.ndarray) -> np.ndarray:
        """Values as fractions of the frame's height, from the top; what lies beyond the frame is drawn at its edge."""
        return (self.high - np.clip(values, self.low, self.high)) / (self.high - self.low)

    def beyond(self) -> int:
        """How many values lie outside the frame."""
        return sum(int(((line.values < self.low) | (line.values > self.high)).sum()) for line in self.lines)

    def marks(self) -> list[float]:
        """Round values to label upwards."""
        return ticks(0, 1, 2) if self.unit else ticks(self.low, self.high, 4)

    def steps(self) -> list[float]:
        """Round steps to label across; steps are whole numbers."""
        return [step for step in ticks(self.first, self.last, 7) if step == int(step)]


def curves(log: list[dict[str, float]], path: Path | None = None, width: int = 960, title: str = "") -> Image.Image:
    """Draw every logged name over the steps.

    Args:
        log: one object a row, each with "step" and the values logged there; rows without a step are passed over.
        path: where to write the picture as PNG; not written if None.
        width: pixels across. The height follows from the number of panels.
        title: a line above the panels.
    """
    plan, told = panels(log), alarms(log)
    pen = _Pen(width)
    headings = [pen.rows(panel) * ROW + 8 for panel in plan]
    top = 46 if title else 14
    height = top + sum(headings) + len(plan) * (PLOT + GAP) + 34 + len(told) * ROW if plan else top + 80
    pen.begin(height)
    pen.write(16, 25, _short(title, 100), size=17)
    if not plan:
        pen.write(width / 2, top + 34, "nothing logged yet", MUTED, anchor="mm")
    for panel, heading in zip(plan, headings):
        pen.heading(panel, top)
        pen.frame(panel, top + heading)
        pen.lines(panel, top + heading)
        pen.alarms(panel, top + heading, told)
        top += heading + PLOT + GAP
    if plan:
        pen.steps(plan[-1], top - GAP)
        for row, mark in enumerate(told):
            pen.write(
                LEFT, top + 34 + row * ROW, f"{row + 1}  step {mark.step:,.0f}: {_short(mark.text, 60)}", ALARM, size=12
            )
    picture = pen.picture.reduce(SCALE)
    if path is not None:
        file = io.BytesIO()
        picture.save(file, format="PNG", optimize=True)
        write_atomic(path, file.getbuffer())
    return picture


def panels(log: list[dict[str, Any]]) -> list[Panel]:
    """Which lines are drawn together: losses; values in [0, 1]; then those of similar size; in order of appearance."""
    lines = [line for line in read(log) if np.isfinite(line.values).any()]
    if not lines:
        return []
    losses = [line for line in lines if LOSS.fullmatch(line.name)]
    unit = [line for line in lines if not LOSS.fullmatch(line.name) and _is_unit(line)]
    # By name: lines hold arrays, whose == is no yes or no.
    placed = {line.name for line in losses + unit}
    others = _alike([line for line in lines if line.name not in placed])
    first, last = _span([line.steps for line in lines])
    plan = []
    for group in _split(losses):
        plan.append(Panel("Losses", group, first, last, *_frame(group), False))
    for group in _split(unit):
        plan.append(Panel("Between 0 and 1", group, first, last, -0.04, 1.04, True))
    for group in others:
        plan.append(Panel("", group, first, last, *_frame(group), False))
    return plan


def read(log: list[dict[str, Any]]) -> list[Line]:
    """The log by name. Where steps go back (a resumed run, a rollback), what was logged beyond is dropped."""
    rows: list[tuple[float, dict[str, Any]]] = []
    for row in log:
        step = number(row.get("step"))
        # An alarm stands at the step of the line that it is about, and is no second such line.
        if step is None or not math.isfinite(step) or "alarm" in row:
            continue
        while rows and rows[-1][0] >= step:
            rows.pop()
        rows.append((step, row))
    found: dict[str, tuple[list[float], list[float]]] = {}
    for step, row in rows:
        for name, entry in row.items():
            value = number(entry)
            if name in ("step", "images") or value is None:
                continue
            steps, values = found.setdefault(str(name), ([], []))
            steps.append(step)
            values.append(max(-LARGEST, min(LARGEST, value)) if math.isfinite(value) else math.nan)
    return [Line(name, np.array(steps), np.array(values)) for name, (steps, values) in found.items()]


def alarms(log: list[dict[str, Any]]) -> list[Mark]:
    """The alarms that a watched game's log holds, in order; good news is no alarm."""
    rows = [(number(row.get("step")), row) for row in log if "alarm" in row and row.get("kind") != "good"]
    return [
        Mark(step, str(row["alarm"]), str(row.get("text", "")).removeprefix(f"{row['alarm']}: "))
        for step, row in rows
        if step is not None and math.isfinite(step)
    ]


def together(title: str, lines: list[Line]) -> Panel:
    """One frame around these lines, whatever their sizes; each has a finite value at least."""
    first, last = _span([line.steps for line in lines])
    unit = all(_is_unit(line) for line in lines)
    low, high = (-0.04, 1.04) if unit else _frame(lines)
    return Panel(title, lines, first, last, low, high, unit)


def number(entry: Any) -> float | None:
    """A logged entry as a float (a null is a value that was not finite), or None where it is no number."""
    if entry is None:
        return math.nan
    if isinstance(entry, bool) or not isinstance(entry, int | float):
        return None
    try:
        return float(entry)
    except OverflowError:
        return math.inf


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers in [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / rough)))
    # The small slack keeps an end that is itself a multiple, up to rounding; formatting takes the rounding away.
    marks = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [float(f"{index * step:.12g}") for index in marks]


def labels(marks: Sequence[float]) -> list[str]:
    """Ticks in words, all in one unit: 0, 2.5k, 5k."""
    largest = max((abs(mark) for mark in marks), default=0.0)
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if unit <= largest < unit * 1000 and largest >= 1e4:
            return [f"{mark / unit:.5g}{letter if mark else ''}" for mark in marks]
    return [f"{mark:.5g}" for mark in marks]


def smoothed(values: np.ndarray, span: float | None = None) -> np.ndarray:
    """Exponential moving average over about `span` values, corrected for its start at zero; gaps stay gaps.

    By default the span is a fiftieth of the values, so that a curve looks equally calm at any length.
    """
    keep = 1 - 1 / max(1.0, np.isfinite(values).sum() / 50 if span is None else span)
    mean, weight, result = 0.0, 0.0, []
    for value in values.tolist():
        if math.isfinite(value):
            mean, weight = keep * mean + (1 - keep) * value, keep * weight + 1 - keep
        result.append(mean / weight if math.isfinite(value) else math.nan)
    return np.array(result)


def thinned(values: np.ndarray, bins: int) -> np.ndarray:
    """Indices that draw the same curve on `bins` columns: of each column the lowest and the highest value."""
    if len(values) <= 2 * bins:
        return np.arange(len(values))
    chosen = {0, len(values) - 1}
    for part in np.array_split(np.arange(len(values)), bins):
        seen = part[np.isfinite(values[part])]
        chosen |= {int(seen[values[seen].argmin()]), int(seen[values[seen].argmax()])} if len(seen) else {int(part[0])}
    return np.array(sorted(chosen))


def pieces(points: Iterable[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """A line cut at its gaps: where a coordinate is NaN."""
    piece: list[tuple[float, float]] = []
    for point in points:
        if math.isfinite(point[1]):
            piece.append(point)
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def strokes(panel: Panel, line: Line, bins: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The raw and the smoothed line as fractions of the frame, thinned to what `bins` columns can show."""
    # Smoothed within the frame, or one spike would keep the calm line at the edge for as long as it remembers.
    calm = smoothed(np.clip(line.values, panel.low, panel.high))
    both = []
    for values in (line.values, calm):
        index = thinned(values, bins)
        both.append(list(zip(panel.across(line.steps[index]).tolist(), panel.down(values[index]).tolist())))
    return both[0], both[1]


def _is_unit(line: Line) -> bool:
    values = line.values[np.isfinite(line.values)]
    # A small penalty stays in [0, 1] too, but would be flat there. Outputs, written D(...), always belong.
    return bool(values.min() >= 0 and values.max() <= 1 and ("(" in line.name or _robust(line)[1] > 0.25))


def _robust(line: Line) -> tuple[float, float]:
    """The range of all but the outermost half percent, and of those what is not far outside the middle ninety."""
    values = line.values[np.isfinite(line.values)]
    lowest, low, high, highest = np.percentile(values, [0.5, 5, 95, 99.5]).tolist()
    reach = 1.5 * (high - low)
    return (max(lowest, low - reach), min(highest, high + reach)) if reach > 0 else (lowest, highest)


def _frame(lines: list[Line]) -> tuple[float, float]:
    ranges = [_robust(line) for line in lines]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    size = max(abs(low), abs(high))
    room = 0.06 * (high - low) if high - low > 1e-9 * size else 0.1 * size or 1.0
    return low - room, high + room


def _span(steps: list[np.ndarray]) -> tuple[float, float]:
    first, last = float(min(part[0] for part in steps)), float(max(part[-1] for part in steps))
    if first == last:
        return first - 1, last + 1
    return (0.0 if 0 < first < 0.1 * last else first), last


def _alike(lines: list[Line]) -> list[list[Line]]:
    """Groups of lines whose sizes are within a factor of eight, so that none of them lies flat."""
    groups: list[tuple[float, list[Line]]] = []
    for line in lines:
        size = max(abs(end) for end in _robust(line))
        for other, group in groups:
            if other / 8 <= size <= other * 8 and len(group) < len(PALETTE):
                group.append(line)
                break
        else:
            groups.append((size, [line]))
    return [group for _, group in groups]


def _split(lines: list[Line]) -> list[list[Line]]:
    return [lines[start : start + len(PALETTE)] for start in range(0, len(lines), len(PALETTE))]


def _short(text: str, most: int = 36) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _pale(colour: str, share: float = 0.38) -> tuple[int, int, int]:
    """A colour thinned with paper: the raw line must not drown the smoothed one."""
    red, green, blue = (round(255 + share * (part - 255)) for part in _rgb(colour))
    return red, green, blue


class _Pen:
    """Draws in pixels of the finished picture, on a larger one."""

    def __init__(self, width: int):
        self.width = max(240, width)
        self.fonts = {size: ImageFont.load_default(size=size * SCALE) for size in (12, 13, 17)}
        self.begin(1)

    def begin(self, height: int) -> None:
        self.picture = Image.new("RGB", (self.width * SCALE, height * SCALE), PAPER)
        self.draw = ImageDraw.Draw(self.picture)

    def write(self, x: float, y: float, text: str, colour: str = INK, *, size: int = 13, anchor: str = "lm") -> None:
        self.draw.text((x * SCALE, y * SCALE), text, font=self.fonts[size], fill=colour, anchor=anchor)

    def stroke(self, points: list[tuple[float, float]], colour: Any, width: float) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        if len(scaled) > 1:
            self.draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")
            return
        [(x, y)], radius = scaled, max(width, 2.0) * SCALE
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def spots(self, panel: Panel) -> list[tuple[float, int]]:
        """Where each line's legend entry stands: pixels from the left, and the row."""
        x, row = LEFT + (self._length(panel.title) + 22 if panel.title else 0.0), 0
        spots: list[tuple[float, int]] = []
        for line in panel.lines:
            length = 24 + self._length(_short(line.name))
            if x + length > self.width - RIGHT and spots:
                x, row = float(LEFT), row + 1
            spots.append((x, row))
            x += length + 20
        return spots

    def rows(self, panel: Panel) -> int:
        # One row more for the note on values beyond the frame, where the legend leaves it no room.
        x, row = self.spots(panel)[-1]
        crowded = panel.beyond() and x + 24 + self._length(_short(panel.lines[-1].name)) > self.width - RIGHT - 150
        return row + (2 if crowded else 1)

    def heading(self, panel: Panel, top: float) -> None:
        middle = top + ROW / 2
        self.write(LEFT, middle, panel.title)
        for (x, row), line, colour in zip(self.spots(panel), panel.lines, PALETTE):
            self.stroke([(x, middle + row * ROW), (x + 17, middle + row * ROW)], colour, 3)
            self.write(x + 24, middle + row * ROW, _short(line.name))
        if beyond := panel.beyond():
            y = middle + (self.rows(panel) - 1) * ROW
            self.write(self.width - RIGHT, y, f"{beyond} beyond the frame", MUTED, size=12, anchor="rm")

    def frame(self, panel: Panel, top: float) -> None:
        for x in self._columns(panel, panel.steps()):
            self.stroke([(x, top), (x, top + PLOT)], GRID, 1)
        marks = panel.marks()
        for y, text in zip((top + PLOT * panel.down(np.array(marks))).tolist(), labels(marks)):
            self.stroke([(LEFT, y), (self.width - RIGHT, y)], GRID, 1)
            self.write(LEFT - 9, y, text, MUTED, size=12, anchor="rm")
        if panel.unit:
            y = top + PLOT * float(panel.down(np.array(0.5)))
            for x in range(LEFT, self.width - RIGHT, 10):
                self.stroke([(x, y), (min(x + 5, self.width - RIGHT), y)], "#9aa1ad", 1)

    def lines(self, panel: Panel, top: float) -> None:
        across = self.width - RIGHT - LEFT
        drawn = [strokes(panel, line, across) for line in panel.lines]
        # Every raw line first: none may cover another's smoothed line.
        layers = [(raw, _pale(colour), 1.0) for (raw, _), colour in zip(drawn, PALETTE)]
        layers += [(calm, _rgb(colour), 2.0) for (_, calm), colour in zip(drawn, PALETTE)]
        for points, fill, width in layers:
            for piece in pieces((LEFT + x * across, top + y * PLOT) for x, y in points):
                self.stroke(piece, fill, width)

    def alarms(self, panel: Panel, top: float, marks: list[Mark]) -> None:
        """Dashed from top to bottom, each with its number at the frame's foot."""
        for index, (x, mark) in enumerate(zip(self._columns(panel, [mark.step for mark in marks]), marks)):
            if panel.first <= mark.step <= panel.last:
                for y in range(round(top), round(top) + PLOT, 7):
                    self.stroke([(x, y), (x, y + 3)], ALARM, 1)
                # One below the other: alarms often come together.
                self.write(x + 4, top + PLOT - 9 - 14 * (index % 6), str(index + 1), ALARM, size=12)

    def steps(self, panel: Panel, bottom: float) -> None:
        marks = panel.steps()
        for x, text in zip(self._columns(panel, marks), labels(marks)):
            self.write(x, bottom + 13, text, MUTED, size=12, anchor="mm")
        self.write(LEFT + (self.width - RIGHT - LEFT) / 2, bottom + 35, "steps", anchor="mm")

    def _columns(self, panel: Panel, steps: list[float]) -> list[float]:
        return (LEFT + (self.width - RIGHT - LEFT) * panel.across(np.array(steps))).tolist()

    def _length(self, text: str) -> float:
        return self.fonts[13].getlength(text) / SCALE
