"""Fifty kills: `make slow`, kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ORDER = 60
TITLE = "Resume is exact"
CLAIM = (
    "`make slow`: real training processes, killed at random moments (two in three with SIGKILL, the others with SIGTERM or "
    "SIGINT) with a checkpoint at every line of the log, resumed until they are done; weights, log and previews compared bit "
    "for bit with a run that was never stopped. Seeds 100 and up."
)
TEST = "tests/test_resume.py"


def inputs() -> Any:
    return [Path(name).read_text() for name in (TEST, "src/sparring/core/loop.py", "src/sparring/core/checkpoint.py")]


def compute(work: Path) -> Any:
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow", "--timeout", "3600", TEST]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return {"said": next(line for line in found.stdout.splitlines() if "kills" in line)}


def render(value: Any) -> str:
    return f"**{value['said']}.**"
