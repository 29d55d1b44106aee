"""Which incident speaks for a new alert on a channel, by what has rung there within the last minute."""

from __future__ import annotations

from typing import NamedTuple

from stepwatch.notifiers.book import Book, Floor
from stepwatch.notifiers.grouping import DIGEST, digest_key, is_group, needs_silence, silence_of, storm_key
from stepwatch.notifiers.ledger import Told
from stepwatch.notifiers.notices import ShownAlert
from stepwatch.notifiers.planning import has_grown
from stepwatch.notifiers.rates import Minute, Recent

HOLD_S = 10.0
"""How long a blind alert waits for the silence that explains it, s: another partition's owner says it."""


class Join(NamedTuple):
    """The alert is spoken for by another incident."""

    group: str


class Wait(NamedTuple):
    """Look again then, s; `is_reminder`: what is to be done then can wait for everything else."""

    until_s: float
    is_reminder: bool = False


class Place:
    """Places the alerts of one channel."""

    def __init__(self, channel: str, floor: Floor) -> None:
        self._channel = channel
        self._floor = floor
        self._per_minute = floor.routes.per_minute(channel)
        self._more_than = floor.routes.storm.more_than
        self._rung = Minute()
        self._new: dict[tuple[str, str, str], Recent] = {}

    def new(self, book: Book, alert: ShownAlert, since_s: float, now_s: float, left: str = "") -> Join | Wait | None:
        """Where an alert goes of which the channel knows nothing yet; None: it has an incident of its own.

        Args:
            book: of its partition.
            alert: open or acknowledged.
            since_s: when it was first looked at here.
            now_s: now.
            left: the silence that spoke for it and does so no more; "" for none.
        """
        if needs_silence(alert):
            silences = [
                silence
                for silence in self._floor.silences.values()
                if silence.alert_id != left and self._floor.speaks(self._channel, silence, now_s)
            ]
            silence = silence_of(alert, silences)
            if silence is not None:
                return Join(silence.alert_id)
            if now_s < since_s + HOLD_S:
                return Wait(since_s + HOLD_S)
        recent = self._new.setdefault((alert.tenant, alert.kind, alert.policy), Recent())
        many = recent.others(alert.alert_id, now_s) >= self._more_than
        recent.add(alert.alert_id, now_s)
        if many:
            return Join(storm_key(self._channel, book.partition, alert))
        if not self.may_ring(alert, now_s):
            return Join(digest_key(self._channel, book.partition, alert))
        return None

    def leaves(self, told: Told, alert: ShownAlert, now_s: float) -> bool:
        """Whether an alert is to have an incident of its own after all.

        It turned critical, and a digest is no place for that; or the silence that was to speak for it is not told on
        this channel; or that silence is over, and the alert has grown since.
        """
        if alert.state == "resolved":
            return False
        if told.group.startswith(DIGEST):
            return alert.severity == "critical"
        if is_group(told.group):
            return False
        silence = self._floor.silences.get(told.group)
        if silence is not None and not self._floor.speaks(self._channel, silence, now_s):
            return True
        is_over = silence is None or (silence.state == "resolved" and alert.updated_at > silence.updated_at)
        return is_over and has_grown(alert, told)

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
