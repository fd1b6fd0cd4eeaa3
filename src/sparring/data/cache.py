"""Where downloads and prepared stores are kept, and how long work is shown on the screen."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sparring.core.errors import UserError
from sparring.data.store import Fill, Store, fill_memory, is_store, read_store, write_store


def cache_folder(kind: str) -> Path:
    """Sparring's cache for one kind of file; not created here.

    `$XDG_CACHE_HOME/sparring/<kind>` where that is set, else below %LOCALAPPDATA% on Windows and ~/.cache elsewhere.
    """
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None)
    return Path(home or Path.home() / ".cache") / "sparring" / kind


def cached_store(key: str, shape: tuple[int, int, int, int], fill: Fill) -> Store:
    """The store of this key: read where it was made before, else made now, once, however many processes ask.

    Where the cache cannot be written, the store is made in memory, with a warning.
    """
    folder = cache_folder("stores") / key
    found = _read_if_sound(folder)
    if found is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{key}.lock")):
            return _read_if_sound(folder) or write_store(folder, shape, fill)
    except (OSError, NotImplementedError) as error:
        warnings.warn(f"the cache {folder.parent} cannot be written ({error}): images are kept in memory", stacklevel=2)
        return fill_memory(shape, fill)


def _read_if_sound(folder: Path) -> Store | None:
    try:
        return read_store(folder) if is_store(folder) else None
    except UserError:
        return None  # damaged: it is made anew


@contextmanager
def progress_bar(title: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where a person is watching; gives the function that moves it by so many."""
    if not shown or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total or None)
        yield lambda amount: progress.advance(task, amount)
