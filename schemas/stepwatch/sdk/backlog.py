"""Events on their way: bounded by count and bytes, filled by the application's threads, emptied by one sender.

An event stays in the bounds until it is acknowledged, so nothing is held beside them. When a bound is reached the
newest event is dropped: what was reported first is whole, without a hole in its middle.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from stepwatch.sdk.checking import Checked
from stepwatch.sdk.reporter import Stats

_OVERHEAD_BYTES: Final = 400
"""What Python needs for an entry beside its value (measured: 250 to 400)."""
_SLOW_S: Final = 5.0
"""Without an acknowledgement for so long the other side counts as away: a broker that went has refused nothing yet."""


class Backlog:
    """The events that wait, and the count of everything that became of the others.

    `wake` is called, in the reporting thread, when a first entry comes while the sender waits for one.

    Attributes:
        closed: lets nothing in any more.
        away, refusal, unknown: as of `Stats`.
        asked_at_s: when the request began that is under way, by the monotonic clock; None: there is none.
    """

    def __init__(self, events_max: int, bytes_max: int, wake: Callable[[], None]) -> None:
        """An empty one.

        Args:
            events_max: at least 1.
            bytes_max: of their JSON and what Python needs beside it.
            wake: must not block nor raise.
        """
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._wake = wake
        # Reentrant: a signal handler may report in the middle of a report.
        self._changed = threading.Condition(threading.RLock())
        self._entries: deque[Checked] = deque()
        self._taken: list[Checked] = []
        self._taken_at = 0.0
        self._bytes = 0
        self._idle = False
        self._beat: tuple[int, Checked] | None = None
        # Counts of entries in their order: "all until this one" is one comparison.
        self._accepted = self._settled = 0
        self._sent = self._heartbeats = self._spooled = self._recovered = 0
        self._skipped = 0
        self._dropped: Counter[str] = Counter()
        self._ended = False
        self.closed = False
        self.away = ""
        self.refusal = ""
        self.unknown = ""
        self.asked_at_s: float | None = None

    def put(self, event: Checked) -> None:
        """Take an event in, or drop it where there is no room."""
        size = len(event.value) + len(event.key) + _OVERHEAD_BYTES
        with self._changed:
            if self.closed:
                self._dropped["closed"] += 1
            elif self._accepted - self._settled >= self._events_max or self._bytes + size > self._bytes_max:
                self._dropped["backlog_full"] += 1
            else:
                self._accepted += 1
                self._entries.append(event)
                self._bytes += size
                if self._idle:
                    self._idle = False
                    self._wake()

    def put_heartbeat(self, beat: Checked) -> bool:
        """Queue a heartbeat behind all that waits; False: one waits already."""
        with self._changed:
            if self._beat is not None:
                return False
            self._beat = (self._accepted, beat)
            if self._idle:
                self._idle = False
                self._wake()
            return True

    @property
    def is_half_full(self) -> bool:
        """Whether more than half of a bound is used."""
        with self._changed:
            waiting = self._accepted - self._settled
            return waiting * 2 > self._events_max or self._bytes * 2 > self._bytes_max

    @property
    def taken(self) -> list[Checked]:
        """What was taken, and is neither settled nor spooled yet."""
        with self._changed:
            return list(self._taken)

    def take(self, count_max: int, bytes_max: int, *, past_heartbeat: bool = False) -> list[Checked]:
        """The oldest events, to be given back by `settle` or `spooled`; [] and idle where nothing waits.

        Args:
            count_max: at most so many.
            bytes_max: no further one once they are so large.
            past_heartbeat: also those behind a heartbeat that waits: they are not sent now.
        """
        with self._changed:
            assert not self._taken, "settle what was taken first"
            until = self._beat[0] - self._settled if self._beat is not None and not past_heartbeat else count_max
            self._taken_at = time.monotonic()
            size = 0
            while self._entries and len(self._taken) < min(count_max, until) and size < bytes_max:
                event = self._entries.popleft()
                self._taken.append(event)
                size += len(event.value)
            self._idle = not self._taken and self._beat is None
            return self._taken

    def due_heartbeat(self) -> Checked | None:
        """The heartbeat, once all that was reported before it is settled; it is given back by `beaten`."""
        with self._changed:
            due = self._beat is not None and self._settled >= self._beat[0] and not self._spooled
            return self._beat[1] if self._beat is not None and due else None

    def beaten(self, refused: int = 0) -> None:
        """The heartbeat was acknowledged, or else refused."""
        with self._changed:
            self._beat = None
            self._heartbeats += not refused

    def settle(self, refused: int = 0) -> None:
        """What was taken is acknowledged, but for `refused` of them."""
        with self._changed:
            taken, self._taken = self._taken, []
            self._release(taken)
            self._sent += len(taken) - refused
            self._count_dropped("refused", refused)
            self._changed.notify_all()

    def spooled(self, count: int) -> None:
        """The first `count` of what was taken lie on disk now; the rest waits again, before all others."""
        with self._changed:
            taken, self._taken = self._taken, []
            self._release(taken[:count])
            self._entries.extendleft(reversed(taken[count:]))
            self._spooled += count

    def skip(self, count: int, unknown: str) -> None:
        """Of what was sent, so many are of types that the other side does not know; it says which."""
        with self._changed:
            self._skipped += count
            self.unknown = unknown or self.unknown

    def recovered(self, count: int, torn: int) -> None:
        """There were `count` events on disk already, and `torn` that nobody can read any more."""
        with self._changed:
            self._spooled += count
            self._recovered += count + torn
            self._count_dropped("torn", torn)

    def unspooled(self, count: int, *, refused: int = 0, torn: int = 0) -> None:
        """So many of those on disk are acknowledged, but for the `refused` and the `torn` among them."""
        with self._changed:
            self._spooled -= count
            self._sent += count - refused - torn
            self._count_dropped("refused", refused)
            self._count_dropped("torn", torn)
            self._changed.notify_all()

    def _release(self, events: Sequence[Checked]) -> None:
        self._settled += len(events)
        self._bytes -= sum(len(event.value) + len(event.key) + _OVERHEAD_BYTES for event in events)

    def _count_dropped(self, reason: str, count: int) -> None:
        if count:
            self._dropped[reason] += count

    def wait_settled(self, timeout_s: float) -> bool:
        """Wait until all that waits now is acknowledged or dropped; False: time is up, or something was dropped."""
        with self._changed:
            accepted, dropped = self._accepted, self._dropped.total()

            def are_settled() -> bool:
                # What lies on disk at the end stays there: nobody waits for that.
                return self._settled >= accepted and (not self._spooled or self._ended)

            settled = self._changed.wait_for(are_settled, timeout_s)
            return settled and not self._spooled and self._dropped.total() == dropped

    def close(self) -> None:
        """Let nothing in from now on; what waits may still be sent."""
        with self._changed:
            self.closed = True

    def drop_all(self, reason: str) -> None:
        """Drop all that waits in memory; nothing is sent from now on."""
        with self._changed:
            self._ended = True
            self._count_dropped(reason, self._accepted - self._settled)
            self._settled = self._accepted
            self._entries.clear()
            self._taken = []
            self._bytes = 0
            self._beat = None
            self._changed.notify_all()

    def stats(self) -> Stats:
        """The account as of now."""
        with self._changed:
            waiting = self._accepted - self._settled
            return Stats(
                reported=self._sent + waiting + self._spooled + self._dropped.total() - self._recovered,
                sent=self._sent,
                waiting=waiting,
                waiting_bytes=self._bytes,
                spooled=self._spooled,
                recovered=self._recovered,
                dropped=dict(self._dropped),
                heartbeats=self._heartbeats,
                away=self.away or self._slow(),
                refusal=self.refusal,
                skipped=self._skipped,
                unknown=self.unknown,
            )

    def _slow(self) -> str:
        # What is sent from the disk was not taken from here.
        since_s = self._taken_at if self._taken else self.asked_at_s
        waited_s = 0.0 if since_s is None else time.monotonic() - since_s
        return f"no acknowledgement for {waited_s:.0f} s" if waited_s > _SLOW_S else ""
