"""Decode and resize a whole source, in threads, with the order kept and bad files named."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np

from sparring.core.errors import UserError
from sparring.data.cache import progress_bar
from sparring.data.listing import Arrays, Pictures, Source
from sparring.data.pictures import array_pixels, decode, header
from sparring.data.store import Contents, Skipped

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Recipe:
    """How images are made of a source."""

    source: str
    size: int
    channels: int
    fit: str
    bad: float
    workers: int

    @property
    def settings(self) -> dict[str, Any]:
        """What changes the pixels."""
        return {"size": self.size, "channels": self.channels, "fit": self.fit}


def each_picture(
    source: Pictures, work: Callable[[BinaryIO], Result], workers: int, title: str
) -> Iterator[tuple[int, Result | Skipped]]:
    """Do something with every picture, in threads; a picture that cannot be read gives a reason instead."""

    def read(index: int) -> BinaryIO | Exception:
        try:
            return source.open(index)
        except Exception as error:
            return error

    def one(item: tuple[int, BinaryIO | Exception | None]) -> tuple[int, Result | Skipped]:
        index, stream = item
        try:
            stream = read(index) if stream is None else stream
            if isinstance(stream, Exception):
                raise stream
            with stream:
                return index, work(stream)
        except Exception as error:  # Pillow raises nearly anything at a damaged file
            return index, Skipped(source.names[index], str(error) or type(error).__name__)

    if source.order is None:
        items: Iterable[Any] = ((index, None) for index in range(len(source.names)))
    else:
        # Read from front to back in this one thread; only decoding is shared out.
        items = ((index, read(index)) for index in source.order)
    with progress_bar(title, len(source.names), shown=len(source.names) > 500) as advance:
        for result in in_threads(items, one, workers):
            advance(1)
            yield result


def in_threads(items: Iterable[Item], work: Callable[[Item], Result], workers: int) -> Iterator[Result]:
    """Like map, but a few items ahead in threads; results come in the order of the items."""
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) > 8 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def fill(source: Source, recipe: Recipe, images: np.ndarray) -> Contents:
    """Write a whole source into an array with room for all of it; the good images come first, in order.

    Raises:
        UserError: nothing can be read, or too much cannot.
    """
    good = np.zeros(len(images), bool)
    skipped: dict[int, Skipped] = {}
    for index, result in _decoded(source, recipe):
        if isinstance(result, Skipped):
            skipped[index] = result
        else:
            images[index], good[index] = result, True
    reasons = [skipped[index] for index in sorted(skipped)]
    check_bad(reasons, len(images), recipe)
    if reasons:
        compact(images, np.flatnonzero(good))
    return Contents(source.labels[good], source.class_names, recipe.source, recipe.settings, reasons)


def _decoded(source: Source, recipe: Recipe) -> Iterator[tuple[int, np.ndarray | Skipped]]:
    size, channels, fit = recipe.size, recipe.channels, recipe.fit
    title = f"preparing {recipe.source}"
    if isinstance(source, Pictures):
        yield from each_picture(source, partial(decode, size=size, channels=channels, fit=fit), recipe.workers, title)
        return
    with progress_bar(title, len(source.images), shown=len(source.images) > 5000) as advance:
        work = partial(array_pixels, size=size, channels=channels, fit=fit)
        for index, result in enumerate(in_threads(source.images, work, recipe.workers)):
            advance(1)
            yield index, result


def compact(images: np.ndarray, kept: np.ndarray) -> None:
    """Move the kept images to the front, block by block: none is overwritten before it has moved."""
    for start in range(0, len(kept), 1024):
        block = kept[start : start + 1024]
        images[start : start + len(block)] = images[block]


class Tolerant(Protocol):
    """A source, and the largest share of its files that may be unreadable."""

    @property
    def source(self) -> str: ...

    @property
    def bad(self) -> float: ...


def check_bad(skipped: list[Skipped], count: int, recipe: Tolerant, kind: str = "pictures") -> str:
    """A line that names files that were left out, with reasons; empty where there are none.

    Raises:
        UserError: they are all of them, or more than the share that is tolerated.
    """
    if not skipped:
        return ""
    named = "; ".join(f"{each.name}: {each.reason}" for each in skipped[:5])
    more = f"; and {len(skipped) - 5:,} more" if len(skipped) > 5 else ""
    what = f"{recipe.source}: {len(skipped):,} of {count:,} {kind} cannot be read ({named}{more})"
    if len(skipped) == count:
        raise UserError(f"{what}: nothing is left")
    if len(skipped) > recipe.bad * count:
        raise UserError(
            f"{what}: more than {recipe.bad:.0%}; mend or remove them, or pass --data.bad 1 to go on without them"
        )
    return f"{what}: they are left out"


def own_shape(source: Source, workers: int) -> tuple[int, int]:
    """The size and channels that suit a source: (side or 64, channels).

    Raises:
        UserError: no picture has a readable header.
    """
    if isinstance(source, Arrays):
        height, width, channels = source.images.shape[1:]
        return suitable_size({(width, height)}, source.kind == "store"), channels
    extents, grey, reasons = set(), True, []
    for _, result in each_picture(source, header, workers, "reading headers"):
        if isinstance(result, Skipped):
            reasons.append(result)
            continue
        extents.add((result.width, result.height))
        grey = grey and result.grey
        if len(extents) > 1 and not grey:
            break  # nothing further can change the answer
    if not extents:
        first = f"{reasons[0].name}: {reasons[0].reason}"
        raise UserError(f"none of the {len(reasons):,} pictures can be read ({first})")
    return suitable_size(extents, False), 1 if grey else 3


def suitable_size(extents: set[tuple[int, int]], prepared: bool) -> int:
    """The side of images of these widths and heights: their own if they share one small square, else 64.

    Prepared images keep whatever size a person has chosen for them.
    """
    width, height = next(iter(extents), (0, 1))
    own = len(extents) == 1 and width == height and (width <= 256 or prepared)
    return width if own else 64
