"""Prints a table of the metrics' times beside those of public implementations, in one process and in turn, medians.

python -m benchmarks.metrics [--only kid prdc] [--rounds 3] [--json FILE]

The ratio is theirs / ours. Memory is the peak that ours takes beyond what the features took, in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import prdc as prdc_package
import scipy.linalg
import scipy.optimize
import scipy.spatial
import scipy.stats
import sklearn.metrics.pairwise
import sklearn.neighbors
import torch
from torchmetrics.image.kid import poly_mmd

from benchmarks.agreement import features, unbiased
from sparring.metrics.frechet import frechet_of_moments
from sparring.metrics.inception_score import inception_score_of_logits
from sparring.metrics.kid import kid, kid_of_all
from sparring.metrics.memorisation import memorisation
from sparring.metrics.mmd import mmd
from sparring.metrics.prdc import prdc
from sparring.metrics.sliced_wasserstein import sliced_wasserstein
from sparring.metrics.statistics import Moments
from sparring.metrics.transport import transport

Work = Callable[[], object]


def moments() -> tuple[Work, Work]:
    """Mean and covariance of 50,000 x 2048: as pytorch-fid, which holds all features."""
    real = features(50_000, 2048, 0)
    return lambda: Moments.of(real).covariance(), lambda: (real.numpy().mean(0), np.cov(real.numpy(), rowvar=False))


def frechet_root() -> tuple[Work, Work]:
    """The distance of two sets of moments of width 2048: as pytorch-fid, by scipy's root."""
    sides = [Moments.of(features(5000, 2048, seed, 0.02 * seed)) for seed in (0, 1)]
    first, second = (side.covariance().numpy() for side in sides)
    return lambda: frechet_of_moments(*sides), lambda: np.trace(scipy.linalg.sqrtm(first @ second).real)


def fid() -> tuple[Work, Work]:
    """Statistics of 50,000 x 2048 of one side and the distance to kept moments of the other; no public one beside it."""
    real, kept = features(50_000, 2048, 0), Moments.of(features(5000, 2048, 1))
    return lambda: frechet_of_moments(kept, Moments.of(real)), lambda: None


def kid_subsets() -> tuple[Work, Work]:
    """100 subsets of 1000 of 10,000 x 2048: torchmetrics, in float32."""
    real, fake = features(10_000, 2048, 0), features(10_000, 2048, 1, 0.02)

    def theirs() -> object:
        chosen = [[side[torch.randperm(len(side))[:1000]] for side in (real, fake)] for _ in range(100)]
        return torch.stack([poly_mmd(*pair) for pair in chosen]).mean()

    return lambda: kid(real, fake), theirs


def kid_subsets_of_2000() -> tuple[Work, Work]:
    """100 subsets of 1000 of 2000 x 2048: torchmetrics, in float32."""
    real, fake = features(2000, 2048, 0), features(2000, 2048, 1, 0.02)

    def theirs() -> object:
        chosen = [[side[torch.randperm(len(side))[:1000]] for side in (real, fake)] for _ in range(100)]
        return torch.stack([poly_mmd(*pair) for pair in chosen]).mean()

    return lambda: kid(real, fake), theirs


def kid_all() -> tuple[Work, Work]:
    """Everything of 10,000 x 2048 with everything: torchmetrics' function, in float32 and with whole matrices."""
    real, fake = features(10_000, 2048, 0), features(10_000, 2048, 1, 0.02)
    return lambda: kid_of_all(real, fake), lambda: poly_mmd(real, fake)


def precision_recall() -> tuple[Work, Work]:
    """10,000 x 2048: the authors' package."""
    real, fake = features(10_000, 2048, 0), features(10_000, 2048, 1, 0.02)

    def theirs() -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            return prdc_package.compute_prdc(real.numpy(), fake.numpy(), 5)

    return lambda: prdc(real, fake), theirs


def discrepancy() -> tuple[Work, Work]:
    """5000 x 256: scikit-learn's kernel."""
    real, fake = features(5000, 256, 0), features(5000, 256, 1, 0.02)
    kernel = lambda left, right: sklearn.metrics.pairwise.rbf_kernel(left, right, gamma=0.5 / 25)  # noqa: E731
    return lambda: mmd(real, fake, (5.0,)), lambda: unbiased(kernel, real, fake)


def scores() -> tuple[Work, Work]:
    """50,000 x 1000 logits: as the common code, scipy's entropy of whole splits."""
    logits = 3 * torch.randn(50_000, 1000, generator=torch.Generator().manual_seed(0))

    def theirs() -> object:
        rows = scipy.special.softmax(logits.numpy(), 1)
        return [
            np.exp(scipy.stats.entropy(part, part.mean(0, keepdims=True), axis=1).mean()) for part in np.split(rows, 10)
        ]

    return lambda: inception_score_of_logits(logits), theirs


def slices() -> tuple[Work, Work]:
    """10,000 x 784 in 512 directions: numpy."""
    real, fake = features(10_000, 784, 0), features(10_000, 784, 1, 0.02)

    def theirs() -> object:
        axes = np.random.default_rng(0).standard_normal((784, 512)).astype(np.float32)
        axes /= np.linalg.norm(axes, axis=0)
        gaps = np.sort(real.numpy() @ axes, 0) - np.sort(fake.numpy() @ axes, 0)
        return np.sqrt((gaps**2).mean())

    return lambda: sliced_wasserstein(real, fake), theirs


def transports() -> tuple[Work, Work]:
    """1500 points of the plane: scipy, which ours calls too."""
    real, fake = torch.randn(2, 1500, 2, generator=torch.Generator().manual_seed(0)).double()

    def theirs() -> object:
        costs = scipy.spatial.distance.cdist(real.numpy(), fake.numpy())
        return costs[scipy.optimize.linear_sum_assignment(costs)].mean()

    return lambda: transport(real, fake), theirs


def copies() -> tuple[Work, Work]:
    """5000 samples and 5000 held-out beside 20,000 training examples, 256 wide: scikit-learn's neighbours, scipy's test."""
    training, held_out, samples = (features(count, 256, seed) for seed, count in enumerate((20_000, 5000, 5000)))

    def theirs() -> object:
        finder = sklearn.neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(training.numpy())
        near, usual = (finder.kneighbors(side.numpy())[0][:, 0] for side in (samples, held_out))
        return scipy.stats.mannwhitneyu(near, usual)

    return lambda: memorisation(samples, training, held_out), theirs


CASES: tuple[Callable[[], tuple[Work, Work]], ...] = (
    moments,
    frechet_root,
    fid,
    kid_subsets,
    kid_subsets_of_2000,
    kid_all,
    precision_recall,
    discrepancy,
    scores,
    slices,
    transports,
    copies,
)


def measure(case: Callable[[], tuple[Work, Work]], rounds: int) -> dict[str, Any]:
    works = case()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, found in zip(works, times):
            began = time.perf_counter()
            work()
            found.append(time.perf_counter() - began)
    ours, theirs = (statistics.median(found) for found in times)
    return {
        "case": case.__name__,
        "ours_s": round(ours, 3),
        "theirs_s": round(theirs, 3) if theirs > 1e-4 else None,
        "ratio": round(theirs / ours, 2) if theirs > 1e-4 else None,
        "peak_mib": _memory(case.__name__),
        "what": (case.__doc__ or "").strip(),
    }


def _memory(name: str) -> float | None:
    if sys.platform != "linux":
        return None
    command = [sys.executable, "-m", "benchmarks.metrics", "--memory", name]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


def _report_memory(name: str) -> None:
    ours = next(case for case in CASES if case.__name__ == name)()[0]
    before = _resident("VmRSS")
    # Forgets the peak that making the features took.
    Path("/proc/self/clear_refs").write_text("5")
    ours()
    print(round(_resident("VmHWM") - before))


def _resident(field: str) -> float:
    """A field of this process's status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    names = [case.__name__ for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.memory:
        _report_memory(flags.memory)
        return
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads; Python {platform.python_version()}; ", end="")
    print(f"torch {torch.__version__}; numpy {np.__version__}; scipy {scipy.__version__}\n")
    print("| case | ours s | theirs s | ratio | peak MiB | what |\n|---|---|---|---|---|---|")
    rows = []
    for case in CASES:
        if case.__name__ in flags.only:
            rows.append(measure(case, flags.rounds))
            print(
                "| " + " | ".join("-" if cell is None else str(cell) for cell in rows[-1].values()) + " |", flush=True
            )
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
