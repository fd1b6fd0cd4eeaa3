"""How fast images come off a prepared store: gathered, mirrored or not, and made float, on one core.

python benchmarks/data_path.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sparring.data.images import Images, ImageSet
from sparring.data.store import Contents, write_store

BATCH = 64
SECONDS = 1.0
SHAPES = ((10_000, 28, 28, 1), (10_000, 64, 64, 3))


def measure() -> list[dict[str, Any]]:
    """Images per second for each size, with and without mirroring; one thread, batches of 64."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return [_measure_one(Path(folder), shape, flip) for shape in SHAPES for flip in (False, True)]
    finally:
        torch.set_num_threads(threads)


def _measure_one(folder: Path, shape: tuple[int, int, int, int], flip: bool) -> dict[str, Any]:
    store = folder / f"{shape[1]}-{flip}"
    noise = np.random.default_rng(0)

    def fill(images: np.ndarray) -> Contents:
        images[:] = noise.integers(0, 256, shape, np.uint8)
        return Contents(np.zeros(len(images), np.int64), ["noise"])

    write_store(store, shape, fill)
    data = Images(str(store), size=shape[1], channels=shape[3], flip=flip).open()
    return {
        "size": shape[1],
        "channels": shape[3],
        "flip": flip,
        "batch": BATCH,
        "images_per_second": round(_speed(data)),
    }


def _speed(data: ImageSet) -> float:
    chance = torch.Generator().manual_seed(0)
    order = torch.randperm(len(data), generator=chance)
    batches = order[: len(data) // BATCH * BATCH].split(BATCH)
    for index in batches:  # warm the page cache
        data.prepare(data.batch(index, chance))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for index in batches:
            data.prepare(data.batch(index, chance))
        count += len(batches) * BATCH
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    for row in measure():
        mirrored = "mirrored" if row["flip"] else "as it is"
        print(f"{row['size']} x {row['size']} x {row['channels']}, {mirrored}: {row['images_per_second']:,} images/s")
