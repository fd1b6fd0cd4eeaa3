"""Training runs of rows: begun once, resumed when they were stopped, read from their folder when they are done.

A row that takes hours is made of cells: each is measured once and kept at once in `results/cells/ROW.jsonl`, so the row can be
stopped anywhere and gone on with on another day.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from sparring import api, catalogue
from sparring.core import device
from sparring.core.config import Config
from sparring.core.loop import Loop
from sparring.core.model import Model
from sparring.core.run import Run


def trained(method: str, config: Config, folder: Path) -> tuple[Model, float]:
    """The model of this run and the seconds that its training took; trains what is left of it."""
    if (folder / "config.json").exists():
        result = api.go_on(folder)
    else:
        result = api.start(method, config, folder)
    if not result.finished:
        raise SystemExit(130)
    return result.model, Run(folder).lines("timing")[-1]["seconds"]


def arena(method: str, config: Config, folder: Path) -> Loop:
    """A game that has not begun, for rows that look at it while it is played. What was in the folder goes."""
    shutil.rmtree(folder, ignore_errors=True)
    where = device.pick(config.device)
    config = config.replace(data=config.data.resolved(), precision=device.precision(config.precision, where))
    module = catalogue.find(method).load()
    torch.manual_seed(config.seed)
    game = module.Game(module.Model(config), config)
    return Loop(game, config.data.open(), Run(folder), where, show=False)


def stops(loop: Loop, every: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Plays it; at every so many steps, the step and the log's means since the last stop."""
    seen: list[dict[str, float]] = []
    for moment in loop.play():
        if moment.values:
            seen.append(moment.values)
        if moment.step % every == 0 and moment.step and seen:
            yield moment.step, {name: sum(line[name] for line in seen) / len(seen) for name in seen[0]}
            seen = []


def cell(row: str, key: Any, measure: Callable[[], Any]) -> Any:
    """What was measured for this key, a JSON-able value; measured now if it never was.

    None when the time that the command was given (`--minutes`) is over.
    """
    path = Path(__file__).parent / "cells" / f"{row}.jsonl"
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    if path.exists():
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record["key"] == name:
                return record["value"]
    if time.time() > float(os.environ.get("RESULTS_UNTIL", "inf")):
        return None
    began = time.time()
    value = measure()
    record = {"key": name, "value": value, "seconds": round(time.time() - began), "date": time.strftime("%Y-%m-%d")}
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
    return value


def untrained(method: str, config: Config) -> Model:
    """The control: the same networks before the first step."""
    resolved = config.replace(data=config.data.resolved(), precision="float32")
    return catalogue.find(method).load().Model(resolved)


def spread(values: list[float]) -> str:
    """mean (least to largest)"""
    if not values:
        return "-"
    mean = sum(values) / len(values)
    return f"{mean:.4g} ({min(values):.4g} to {max(values):.4g})"
