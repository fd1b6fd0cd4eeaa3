"""Real pictures for the rows that need them, below the folder that `SPARRING_DATA` names."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from sparring.data.images import Images


def home() -> str:
    """The folder, with a slash at its end.

    Raises:
        SystemExit: it is not named.
    """
    if not os.environ.get("SPARRING_DATA"):
        raise SystemExit("real pictures are needed: set SPARRING_DATA to the folder that they lie in")
    return f"{os.environ['SPARRING_DATA']}/"


def place(name: str) -> str:
    """The path of a file, or of a folder in an archive, below that folder.

    Raises:
        SystemExit: there is no such file.
    """
    path = Path(home()) / name
    file = next(part for part in (path, *path.parents) if part.exists())
    if file.is_dir() and file != path:
        raise SystemExit(f"{name} is needed, and not below {home()}")
    return str(path)


def middles(name: str, side: int) -> Tensor:
    """The middle of every photo at its own resolution: N x 3 x side x side in [-1, 1].

    Args:
        name: of photos whose shorter side is 171 px.
        side: at most 171.
    """
    squares = torch.from_numpy(Images(place(name), size=171, channels=3).open().images.copy())
    start = (171 - side) // 2
    return squares[:, start : start + side, start : start + side].permute(0, 3, 1, 2) / 127.5 - 1
