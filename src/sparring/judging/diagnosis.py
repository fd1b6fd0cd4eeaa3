"""What is wrong with a game, and what to do: read off its log and its health. Pure functions of a run's history.

Each sign below looks at the history up to now and says what it sees, or nothing. The thresholds were chosen on healthy and
on deliberately sick runs; RESULTS.md counts how often they are right.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Line = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """A sign that something is wrong (or well)."""

    name: str
    text: str
    """what is seen, with the numbers"""
    cause: str
    """what it most likely comes from"""
    advice: str
    """flags to try"""
    kind: Literal["alarm", "good"] = "alarm"

    def __str__(self) -> str:
        return f"{self.name}: {self.text}. {self.cause} {self.advice}".strip()


@dataclass(frozen=True)
class History:
    """A run so far.

    Args:
        steps: of the whole run.
        log: lines of the log.
        health: lines of `health.checkup`, each with its step.
        events: of the run (divergence and the like).
        names: of the groups that samples fall into; `expected`: the data's share of each; `labelled`: whether they are classes.
        fields: names of the config's fields: advice names only flags that are there.
        objective: what the generator minimises, where the method leaves a choice.
    """

    steps: int
    log: Sequence[Line]
    health: Sequence[Line]
    events: Sequence[Line] = ()
    names: Sequence[str] = ()
    expected: Sequence[float] = ()
    labelled: bool = False
    fields: frozenset[str] = field(default_factory=frozenset)
    objective: str = ""

    @property
    def step(self) -> int:
        return max((line["step"] for line in (*self.log[-1:], *self.health[-1:])), default=0)

    @property
    def progress(self) -> float:
        return self.step / self.steps

    def recent(self, name: str, count: int) -> list[float]:
        """The last `count` logged values of a name; empty when there are fewer."""
        values = [line[name] for line in self.log[-4 * count :] if name in line][-count:]
        return values if len(values) == count else []

    def checkups(self, count: int, after: float = 0.0) -> list[Line]:
        """The last `count` checkups later than a share of the run; empty when there are fewer."""
        found = [
            line for line in self.health[-count:] if line["step"] > after * self.steps and line.get("finite", True)
        ]
        return found if len(found) == count else []

    def flags(self, *options: tuple[str, str]) -> str:
        """`Try ...`: of these (field, flag) pairs those whose field the config has; an empty field is always there."""
        there = [flag for name, flag in options if not name or name in self.fields]
        return f"Try {', or '.join(there)}." if there else ""


def saturated(history: History) -> Finding | None:
    """The discriminator tells all forgeries from real examples: with the saturating objective, no gradient is left.

    The gradients of log(1 - D) and of -log D with respect to a logit are -D and D - 1: their ratio is D / (1 - D).
    """
    lines = max(3, math.ceil(0.03 * len(history.log)))
    fake, real = history.recent("D(G(z))", lines), history.recent("D(x)", lines)
    if not fake or not real or history.progress < 0.02 or max(fake) > 0.01 or min(real) < 0.97:
        return None
    mean = statistics.fmean(fake)
    ratio = mean / (1 - mean)
    vanishing = history.objective == "minimax"
    return Finding(
        "generator gradient vanishing" if vanishing else "discriminator has won",
        f"D(G(z)) is {mean:.2g} and D(x) {statistics.fmean(real):.3f}; the saturating gradient is {ratio:.2g} of the "
        "non-saturating one",
        "The discriminator is too strong for this generator.",
        history.flags(
            ("objective", "--objective non_saturating") if vanishing else ("", "a smaller learning rate"),
            ("rounds", "--rounds 1"),
            ("discriminator_width", "a smaller --discriminator-width"),
            ("penalty", "a larger --penalty"),
        ),
    )


def blind(history: History) -> Finding | None:
    """The discriminator answers 1/2 to everything while the samples are nothing like the data."""
    lines = max(3, math.ceil(0.05 * len(history.log)))
    fake, real = history.recent("D(G(z))", lines), history.recent("D(x)", lines)
    last = history.checkups(2, after=0.05)
    if not fake or not real or not last:
        return None
    gap = max(abs(first - second) for first, second in zip(real, fake))
    if gap > 0.03 or any(line["distance"] < 0.3 for line in last):
        return None
    return Finding(
        "discriminator blind",
        f"D(x) and D(G(z)) differ by {gap:.2g} at most, yet the samples lie {last[-1]['distance']:.2f} of the data's own "
        "spread away",
        "The discriminator does not learn: too small, its rate too low, or a penalty too strong.",
        history.flags(
            ("maxout", "more --maxout units"),
            ("discriminator_width", "a larger --discriminator-width"),
            ("rounds", "--rounds 5"),
            ("", "another learning rate"),
        ),
    )


def collapsed(history: History) -> Finding | None:
    """All samples are alike, or near the same few real examples, and it does not get better."""
    last = history.checkups(3, after=0.09)
    if not last or not all(line["diversity"] < 0.25 or line["distinct"] < 0.12 for line in last):
        return None
    if last[-1]["distinct"] > 1.5 * last[0]["distinct"] and last[-1]["diversity"] > last[0]["diversity"]:
        return None
    now = last[-1]
    return Finding(
        "generator collapsed",
        f"two samples differ by {now['diversity']:.0%} of what two real examples do, and are near to "
        f"{now['distinct']:.0%} as many different ones as real examples are",
        "It has found one forgery that passes, or was never given a useful gradient.",
        history.flags(
            ("objective", "--objective non_saturating"),
            ("pack", "--pack 2"),
            ("rounds", "--rounds 1"),
            ("", "smaller learning rates, or another method: unrolled, wgan_gp, r3gan"),
        ),
    )


def missing(history: History) -> Finding | None:
    """Classes (or regions of the data) that hardly any sample falls into."""
    last = history.checkups(8, after=0.3)
    if not last or not history.expected:
        return None
    sums = [sum(line["groups"][index] for line in last) for index in range(len(history.expected))]
    total = max(sum(sums), 1)
    lost = [index for index, share in enumerate(history.expected)
            if share * total >= 40 and sums[index] < 0.05 * share * total]  # fmt: skip
    # A cell at the edge of the data is easily missed; a class is not.
    if not lost or (not history.labelled and sum(history.expected[index] for index in lost) < 0.1):
        return None
    names = [history.names[index] for index in lost]
    shown = ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if len(names) <= 12 else "many"
    what = (
        f"class{'es' if len(lost) > 1 else ''} {shown}" if history.labelled else f"{len(lost)} of {len(sums)} regions"
    )
    return Finding(
        "modes missing",
        f"{what} {'have' if len(lost) > 1 else 'has'} vanished: under a twentieth of the data's share",
        "Partial mode collapse: the discriminator judges examples one by one and does not miss what never comes.",
        history.flags(("pack", "--pack 2"), ("", "longer training, or another method: unrolled, wgan_gp, r3gan")),
    )


def oscillating(history: History) -> Finding | None:
    """The generator hops from mode to mode: each checkup finds its samples elsewhere, never everywhere."""
    last = history.checkups(5, after=0.2)
    if not last:
        return None
    shares = [[count / max(sum(line["groups"]), 1) for count in line["groups"]] for line in last]
    hops = [sum(abs(now - then) for now, then in zip(*pair)) / 2 for pair in zip(shares[1:], shares)]
    if statistics.median(hops) < 0.4:
        return None
    return Finding(
        "oscillation",
        f"from one preview to the next {statistics.median(hops):.0%} of the samples change their mode",
        "The players chase each other in a circle.",
        history.flags(("", "smaller learning rates, or another method: unrolled, wgan_gp"), ("pack", "--pack 2")),
    )


def exploding(history: History) -> Finding | None:
    """A gradient far beyond what it used to be, or one that was not finite."""
    if history.events and (diverged := [line for line in history.events if line.get("event") == "diverged"]):
        return Finding(
            "diverged",
            diverged[-1].get("text", "a value was not finite").partition(";")[0],
            "Values grew beyond what a float holds.",
            history.flags(("", "a smaller learning rate, or --precision float32")),
        )
    names = [name for name in (history.log[-1] if history.log else {}) if name.startswith("gradient ")]
    for name in names:
        values = [line[name] for line in history.log[-200:] if name in line]
        if len(values) < 12:
            continue
        usual, now = statistics.median(values[:-3]), min(values[-3:])
        if now > 50 * max(usual, 1e-12) and now > 10:
            return Finding(
                "gradient exploding",
                f"the gradient of the {name.removeprefix('gradient ')} is {now:.3g} long, "
                f"{now / max(usual, 1e-12):,.0f} times as much as usual",
                "The opponent's score grows without bound.",
                history.flags(("penalty", "a larger --penalty"), ("", "a smaller learning rate")),
            )
    return None


def memorising(history: History) -> Finding | None:
    """Samples lie much nearer to training examples than real examples lie to each other."""
    last = [line for line in history.checkups(2, after=0.1) if "nearest" in line]
    if len(last) < 2 or any(line["nearest"] > 0.4 or line["coverage"] < 0.2 for line in last):
        return None
    return Finding(
        "memorisation",
        f"a sample lies {last[-1]['nearest']:.0%} as far from the nearest training example as a real example does",
        "The generator learns the training set by heart.",
        history.flags(("", "more data, fewer steps, a smaller generator"), ("data", "--data.flip")),
    )


def overfitting(history: History) -> Finding | None:
    """The discriminator knows its training examples by heart: held-out real examples look like forgeries to it.

    r = (E D(train) - E D(held out)) / (E D(train) - E D(fake)), in logits: Karras et al. 2020, equation 1 (arXiv:2006.06676).
    """
    last = [line for line in history.checkups(3, after=0.05) if "score held out" in line and "score fake" in line]
    if len(last) < 3:
        return None
    ratios = [
        (line["score train"] - line["score held out"]) / max(line["score train"] - line["score fake"], 1e-6)
        for line in last
        if line["score train"] - line["score fake"] > 0.5
    ]
    if len(ratios) < 3 or min(ratios) < 0.5:
        return None
    return Finding(
        "discriminator overfits",
        f"held-out examples score {ratios[-1]:.0%} of the way from training examples to forgeries",
        "The data is few for this discriminator.",
        history.flags(
            ("augment", "--augment"), ("data", "--data.flip"), ("discriminator_width", "a smaller --discriminator-width"),
            ("", "more data"),
        ),
    )  # fmt: skip


def balanced(history: History) -> Finding | None:
    """D(x) and D(G(z)) near 1/2 while the samples cover the data: the equilibrium of the game."""
    lines = max(5, math.ceil(0.1 * len(history.log)))
    fake, real, last = history.recent("D(G(z))", lines), history.recent("D(x)", lines), history.checkups(2, after=0.3)
    if not fake or not real or not last or any(line["coverage"] < 0.6 for line in last):
        return None
    means = statistics.fmean(real), statistics.fmean(fake)
    if max(abs(mean - 0.5) for mean in means) > 0.1:
        return None
    return Finding(
        "equilibrium",
        f"D(x) is {means[0]:.2f} and D(G(z)) {means[1]:.2f}, and the samples cover {last[-1]['coverage']:.0%} of the data",
        "Neither player gains much any more.",
        "",
        "good",
    )


SIGNS: tuple[Callable[[History], Finding | None], ...] = (
    exploding, saturated, blind, collapsed, missing, oscillating, memorising, overfitting, balanced,
)  # fmt: skip


SHORTEST = 200
"""steps of a run that is long enough to be called healthy or sick"""


def diagnose(history: History) -> list[Finding]:
    """Everything that is to be said now, alarms first.

    A collapsed generator misses modes too: then only the collapse is told.
    """
    signs = SIGNS if history.steps >= SHORTEST else SIGNS[:1]
    found = [finding for sign in signs if (finding := sign(history)) is not None]
    names = {finding.name for finding in found}
    return [finding for finding in found if not (finding.name == "modes missing" and "generator collapsed" in names)]
