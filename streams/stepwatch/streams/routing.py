"""Records in a wrong partition: where they belong, and how a move keeps their first arrival (contract section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time, parse_time
from stepwatch.streams.effects import Move
from stepwatch.streams.limits import MOVES_MAX, SUBJECTS_CACHED_MAX
from stepwatch.streams.waiting import SubjectKey

FIRST_ARRIVAL = "stepwatch-first-arrival"
"""Header: RFC 3339, when the record first came into the topic."""
MOVES = "stepwatch-moves"
"""Header: how often it has been moved, in decimal digits."""

Headers = Sequence[tuple[str, bytes | None]]


class Router:
    """Which partition a subject belongs to, from a bounded cache."""

    __slots__ = ("_numbers", "_partitions")

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._numbers: dict[SubjectKey, int] = {}

    def partition_of(self, subject: SubjectKey) -> int:
        """The partition of a subject's records."""
        number = self._numbers.get(subject)
        if number is None:
            if len(self._numbers) >= SUBJECTS_CACHED_MAX:
                self._numbers.clear()
            number = self._numbers[subject] = partition_of(subject_key(*subject), self._partitions)
        return number

    def move(
        self, topic: str, subject: SubjectKey, value: bytes | None, headers: Headers, arrival_us: int
    ) -> Move | None:
        """The move of a record that lies in another partition than its subject's.

        Args:
            topic: of the record; it stays in it.
            subject: whom it belongs to.
            value, headers: of the record.
            arrival_us: its first one, which it keeps.

        Returns:
            None where it was moved 3 times already and still is not where it belongs.
        """
        moves = moves_of(headers)
        if moves >= MOVES_MAX:
            return None
        kept = [(name, said) for name, said in headers if name not in (FIRST_ARRIVAL, MOVES)]
        kept.append((FIRST_ARRIVAL, format_time(arrival_us).encode()))
        kept.append((MOVES, str(moves + 1).encode()))
        return Move(topic, self.partition_of(subject), subject_key(*subject), value, kept)


def moves_of(headers: Headers) -> int:
    """How often a record was moved; 0 where no header says so, or none that can be read."""
    said = _last(headers, MOVES)
    return int(said) if said is not None and said.isdigit() and len(said) < 10 else 0


def first_arrival(headers: Headers, arrival_us: int, accept_late_us: int) -> int:
    """The arrival of a record: its own, or where it was moved that of its first one.

    Args:
        headers: of the record.
        arrival_us: its own.
        accept_late_us: a header that is later than the record, or more than this before it, is ignored.
    """
    said = _last(headers, FIRST_ARRIVAL)
    first_us = parse_time(said.decode(errors="replace")) if said is not None else None
    if first_us is None or not arrival_us - accept_late_us <= first_us <= arrival_us:
        return arrival_us
    return first_us


def _last(headers: Headers, name: str) -> bytes | None:
    for its_name, value in reversed(headers):
        if its_name == name:
            return value
    return None
