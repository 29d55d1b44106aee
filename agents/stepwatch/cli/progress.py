"""How far a file is, as a line that is drawn over and over; only where somebody looks at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
_DRAW_S = 0.1
_TICK = 10_000
"""Items from one change of the line of `watched` to the next."""


class Shown(Protocol):
    """What is told of the progress."""

    def __call__(self, read_bytes: int, events: int) -> None:
        """So much was read, and so many events came of it."""


def _nobody_looks(read_bytes: int, events: int) -> None:
    return


@contextmanager
def progress(total_bytes: int | None, *, wanted: bool = True) -> Iterator[Shown]:
    """A bar by bytes where it is known how many there are, a count otherwise; on standard error.

    Args:
        total_bytes: of all that is to be read; None: nobody knows, as of a pipe.
        wanted: False shows nothing, even on a terminal.
    """
    if not (wanted and sys.stderr.isatty()):
        yield _nobody_looks
        return
    from rich import progress as rich
    from rich.console import Console

    count = rich.TextColumn("{task.fields[events]:,} events", markup=False)
    columns: list[rich.ProgressColumn] = [rich.TextColumn("sending"), rich.TimeElapsedColumn(), count]
    if total_bytes is not None:
        columns = [
            rich.TextColumn("sending"),
            rich.BarColumn(),
            rich.DownloadColumn(),
            count,
            rich.TimeRemainingColumn(),
        ]
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total_bytes, events=0)
        drawn = 0.0

        def show(read_bytes: int, events: int) -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= _DRAW_S:
                bar.update(task, completed=read_bytes, events=events)
                drawn = time.monotonic()

        yield show


def watched(
    items: Iterable[T], words: str, total: int | None = None, weigh: Callable[[T], int] | None = None
) -> Iterator[T]:
    """The same items, counted on standard error where somebody looks.

    Args:
        items: any number of them.
        words: what they are, `events read`.
        total: how many there are, or of what `weigh` says; None: nobody knows, so there is no bar.
        weigh: how much an item is of the total; None: one.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich import progress as rich
    from rich.console import Console

    count = rich.TextColumn("{task.fields[count]:,} {task.description}", markup=False)
    columns: list[rich.ProgressColumn] = [rich.SpinnerColumn(), count, rich.TimeElapsedColumn()]
    if total is not None:
        columns[1:] = [rich.BarColumn(), count, rich.TimeRemainingColumn()]
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, done = bar.add_task(words, total=total, count=0), 0
        for number, item in enumerate(items, start=1):
            done += 1 if weigh is None else weigh(item)
            if number % _TICK == 0:
                bar.update(task, completed=done, count=number)
            yield item
