"""Training runs of rows: begun once, resumed when they were stopped, read from their folder when they are done."""

from __future__ import annotations

from pathlib import Path

from sparring import api
from sparring.core.config import Config
from sparring.core.model import Model
from sparring.core.run import Run


def trained(method: str, config: Config, folder: Path) -> tuple[Model, float]:
    """The model of this run and the seconds that its training took; trains what is left of it."""
    if (folder / "config.json").exists():
        result = api.go_on(folder)
    else:
        result = api.start(method, config, folder)
    if not result.finished:
        raise SystemExit(130)
    return result.model, Run(folder).lines("timing")[-1]["seconds"]


def untrained(method: str, config: Config) -> Model:
    """The control: the same networks before the first step."""
    from sparring import catalogue

    resolved = config.replace(data=config.data.resolved(), precision="float32")
    return catalogue.find(method).load().Model(resolved)


def spread(values: list[float]) -> str:
    """mean (least to largest)"""
    mean = sum(values) / len(values)
    return f"{mean:.4g} ({min(values):.4g} to {max(values):.4g})"
