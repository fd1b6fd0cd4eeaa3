"""Real pictures for the rows that need them, below the folder that `SPARRING_DATA` names."""

from __future__ import annotations

import os
from pathlib import Path


def place(name: str) -> str:
    """The path of a file, or of a folder in an archive, below that folder.

    Raises:
        SystemExit: there is no such file.
    """
    root = os.environ.get("SPARRING_DATA", "")
    path = Path(root) / name
    file = next((part for part in (path, *path.parents) if part.exists()), None)
    if not root or file is None or (file.is_dir() and file != path):
        raise SystemExit(f"{name} is needed: set SPARRING_DATA to the folder that it lies in")
    return str(path)
