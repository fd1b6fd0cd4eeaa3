"""Watches a game while it is played: a checkup at every preview, an alarm as soon as something is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

from sparring.core import Dataset
from sparring.core.loop import Loop, Moment
from sparring.core.run import Run
from sparring.judging.diagnosis import Finding, History, diagnose
from sparring.judging.health import LEAST, Reference, checkup
from sparring.tasks.sample import Sample


class Watch:
    """What has been seen of a run; taken up from its folder when the run goes on.

    Args:
        loop: what plays the game.
        dataset: what the game is trained on; `held`: what was kept from it.
    """

    def __init__(self, loop: Loop, dataset: Dataset, held: Dataset | None = None):
        self.loop, self.run = loop, loop.run_folder
        fits = isinstance(loop.game.model, Sample) and len(dataset) >= LEAST
        self.reference = Reference(dataset, held) if fits else None
        self.log = [line for line in self.run.lines("log") if "alarm" not in line]
        self.health = self.run.lines("health")
        self.told = {line["alarm"] for line in self.run.lines("log") if "alarm" in line}

    def see(self, moment: Moment) -> list[Finding]:
        """Look at the game now; the findings that are new since the last look are written to the log and told."""
        if moment.values:
            self.log.append({"step": moment.step, **moment.values})
        if moment.previewed and self.reference is not None:
            model = self.loop.shipped
            assert isinstance(model, Sample)
            line = {"step": moment.step, **checkup(self.reference, model, self.loop.game)}
            self.health.append(line)
            self.run.append("health", line)
        # The loop itself tells of a divergence, and what it did about it.
        new = [item for item in diagnose(self.history) if item.name not in self.told and item.name != "diverged"]
        for finding in new:
            self.told.add(finding.name)
            self.run.append(
                "log", {"step": moment.step, "alarm": finding.name, "kind": finding.kind, "text": str(finding)}
            )
            self.loop.say(f"step {moment.step:,}: {finding}")
        return new

    @property
    def history(self) -> History:
        return history_of(self.loop.config, self.log, self.health, self.run, self.reference)


def history_of(config: Any, log: list[Any], health: list[Any], run: Run, reference: Reference | None) -> History:
    """What the diagnosis reads, of a run."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    return History(
        steps=config.steps,
        log=log,
        health=health,
        events=run.lines("events"),
        names=reference.names if reference else (),
        expected=reference.expected if reference else (),
        labelled=reference.labelled if reference else False,
        fields=frozenset(fields),
        objective=vars(config).get("objective", ""),
    )
