"""The chart's own plan as SVG that stretches, under labels that do not; the page's script reads values off it."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence

import numpy as np

from sparring.core import chart
from sparring.core.page import figure, safe


def panels(plan: list[chart.Panel], marks: Sequence[chart.Mark] = ()) -> str:
    """Several panels, one below the other."""
    # Fewer points where there are many lines keep the page small.
    bins = min(450, max(40, 6000 // max(1, sum(len(part.lines) for part in plan))))
    return "".join(panel(part, bins, marks) for part in plan)


def panel(plan: chart.Panel, bins: int, marks: Sequence[chart.Mark] = (), colours: Sequence[int] = ()) -> str:
    """One panel.

    Args:
        plan: what it shows.
        bins: columns that a line is thinned to.
        marks: steps to mark; each bears its place in this list, from 1.
        colours: number of each line's colour, when it is not simply its place; beyond the palette lines are dashed.
    """
    paint = list(colours) or list(range(len(plan.lines)))
    keys = "".join(
        f'<span class="key"><i{_dashed(index)} style="{_swatch(index)}"></i>{safe(line.name)} '
        f"<output>{figure(_last(line))}</output></span>"
        for index, line in zip(paint, plan.lines)
    )
    beyond = f'<span class="beyond">{plan.beyond():,} beyond the frame</span>' if plan.beyond() else ""
    title = f"<b>{safe(plan.title)}</b>" if plan.title else ""
    heights = (100 * plan.down(np.array(plan.marks()))).tolist()
    places = (100 * plan.across(np.array(plan.steps()))).tolist()
    upwards = _spans("top", heights, chart.labels(plan.marks()))
    across = _spans("left", places, chart.labels(plan.steps()))
    grid = "".join(f"M0 {10 * y:.1f}H1000" for y in heights) + "".join(f"M{10 * x:.1f} 0V1000" for x in places)
    half = f'<path class="half" d="M0 {1000 * float(plan.down(np.array(0.5))):.1f}H1000"/>' if plan.unit else ""
    names = safe(", ".join(line.name for line in plan.lines))
    span = f'data-first="{plan.first:.12g}" data-last="{plan.last:.12g}"'
    strokes, flags = _marks(plan, marks)
    return (
        f'<figure class="panel{" marked" if flags else ""}" {span} data-lines="{_data(plan, bins)}">'
        f'<figcaption>{title}{keys}{beyond}</figcaption><div class="plot">{upwards}{flags}'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label="Curves over steps: {names}">'
        f'<path class="grid" d="{grid}"/>{half}{_paths(plan, bins, paint)}{strokes}</svg>'
        f'<div class="cursor" hidden><span></span></div></div>'
        f'<div class="steps">{across}<span class="unit">steps</span></div></figure>'
    )


def _marks(plan: chart.Panel, marks: Sequence[chart.Mark]) -> tuple[str, str]:
    """Strokes from top to bottom, and the numbers above them; marks of one place share a flag."""
    places: dict[float, list[int]] = {}
    for index, mark in enumerate(marks):
        if plan.first <= mark.step <= plan.last:
            places.setdefault(round(100 * float(plan.across(np.array(mark.step))), 1), []).append(index)
    strokes, flags = "", ""
    for place, held in places.items():
        told = safe("; ".join(f"{marks[index].text}, step {marks[index].step:,.0f}" for index in held))
        strokes += f'<path class="mark" d="M{10 * place:.0f} 0V1000"><title>{told}</title></path>'
        numbers = ",".join(str(index + 1) for index in held)
        flags += f'<span class="flag" style="left:{place:.1f}%" title="{told}">{numbers}</span>'
    return strokes, flags


def _dashed(index: int) -> str:
    return ' class="dashed"' if index >= len(chart.PALETTE) else ""


def _swatch(index: int) -> str:
    """A dashed swatch is a pattern of its own, of the current colour."""
    colour = f"var(--line{index % len(chart.PALETTE)})"
    return f"color:{colour}" if index >= len(chart.PALETTE) else f"background:{colour}"


def _last(line: chart.Line) -> float:
    return float(line.values[np.isfinite(line.values)][-1])


def _spans(side: str, places: list[float], texts: list[str]) -> str:
    return "".join(f'<span style="{side}:{place:.2f}%">{text}</span>' for place, text in zip(places, texts))


def _paths(plan: chart.Panel, bins: int, paint: list[int]) -> str:
    raw, calm = "", ""
    for index, line in zip(paint, plan.lines):
        thin, bold = (_path(points) for points in chart.strokes(plan, line, bins))
        colour = f"stroke:var(--line{index % len(chart.PALETTE)})"
        raw += f'<path class="raw" style="{colour}" d="{thin}"/>'
        calm += f'<path class="calm{" dashed" if index >= len(chart.PALETTE) else ""}" style="{colour}" d="{bold}"/>'
    return raw + calm


def _path(points: list[tuple[float, float]]) -> str:
    """An SVG path; a lone point is a stroke of no length, which a round cap makes a dot."""
    drawn = ""
    for piece in chart.pieces(points):
        places = [f"{1000 * x:.1f} {1000 * y:.1f}" for x, y in piece]
        drawn += "M" + ("L".join(places) if len(places) > 1 else f"{places[0]}h0")
    return drawn


def _data(plan: chart.Panel, bins: int) -> str:
    """What the page's script reads values from: for each line its steps and values, null where not finite."""
    lines = []
    for line in plan.lines:
        index = chart.thinned(line.values, bins)
        values = [float(f"{value:.4g}") if math.isfinite(value) else None for value in line.values[index].tolist()]
        lines.append([[int(step) if step == int(step) else step for step in line.steps[index].tolist()], values])
    return html.escape(json.dumps(lines, separators=(",", ":")))
