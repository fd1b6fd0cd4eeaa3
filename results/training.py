"""Training runs of rows: begun once, resumed when they were stopped, read from their folder when they are done.

A row that takes hours is made of cells: each is measured once and kept at once in `results/cells/ROW.jsonl`, so the row can be
stopped anywhere and gone on with on another day.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparring import api
from sparring.core.config import Config
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
    from sparring import catalogue

    resolved = config.replace(data=config.data.resolved(), precision="float32")
    return catalogue.find(method).load().Model(resolved)


def spread(values: list[float]) -> str:
    """mean (least to largest)"""
    if not values:
        return "-"
    mean = sum(values) / len(values)
    return f"{mean:.4g} ({min(values):.4g} to {max(values):.4g})"
