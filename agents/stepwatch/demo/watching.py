"""Alerts as they change, read from their topic as on-call's receivers read them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiokafka import TopicPartition

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.settings import Settings
from stepwatch.notifiers.notices import Happening, Notice, Seen, ShownAlert, notice_of, read_alert, seen_of

_POLL_MS = 100


class Watch:
    """Follows the alerts topic, read_committed.

    Args:
        settings: where Kafka is.
        tell: takes each notice that a person should hear.

    Attributes:
        alerts: the last state of each, by id.
        raised, resolved: how often an alert was raised anew, and how often one was resolved.
        first_at: monotonic time of the first notice, s; None before it.
    """

    def __init__(self, settings: Settings, tell: Callable[[Notice], None]) -> None:
        self.alerts: dict[str, ShownAlert] = {}
        self.raised = self.resolved = 0
        self.first_at: float | None = None
        self._settings = settings
        self._tell = tell
        self._seen: dict[str, Seen] = {}
        self._changed = asyncio.Condition()

    @property
    def open(self) -> int:
        """How many alerts are not resolved."""
        return sum(alert.state != "resolved" for alert in self.alerts.values())

    async def follow(self) -> None:
        """Read the topic for ever."""
        topic, partitions = self._settings.topics.alerts, range(self._settings.partitions)
        everything = [TopicPartition(topic, partition) for partition in partitions]
        reader = await open_reader(self._settings, everything)
        try:
            reader.resume(*everything)
            while True:
                for records in (await reader.getmany(timeout_ms=_POLL_MS)).values():
                    await self._take([record.value for record in records if record.value is not None])
        finally:
            await close_client(reader)

    async def until(self, kind: str, subject: str, state: str, seconds: float) -> bool:
        """Return once there is an alert of that kind about that subject (or source) in that state, or False."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._has(kind, subject, state))
        except TimeoutError:
            return False
        return True

    def _has(self, kind: str, subject: str, state: str) -> bool:
        return any(
            alert.kind == kind and subject in (alert.subject, alert.reason) and alert.state == state
            for alert in self.alerts.values()
        )

    async def _take(self, values: list[bytes]) -> None:
        async with self._changed:
            for value in values:
                alert = read_alert(value)
                notice = notice_of(self._seen.get(alert.alert_id), alert)
                self._seen[alert.alert_id] = seen_of(alert)
                self.alerts[alert.alert_id] = alert
                if notice is not None:
                    self._count(notice)
                    self._tell(notice)
            self._changed.notify_all()

    def _count(self, notice: Notice) -> None:
        if self.first_at is None:
            self.first_at = time.monotonic()
        if notice.happening in (Happening.OPENED, Happening.REOPENED):
            self.raised += 1
        elif notice.happening is Happening.RESOLVED:
            self.resolved += 1
            if notice.before is None:
                self.raised += 1
