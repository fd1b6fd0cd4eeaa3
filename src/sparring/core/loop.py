"""The one training loop. It has no hooks: a method's whole recipe is its `Game.step`.

Every step is a function of the weights and the clock: the random numbers are seeded from (seed, process, clock) and the
data is positioned by the number of batches drawn. So a run that is stopped anywhere goes on bit for bit.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparring.core import checkpoint, device, distributed, media
from sparring.core.data import Dataset
from sparring.core.ema import Average
from sparring.core.errors import RunError, UserError
from sparring.core.game import Game, NonFinite
from sparring.core.model import Model
from sparring.core.progress import Progress
from sparring.core.run import Run, disk_error
from sparring.core.stream import Shuffle, Stream, mix

MAX_DETOURS = 3
PREVIEW_SEED = 0


class Meter(nn.Module):
    """Sums of the logged scalars since the last line of the log, kept on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, values: dict[str, Tensor]) -> None:
        self.count += 1
        for name, value in values.items():
            value = value.detach().float()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def take(self) -> dict[str, float]:
        """The means, moved to the host in one transfer; starts anew."""
        names = list(self.sums)
        means = (torch.stack([self.sums[name] for name in names]) / self.count).tolist() if names else []
        self.sums, self.count = {}, 0
        return dict(zip(names, means))

    def get_extra_state(self) -> dict[str, Any]:
        return {"sums": self.sums, "count": self.count}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.sums, self.count = dict(state["sums"]), state["count"]


class Moment(NamedTuple):
    """Where the game stands when a line of the log has just been written, a picture drawn, or an evaluation is due."""

    step: int
    values: dict[str, float]
    """the line: means since the line before; empty when only a picture was drawn"""
    previewed: bool
    due: bool = False
    """whether it is time to evaluate"""


class Loop:
    """Plays a game into a run's folder until the config's last step, or until it is told to stop.

    Args:
        game: moved to `where`; its clock says where it stands.
        dataset: what the game draws its batches from.
        run: the open folder.
        show: whether to show progress.
    """

    def __init__(self, game: Game[Any, Any], dataset: Dataset, run: Run, where: torch.device, show: bool = True):
        device.keep_freed_memory()
        self.config = game.config
        self.game = game.to(where)
        self.average: Average[Model] = Average(game.model, self.config.ema).to(where)
        self.meter = Meter()
        self.dataset, self.run_folder, self.where, self.show = dataset, run, where, show
        self.lead = distributed.process() == 0
        self.board = _board(run.folder) if self.config.tensorboard and self.lead else None
        self.players = game.players.values()
        distributed.spread([*self.game.parameters(), *self.game.buffers()])

    def restore(self) -> None:
        """Take up the newest whole checkpoint."""
        state = checkpoint.load_game(self.run_folder.game)
        self.game.load_state_dict(state["game"])
        self.average.load_state_dict(state["average"])
        self.meter.load_state_dict(state["meter"])
        self.meter.sums = {name: value.to(self.where) for name, value in self.meter.sums.items()}

    @property
    def shipped(self) -> Model:
        """The model as it is previewed and shipped: the running average, if one is kept."""
        return self.average.model if self.config.ema else self.game.model

    def run(self, until: int | None = None) -> bool:
        """Play. True when the last step is done, False when told to stop before: by a signal, or at step `until`.

        Raises:
            RunError: the folder cannot be written, or the game diverged for good.
        """
        for _ in self.play(until):
            pass
        return self.finished

    @property
    def finished(self) -> bool:
        return self.game.clock >= self.config.steps

    def play(self, until: int | None = None) -> Iterator[Moment]:
        """Play as `run` does, and stop for whoever watches at every line of the log and every preview.

        A checkpoint is written only after the watcher has let go: what it adds to the folder is part of the run, and comes
        again when the run goes on from an earlier checkpoint.
        """
        self.progress = Progress(
            self.config.steps, self.game.clock, self.config.batch * distributed.processes(), self.show and self.lead
        )
        try:
            with _signals() as stop:
                if (first := self._begin()) is not None:
                    yield first
                last = min(self.config.steps, until or self.config.steps)
                while self.game.clock < last and not distributed.any_process(stop.is_set()):
                    if (moment := self._guarded_step()) is not None:
                        yield moment
                        if time.perf_counter() - self.saved > self.config.checkpoint_seconds:
                            self.save()
                    self.progress.update(self.game.clock)
                self.save()
        except OSError as error:
            raise disk_error(error, self.run_folder.folder, self.game.clock) from None
        finally:
            self.progress.close(self.game.clock)
            self.stream.close()
            if self.board:
                self.board.close()

    def _begin(self) -> Moment | None:
        self.open_stream()
        self.timed, self.saved, self.timed_step = time.perf_counter(), time.perf_counter(), self.game.clock
        self.played = 0.0
        if self.lead and (lines := self.run_folder.lines("timing")):
            self.played = lines[-1]["seconds"]
        if self.game.clock > 0:
            return None
        self._preview()
        self.save()
        return Moment(0, {}, previewed=True)

    def open_stream(self) -> None:
        """Position the data where the game stands."""
        game = self.game
        shuffle = Shuffle(
            len(self.dataset),
            self.config.batch,
            mix(self.config.seed, game.detours),
            distributed.process(),
            distributed.processes(),
        )
        self.stream = Stream(self.dataset, shuffle, game.position, self.where, self.config.read_ahead)

    def _guarded_step(self) -> Moment | None:
        try:
            self.advance()
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            self._split(error)
            return None
        clock, values = self.game.clock, {}
        if clock % self.config.log_every == 0:
            values = self._log()
            if not values:
                return None
        previewed = clock % self.config.preview_interval == 0 or clock == self.config.steps
        if previewed:
            self._preview()
        every = self.config.evaluate_every
        due = every > 0 and (clock % every == 0 or clock == self.config.steps)
        return Moment(clock, values, previewed, due) if values or previewed or due else None

    def advance(self) -> None:
        """One step: a function of the weights and the clock."""
        game = self.game
        device.seed(mix(self.config.seed, distributed.process(), game.clock, game.detours), self.where)
        for player in self.players:
            player.measuring = (game.clock + 1) % self.config.log_every == 0
        with device.autocast(self.config.precision, self.where):
            values = game.step(self.stream)
        game.clock += 1
        game.position = self.stream.position
        if self.config.ema:
            self.average.update(game.model, game.clock)
        self.meter.add(values)

    def _log(self) -> dict[str, float]:
        """Write a line of the log and give its values; none when the game has diverged and gone back."""
        step = self.game.clock
        played = self.meter.take()
        means = played | self.game.gradients()
        if distributed.any_process(not self._finite(means)):
            self._detour()
            return {}
        self.progress.values(played)
        if self.lead:
            images = step * self.config.batch * distributed.processes()
            self.run_folder.append("log", {"step": step, "images": images, **means})
            self._time(step)
            if self.board:
                for name, value in means.items():
                    self.board.add_scalar(name, value, step)
        return means

    def _time(self, step: int) -> None:
        now = time.perf_counter()
        rate = (step - self.timed_step) / max(now - self.timed, 1e-9)
        self.played += now - self.timed
        self.timed, self.timed_step = now, step
        line = {"step": step, "seconds": round(self.played, 3), "steps_per_second": round(rate, 3)}
        self.run_folder.append("timing", {**line, "images_per_second": round(rate * self.config.batch, 1)})

    def _finite(self, means: dict[str, float]) -> bool:
        if not torch.isfinite(torch.tensor(list(means.values()))).all():
            return False
        floats = [value for value in (*self.game.parameters(), *self.game.buffers()) if value.is_floating_point()]
        return bool(torch.isfinite(torch.stack(torch._foreach_norm(floats)).sum()))

    def _preview(self) -> None:
        if self.lead:
            picture = self.game.scene(self.shipped, PREVIEW_SEED)
            media.save_image(picture, self.run_folder.previews / f"{self.game.clock:06d}.png")

    def save(self) -> None:
        """Checkpoint, unless something is not finite: then the last good one stays."""
        if not self.lead:
            return
        sums = {name: float(value) for name, value in self.meter.sums.items()}
        if not self._finite(sums):
            self.progress.say("the game has just diverged; the last good checkpoint stays")
            return
        state = {
            "game": self.game.state_dict(),
            "average": self.average.state_dict(),
            "meter": self.meter.state_dict(),
        }
        checkpoint.save_game(self.run_folder.game, state)
        self.shipped.save(self.run_folder.model, step=self.game.clock)
        self.saved = time.perf_counter()

    def say(self, text: str) -> None:
        """One line that stays, above the progress."""
        self.progress.say(text)

    def _event(self, event: str, text: str) -> None:
        if self.lead:
            self.run_folder.append("events", {"step": self.game.clock, "event": event, "text": text})
            self.progress.say(text)

    def _go_back(self) -> None:
        distributed.wait()
        self.stream.close()
        detours, split = self.game.detours, self.game.split
        self.restore()
        self.game.detours, self.game.split = detours, split
        if self.lead:
            self.run_folder.rewind(self.game.clock)

    def _detour(self) -> None:
        """Something is not finite: find out what, go back, and take other random numbers from there."""
        failed = self.game.clock
        cause = self._cause(failed)
        self._go_back()
        advice = "try a lower learning rate or --precision float32"
        if self.game.detours >= MAX_DETOURS:
            raise RunError(
                f"{cause} again, after going back {MAX_DETOURS} times; stopped. The checkpoint of step "
                f"{self.game.clock} in {self.run_folder.folder} is good; {advice}"
            )
        self.game.detours += 1
        self.open_stream()
        self._event(
            "diverged",
            f"{cause}; went back to step {self.game.clock} with other random numbers "
            f"({self.game.detours} of {MAX_DETOURS} times). If it comes again, {advice}",
        )

    def _cause(self, failed: int) -> str:
        """Play the same steps again from the last good state with every loss and gradient checked."""
        self._go_back()
        self.open_stream()
        for name, player in self.game.players.items():
            player.careful = name
        try:
            while self.game.clock < failed:
                self.advance()
        except NonFinite as found:
            return f"step {self.game.clock + 1}: the {found.what} of {found.player} is not finite"
        finally:
            for player in self.game.players.values():
                player.careful = None
        return f"before step {failed}: a weight or a logged value is not finite"

    def _split(self, error: RuntimeError) -> None:
        """Out of memory: work on each batch in twice as many parts from the last checkpoint on."""
        split = self.game.split * 2
        if self.config.batch % split:
            raise RunError(
                f"out of memory even with {self.config.batch // self.game.split} examples at a time; {error}"
            )
        self.game.zero_grad(set_to_none=True)
        self._go_back()
        if self.where.type == "cuda":
            torch.cuda.empty_cache()
        self.game.split = split
        self.open_stream()
        self._event(
            "memory",
            f"out of memory: batches of {self.config.batch} are now worked on {self.config.batch // split} at a time "
            "(batch statistics, where a network uses them, are those of the smaller part)",
        )


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs TensorBoard: pip install 'sparring[tensorboard]'") from None
    return SummaryWriter(str(folder))


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
