"""Speed beside a plain PyTorch loop: `make bench`, kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ORDER = 50
TITLE = "Speed beside a plain PyTorch loop"
CLAIM = (
    "`make bench`: one step of each, ours as the training loop takes it (data, seeding, both players, running "
    "average), and the same networks and batch in a loop as public tutorials write it, measured in turn in one "
    "process; medians. *dcgan*: 64 px, width 64. *gan*: the multilayer perceptrons at 28 px, data path included. "
    "*dcgan_sampling*: 256 pictures of 64 px. Peak: the best bfloat16 product of two square matrices in the same run. "
    "Memory: peak of a process that takes five steps, above what it held before the first."
)


def inputs() -> Any:
    return [
        path.read_text() for path in (Path("benchmarks/__main__.py"), *sorted(Path("benchmarks/plain").glob("*.py")))
    ]


def compute(work: Path) -> Any:
    table = work / "bench.json"
    subprocess.run([sys.executable, "-m", "benchmarks", "--json", str(table)], check=True)
    data = subprocess.run([sys.executable, "-m", "benchmarks.data_path"], check=True, capture_output=True, text=True)
    return {"steps": json.loads(table.read_text()), "data_path": data.stdout.strip().splitlines()}


def render(value: Any) -> str:
    lines = [
        "| | ours, ms | plain, ms | ratio | GFLOP/s | share of bf16 peak | images/s | peak memory, MiB (plain) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in value["steps"]:
        lines.append(
            f"| {row['name']} | {row['ours_ms']} | {row['plain_ms']} | **{row['ratio']}** | {row['gflops']} | "
            f"{row['share_of_peak']:.0%} of {row['peak_gflops']} | {row['images_per_s']} | {row['peak_mib']} "
            f"({row['plain_peak_mib']}) |"
        )
    return "\n".join(
        [*lines, "", "The data path alone, one core, batches of 64:", "", "```", *value["data_path"], "```"]
    )
