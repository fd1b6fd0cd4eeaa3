"""Where a run computes, and in what precision. Never hard-coded, never assumed."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch

from sparring.core.errors import UserError

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""mallopt's names for its settings"""


def pick(name: str = "auto") -> torch.device:
    """The device of this name; `auto` is CUDA, then Apple MPS, then the processor.

    Raises:
        UserError: the name is unknown or this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {name!r} cannot be used here ({reason}); `sparring doctor` lists what can") from None
    return device


@functools.cache
def fast_bfloat16(kind: str) -> bool:
    """Whether this kind of device ("cpu", "cuda", "mps") computes bfloat16 at more than float32 speed."""
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8
    if kind != "cpu":
        return False
    flags = _processor_flags()
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def _processor_flags() -> set[str]:
    if platform.system() == "Linux":
        with contextlib.suppress(OSError):
            for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
                if line.lower().startswith(("flags", "features")):
                    return set(line.split(":", 1)[1].split())
    return set()


def precision(name: str, device: torch.device) -> str:
    """`auto` made concrete: "bfloat16" or "float32"."""
    if name == "auto":
        return "bfloat16" if fast_bfloat16(device.type) else "float32"
    return name


def autocast(name: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """The context in which networks run in that precision."""
    if precision(name, device) == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def as_is(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """The context in which everything is computed in the precision that it has."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, up to 32 MiB a piece: a step frees and takes the same sizes again and again.

    Giving pages back to the system and faulting them in anew took a fifth of the time of a step of small networks.
    """
    if platform.system() == "Linux":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(MMAP_THRESHOLD, 32 * 2**20)
            library.mallopt(TRIM_THRESHOLD, 2**31 - 1)


def seed(number: int, device: torch.device) -> None:
    """Seed what random numbers a step draws, on the host and on its device.

    `torch.manual_seed` does so for every kind of device, and keeps a stack trace for each that has not been used yet, at each
    call: 0.3 ms, a sixteenth of the step of a small game, and memory that is never given back.
    """
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


@contextlib.contextmanager
def seeded(number: int, device: torch.device) -> Iterator[None]:
    """Random numbers from this seed; afterwards the generators are where they were."""
    where = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=where):
        seed(number, device)
        yield


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe(device: torch.device) -> str:
    """The device in words, for reports."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple {platform.processor()}"
    return f"{processor()}, {torch.get_num_threads()} threads"


@functools.cache
def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if platform.system() == "Darwin":
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
