"""Two processes on one machine: each on its own share of the data, one set of weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = """
import sys, torch
from pathlib import Path
from sparring import api
from sparring.core import distributed, checkpoint

config = api.starting_point("gan", "tiny").replace(device="cpu", precision="float32", steps=6, log_every=2)
distributed.start()
rank = distributed.process()
stop, distributed.stop = distributed.stop, lambda: None
result = api.start("gan", config, Path(sys.argv[1]), show=False)
checkpoint.save_model(Path(sys.argv[1]) / f"rank-{rank}.safetensors", result.model, {})
stop()
"""


def launch(folder: Path, processes: int) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    common["OMP_NUM_THREADS"] = "1"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in range(processes)
    ]
    for process in started:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint.decode()


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
def test_two_processes_keep_one_set_of_weights(tmp_path: Path) -> None:
    launch(tmp_path / "pair", 2)
    first, second = (load_file(tmp_path / "pair" / f"rank-{rank}.safetensors") for rank in range(2))
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
    launch(tmp_path / "single", 1)
    alone = load_file(tmp_path / "single" / "rank-0.safetensors")
    assert any(not torch.equal(alone[name], first[name]) for name in first)
