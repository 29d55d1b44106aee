"""Which actions wait for which log time (contract section 5, "Waiting and publishing")."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

SubjectKey = tuple[str, str]
"""(tenant, canonical subject)."""
Entry = tuple[int, str, str, str, str]
"""(moment, tenant, subject, source, id)."""


class Deadlines:
    """A heap of moments, earliest first. Nothing is taken out early: whoever pops an entry asks if it still stands."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[Entry] = []

    def add(self, moment_us: int, subject: SubjectKey, source: str, event_id: str) -> None:
        """Wait for a moment with one event of a subject."""
        heappush(self._heap, (moment_us, subject[0], subject[1], source, event_id))

    def fill(self, entries: list[Entry]) -> None:
        """Wait for many at once, where nothing was waited for: a restart has a million."""
        assert not self._heap
        heapify(entries)
        self._heap = entries

    def first_us(self) -> int | None:
        """The earliest moment, or None."""
        return self._heap[0][0] if self._heap else None

    def peek(self) -> Entry | None:
        """The earliest entry, left in."""
        return self._heap[0] if self._heap else None

    def drop(self) -> None:
        """Take the earliest entry out."""
        heappop(self._heap)

    def reached(self, log_time_us: int) -> Iterator[Entry]:
        """Take out every entry whose moment is at or before a log time."""
        heap = self._heap
        while heap and heap[0][0] <= log_time_us:
            yield heappop(heap)

    def passed(self, log_time_us: int) -> Iterator[Entry]:
        """Take out every entry whose moment lies before a log time."""
        return self.reached(log_time_us - 1)

    def __len__(self) -> int:
        return len(self._heap)
