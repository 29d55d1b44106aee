"""Tells open pages that something has changed: they ask for it again. No queue, so a slow client costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

BEAT_S: Final = 15.0
GAP_S: Final = 1.0
"""Of many changes at once a page hears one."""


class Changes:
    """A number that grows with each change, and whoever waits for it.

    Args:
        most: streams at a time.
    """

    def __init__(self, most: int) -> None:
        self.count = 0
        self.streams = 0
        self._most = most
        self._woken: set[asyncio.Event] = set()
        self._closed = False

    def note(self) -> None:
        """Something has changed."""
        self.count += 1
        for event in self._woken:
            event.set()

    def close(self) -> None:
        """End every stream, since the process ends."""
        self._closed = True
        for event in self._woken:
            event.set()

    @property
    def full(self) -> bool:
        """Whether there may be no further stream."""
        return self._closed or self.streams >= self._most

    async def stream(self, lives: Callable[[], bool], beat_s: float = BEAT_S) -> AsyncIterator[bytes]:
        """Events `changed`, one at the beginning and one after each change, until the session has ended.

        Args:
            lives: whether it has not; asked before each event.
            beat_s: how often a silent stream says that it is alive.
        """
        woken, told = asyncio.Event(), -1
        self._woken.add(woken)
        self.streams += 1
        try:
            while lives() and not self._closed:
                woken.clear()
                if told != self.count:
                    told = self.count
                    yield b"event: changed\ndata: %d\n\n" % told
                    await asyncio.sleep(GAP_S)
                else:
                    try:
                        await asyncio.wait_for(woken.wait(), beat_s)
                    except TimeoutError:
                        yield b": alive\n\n"
            if not self._closed:
                yield b"event: ended\ndata: 0\n\n"
        finally:
            self._woken.discard(woken)
            self.streams -= 1
