"""Signs of life of the sources (contract section 5, `source_silent`, and section 6, `source_silence`).

Signs are kept as intervals of arrival. Two signs of one interval are never further apart than `silent_after`, so for a
window of at least that length an interval that reaches into it has a sign in it, and the sign that ends a silence
always begins an interval.

Whether a heartbeat is a sign depends on how late its feed may be, and a set that comes later may list a source anew or
with another `silent_after`. So signs are kept of every source, for a ladder of windows, beside those that sets name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from stepwatch.schemas.times import SECOND_US
from stepwatch.streams.decode import Heartbeat
from stepwatch.streams.limits import SIGNS_MAX, SOURCES_HEARD_MAX

Interval = list[int]
"""[first, last]: arrivals of the first and the last sign of it, both in microseconds."""
Window = tuple[str, int]
"""(source, silent_after_us)."""

LADDER_US = tuple(32 * SECOND_US << step for step in range(13))
"""32 s to 36 h, each twice the one before: what a window that is named later starts from."""


class Feed(msgspec.Struct, array_like=True):
    """What is known of one source's heartbeats.

    Attributes:
        signs: silent_after_us -> intervals of its signs, oldest first.
        last: (arrival, time, id) of its last heartbeat, a sign or not.
    """

    signs: dict[int, list[Interval]]
    last: tuple[int, int, str] = (-1, -1, "")


class Liveness:
    """Signs by heartbeats, of every source that was heard or that a set lists. `dirty` sources have changed."""

    __slots__ = ("_signs_max", "dirty", "feeds")

    def __init__(self, signs_max: int = SIGNS_MAX) -> None:
        """Nothing heard yet; `signs_max`: intervals that are kept of one source and window."""
        self._signs_max = signs_max
        self.feeds: dict[str, Feed] = {}
        self.dirty: set[str] = set()

    def watch(self, windows: Iterable[Window]) -> None:
        """Keep signs for these from now on.

        A window that is new starts with the signs of the next shorter one: none of them is wrong, but those of a feed
        that was later than that are missing.
        """
        for source, silent_after_us in windows:
            feed = self._feed(source)
            if silent_after_us not in feed.signs:
                shorter = max((known for known in feed.signs if known < silent_after_us), default=None)
                known = feed.signs[shorter] if shorter is not None else []
                feed.signs[silent_after_us] = [list(interval) for interval in known]
                self.dirty.add(source)

    def _feed(self, source: str) -> Feed:
        feed = self.feeds.get(source)
        if feed is None:
            feed = self.feeds[source] = Feed({silent_after_us: [] for silent_after_us in LADDER_US})
        return feed

    def hear(self, heartbeat: Heartbeat) -> bool:
        """Take a heartbeat; True where it is a sign of life for some window."""
        source = heartbeat.source
        if source not in self.feeds and len(self.feeds) >= SOURCES_HEARD_MAX:
            return False
        feed = self._feed(source)
        feed.last = max(feed.last, (heartbeat.arrival_us, heartbeat.time_us, heartbeat.id))
        self.dirty.add(source)
        is_sign = False
        for silent_after_us, intervals in feed.signs.items():
            if heartbeat.lag_us <= silent_after_us:
                _insert(intervals, heartbeat.arrival_us, silent_after_us)
                if len(intervals) > self._signs_max:
                    del intervals[0]
                is_sign = True
        return is_sign

    def last_heartbeat_id(self, source: str) -> str:
        """The id of a source's last heartbeat, a sign or not; `""` where none came."""
        feed = self.feeds.get(source)
        return feed.last[2] if feed is not None else ""

    def first_sign(self, window: Window, first_us: int, last_us: int) -> int | None:
        """The earliest known arrival of a sign from first to last, both ends in; None where there is none.

        Where signs went on from before, `first_us` itself stands for it.
        """
        intervals = self._signs(window)
        i = bisect_left(intervals, first_us, key=_end)
        if i < len(intervals) and intervals[i][0] <= last_us:
            return max(intervals[i][0], first_us)
        return None

    def last_sign(self, window: Window, until_us: int) -> int | None:
        """The last arrival of a sign not after `until_us`; exact for the end of an interval."""
        for interval in reversed(self._signs(window)):
            if interval[0] <= until_us:
                return min(interval[1], until_us)
        return None

    def _signs(self, window: Window) -> list[Interval]:
        feed = self.feeds.get(window[0])
        return feed.signs.get(window[1], []) if feed is not None else []

    def forget(self, before_us: int) -> None:
        """Drop intervals that ended before, but for the last of each window."""
        for source, feed in self.feeds.items():
            for intervals in feed.signs.values():
                while len(intervals) > 1 and intervals[0][1] < before_us:
                    del intervals[0]
                    self.dirty.add(source)


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
