"""The one thread that waits for the server's answers, so that the sender's event loop never does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from stepwatch.sdk.http_client import Answer

_Job = tuple[Callable[[], Answer], asyncio.AbstractEventLoop, "asyncio.Future[Answer]"]


class Poster:
    """A daemon thread of ours: while the interpreter ends, no pool takes work any more."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stepwatch-sdk-http", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: no thread can be started.
        """
        self._thread.start()

    def call(self, job: Callable[[], Answer]) -> asyncio.Future[Answer]:
        """Have it done by the thread; the future has what it returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._jobs.put((job, loop, future))
        return future

    def stop(self) -> None:
        """End once the request that is under way is over; nobody waits for that."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (asked := self._jobs.get()) is not None:
            job, loop, future = asked
            try:
                outcome: Answer | Exception = job()
            except Exception as error:
                outcome = error
            # Its loop may have ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, outcome)


def _settle(future: asyncio.Future[Answer], outcome: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
