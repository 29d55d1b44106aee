"""The rows of `tests.bench.sdk` for reporting over HTTP, with a server there, away, and away with a spool."""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeVar

from stepwatch.embedded import ports
from stepwatch.sdk import HttpReporter
from stepwatch.sdk.background import BackgroundReporter
from tests.sdk.stand import Stand

M = TypeVar("M")
Run = Callable[[BackgroundReporter, int, float | None, float], M]
"""`tests.bench.sdk.run`."""
_TOKEN = "tok-0123456789"


def there(run: Run[M], count: int, rate: float, seconds: float) -> dict[str, M]:
    """With a server in a process of its own, which reads every event and keeps it; every event must arrive."""
    with _server() as url, HttpReporter(url, token=_TOKEN, events_max=count, bytes_max=10**12) as reporter:
        run(reporter, min(count, 1000), None, 30)
        found = {
            f"HTTP there, {rate:.0f}/s": run(reporter, int(rate * seconds), rate, 60),
            f"HTTP there, {count:,} at once": run(reporter, count, None, 120),
        }
        assert (reporter.stats.dropped, reporter.stats.waiting) == ({}, 0), reporter.stats
    return found


def away(run: Run[M], count: int) -> dict[str, M]:
    """With nobody at the address: first in memory, then on disk; nothing may be dropped."""
    found: dict[str, M] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, spool in (("HTTP away, memory", None), ("HTTP away, spool", Path(folder))):
            at = f"http://{ports.HOST}:{ports.any_free()}"
            reporter = HttpReporter(at, token=_TOKEN, spool=spool, events_max=count, bytes_max=10**12)
            found[name] = run(reporter, count, None, 0)
            assert reporter.stats.dropped == {}, reporter.stats
            reporter.close(0)
            assert reporter.stats.spooled == (count if spool else 0), reporter.stats
    return found


@contextmanager
def _server() -> Iterator[str]:
    spawn = multiprocessing.get_context("spawn")
    port, ready = ports.any_free(), spawn.Event()
    server = spawn.Process(target=_serve, args=(port, ready), daemon=True)
    server.start()
    try:
        assert ready.wait(30), "the server did not start"
        yield f"http://{ports.HOST}:{port}"
    finally:
        server.kill()
        server.join()


def _serve(port: int, ready: Event) -> None:
    with Stand(port=port):
        ready.set()
        threading.Event().wait()
