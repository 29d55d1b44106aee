"""Streams of alerts as they change: who listens, and what waits for each; one who does not keep up is cut."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from stepwatch.agents.alert_log import AlertState, WantedAlerts
from stepwatch.ingest import metrics
from stepwatch.ingest.problems import away

WAITING_MAX: Final = 1000
"""Changes that wait for one client; their bytes are shared by all of them. One more, and the client is cut."""


class Ended(Exception):
    """Nothing more comes: the client was too slow, or the process ends."""


class Change:
    """A new version of an alert, encoded once for all streams.

    Attributes:
        alert_id, version, updated_at: of the alert.
    """

    def __init__(self, alert: AlertState) -> None:
        self.alert_id: str = alert["alert_id"]
        self.version: int = alert["version"]
        self.updated_at: str = alert["updated_at"]
        self._text = msgspec.json.encode(alert)

    def event(self, last_id: str) -> bytes:
        """The event of a stream, with the id by which its client may come back."""
        return b"event: alert\nid: %b\ndata: %b\n\n" % (last_id.encode(), self._text)


class Stream:
    """What waits for one client.

    Args:
        wanted: which alerts.
        may_see: whether alerts of a tenant are shown.
    """

    def __init__(self, wanted: WantedAlerts, may_see: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._may_see = may_see
        self._waiting: deque[Change] = deque()
        self._woken = asyncio.Event()
        self._ended = False

    def wants(self, alert: AlertState) -> bool:
        """Whether the client is told of an alert."""
        return self._may_see(alert["tenant"]) and self._wanted.holds(alert)

    def put(self, change: Change) -> None:
        """Let a change wait; where too many do, end the stream: its client comes back and is told where all stand."""
        if len(self._waiting) >= WAITING_MAX:
            metrics.STREAMS_CUT.inc()
            self.end()
        else:
            self._waiting.append(change)
            self._woken.set()

    def end(self) -> None:
        """Let nothing more come."""
        self._ended = True
        self._waiting.clear()
        self._woken.set()

    async def next(self, within_s: float) -> Change | None:
        """The next change, or None where none comes for so long.

        Raises:
            Ended: there is none any more.
        """
        if not self._waiting and not self._ended:
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), within_s)
            except TimeoutError:
                return None
        if self._ended:
            raise Ended
        return self._waiting.popleft()


class Streams:
    """The streams of a process.

    Args:
        most: at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Stream] = set()

    @contextmanager
    def open(self, wanted: WantedAlerts, may_see: Callable[[str], bool]) -> Iterator[Stream]:
        """A stream, which is forgotten at the end.

        Raises:
            Problem: 503, there are too many.
        """
        if len(self._open) >= self._most:
            raise away(f"{self._most} streams are open here, which is the most: close one, or ask again later", 30)
        stream = Stream(wanted, may_see)
        self._open.add(stream)
        metrics.STREAMS.set(len(self._open))
        try:
            yield stream
        finally:
            self._open.discard(stream)
            metrics.STREAMS.set(len(self._open))

    def tell(self, alert: AlertState) -> None:
        """Let a new version of an alert wait for everybody who wants it."""
        wanting = [stream for stream in self._open if stream.wants(alert)]
        if wanting:
            change = Change(alert)
            for stream in wanting:
                stream.put(change)

    def close(self) -> None:
        """End every stream, since the process ends."""
        self._most = 0
        for stream in self._open:
            stream.end()
