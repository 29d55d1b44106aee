"""Which incident speaks for a new alert on a channel, by what has rung there within the last minute."""

from __future__ import annotations

from typing import NamedTuple

from stepwatch.notifiers.book import Book, Floor
from stepwatch.notifiers.grouping import (
    DIGEST,
    NOT_JUDGED,
    SILENCE,
    digest_key,
    needs_silence,
    silence_of,
    storm_key,
)
from stepwatch.notifiers.ledger import Told
from stepwatch.notifiers.notices import ShownAlert
from stepwatch.notifiers.rates import Minute

HOLD_S = 10.0
"""How long a blind alert waits for the silence that explains it, s: another partition's owner says it."""


class Join(NamedTuple):
    """The alert is spoken for by another incident."""

    group: str


class Wait(NamedTuple):
    """Look again then, s."""

    until_s: float


class Place:
    """Places the alerts of one channel."""

    def __init__(self, channel: str, floor: Floor) -> None:
        self._channel = channel
        self._floor = floor
        self._per_minute = floor.routes.per_minute(channel)
        self._more_than = floor.routes.storm.more_than
        self._rung = Minute()
        self._new: dict[tuple[str, str, str], Minute] = {}

    def new(self, book: Book, alert: ShownAlert, since_s: float, now_s: float) -> Join | Wait | None:
        """Where an alert goes of which the channel knows nothing yet; None: it has an incident of its own.

        Args:
            book: of its partition.
            alert: open or acknowledged.
            since_s: when it was first looked at here.
            now_s: now.
        """
        if alert.kind in (SILENCE, NOT_JUDGED):
            return None
        if needs_silence(alert):
            silence = silence_of(alert, self._floor.silences_for(self._channel))
            if silence is not None:
                return Join(silence.alert_id)
            if now_s < since_s + HOLD_S:
                return Wait(since_s + HOLD_S)
        minute = self._new.setdefault((alert.tenant, alert.kind, alert.policy), Minute())
        many = minute.count(now_s) >= self._more_than
        minute.add(now_s)
        if many:
            return Join(storm_key(self._channel, book.partition, alert))
        if not self.may_ring(alert, now_s):
            return Join(digest_key(self._channel, book.partition, alert))
        return None

    def leaves(self, told: Told, alert: ShownAlert) -> bool:
        """Whether an alert is to have an incident of its own after all.

        It turned critical, and a digest is no place for that; or the silence that was to speak for it was over before
        the channel heard of it.
        """
        if alert.state == "resolved":
            return False
        if told.group.startswith(DIGEST):
            return alert.severity == "critical"
        silence = self._floor.silences.get(told.group)
        return silence is not None and silence.state == "resolved" and not self._floor.heard(self._channel, told.group)

    def may_ring(self, alert: ShownAlert, now_s: float) -> bool:
        """Whether the channel's rate has room; for what is critical it always has."""
        return self.rings_at(alert, now_s) <= now_s

    def rings_at(self, alert: ShownAlert, now_s: float) -> float:
        """When the channel may ring for an alert: now, or later."""
        if self._per_minute is None or alert.severity == "critical":
            return now_s
        return self._rung.free_at(now_s, self._per_minute)

    def rang(self, alert: ShownAlert, now_s: float) -> None:
        """It has rung for an alert; what is critical has a reserve of its own."""
        if alert.severity != "critical":
            self._rung.add(now_s)
