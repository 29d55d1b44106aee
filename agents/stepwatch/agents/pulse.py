"""When a quiet partition needs a pulse, and what a pulse is (contract section 2)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Protocol

from stepwatch.schemas.times import format_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams.limits import PULSE_CLOSE_US

SOURCE = "stepwatch"
_UNREAD_MAX_S = 5.0
_NEVER_READ = 2**62


class Waits(Protocol):
    """What a pulse needs to know of the correlator of a partition."""

    @property
    def positions(self) -> dict[str, int]:
        """Topic -> next offset; missing: nothing was read yet."""

    @property
    def log_times(self) -> Mapping[str, int]:
        """Topic -> log time, us; missing: nothing was read yet."""

    def due_us(self) -> int | None:
        """The earliest log time of the authentications at which something would be published."""

    def tidy_due_us(self) -> int | None:
        """The earliest log time, of both inputs, at which something closes or may be forgotten."""


class Pulse:
    """Says which inputs of one partition need a pulse now.

    The log's own clock stands still while nobody writes. What it would show by now is estimated as the log
    time plus what has passed on this process's monotonic clock since the last record was read; of the inputs'
    estimates the greatest counts, since an input may be empty or have been quiet for days. The estimate only
    decides when to write a pulse: the append time that the broker gives it decides what is published.
    """

    def __init__(
        self,
        partition: int,
        topics: Topics,
        waits: Waits,
        *,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clocks at what the correlator restored.

        Args:
            partition: of the inputs.
            topics: their names.
            waits: the partition's correlator.
            every_s: the least between two pulses into one input, s.
            clock: monotonic, s.
        """
        self.partition = partition
        self._topics = topics
        self._waits = waits
        self._every_s = every_s
        self._clock = clock
        self._read_at = {topic: clock() for topic in topics.inputs}
        self._behind: set[str] = set()
        self._written_at: dict[str, float] = {}
        self._unread: dict[str, int] = {}
        self._tidied_at = clock()

    def read(self, topic: str, *, at_end: bool) -> None:
        """Note that a batch of `topic` was taken: its log time is as of now.

        Args:
            topic: the input.
            at_end: nothing more of it lies in Kafka; else a pulse would come after all that, and say nothing.
        """
        self._read_at[topic] = self._clock()
        (self._behind.discard if at_end else self._behind.add)(topic)

    def wanted(self) -> tuple[str, ...]:
        """The inputs that need a pulse now, in no order."""
        now = self._clock()
        wanted = set()
        due = self._waits.due_us()
        if due is not None and due <= self.now_us():
            wanted.add(self._topics.authentications)
        if now - self._tidied_at >= PULSE_CLOSE_US / 1e6:
            wanted |= self._tidy(now)
        return tuple(topic for topic in wanted if self._may_write(topic, now))

    def overdue_s(self) -> float:
        """How long a moment at which something is to be published has passed, and no record says so yet, s; else 0.

        Seconds where pulses are not written or not read back. While there is more to read it is 0: then what is late is
        the reading.
        """
        due = self._waits.due_us()
        if due is None or self._behind:
            return 0.0
        return max(0, self.now_us() - due) / 1e6

    def written(self, topic: str, offset: int) -> None:
        """Note that a pulse lies at `offset`: no other is written until it was read back, or 5 s."""
        self._written_at[topic] = self._clock()
        self._unread[topic] = offset

    def refused(self, topic: str) -> None:
        """Note that Kafka did not take a pulse: no other is tried for 5 s."""
        self.written(topic, _NEVER_READ)

    def now_us(self) -> int:
        """What a record's append time would be by now, us; 0 where nothing was ever read."""
        now = self._clock()
        times = self._waits.log_times.items()
        return max((at + int((now - self._read_at[topic]) * 1e6) for topic, at in times), default=0)

    def value(self) -> bytes:
        """A pulse: a heartbeat whose time follows the log, not this machine's clock, which may be wrong."""
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": SOURCE,
            "type": "stepwatch.heartbeat",
            "time": format_time(self.now_us()),
            "data": {},
        }
        return json.dumps(event, separators=(",", ":")).encode()

    def _tidy(self, now: float) -> set[str]:
        due = self._waits.tidy_due_us()
        if due is None or due > self.now_us():
            return set()
        self._tidied_at = now
        both = (self._topics.actions, self._topics.authentications)
        return {topic for topic in both if self._waits.log_times.get(topic, 0) < due}

    def _may_write(self, topic: str, now: float) -> bool:
        if topic in self._behind:
            return False
        since = now - self._written_at.get(topic, float("-inf"))
        unread = self._waits.positions.get(topic, 0) <= self._unread.get(topic, -1)
        return since >= (_UNREAD_MAX_S if unread else self._every_s)
