"""Rows of RESULTS.md: each a file of `rows/` that is computed from the public API, once.

    python -m results                 compute rows that have no value yet, or whose inputs changed; write RESULTS.md
    python -m results dcgan_digits    compute these rows again
    python -m results --minutes 60    the same, but begin nothing new after an hour: rows of cells go on another time
    python -m results --write         only write RESULTS.md from the values that are there

A row's module has TITLE, CLAIM, COMMAND, `inputs()` (what its value depends on), `compute(work)` and `render(value)`. What
takes long is a training run in `build/results`, which goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from sparring.core import device
from sparring.core.run import commit

HERE = Path(__file__).parent
WORK = Path("build/results")


def rows() -> dict[str, ModuleType]:
    """The modules of `rows/` by name, in the order in which they tell the story."""
    names = sorted(path.stem for path in (HERE / "rows").glob("*.py") if not path.stem.startswith("_"))
    found = {name: importlib.import_module(f"results.rows.{name}") for name in names}
    return dict(sorted(found.items(), key=lambda item: (item[1].ORDER, item[0])))


def fingerprint(row: ModuleType) -> str:
    """A hash of what the row says its value depends on."""
    return hashlib.sha256(json.dumps(row.inputs(), sort_keys=True).encode()).hexdigest()[:16]


def value_file(name: str) -> Path:
    return HERE / "values" / f"{name}.json"


def read(name: str) -> dict[str, Any] | None:
    path = value_file(name)
    return json.loads(path.read_text()) if path.exists() else None


def incomplete(value: Any) -> bool:
    """Whether a cell is missing anywhere in a row's value."""
    if isinstance(value, dict):
        return any(incomplete(item) for item in value.values())
    return any(incomplete(item) for item in value) if isinstance(value, list) else value is None


def stale(record: dict[str, Any], row: ModuleType) -> bool:
    return record["inputs"] != fingerprint(row) or incomplete(record["value"])


def compute(name: str, row: ModuleType) -> None:
    work = WORK / name
    work.mkdir(parents=True, exist_ok=True)
    cells = HERE / "cells" / f"{name}.jsonl"
    lines = cells.read_text().splitlines() if cells.exists() else []
    began, earlier = time.perf_counter(), sum(json.loads(line)["seconds"] for line in lines)
    value = row.compute(work)
    record = {
        "value": value,
        "inputs": fingerprint(row),
        "command": f"make results ONLY={name}",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.perf_counter() - began) + earlier,
        "commit": commit(),
        "machine": f"{device.describe(device.pick('auto'))}; torch {torch.__version__}",
    }
    value_file(name).parent.mkdir(exist_ok=True)
    value_file(name).write_text(json.dumps(record, indent=2) + "\n")


def write() -> None:
    """RESULTS.md from the values."""
    parts = [
        "# Results",
        "Every number here was measured by this project, by the command beside it, with the control that tells what it "
        "means. This page is generated from `results/values/` by `make results`; change the rows, not the page.",
    ]
    for name, row in rows().items():
        record = read(name)
        if record is None:
            parts.append(f"## {row.TITLE}\n\n{row.CLAIM}\n\nNot measured yet: `make results ONLY={name}`.")
            continue
        measured = (
            f"`{record['command']}` · {record['date']} · {record['seconds']} s in all · {record['machine']} · "
            f"commit {(record['commit'] or 'unknown')[:12]}"
        )
        remark = "\n\n**Its inputs have changed since.**" if record["inputs"] != fingerprint(row) else ""
        remark += "\n\n**Some of it is not measured yet.**" if incomplete(record["value"]) else ""
        parts.append(f"## {row.TITLE}\n\n{row.CLAIM}\n\n{row.render(record['value'])}\n\n{measured}{remark}")
    Path("RESULTS.md").write_text("\n\n".join(parts) + "\n")


def main(names: list[str]) -> None:
    known = rows()
    if "--minutes" in names:
        place = names.index("--minutes")
        os.environ["RESULTS_UNTIL"] = str(time.time() + 60 * float(names[place + 1]))
        names = names[:place] + names[place + 2 :]
    if names != ["--write"]:
        for name in names:
            if name not in known:
                raise SystemExit(f"no row {name!r}; there are {', '.join(known)}")
        for name, row in known.items():
            record = read(name)
            if name in names or (not names and (record is None or stale(record, row))):
                print(f"{name} ...", file=sys.stderr, flush=True)
                compute(name, row)
                write()
    write()


if __name__ == "__main__":
    main(sys.argv[1:])
