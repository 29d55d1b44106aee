"""Reads `stepwatch.alerts` and `stepwatch.responses`, so that a question about alerts reads no topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from stepwatch.agents.alert_log import AlertState
from stepwatch.agents.health import Health
from stepwatch.agents.settings import Settings
from stepwatch.ingest import metrics
from stepwatch.ingest.alerts import Alerts
from stepwatch.ingest.problems import away
from stepwatch.ingest.tail import NotCaughtUp, Tail


class AlertFollower:
    """Keeps `Alerts` up to date.

    Args:
        settings: where Kafka is.
        health: is told while it is still loading.
        clock: microseconds since 1970.
        tell: is given each new version of an alert, none of what was there at the start.
    """

    def __init__(
        self, settings: Settings, health: Health, clock: Callable[[], int], tell: Callable[[AlertState], None]
    ) -> None:
        self._alerts: Alerts | None = None
        self._settings = settings
        self._health = health
        self._clock = clock
        self._tell = tell
        self._topic = settings.topics.alerts
        self._tail = Tail(settings, self._topic, settings.topics.responses)
        health.waits("alerts", "they were not read yet")

    async def follow(self) -> None:
        """Read, until cancelled. All of it each time: compaction may have taken what a gap would miss."""
        fresh = Alerts()

        def take(tp: Any, records: Sequence[Any]) -> None:
            for record in records:
                if tp.topic != self._topic:
                    fresh.take_response(record)
                elif (alert := fresh.take_alert(record)) is not None and self._alerts is fresh:
                    self._tell(alert)
            metrics.ALERTS.set(len(fresh))

        def loaded() -> None:
            before, self._alerts = self._alerts, fresh
            self._health.works("alerts")
            for alert in fresh.newer_than(before) if before is not None else ():
                self._tell(alert)

        await self._tail.read(take, loaded)

    async def up_to_now(self) -> tuple[Alerts, int]:
        """Wait until all that Kafka had acknowledged when this was called is read.

        Returns:
            What is known; and up to when it is all there, microseconds since 1970.

        Raises:
            Problem: 503, still loading, or Kafka does not say within `assurance_wait_ms`.
        """
        asked_us = self._clock()
        if self._alerts is None:
            raise away("the alerts are still being read: ask again soon", 2)
        try:
            await self._tail.catch_up()
        except NotCaughtUp as error:
            raise away(
                "Kafka does not say whether all alerts are read that there are: some may be missing, so nothing is "
                "answered; ask again soon"
            ) from error
        return self._alerts, asked_us

    async def has_read(self, alert: AlertState, response_id: str) -> None:
        """Wait until this version of an alert and this decision are read, for as long as an answer may take.

        Raises:
            Problem: 503, they were not.
        """
        try:
            async with asyncio.timeout(self._settings.assurance_wait_ms / 1000):
                await self._tail.until(lambda: self._shows(alert, response_id))
        except TimeoutError as error:
            raise away("the decision is written, and is not read back yet: look at the alert soon") from error

    def _shows(self, alert: AlertState, response_id: str) -> bool:
        held = self._alerts.get(alert["alert_id"]) if self._alerts is not None else None
        # One that is over may have been let go meanwhile.
        return held is None or (
            held.alert["version"] >= alert["version"]
            and self._alerts is not None
            and self._alerts.has_decision(alert["alert_id"], response_id)
        )
