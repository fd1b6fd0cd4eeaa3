"""The whole story of a run, told afterwards: the diagnosis replayed, the verdict in words, and a page that shows both.

Everything is read off the run's folder, so that runs which nobody watched get a diagnosis too. What needs the data (names of
the modes, a checkup of a run without health, the duality gap) is left out where it cannot be had, and that is said.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.core import Config, chart, svg
from sparring.core.animation import evenly
from sparring.core.page import embedded, safe, section, table
from sparring.core.report import provenance, read_lines, read_previews, run_name, settings
from sparring.core.run import Run
from sparring.judging.diagnosis import SHORTEST, Finding, History, diagnose
from sparring.judging.gap import Gap
from sparring.judging.health import Line, Reference
from sparring.judging.page import HEALTH, PICTURE_BYTES, Exhibit, bars, bullets, gallery, kind, sentence, write_page
from sparring.judging.watch import history_of

REPLAYS = 2000
"""moments at which the diagnosis is asked, at most"""
AS_IT_STANDS = 5
"""checkups that a run without any is taken to have ended on: the model no longer changes"""
WELL = 0.6
"""what every number of a checkup reaches, at least, in a game that is called healthy (1: like real examples)"""
RATIO = "log10 of D/(1-D)"


@dataclass(frozen=True)
class Episode:
    """A finding and its time."""

    finding: Finding
    """as it was said last"""
    began: int
    """first step at which it was seen"""
    cleared: int | None = None
    """first step at which it was seen no more; None when it lasts"""
    times: int = 1
    """how often it came"""
    replayed: bool = True
    """whether the replay sees it; otherwise it was told while the game was played"""

    @property
    def until(self) -> str:
        """How it ended, in words."""
        if not self.replayed:
            return "told while it was played; cannot be seen again from what is left"
        times = f"; seen {self.times} times" if self.times > 1 else ""
        return (f"cleared at step {self.cleared:,}" if self.cleared is not None else "lasts to the end") + times

    def as_dict(self) -> dict[str, Any]:
        return {
            **dataclasses.asdict(self.finding),
            **{name: vars(self)[name] for name in vars(self) if name != "finding"},
        }


@dataclass(frozen=True)
class Story:
    """What became of a game."""

    folder: Path
    description: dict[str, Any]
    """content of config.json"""
    history: History
    episodes: list[Episode]
    now: Line | None = None
    """a checkup of the model as it stands, where the run has none"""
    gap: Gap | None = None
    missing: tuple[str, ...] = ()
    """what could not be had, and why"""
    page: Path | None = None
    """where the page was written"""

    @property
    def last(self) -> Line | None:
        """The last checkup whose samples were finite."""
        lines = [line for line in self.history.health if line.get("finite", True)]
        return lines[-1] if lines else self.now if self.now and self.now.get("finite", True) else None

    @property
    def alarms(self) -> list[Episode]:
        return [episode for episode in self.episodes if episode.finding.kind == "alarm"]

    @property
    def verdict(self) -> str:
        return " ".join(
            sentence for sentence in (*_verdict(self), _numbers(self.last), _standing(self.history)) if sentence
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "run": str(self.folder),
            "verdict": self.verdict,
            "findings": [episode.as_dict() for episode in self.episodes],
            "health": self.last,
            "gradient_ratio": [[step, ratio] for step, ratio in ratios(self.history.log)][-1:],
            "gap": self.gap._asdict() if self.gap else None,
            "missing": list(self.missing),
            "page": str(self.page) if self.page else None,
        }


def _verdict(story: Story) -> list[str]:
    history = story.history
    if not history.log and not history.health:
        return ["Nothing was logged: there is nothing to judge yet."]
    short = (
        f"{history.steps:,} steps are too few to judge a game; it takes {SHORTEST}." if history.steps < SHORTEST else ""
    )
    lasting = [episode for episode in story.alarms if episode.replayed and episode.cleared is None]
    passed = [episode for episode in story.alarms if episode not in lasting]
    well = any(
        episode.finding.kind == "good" and episode.replayed and episode.cleared is None for episode in story.episodes
    )
    told = (
        ["Sick: " + "; ".join(f"{e.finding.name} (since step {e.began:,})" for e in lasting) + "."] if lasting else []
    )
    if not lasting and not short:
        told.append(_calm(story.last, bool(passed), well))
    if passed:
        told.append(
            "On the way: " + "; ".join(f"{e.finding.name} (step {e.began:,}, {_ended(e)})" for e in passed) + "."
        )
    return [short, *told]


def _calm(last: Line | None, passed: bool, well: bool) -> str:
    """No alarm is not yet health: that takes samples which look like the data."""
    if last is None:
        return "No alarm, as far as the log shows; its samples were never looked at."
    if min(last["coverage"], last["precision"], last["diversity"], last["distinct"]) < WELL:
        return f"No alarm{' at the end' if passed else ''}, but the samples are not yet like the data."
    return f"Healthy{' at the end' if passed else ''}{', and near its equilibrium' if well else ''}."


def _ended(episode: Episode) -> str:
    return f"cleared at {episode.cleared:,}" if episode.cleared is not None else "told while it was played"


def _numbers(line: Line | None) -> str:
    if line is None:
        return ""
    return (
        f"At the last look its samples covered {line['coverage']:.0%} of the data, {line['precision']:.0%} of them lay where "
        f"data lies, and two of them differed by {line['diversity']:.0%} of what two real examples do (100% is what other "
        "real examples would get)."
    )


def _standing(history: History) -> str:
    return f"It stands at step {history.step:,} of {history.steps:,}." if 0 < history.step < history.steps else ""


# --- the replay -------------------------------------------------------------------------------------------------------


def read_history(folder: Path, config: Config, reference: Reference | None = None) -> History:
    """What the diagnosis reads, of a run's folder; lines that are none, and steps that were done again, are left out.

    Args:
        folder: of the run.
        config: of the run.
        reference: the data; without it modes have no names and no expected shares.
    """
    log = _rising([line for line in read_lines(folder / "log.jsonl") if "alarm" not in line])
    numbers = [{name: value for name, value in line.items() if _is_number(value)} for line in log]
    health = _rising([line for line in read_lines(folder / "health.jsonl") if _is_checkup(line)])
    history = history_of(config, numbers, health, Run(folder), reference)
    events = [line for line in history.events if _is_number(line.get("step"))]
    fits = all(len(line["groups"]) == len(history.expected) for line in health if "groups" in line)
    return dataclasses.replace(history, events=events, expected=history.expected if fits else ())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_checkup(line: Line) -> bool:
    if line.get("finite") is False:
        return True
    groups = line.get("groups")
    return (
        all(_is_number(line.get(name)) for name in HEALTH) and isinstance(groups, list) and all(map(_is_number, groups))
    )


def _rising(lines: list[Line]) -> list[Line]:
    kept: list[Line] = []
    for line in lines:
        if not _is_number(line.get("step")):
            continue
        while kept and kept[-1]["step"] >= line["step"]:
            kept.pop()
        kept.append(line)
    return kept


def replay(history: History, now: Line | None = None) -> list[Episode]:
    """Every finding with its time: the diagnosis as it was at each line of the log and each checkup.

    Args:
        history: the whole run.
        now: a checkup of the model as it stands, for a run that has none: it is judged as if it had stood so for a while.
    """
    moments = sorted({line["step"] for line in (*history.log, *history.health)})
    seen: dict[str, list[tuple[int, Finding | None]]] = {}
    for step in evenly(moments, REPLAYS):
        _note(seen, step, diagnose(until(history, step)))
    if now is not None and not history.health:
        stood = dataclasses.replace(history, health=[{**now, "step": history.step}] * AS_IT_STANDS)
        for finding in diagnose(stood):
            if finding.name not in seen:
                seen[finding.name] = [(history.step, finding)]
    return [_episode(changes) for changes in seen.values()]


def _note(seen: dict[str, list[tuple[int, Finding | None]]], step: int, findings: list[Finding]) -> None:
    """What begins here, what goes on (in its newest words), and what is no longer seen."""
    named = {finding.name: finding for finding in findings}
    for name, changes in seen.items():
        lasting = changes[-1][1] is not None
        if name not in named and lasting:
            changes.append((step, None))
        elif name in named and lasting:
            changes[-1] = (changes[-1][0], named[name])
        elif name in named:
            changes.append((step, named[name]))
    for name, finding in named.items():
        seen.setdefault(name, [(step, finding)])


def _episode(changes: list[tuple[int, Finding | None]]) -> Episode:
    """From the steps at which a finding began and ended in turn."""
    spells = [finding for _, finding in changes if finding is not None]
    cleared = changes[-1][0] if changes[-1][1] is None else None
    return Episode(spells[-1], changes[0][0], cleared, len(spells))


def until(history: History, step: int) -> History:
    """The same run as it was at this step."""
    log, health = _before(history.log, step), _before(history.health, step)
    events = [line for line in history.events if line["step"] <= step]
    return dataclasses.replace(history, log=log, health=health, events=events)


def _before(lines: Sequence[Line], step: int) -> Sequence[Line]:
    """Of lines in order, those up to the step."""
    return lines[: bisect.bisect_right(lines, step, key=lambda line: line["step"])]


def told(folder: Path, episodes: Sequence[Episode]) -> list[Episode]:
    """Alarms that the log holds and the replay does not see: the data that named them may be gone."""
    known = {episode.finding.name for episode in episodes}
    alarms = {alarm.text: alarm for alarm in reversed(chart.alarms(read_lines(folder / "log.jsonl")))}
    return [
        Episode(Finding(name, alarm.told, "", "", kind(name)), int(alarm.step), None, 1, False)
        for name, alarm in sorted(alarms.items(), key=lambda item: item[1].step)
        if name not in known
    ]


def ratios(log: Sequence[Line]) -> list[tuple[int, float]]:
    """The saturating gradient over the non-saturating one at each step of the log: D / (1 - D), of the mean D(G(z))."""
    found = [(line["step"], line["D(G(z))"]) for line in log if _is_number(line.get("D(G(z))"))]
    return [(step, mean / max(1 - mean, 1e-12)) for step, mean in found if 0 <= mean <= 1]


def explained(gap: Gap) -> str:
    """The duality gap in words."""
    return (
        f"The duality gap is {gap.value:.3g}: playing on alone for a while, the opponent brings the value of the game to "
        f"{gap.best_opponent:.3g}, and the generator brings it down to {gap.best_generator:.3g}. At an equilibrium neither "
        "can gain and the gap is zero. It is an estimate from below: a large gap proves that one of them can do better, a "
        "small one proves nothing. In the units of the opponent's loss (Grnarova et al. 2019)."
    )


# --- the page ---------------------------------------------------------------------------------------------------------


def write(story: Story, path: Path) -> Path:
    """Write the page. Raises UserError when it cannot be written."""
    name = run_name(story.description, story.folder)
    marks = [chart.Mark(episode.began, episode.finding.name) for episode in story.alarms]
    where = f"{story.folder.resolve().name}: {(story.description.get('data') or {}).get('source', '')}"
    body = [
        f"<header><h1>Diagnosis of {safe(name)}</h1><p>{safe(where)}</p></header>",
        section("Verdict", f'<p class="verdict">{safe(story.verdict)}</p>'),
        _findings(story.episodes),
        _previews(story),
        _health(story, marks),
        _ratio(story.history, marks),
        section("Curves", svg.panels(chart.panels(list(story.history.log)), marks)),
        _groups(story),
        section("Duality gap", f"<p>{safe(explained(story.gap))}</p>" if story.gap else ""),
        bullets(story.missing, "What could not be had"),
        settings(story.description),
        provenance(story.description),
    ]
    return write_page(path, f"Diagnosis of {name}", body)


def _findings(episodes: Sequence[Episode]) -> str:
    """Alarms bear the numbers that mark their beginning on the curves."""
    rows, number = [], 0
    for episode in episodes:
        finding = episode.finding
        number += finding.kind == "alarm"
        label = f"{number} {finding.name}" if finding.kind == "alarm" else finding.name
        texts = [finding.text, finding.cause]
        said = "".join(f"<p>{safe(sentence(text))}</p>" for text in texts if text)
        said += f'<p class="advice">{safe(finding.advice)}</p>' if finding.advice else ""
        name = f'<span class="event {finding.kind}">{safe(label)}</span>'
        rows.append([name, f"{episode.began:,}", safe(episode.until), said])
    if not rows:
        return section("Findings", "<p>None: no sign of anything the diagnosis knows.</p>")
    note = "Their first steps are marked on the curves by these numbers."
    return section("Findings", table(["", "from step", "", "what, why, what to do"], rows, "findings"), note)


def _previews(story: Story) -> str:
    """At the beginning, at each alarm and at the end."""
    paths = {int(path.stem): path for path in read_previews(story.folder)}
    if not paths:
        return ""
    wanted: dict[int, list[str]] = {}
    named = [(min(paths), "the beginning"), *((e.began, e.finding.name) for e in story.alarms), (max(paths), "the end")]
    for step, name in named:
        nearest = min(paths, key=lambda other: abs(other - step))
        wanted.setdefault(nearest, []).append(name)
    shown = []
    for step, names in sorted(wanted.items()):
        if (image := embedded(paths[step], PICTURE_BYTES)) is not None:
            caption = f"<span>step {step:,}</span><span>{safe(', '.join(names))}</span>"
            shown.append(Exhibit(caption, image, f"Samples at step {step:,}"))
    return section("Pictures", gallery(shown), "From fixed noise: at the beginning, where alarms began, at the end.")


def _health(story: Story, marks: Sequence[chart.Mark]) -> str:
    """The checkups over steps; the only one there is, as a table."""
    rows = [{name: line[name] for name in ("step", *HEALTH) if name in line} for line in story.history.health]
    lines = [line for line in chart.read(rows) if any(map(math.isfinite, line.values.tolist()))]
    note = "1 is what other real examples would get: diversity of the samples, how much of the data they cover, how many lie "
    note += "where data lies, how many different examples they are nearest to."
    if lines:
        return section("Health", svg.panel(chart.together("", lines)._replace(unit=False), 450, marks), note)
    if story.now is None or not story.now.get("finite", True):
        return ""
    cells = [[name, f"{story.now[name]:.3g}"] for name in HEALTH]
    return section("Health of the model as it stands", table([], cells), note)


def _ratio(history: History, marks: Sequence[chart.Mark]) -> str:
    rows = [{"step": step, RATIO: math.log10(max(ratio, 1e-12))} for step, ratio in ratios(history.log)]
    lines = chart.read(rows)
    if not lines:
        return ""
    note = (
        "D is D(G(z)). The gradient of log(1 - D) is D/(1-D) of that of -log D: at 0 both are alike, at -2 a generator "
    )
    note += "that minimises log(1 - D) learns from a hundredth of the gradient, far below from none."
    return section("Saturation", svg.panel(chart.together("", lines)._replace(unit=False), 450, marks), note)


def _groups(story: Story) -> str:
    line, history = story.last, story.history
    if line is None or not history.expected or len(line.get("groups", ())) != len(history.expected):
        return ""
    what = "class" if history.labelled else "region of the data"
    many = len(history.expected)
    note = f"Samples of each {what} at the last checkup; the stroke is the data's share."
    note += f" The 40 of {many:,} that fall behind most." if many > 40 else ""
    return section("Modes", bars(history.names, line["groups"], history.expected), note)
