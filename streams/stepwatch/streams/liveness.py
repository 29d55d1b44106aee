"""Signs of life of the sources (contract section 5, `source_silent`, and section 6, `source_silence`).

Signs are kept as intervals of arrival. Two signs of one interval are never further apart than `silent_after`, so for a
window of at least that length an interval that reaches into it has a sign in it, and the sign that ends a silence
always begins an interval.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from stepwatch.streams.decode import Heartbeat

Interval = list[int]
"""[first, last]: arrivals of the first and the last sign of it, both in microseconds."""
Window = tuple[str, int]
"""(source, silent_after_us): whether a heartbeat is a sign depends on how late its feed may be."""


class Liveness:
    """Signs by heartbeats, per source and `silent_after` that any known set gives it."""

    __slots__ = ("dirty", "last", "signs")

    def __init__(self) -> None:
        self.signs: dict[Window, list[Interval]] = {}
        self.last: dict[str, tuple[int, int, str]] = {}
        """Source -> (arrival, time, id) of its last heartbeat, a sign or not."""
        self.dirty: set[Window] = set()

    def watch(self, windows: Iterable[Window]) -> None:
        """Keep signs for these from now on. One that is new begins with what a shorter window already knows."""
        for source, silent_after_us in windows:
            if (source, silent_after_us) in self.signs:
                continue
            shorter = [w for w in self.signs if w[0] == source and w[1] < silent_after_us]
            known = self.signs[max(shorter, key=lambda w: w[1])] if shorter else []
            self.signs[source, silent_after_us] = [list(interval) for interval in known]

    def hear(self, heartbeat: Heartbeat) -> bool:
        """Take a heartbeat; True where it is a sign of life for some window."""
        source = heartbeat.source
        heard = (heartbeat.arrival_us, heartbeat.time_us, heartbeat.id)
        if heard > self.last.get(source, (-1, -1, "")):
            self.last[source] = heard
        is_sign = False
        for window, intervals in self.signs.items():
            if window[0] == source and heartbeat.lag_us <= window[1]:
                _insert(intervals, heartbeat.arrival_us, window[1])
                self.dirty.add(window)
                is_sign = True
        return is_sign

    def first_sign(self, window: Window, first_us: int, last_us: int) -> int | None:
        """The earliest known arrival of a sign from first to last, both ends in; None where there is none.

        Where signs went on from before, `first_us` itself stands for it.
        """
        intervals = self.signs.get(window, [])
        i = bisect_left(intervals, first_us, key=_end)
        if i < len(intervals) and intervals[i][0] <= last_us:
            return max(intervals[i][0], first_us)
        return None

    def last_sign(self, window: Window, until_us: int) -> int | None:
        """The last arrival of a sign not after `until_us`; exact for the end of an interval."""
        for interval in reversed(self.signs.get(window, [])):
            if interval[0] <= until_us:
                return min(interval[1], until_us)
        return None

    def forget(self, before_us: int) -> None:
        """Drop intervals that ended before, but for the last of each window."""
        for window, intervals in self.signs.items():
            while len(intervals) > 1 and intervals[0][1] < before_us:
                del intervals[0]
                self.dirty.add(window)


def _end(interval: Interval) -> int:
    return interval[1]


def _insert(intervals: list[Interval], arrival_us: int, join_us: int) -> None:
    """Put one sign into its interval, joining what is no further apart than `join_us`."""
    i = bisect_left(intervals, arrival_us, key=_end)
    if i < len(intervals) and intervals[i][0] <= arrival_us:
        return
    joins_left = i > 0 and arrival_us - intervals[i - 1][1] <= join_us
    joins_right = i < len(intervals) and intervals[i][0] - arrival_us <= join_us
    if joins_left and joins_right:
        intervals[i - 1][1] = intervals[i][1]
        del intervals[i]
    elif joins_left:
        intervals[i - 1][1] = arrival_us
    elif joins_right:
        intervals[i][0] = arrival_us
    else:
        intervals.insert(i, [arrival_us, arrival_us])
