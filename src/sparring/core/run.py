"""A run's folder: config, log, events, previews, checkpoints, model. One process writes it at a time.

    config.json  log.jsonl  health.jsonl  evaluations.jsonl  timing.jsonl  events.jsonl  previews/
    game.pt  game.previous.pt  model.safetensors  best.safetensors  curves.png  training.mp4 (or .gif)  report.html

`log.jsonl` (losses, alarms), `health.jsonl` (what the diagnosis measures at previews) and `evaluations.jsonl` (metrics during
training) hold only what the seed determines; the clock on the wall goes to `timing.jsonl`.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import filelock

from sparring.core import checkpoint
from sparring.core.animation import animate
from sparring.core.errors import RunError, UserError
from sparring.core.report import read_lines, read_previews, write_curves, write_report


class Run:
    """A run's folder, locked while it is open. Use `create` or `reopen`, and `close` (or `with`)."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.previews = folder / "previews"
        self.game = folder / "game.pt"
        self.model = folder / "model.safetensors"
        self.best = folder / "best.safetensors"
        self._lock = filelock.FileLock(folder / ".lock")

    @classmethod
    def create(cls, folder: Path, description: dict[str, Any]) -> Self:
        """Begin a run in a new or empty folder.

        Raises:
            UserError: the folder already holds a run, or cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder)
            run._acquire()
            if (folder / "config.json").exists():
                run.close()
                raise UserError(f"{folder} already holds a run; `sparring resume {folder}` goes on with it")
            run.previews.mkdir(exist_ok=True)
            run.describe({**description, **provenance()})
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror or error}); choose another --run") from None
        return run

    @classmethod
    def reopen(cls, folder: Path) -> Self:
        """Open a run to go on with it. Raises UserError when there is none or another process holds it."""
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no run there (it has no config.json)")
        run = cls(folder)
        run._acquire()
        run.previews.mkdir(exist_ok=True)
        return run

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(f"{self.folder}: another process is training into this folder") from None

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def description(self) -> dict[str, Any]:
        """The content of `config.json`."""
        return read_description(self.folder)

    def describe(self, description: dict[str, Any]) -> None:
        checkpoint.write_atomic(self.folder / "config.json", json.dumps(description, indent=2).encode())

    def append(self, name: str, line: dict[str, Any]) -> None:
        """Add one line to `log`, `health`, `evaluations`, `timing` or `events`."""
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The whole lines of a file that `append` adds to; a half-written last one is left out."""
        return read_lines(self.folder / f"{name}.jsonl")

    def rewind(self, step: int) -> None:
        """Forget what was logged after this step: the steps are about to be done again."""
        for name in ("log", "health", "evaluations", "timing"):
            if not (self.folder / f"{name}.jsonl").exists():
                continue
            kept = [line for line in self.lines(name) if line["step"] <= step]
            content = "".join(json.dumps(line) + "\n" for line in kept)
            checkpoint.write_atomic(self.folder / f"{name}.jsonl", content.encode())
        for picture in self.previews.glob("*.png"):
            if picture.stem.isdigit() and int(picture.stem) > step:
                picture.unlink()

    def summarize(self) -> dict[str, Path]:
        """Draw curves, animation and report from what the folder holds; what fails is said, never raised."""
        previews = read_previews(self.folder)
        made: dict[str, Path] = {"pictures": previews[-1] if previews else self.previews}
        makers = {
            "animation": lambda: animate(previews, self.folder / "training"),
            "curves": lambda: write_curves(self.folder),
            "report": lambda: write_report(self.folder),
        }
        for name, make in makers.items():
            try:
                made[name] = make()
            except Exception as error:
                warnings.warn(f"the {name} could not be drawn: {error}", stacklevel=2)
        return made


def read_description(folder: Path) -> dict[str, Any]:
    """What `config.json` of a run says. Raises UserError when it is missing or damaged."""
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no run there (it has no config.json)") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'}: cannot be read ({error})") from None


def next_folder(method: str, parent: Path = Path("runs")) -> Path:
    """`runs/METHOD-001`, or the first number that is free."""
    number = 1
    while (parent / f"{method}-{number:03d}").exists():
        number += 1
    return parent / f"{method}-{number:03d}"


def provenance() -> dict[str, Any]:
    """When, where and with what a run was begun."""
    versions = {"python": platform.python_version()}
    for package in ("sparring", "torch", "numpy", "pillow", "safetensors"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "commit": commit(),
        "versions": versions,
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
    }


def commit() -> str | None:
    """The git commit of the source tree that runs, with `+` when it has local changes; None when installed."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def disk_error(error: OSError, folder: Path, step: int) -> RunError:
    """An error of the file system, said so that the user knows what is safe."""
    return RunError(
        f"{folder}: cannot be written ({error.strerror or error}); stopped at step {step}. The last good checkpoint is "
        f"kept: make room, then `sparring resume {folder}`"
    )
