"""Events on which the core raises: the partition is taken over anew, and after 3 tries they are dead letters.

An exception leaves memory ahead of the log, so nothing of the batch may be kept: whoever asks for another try builds
the correlator anew from the state topic. What is known of earlier tries must survive that; it lives here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stepwatch.agents.logs import get_logger
from stepwatch.streams.failing import EventFailed, Where

log = get_logger(__name__)
TRIES = 3


class TryAgain(Exception):
    """The core raised; take the partition over anew, and try once more."""


class Gone(NamedTuple):
    """A record that retention has deleted since it was read: its place is all that is left of it."""

    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Trials:
    """What one partition of this worker has tried.

    1. A batch on which the core raises without saying where is read again one record at a time.
    2. An event on which it raised three times is condemned: it is not read any more, and becomes a dead letter `bug`.
    3. Where it raises even so, it is not that event: the process ends, and says why.
    """

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._alone_until: dict[str, int] = {}
        self._tries: Counter[Where] = Counter()
        self._condemned: dict[Where, str] = {}

    def portions(self, topic: str, records: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """The records as they are to be taken: one by one up to where a batch failed, the rest at once."""
        until = self._alone_until.get(topic)
        if until is None:
            yield records
            return
        alone = 0
        while alone < len(records) and records[alone].offset <= until:
            yield records[alone : alone + 1]
            alone += 1
        if alone < len(records):
            yield records[alone:]

    def condemned(self, topic: str) -> Mapping[int, str]:
        """Offset -> why: what is not to be read any more."""
        return {offset: why for (its_topic, offset), why in self._condemned.items() if its_topic == topic}

    def accepted(self, positions: Mapping[str, int]) -> list[tuple[Where, str]]:
        """The condemned that were read already, and accepted, before they failed."""
        return [(where, why) for where, why in self._condemned.items() if where[1] < positions.get(where[0], 0)]

    def forget(self, positions: Mapping[str, int]) -> None:
        """What lies below the committed positions needs no other try."""
        for topic, until in list(self._alone_until.items()):
            if until < positions.get(topic, 0):
                del self._alone_until[topic]
        for where, _ in self.accepted(positions):
            del self._condemned[where]

    def failed(self, topic: str, records: Sequence[Any], error: Exception) -> Exception:
        """What to raise where the core raised `error` on `records`: a TryAgain, or the error itself."""
        cause = error.__cause__ if isinstance(error, EventFailed) and error.__cause__ is not None else error
        where = error.where if isinstance(error, EventFailed) else None
        if where is None and len(records) == 1:
            where = (topic, records[0].offset)
        if where is None:
            self._alone_until[topic] = records[-1].offset
            log.error(
                "the core failed on a batch, which is read again one record at a time",
                at=f"{topic}-{self._partition}@{records[0].offset}",
                records=len(records),
                exc_info=cause,
            )
            return TryAgain()
        return self._failed_at(where, cause, error)

    def _failed_at(self, where: Where, cause: BaseException, error: Exception) -> Exception:
        at = f"{where[0]}-{self._partition}@{where[1]}"
        if where in self._condemned:
            log.error("the core fails even without this record, so it is not the cause", at=at)
            return error
        self._tries[where] += 1
        if self._tries[where] < TRIES:
            log.error("the core failed on a record, which is tried again", at=at, exc_info=cause)
            return TryAgain()
        del self._tries[where]
        self._condemned[where] = f"{type(cause).__name__}: {cause}"
        log.error(
            f"the core failed {TRIES} times on a record, which becomes a dead letter `bug`: it is not judged. Read it "
            "with `stepwatch dead-letters show`, report it, and put it back when that is repaired",
            at=at,
            exc_info=cause,
        )
        return TryAgain()
