"""What was dropped, and that the other side is away, told to people: never silence, and never a flood."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import Final

from stepwatch.sdk.reporter import OnDrop, Stats
from stepwatch.sdk.saying import say, say_error

_CALL_EVERY_S: Final = 1.0
"""Of `on_drop` for one reason."""


class Teller:
    """Turns two accounts into a log line, at most one every `every_s`, and into calls of `on_drop`.

    Safe for threads, and for an `on_drop` that reports: what is told is remembered before it is told.
    """

    def __init__(self, every_s: float, on_drop: OnDrop | None, who: str = "Kafka") -> None:
        """Nothing was said yet.

        Args:
            every_s: one line of the log in so long at most, s.
            on_drop: called at most once a second for each reason.
            who: the other side, as the line names it.
        """
        self._who = who
        self._every_s = every_s
        self._on_drop = on_drop
        # Reentrant: a signal handler may report in the middle of it.
        self._lock = threading.RLock()
        self._said: Counter[str] = Counter()
        self._skipped = 0
        self._called: Counter[str] = Counter()
        self._called_at: dict[str, float] = {}
        self._said_at = float("-inf")
        self._was_away = False

    def tell(self, stats: Stats, *, at_once: bool = False) -> None:
        """Say what is new.

        Args:
            stats: as of now.
            at_once: this is the last time, whenever the last line or call was.
        """
        now_s, dropped = time.monotonic(), Counter(stats.dropped)
        with self._lock:
            calls = self._due_calls(dropped, now_s, at_once)
            line = self._due_line(dropped, stats, now_s, at_once)
        for reason, count in calls.items():
            self._call(reason, count)
        if line is not None:
            say(*line)

    def _due_calls(self, dropped: Counter[str], now_s: float, at_once: bool) -> dict[str, int]:
        due = {
            reason: count
            for reason, count in (dropped - self._called).items()
            if at_once or now_s - self._called_at.get(reason, float("-inf")) >= _CALL_EVERY_S
        }
        self._called.update(due)
        self._called_at.update(dict.fromkeys(due, now_s))
        return due

    def _due_line(self, dropped: Counter[str], stats: Stats, now_s: float, at_once: bool) -> tuple[int, str] | None:
        new, skipped = dropped - self._said, stats.skipped - self._skipped
        changed = bool(stats.away) != self._was_away
        if not (new or skipped or stats.away or changed) or (now_s - self._said_at < self._every_s and not at_once):
            return None
        if at_once and not new and not skipped:
            return None
        self._said_at = now_s
        self._said |= dropped
        self._skipped = stats.skipped
        self._was_away = bool(stats.away)
        level = logging.ERROR if new else logging.WARNING if stats.away or skipped else logging.INFO
        return level, self._words(new, skipped, stats)

    def _call(self, reason: str, count: int) -> None:
        if self._on_drop is None:
            return
        try:
            self._on_drop(reason, count)
        except Exception:
            say_error("on_drop raised")

    def _words(self, new: Counter[str], skipped: int, stats: Stats) -> str:
        lost = ", ".join(f"{count} {reason}" for reason, count in sorted(new.items()))
        if "refused" in new and stats.refusal:
            lost = f"{lost} ({stats.refusal})"
        away = f"{self._who} is away: {stats.away}" if stats.away else ""
        unknown = f"{skipped} events are of types that {self._who} does not know: {stats.unknown}" if skipped else ""
        parts = [f"events are lost: {lost}" if new else "", unknown, away]
        said = "; ".join(part for part in parts if part) or f"{self._who} is back"
        disk = f"; {stats.spooled} lie on disk" if stats.spooled else ""
        return f"{said} ({stats.waiting} events wait, {stats.waiting_bytes // 1024} KiB{disk})"
