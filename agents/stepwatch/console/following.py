"""Follows the topics of alerts, decisions and notifications, so that no page reads them; keeps what it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from stepwatch.agents.settings import Settings
from stepwatch.console.shown import moment
from stepwatch.ingest.alerts import Alerts
from stepwatch.ingest.tail import Tail
from stepwatch.notifiers.ledger import Told, is_told, read_told


class Sent:
    """What channels were told, by the key of the incident: an alert's id, or that of a group that speaks for some."""

    def __init__(self) -> None:
        self._told: dict[bytes, Told] = {}
        self._keys: dict[str, set[bytes]] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the ledger; mutes and switches are passed over, and so is what is no record of it."""
        if key is None or not is_told(key):
            return
        if value is None:
            if (gone := self._told.pop(key, None)) is not None:
                self._keys[gone.key].discard(key)
            return
        try:
            told = read_told(value)
        except ValueError:
            return
        self._told[key] = told
        self._keys.setdefault(told.key, set()).add(key)

    def of(self, alert_id: str) -> list[tuple[str, Told]]:
        """What each channel was told of an alert: the channel, and of the group where one spoke for it."""
        found = []
        for key in sorted(self._keys.get(alert_id, ())):
            told = self._told[key]
            group = [self._told[k] for k in self._keys.get(told.group, ()) if self._told[k].channel == told.channel]
            found.append((told.channel, group[0] if told.group and group else told))
        return found


class Board:
    """All alerts, as they stand.

    Args:
        settings: where Kafka is.
        clock: microseconds since 1970.
        changed: called when an alert has changed, or could not be told to have.

    Attributes:
        alerts: None until all were read once.
        sent: what channels were told.
        away: why they are not read now; `""` where they are.
        as_of_us: when they were last read to their end.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int], changed: Callable[[], None]) -> None:
        self.alerts: Alerts | None = None
        self.sent = Sent()
        self.away = "they are being read for the first time: look again in a moment"
        self.as_of_us = 0
        self._clock = clock
        self._changed = changed
        self._topics = settings.topics
        self._tail = Tail(settings, self._topics.alerts, self._topics.responses, self._topics.notifications)

    async def follow(self) -> None:
        """Read, until cancelled. All of it each time: compaction may have taken what a gap would miss."""
        fresh, sent = Alerts(), Sent()

        def take(tp: Any, records: Sequence[Any]) -> None:
            for record in records:
                if tp.topic == self._topics.alerts:
                    fresh.take_alert(record)
                elif tp.topic == self._topics.responses:
                    fresh.take_response(record)
                else:
                    sent.take(record.key, record.value)
            if self.alerts is fresh:
                self._changed()

        def loaded() -> None:
            self.alerts, self.sent, self.away = fresh, sent, ""
            self._changed()

        def go_on() -> bool:
            self.as_of_us = self._clock()
            return True

        await self._tail.read(take, loaded, go_on)

    async def reads(self, alert_id: str, version: int, response_id: str, within_s: float) -> bool:
        """Wait until a decision and this version of its alert are read; False where they are not in time."""

        def there() -> bool:
            held = None if self.alerts is None else self.alerts.get(alert_id)
            return (
                held is not None
                and self.alerts is not None
                and held.alert["version"] >= version
                and self.alerts.has_decision(alert_id, response_id)
            )

        try:
            async with asyncio.timeout(within_s):
                await self._tail.until(there)
        except TimeoutError:
            return False
        return True

    def stops(self, words: str) -> None:
        """Say why they are not read any more; what was read stays."""
        as_of = f"; what is shown was read until {moment(self.as_of_us)} UTC" if self.as_of_us else ""
        self.away = words + as_of
        self._changed()
