"""A page of HTML that holds all that it shows: its skeleton, its style, and what its parts have in common.

A policy forbids it to load anything else, and every text goes through `safe`, since a run may be a stranger's.
"""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

SIDES = (1024, 768, 512, 384, 256, 128)  # pixels: a picture is reduced to the first at which it fits
SMALL = 400  # pixels: pictures smaller than this show their pixels, and are embedded without loss
LONG = 2000  # characters of one value


def document(title: str, body: str, style: str = "") -> bytes:
    """The whole page, as it is written to a file; `title` is plain text, `body` HTML, `style` what a page adds of its own."""
    text = PAGE.format(title=safe(title), style=STYLE + style, body=body, script=SCRIPT)
    # A lone surrogate is valid in JSON and cannot be written.
    return text.encode("utf-8", "replace")


def section(title: str, content: str, note: str = "") -> str:
    """A card with a heading; title and note are plain text, the content HTML. Nothing where there is no content."""
    said = f'<p class="note">{safe(note)}</p>' if note else ""
    return f"<section><h2>{safe(title)}</h2>{said}{content}</section>" if content else ""


def safe(text: Any) -> str:
    """Any text, cut where it is endless, for use between tags and inside quoted attributes."""
    text = str(text)
    return html.escape(text if len(text) <= LONG else text[:LONG] + "...")


def words(value: Any) -> str:
    """A value of a config or a log, as HTML."""
    if value == "":
        return "(empty)"
    return safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def figure(value: float) -> str:
    """A number: whole ones with all their digits, others with four."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def table(head: list[str], rows: list[list[str]], kind: str = "") -> str:
    """Cells are HTML already; the first of each row is its heading."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    body = ""
    for first, *rest in rows:
        body += f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
    return f'<div class="wide"><table class="{kind}">{top}<tbody>{body}</tbody></table></div>'


def embedded(path: Path, most: int) -> Embedded | None:
    """The picture in a file as `inside` embeds it, or None where it cannot be read."""
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
    return inside(picture, most)


def inside(given: Image.Image, most: int) -> Embedded:
    """A picture as a data: address of about `most` bytes.

    Small and flat pictures stay exact where that fits; others become WebP or JPEG, whichever is smaller, and are
    reduced until they fit.
    """
    picture = given.convert("RGB")
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
  --line6: #5c5c5c; --alarm: #b3261e; --good: #1a7f4b; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #12151b; --card: #1b2029; --ink: #e8ebf1; --muted: #a2abba; --rule: #303744; --accent: #6cbcf5;
    --line0: #56aef0; --line1: #ff8b45; --line2: #2fc99c; --line3: #e394c2; --line4: #f0b73c; --line5: #a5d8f7;
    --line6: #b9bec8; --alarm: #ff8a80; --good: #5fd39b; }
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
.panel.marked figcaption { margin-bottom: 20px; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 20px; align-items: baseline; margin: 0 0 8px; font-size: .9rem; }
.key { overflow-wrap: anywhere; }
.key .dashed { background: repeating-linear-gradient(90deg, currentColor 0 5px, transparent 5px 8px); }
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
.plot .dashed { stroke-dasharray: 7 5; }
.plot .mark { stroke: var(--alarm); stroke-width: 1.4; stroke-dasharray: 3 4; stroke-linecap: butt; }
.plot > .flag { right: auto; bottom: calc(100% + 2px); transform: translateX(-50%); color: var(--alarm); font-weight: 700;
  font-size: .72rem; }
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
.event.alarm { color: var(--alarm); border-color: currentColor; }
.event.good { color: var(--good); border-color: currentColor; }
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
