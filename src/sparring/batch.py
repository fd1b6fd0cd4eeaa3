"""A verb on files: one picture, a folder of them, or a film."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.core import media, video
from sparring.core.errors import UserError
from sparring.core.media import Medium
from sparring.core.model import Model
from sparring.data.cache import progress_bar

Deliver = Callable[[Any, Path | None, bool], None]
"""saves what a verb gave to a file (or where none is named, as it sees fit), in more than 8 bits if told to"""


def on_files(
    model: Model,
    function: Callable[..., Any],
    values: dict[str, Any],
    kinds: dict[str, Medium],
    out: Path | None,
    deliver: Deliver,
) -> int:
    """Call a verb with files in the place of media.

    Args:
        model: where the media go.
        function: the verb.
        values: what it is called with; paths in the place of media. When the first of them is a folder, each picture in it is
            worked on, beside those of the same name where others are folders too; when it is a film, each of its frames.
        kinds: the medium of each such value.
        out: file, or folder, to write.
        deliver: saves what the verb gave.

    Returns:
        how many files could not be worked on, each of which was named on standard error.

    Raises:
        UserError: a single file cannot be read or worked on; a folder without pictures, or none that works.
    """
    first: Path | None = next((values[name] for name in kinds if values.get(name) is not None), None)
    if first is not None and first.is_dir():
        return _on_folder(model, function, values, kinds, out, deliver, first)
    if first is not None and video.is_film(first) and first.is_file():
        _on_film(model, function, values, kinds, out, first)
        return 0
    made, deep = _on_one(model, function, values, kinds)
    deliver(made, out, deep)
    return 0


def _on_one(
    model: Model, function: Callable[..., Any], values: dict[str, Any], kinds: dict[str, Medium]
) -> tuple[Any, bool]:
    paths = {name: values[name] for name in kinds if values.get(name) is not None}
    loaded = {name: _moved(kinds[name].load(path), model) for name, path in paths.items()}
    try:
        made = function(model, **{**values, **loaded})
    except UserError as error:
        raise UserError(f"{', '.join(map(str, paths.values()))}: {error}" if paths else str(error)) from None
    return made, any(kinds[name].deep(path) for name, path in paths.items())


def _moved(value: Any, model: Model) -> Any:
    return value.to(model.device) if isinstance(value, Tensor) else value


def _on_folder(
    model: Model, function: Callable[..., Any], values: dict[str, Any], kinds: dict[str, Medium], out: Path | None,
    deliver: Deliver, folder: Path,
) -> int:  # fmt: skip
    taken = next(kinds[name] for name in kinds if values.get(name) == folder)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in taken.suffixes)
    if not files:
        raise UserError(f"{folder}: there is nothing of the kind {', '.join(taken.suffixes)} in it")
    into = out or folder.with_name(f"{folder.name}-{function.__name__}")
    if into.suffix:
        raise UserError(f"{into}: {folder} is a folder, so --out is one too")
    failed = []
    with progress_bar(function.__name__, len(files)) as advance:
        for file in files:
            own = {name: _partner(values[name], file) for name in kinds if values.get(name) is not None}
            try:
                made, deep = _on_one(model, function, {**values, **own}, kinds)
                deliver(made, into / f"{file.stem}{taken.default}", deep)
            except UserError as error:
                failed.append(str(error))
            advance(1)
    if len(failed) == len(files):
        raise UserError(f"none of the {len(files):,} files could be worked on; the first: {failed[0]}")
    for reason in failed:
        _say(reason)
    if failed:
        _say(f"{len(failed):,} of {len(files):,} files were left out")
    return len(failed)


def _partner(given: Path, file: Path) -> Path:
    """The file of this name where a folder was given."""
    if not given.is_dir():
        return given
    found = sorted(path for path in given.iterdir() if path.stem == file.stem and path.suffix.lower() in media.PICTURES)
    return found[0] if found else given / file.name


def _on_film(
    model: Model, function: Callable[..., Any], values: dict[str, Any], kinds: dict[str, Medium], out: Path | None,
    film: Path,
) -> None:  # fmt: skip
    (name, *others) = [name for name in kinds if values.get(name) is not None]
    rest = {other: kinds[other].load(values[other]).to(model.device) for other in others}

    def work(frames: Tensor) -> Tensor:
        if others:
            return torch.cat(
                [function(model, **{**values, **rest, name: frame[None]}) for frame in frames.to(model.device)]
            )
        return function(model, **{**values, name: frames.to(model.device)})

    suffix = film.suffix if film.suffix.lower() in video.WRITTEN else ".mkv"
    target = out or film.with_name(f"{film.stem}-{function.__name__}{suffix}")
    with progress_bar(function.__name__, 0) as advance:
        print(video.rework(film, target, work, advance))


def _say(text: str) -> None:
    print(f"sparring: {' '.join(text.split())}", file=sys.stderr)
