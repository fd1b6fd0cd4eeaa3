"""Prints a table of ratios measured in one run: ours and the plain loop in turn, medians.

python -m benchmarks [--only dcgan gan] [--json FILE] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import plain
from sparring.core import Game, device
from sparring.core.config import Config
from sparring.core.loop import Loop
from sparring.core.run import Run
from sparring.data.images import Images, ImageSet
from sparring.methods import dcgan, gan

Step = Callable[[], object]


def ours(method: Any, config: Config, images: np.ndarray) -> tuple[Step, Game[Any, Any]]:
    """One step as the training loop takes it: seeding, data, both players, running average, log."""
    torch.manual_seed(0)
    where = device.pick("auto")
    config = config.replace(precision=device.precision("auto", where))
    data = ImageSet(images, np.full(len(images), -1), [], "benchmark")
    game = method.Game(method.Model(config), config)
    loop = Loop(game, data, Run(Path(tempfile.mkdtemp())), where, show=False)
    loop.open_stream()

    def step() -> None:
        loop.advance()
        device.synchronize(where)

    return step, game


def pair(name: str, count: bool = True) -> tuple[Step, Step, int, int]:
    """Our step, the plain step, examples in each, and the floating-point operations of ours (0 if not to be counted)."""
    flops = _flops if count else lambda step: 0
    if name == "dcgan":
        images = plain.images(64, 3)
        config = dcgan.Config.photos()
        mine, _ = ours(dcgan, config, images)
        return mine, plain.dcgan(images, 64)[0], 64, flops(mine)
    if name == "gan":
        images = plain.images(28, 1, 10_000)
        mine, _ = ours(gan, gan.Config(data=Images("digits", 28, 1)), images)
        return mine, plain.gan(images, 64)[0], 64, flops(mine)
    if name == "dcgan_sampling":
        config = dcgan.Config.photos().replace(precision=device.precision("auto", device.pick("auto")))
        model = dcgan.Model(config).eval()
        theirs = plain.dcgan(plain.images(64, 3, 64), 64)[1].eval()

        def sample_plainly() -> object:
            with torch.no_grad():
                return theirs(torch.randn(256, 100, 1, 1))

        def sample() -> object:
            return model.sample(256, seed=0)

        return sample, sample_plainly, 256, flops(sample)
    raise SystemExit(f"no benchmark {name!r}; there are {', '.join(NAMES)}")


NAMES = ("dcgan", "gan", "dcgan_sampling")


def _flops(step: Step) -> int:
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def peak() -> float:
    """Best of many bfloat16 products of two square matrices, GFLOP/s."""
    best = 0.0
    for side in (1024, 2048, 4096):
        left, right = torch.randn(2, side, side, dtype=torch.bfloat16).unbind()
        for _ in range(12):
            began = time.perf_counter()
            left @ right
            best = max(best, 2 * side**3 / (time.perf_counter() - began) / 1e9)
    return best


def measure(name: str, rounds: int) -> dict[str, Any]:
    mine, theirs, examples, flops = pair(name)
    for _ in range(3):
        mine(), theirs()
    repeat = max(1, int(0.1 / _timed(mine, 1)))
    tops, times = [peak()], ([], [])
    for number in range(rounds):
        times[0].append(_timed(mine, repeat))
        times[1].append(_timed(theirs, repeat))
        if number % 5 == 4:
            tops.append(peak())
    ours_s, plain_s = statistics.median(times[0]), statistics.median(times[1])
    gflops = flops / ours_s / 1e9
    return {
        "name": name,
        "ours_ms": round(ours_s * 1e3, 2),
        "plain_ms": round(plain_s * 1e3, 2),
        "ratio": round(plain_s / ours_s, 2),
        "gflops": round(gflops, 1),
        "peak_gflops": round(max(tops), 1),
        "share_of_peak": round(gflops / max(tops), 3),
        "images_per_s": round(examples / ours_s),
        "peak_mib": _memory(name, "ours"),
        "plain_peak_mib": _memory(name, "plain"),
    }


def _timed(step: Step, repeat: int) -> float:
    began = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - began) / repeat


def _memory(name: str, side: str) -> float | None:
    """Peak memory in MiB that five steps take beyond what the process had before the first, in a process of their own."""
    if sys.platform != "linux":
        return None
    command = [sys.executable, "-m", "benchmarks", "--memory", name, side]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


def _report_memory(name: str, side: str) -> None:
    mine, theirs, *_ = pair(name, count=False)
    before = _resident("VmRSS")
    # Forgets the peak that building the data and the networks made.
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(5):
        (mine if side == "ours" else theirs)()
    print(round(_resident("VmHWM") - before))


def _resident(field: str) -> float:
    """A field of this process's status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.memory:
        _report_memory(*flags.memory)
        return
    where = device.pick("auto")
    print(f"{device.describe(where)}; torch {torch.__version__}; Python {platform.python_version()}\n")
    rows = [measure(name, flags.rounds) for name in flags.only or NAMES]
    columns = list(rows[0])
    widths = [max(len(column), *(len(str(row[column])) for row in rows)) for column in columns]
    for line in [dict(zip(columns, columns)), *rows]:
        print("  ".join(f"{line[column]!s:>{width}}" for column, width in zip(columns, widths)))
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
