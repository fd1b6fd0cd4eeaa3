"""Several processes, one game: `torchrun --nproc-per-node N -m sparring train ...`.

Each process plays on its own share of the data; `Player.minimize` averages the gradients. There is no wrapper around
the networks: one flat all-reduce for each update is all that is shared.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor


def start() -> None:
    """Join the other processes, if torchrun started any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(minutes=10))
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def stop() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def process() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def average(gradients: Sequence[Tensor]) -> None:
    """Replace each gradient by its mean over the processes, in place, in one message."""
    if not dist.is_initialized() or not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(list(gradients), [part.view_as(gradient) for part, gradient in zip(parts, gradients)])


def spread(tensors: Sequence[Tensor]) -> None:
    """Give every process the first one's tensors, in place."""
    if dist.is_initialized():
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def any_process(flag: bool) -> bool:
    """Whether the flag is up on any process: all must stop at the same step."""
    if not dist.is_initialized():
        return flag
    raised = torch.tensor(int(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return bool(raised.item())


def wait() -> None:
    """Wait here for the other processes."""
    if dist.is_initialized():
        dist.barrier()
