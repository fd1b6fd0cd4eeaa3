"""Real processes, killed at random moments: what they leave goes on bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

STEPS = 60
FLAGS = [
    "--preset", "tiny", "--steps", str(STEPS), "--batch", "16", "--log-every", "5", "--device", "cpu",
    "--checkpoint-seconds", "0", "--precision", "float32",
]  # fmt: skip


def sparring(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sparring", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **ENVIRONMENT}
    )


ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def finish(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM ends a process that is not training yet, or not any more, as it ends any other."""
    _, complaint = process.communicate(timeout=240)
    assert process.returncode in (0, 130, -signal.SIGKILL, -signal.SIGTERM), complaint.decode()
    return process.returncode


def weights(folder: Path) -> dict[str, bytes]:
    with safe_open(folder / "model.safetensors", framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def straight(method: str, folder: Path) -> Path:
    assert finish(sparring("train", method, *FLAGS, "--run", str(folder))) == 0
    return folder


def kill_until_done(method: str, folder: Path, kills: int, seed: int) -> int:
    """Start, kill at random moments, resume, ...; returns how many kills hit a run that was going."""
    chance = random.Random(seed)
    hits = 0
    for _ in range(kills):
        begun = (folder / "game.pt").exists() or (folder / "game.previous.pt").exists()
        command = ["resume", str(folder)] if begun else ["train", method, *FLAGS, "--run", str(folder)]
        if not begun:
            subprocess.run(["rm", "-rf", str(folder)], check=True)
        process = sparring(*command)
        before = _marks(folder)
        deadline = time.monotonic() + 60
        # Importing takes seconds: wait until the run moves, then kill within its next moments.
        while process.poll() is None and _marks(folder) == before and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.25))
        if process.poll() is None:
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            hits += 1
        finish(process)
    while finish(sparring("resume", str(folder))) != 0:
        pass
    return hits


def _marks(folder: Path) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (folder / "log.jsonl", folder / "game.pt"))


def check(method: str, tmp_path: Path, kills: int, seed: int) -> int:
    expected = straight(method, tmp_path / "straight")
    killed = tmp_path / "killed"
    hits = kill_until_done(method, killed, kills, seed)
    assert (expected / "log.jsonl").read_bytes() == (killed / "log.jsonl").read_bytes()
    assert weights(expected) == weights(killed)
    assert [path.name for path in sorted((expected / "previews").iterdir())] == [
        path.name for path in sorted((killed / "previews").iterdir())
    ]
    return hits


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("method", ["gan", "dcgan"])
def test_killed_runs_go_on_bit_for_bit(method: str, tmp_path: Path) -> None:
    assert check(method, tmp_path, kills=4, seed=1) > 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_fifty_kills(tmp_path: Path) -> None:
    hits, seed = 0, 100
    while hits < 50:
        hits += check("dcgan", tmp_path / str(seed), kills=10, seed=seed)
        seed += 1
    print(f"{hits} kills of a running process, {seed - 100} runs equal bit for bit")
