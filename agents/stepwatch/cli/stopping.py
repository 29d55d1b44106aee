"""SIGINT and SIGTERM as a wish to end: what was begun is finished first."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK


class Stopping:
    """Whether somebody asked us to end; a second time ends us at once."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._by: signal.Signals | None = None

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._by is not None

    @property
    def exit_status(self) -> int:
        """130 after SIGINT, 0 after SIGTERM, as the roles have it."""
        return EXIT_INTERRUPTED if self._by == signal.SIGINT else EXIT_OK

    async def nap(self, seconds: float) -> None:
        """Wait, but no longer than until a signal comes."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)

    async def wait(self) -> None:
        """Return once a signal came."""
        await self._asked.wait()

    def _ask(self, by: signal.Signals) -> None:
        self._by = by
        self._asked.set()
        for which in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(which)


@contextmanager
def stopping() -> Iterator[Stopping]:
    """Listen to both signals, inside an event loop of the main thread."""
    loop, found = asyncio.get_running_loop(), Stopping()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, found._ask, which)
    try:
        yield found
    finally:
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(which)
