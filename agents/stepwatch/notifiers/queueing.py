"""What waits for one channel: which is due first, and since when each waits. Times in s."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

REMINDER = -1
"""The rank of what is only said again: it goes after everything that is news, however grave."""


@dataclass(slots=True)
class Waiting:
    """An incident that is to be looked at.

    Attributes:
        rank: of its severity: the higher goes first; a reminder has `REMINDER`.
        since_s: when it was first looked at.
        due_s: when it is to be looked at.
        ready_s: since when nothing but the receiver keeps it waiting; None: it is held back on purpose.
        attempts: that failed.
        escalated: another channel was told too.
    """

    rank: int
    since_s: float
    due_s: float
    ready_s: float | None
    attempts: int = 0
    escalated: bool = False


class Queue:
    """The incidents that wait for one channel, each once."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._later: list[tuple[float, int, str]] = []
        self._count = 0

    def wake(self, key: str, rank: int, now_s: float) -> None:
        """Something has changed about an incident: look at it now, or when its next attempt is due."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = Waiting(rank, now_s, now_s, now_s)
        waiting.rank = max(rank, waiting.rank)
        if waiting.attempts == 0:
            waiting.due_s = now_s
            waiting.ready_s = now_s if waiting.ready_s is None else waiting.ready_s
        self._push(key, waiting)

    def postpone(self, key: str, until_s: float, *, quiet: bool, is_reminder: bool = False) -> None:
        """Look at it later; `quiet` where nothing has failed, and it is held back on purpose."""
        waiting = self._waiting[key]
        waiting.due_s = until_s
        waiting.rank = REMINDER if is_reminder else waiting.rank
        if quiet:
            # It waits for no receiver any more, so whatever changes may wake it.
            waiting.ready_s, waiting.attempts = None, 0
        self._push(key, waiting)

    def hurry(self, now_s: float) -> None:
        """Look at everything now that the receiver alone kept waiting."""
        for key, waiting, _ in self.troubled():
            waiting.due_s = now_s
            self._push(key, waiting)

    def drop(self, key: str) -> None:
        """Nothing is left to do about it."""
        self._waiting.pop(key, None)

    def get(self, key: str) -> Waiting | None:
        """How it waits."""
        return self._waiting.get(key)

    def next_due(self, now_s: float, rank_min: int = REMINDER) -> str | None:
        """The most severe that is due; of equals the first that came. It stays until it is dropped or postponed.

        Args:
            now_s: now.
            rank_min: what is less severe is left where it is.
        """
        while self._later and self._later[0][0] <= now_s:
            _, number, key = heapq.heappop(self._later)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.due_s <= now_s:
                heapq.heappush(self._ready, (-waiting.rank, number, key))
        while self._ready and -self._ready[0][0] >= rank_min:
            key = heapq.heappop(self._ready)[2]
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.due_s <= now_s:
                waiting.ready_s = now_s if waiting.ready_s is None else waiting.ready_s
                return key
        return None

    def wait_s(self, now_s: float, rank_min: int = REMINDER) -> float | None:
        """How long until the next of at least this rank is due; None where none is."""
        due = [waiting.due_s for waiting in self._waiting.values() if waiting.rank >= rank_min]
        return max(0.0, min(due) - now_s) if due else None

    def troubled(self) -> Iterator[tuple[str, Waiting, float]]:
        """Those that only the receiver keeps waiting, with the time since when."""
        for key, waiting in list(self._waiting.items()):
            if waiting.ready_s is not None:
                yield key, waiting, waiting.ready_s

    def _push(self, key: str, waiting: Waiting) -> None:
        self._count += 1
        heapq.heappush(self._later, (waiting.due_s, self._count, key))
