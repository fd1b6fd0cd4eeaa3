"""What the pages about runs share: pictures side by side, bars, alarms, and how such a page is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from sparring.core import UserError, chart
from sparring.core.checkpoint import write_atomic
from sparring.core.media import to_pil
from sparring.core.page import SMALL, Embedded, document, inside, safe, section, table

PICTURE_BYTES = 1_000_000  # for one picture, at most
MOST_BARS = 40
GOOD = frozenset({"equilibrium"})
"""findings that a log tells like alarms, and that are none"""
HEALTH = ("diversity", "coverage", "precision", "distinct")

STYLE = """
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 18px; align-items: start; }
.gallery figure { margin: 0; min-width: 0; }
.gallery img { display: block; width: 100%; height: auto; border-radius: 6px; }
.gallery img.exact { image-rendering: pixelated; }
.gallery figcaption { margin: 0 0 6px; gap: 2px 10px; overflow-wrap: anywhere; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 7px; }
.gallery .swatch { margin-right: 0; align-self: center; }
.verdict { font-size: 1.12rem; color: var(--ink); }
.bars { display: grid; grid-template-columns: minmax(3em, max-content) 1fr max-content; gap: 3px 12px; align-items: center;
  font-size: .86rem; font-variant-numeric: tabular-nums; }
.bars .row { display: contents; }
.bars .track { position: relative; height: 14px; background: var(--paper); border-radius: 4px; }
.bars .fill { position: absolute; inset: 0 auto 0 0; background: var(--line0); border-radius: 4px; }
.bars .share { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--ink); }
.bars .lost .fill { background: var(--alarm); } .bars .lost .name { color: var(--alarm); font-weight: 600; }
.bars .count { color: var(--muted); text-align: right; }
.unlike { color: var(--alarm); font-weight: 600; white-space: nowrap; }
.reasons { margin: 12px 0 0; padding: 0; list-style: none; font-size: .9rem; }
.reasons li { margin: 4px 0; overflow-wrap: anywhere; }
.apart td { min-width: 8em; } .apart thead th { color: var(--ink); font-weight: 600; overflow-wrap: anywhere; }
.apart tbody th { width: 22%; min-width: 8em; color: var(--muted); }
.findings thead th, .findings td:nth-child(2) { white-space: nowrap; } .findings td:nth-child(3) { min-width: 8em; }
.findings tbody th { width: auto; white-space: nowrap; }
.findings p { margin: 0 0 4px; } .findings .advice { color: var(--accent); }
details { margin-top: 12px; font-size: .9rem; } summary { cursor: pointer; color: var(--muted); }
"""


class Exhibit(NamedTuple):
    """A picture, what stands above it (HTML) and what it is of, for who cannot see it (text)."""

    caption: str
    picture: Embedded
    told: str


def gallery(shown: Sequence[Exhibit]) -> str:
    """Pictures side by side, all of one width."""
    return f'<div class="gallery">{"".join(map(_exhibit, shown))}</div>' if shown else ""


def _exhibit(shown: Exhibit) -> str:
    address, wide, high = shown.picture
    exact = ' class="exact"' if max(wide, high) < SMALL else ""
    image = f'<img src="{address}" alt="{safe(shown.told)}" width="{wide}" height="{high}"{exact}>'
    return f"<figure><figcaption>{shown.caption}</figcaption>{image}</figure>"


def picture(image: Tensor) -> Embedded:
    """1 x C x H x W in [-1, 1], embedded."""
    return inside(to_pil(image[0]), PICTURE_BYTES)


def swatch(index: int) -> str:
    """The colour of a run."""
    return f'<i class="swatch" style="background:var(--line{index % len(chart.PALETTE)})"></i>'


def bars(names: Sequence[str], counts: Sequence[int], expected: Sequence[float]) -> str:
    """Samples of each group as bars, with a stroke where the data's share lies; the worst only, where groups are many."""
    total = max(sum(counts), 1)
    share = [count / total for count in counts]
    order = range(len(counts))
    chosen = sorted(sorted(order, key=lambda index: share[index] - expected[index])[:MOST_BARS])
    widest = max((max(share[index], expected[index]) for index in chosen), default=1.0) or 1.0
    rows = "".join(
        # Lost as the diagnosis counts it: under a twentieth of the data's share.
        f'<div class="row{" lost" if share[index] < 0.05 * expected[index] else ""}"><span class="name">{safe(names[index])}'
        f'</span><span class="track"><i class="fill" style="width:{100 * share[index] / widest:.1f}%"></i>'
        f'<i class="share" style="left:{100 * expected[index] / widest:.1f}%"></i></span>'
        f'<span class="count">{counts[index]:,} for {expected[index] * total:,.0f}</span></div>'
        for index in chosen
    )
    return f'<div class="bars" role="img" aria-label="Samples of each group beside the data\'s share">{rows}</div>'


def kind(name: str) -> Literal["alarm", "good"]:
    """Whether the finding of this name is an alarm."""
    return "good" if name in GOOD else "alarm"


def alarm_rows(alarms: Sequence[chart.Mark]) -> list[list[str]]:
    """Step, name and text of each, as the cells of a table."""
    return [
        [
            f"{alarm.step:,.0f}",
            f'<span class="event {kind(alarm.text)}">{safe(alarm.text)}</span>',
            safe(sentence(alarm.told)),
        ]
        for alarm in alarms
    ]


def sentence(text: str) -> str:
    """A finding's words with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def bullets(notes: Sequence[str], title: str) -> str:
    """Plain sentences, as a card."""
    return section(title, table([], [[safe(note)] for note in notes]) if notes else "")


def write_page(path: Path, title: str, body: Sequence[str]) -> Path:
    """Write a page.

    Raises:
        UserError: it cannot be written.
    """
    content = document(title, "\n".join(part for part in body if part), STYLE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def page_path(path: str | Path) -> Path:
    """The path, if a page may be written there. Raises UserError: asked before the work, not after it."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {path}: a page's name ends in .html")
    if path.is_dir():
        raise UserError(f"--out {path}: that is a folder")
    return path
