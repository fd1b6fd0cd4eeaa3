"""Sparring: generative adversarial networks, trained, judged and used.

model = sparring.train("dcgan", data="photos/", steps=10_000)
sparring.save_image(model.sample(16, seed=0), "samples.png")
model = sparring.load("runs/dcgan-001")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# How long a waiting OpenMP thread spins before it sleeps; read when torch loads. For ever (the default) costs forty times
# the time where another process is busy; not at all costs twice the time of a step of small networks. This is some 10 us.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if TYPE_CHECKING:
    from sparring.api import compare, diagnose, evaluate, load, resume, train
    from sparring.core.errors import RunError, UserError
    from sparring.core.media import save_image

__version__ = "0.1.0"
__all__ = ["RunError", "UserError", "compare", "diagnose", "evaluate", "load", "resume", "save_image", "train"]

_HOMES = {
    "RunError": "sparring.core.errors",
    "UserError": "sparring.core.errors",
    "save_image": "sparring.core.media",
}


def __getattr__(name: str) -> Any:
    """Import torch only when something needs it: `sparring --help` must be instant."""
    if name not in __all__:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    from importlib import import_module

    return vars(import_module(_HOMES.get(name, "sparring.api")))[name]
