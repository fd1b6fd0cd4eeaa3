"""The endless stream of batches: shuffled without replacement, a pure function of seed and position.

Because batch number `position` depends on nothing else, a run that was stopped goes on with the very batch that it would
have had, and reading ahead in a thread changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from sparring.core.data import Dataset


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers: neighbouring inputs give unrelated seeds (splitmix64)."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state + (number + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


def generator(*numbers: int) -> torch.Generator:
    """A host random generator seeded by these numbers."""
    return torch.Generator().manual_seed(mix(*numbers))


class Shuffle:
    """Endless epochs, each a permutation of its own, cut into batches that may span two epochs."""

    def __init__(self, examples: int, batch: int, seed: int, process: int = 0, processes: int = 1):
        self.examples, self.batch, self.seed = examples, batch, seed
        self.process, self.processes = process, processes
        self._orders: dict[int, Tensor] = {}

    def index(self, position: int) -> Tensor:
        """Indices of the examples in batch number `position`, int64 (batch,)."""
        first = (position * self.processes + self.process) * self.batch
        wanted, parts = self.batch, []
        while wanted:
            epoch, offset = divmod(first, self.examples)
            part = self._order(epoch)[offset : offset + wanted]
            parts.append(part)
            first, wanted = first + len(part), wanted - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            kept = sorted(self._orders)[-1:]
            self._orders = {old: self._orders[old] for old in kept}
            self._orders[epoch] = torch.randperm(self.examples, generator=generator(self.seed, 1, epoch))
        return self._orders[epoch]


class Stream(Iterator[Any]):
    """Batches on the device from number `position` on.

    Args:
        dataset: what to read.
        shuffle: which examples batch number n holds.
        position: number of the next batch; moves on by one with each.
        device: where the batches go.
        read_ahead: how many batches a thread reads ahead; 0 reads when asked.
    """

    def __init__(self, dataset: Dataset, shuffle: Shuffle, position: int, device: torch.device, read_ahead: int = 0):
        self.dataset, self.shuffle, self.position, self.device = dataset, shuffle, position, device
        self.read_ahead = read_ahead
        self._pool = ThreadPoolExecutor(1, "read-ahead") if read_ahead else None
        self._coming: deque[Future[Any]] = deque()
        self._chance = torch.Generator()

    def __next__(self) -> Any:
        batch = self._read(self.position) if self._pool is None else self._next_ahead(self._pool)
        self.position += 1
        moved = type(batch)(*(self._move(tensor) for tensor in batch))
        return self.dataset.prepare(moved)

    def _next_ahead(self, pool: ThreadPoolExecutor) -> Any:
        while len(self._coming) <= self.read_ahead:
            self._coming.append(pool.submit(self._read, self.position + len(self._coming)))
        return self._coming.popleft().result()

    def _read(self, position: int) -> Any:
        seed = mix(self.shuffle.seed, 2, position * self.shuffle.processes + self.shuffle.process)
        return self.dataset.batch(self.shuffle.index(position), self._chance.manual_seed(seed))

    def _move(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
