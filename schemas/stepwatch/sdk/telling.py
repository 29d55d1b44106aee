"""What was dropped, and that Kafka is away, told to people: never silence, and never a flood."""

from __future__ import annotations

import logging
import time
from collections import Counter

from stepwatch.sdk.reporter import OnDrop, Stats

log = logging.getLogger("stepwatch.sdk")


class Teller:
    """Turns two accounts into a log line, at most one every `every_s`, and into calls of `on_drop`."""

    def __init__(self, every_s: float, on_drop: OnDrop | None) -> None:
        self._every_s = every_s
        self._on_drop = on_drop
        self._said: Counter[str] = Counter()
        self._called: Counter[str] = Counter()
        self._said_at = float("-inf")
        self._was_away = False

    def tell(self, stats: Stats, *, at_once: bool = False) -> None:
        """Say what is new.

        Args:
            stats: as of now.
            at_once: this is the last time, whenever the last line was.
        """
        dropped = Counter(stats.dropped)
        self._call(dropped - self._called)
        self._called = dropped
        new = dropped - self._said
        changed = bool(stats.away) != self._was_away
        if not (new or stats.away or changed) or (time.monotonic() - self._said_at < self._every_s and not at_once):
            return
        if at_once and not new:
            return
        self._said_at = time.monotonic()
        self._said = dropped
        self._was_away = bool(stats.away)
        log.log(logging.ERROR if new else logging.WARNING if stats.away else logging.INFO, _words(new, stats))

    def _call(self, new: Counter[str]) -> None:
        if self._on_drop is None:
            return
        for reason, count in new.items():
            try:
                self._on_drop(reason, count)
            except Exception:
                log.exception("on_drop raised")


def _words(new: Counter[str], stats: Stats) -> str:
    lost = ", ".join(f"{count} {reason}" for reason, count in sorted(new.items()))
    parts = [f"events are lost: {lost}" if new else "", f"Kafka is away: {stats.away}" if stats.away else ""]
    said = "; ".join(part for part in parts if part) or "Kafka is back"
    return f"{said} ({stats.waiting} events wait, {stats.waiting_bytes // 1024} KiB)"
