"""What a person sees while a run goes on: a live bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any


class Progress:
    """Shows steps/s, images/s, time left and the last logged values.

    Args:
        steps: of the whole run.
        batch: examples in a step, for the images/s.
        show: False for silence.
    """

    def __init__(self, steps: int, start: int, batch: int, show: bool = True):
        self.steps, self.batch, self.show = steps, batch, show
        self.began, self.start = time.perf_counter(), start
        self._shown = 0.0
        self._values = ""
        self._bar: Any = None
        self._task: Any = None
        if show and sys.stderr.isatty():
            self._open_bar()

    def _open_bar(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("[bold]step {task.completed:,}/{task.total:,}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            progress.TextColumn("[cyan]{task.fields[values]}"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("", total=self.steps, completed=self.start, speed="", values="")
        self._bar.start()

    def update(self, step: int) -> None:
        """Tell how far the run is; cheap enough for every step."""
        now = time.perf_counter()
        if not self.show or now - self._shown < (0.2 if self._bar else 10.0):
            return
        self._shown = now
        rate = (step - self.start) / max(now - self.began, 1e-9)
        speed = f"{rate:,.1f} steps/s  {rate * self.batch:,.0f} images/s"
        if self._bar:
            self._bar.update(self._task, completed=step, speed=speed, values=self._values)
        elif step > self.start:
            left = (self.steps - step) / max(rate, 1e-9)
            self.say(f"step {step:,}/{self.steps:,}  {speed}  {left:,.0f} s left  {self._values}")

    def values(self, values: dict[str, float]) -> None:
        """The newest logged values."""
        self._values = "  ".join(f"{name} {value:.3f}" for name, value in values.items())

    def say(self, text: str) -> None:
        """One line that stays."""
        if not self.show:
            return
        if self._bar:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self, step: int) -> None:
        self._shown = 0.0
        if self._bar:
            self.update(step)
            self._bar.stop()
