"""What this machine can do, what is wrong with it, and how to mend that."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sparring.core import device

NEEDED = ("torch", "numpy", "pillow", "safetensors", "tyro", "rich", "filelock")
EXTRAS = {"video": "av", "parquet": "pyarrow", "tensorboard": "tensorboard"}
GIB = 2**30


def examine() -> dict[str, Any]:
    """Everything that `render` shows, JSON-able. `problems` lists what is wrong and how to mend it."""
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {name: _version(name) for name in ("sparring", *NEEDED)},
        "extras": {extra: importlib.util.find_spec(module) is not None for extra, module in EXTRAS.items()},
        "processor": device.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": _memory(),
        "disk_free_gib": round(shutil.disk_usage(Path.cwd()).free / GIB, 1),
        "devices": [_device(name) for name in _devices()],
        "chosen": str(device.pick("auto")),
    }
    return {**report, "problems": _problems(report)}


def render(report: dict[str, Any]) -> str:
    """The report for a person."""
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in report["versions"].items())
    extras = ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in report["extras"].items())
    lines = [
        f"Python     {report['python']} on {report['system']}",
        f"versions   {versions}",
        f"extras     {extras}",
        f"processor  {report['processor']}: {report['cores']} cores, {report['threads']} threads in use",
        f"memory     {_gib(report['memory_gib'])}; free disk here {_gib(report['disk_free_gib'])}",
    ]
    for found in report["devices"]:
        chosen = "  <- used by default" if found["name"] == report["chosen"].removesuffix(":0") else ""
        fast = "bfloat16 and float32" if found["bfloat16"] else "float32"
        lines.append(f"device     {found['name']}: {found['description']}, {fast}{chosen}")
    problems = [f"!          {problem}" for problem in report["problems"]] or ["all well"]
    return "\n".join(lines + problems)


def _problems(report: dict[str, Any]) -> list[str]:
    problems = []
    if missing := [name for name in NEEDED if report["versions"][name] is None]:
        problems.append(f"missing: {', '.join(missing)}; pip install {' '.join(missing)}")
    if report["threads"] > (report["cores"] or 1):
        problems.append(f"more threads than cores: export OMP_NUM_THREADS={report['cores']}")
    if os.environ.get("OMP_WAIT_POLICY", "").lower() == "active":
        problems.append("OMP_WAIT_POLICY=active makes busy cores many times slower; unset it")
    if report["disk_free_gib"] < 2:
        problems.append(f"only {report['disk_free_gib']} GiB of disk are free here; a run can need more")
    if report["memory_gib"] is not None and report["memory_gib"] < 2:
        problems.append("less than 2 GiB of memory are free; use a smaller --batch or --width")
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        problems.append("an NVIDIA GPU is here but this torch cannot use it; install a CUDA build from pytorch.org")
    return problems


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> float | None:
    """Free memory in GiB, where the system tells."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return round(int(line.split()[1]) * 1024 / GIB, 1)
    except OSError:
        pass
    return None


def _devices() -> list[str]:
    cuda = ["cuda"] if torch.cuda.device_count() == 1 else [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def _device(name: str) -> dict[str, Any]:
    where = torch.device(name)
    return {"name": name, "description": device.describe(where), "bfloat16": device.fast_bfloat16(where.type)}


def _gib(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount} GiB"
