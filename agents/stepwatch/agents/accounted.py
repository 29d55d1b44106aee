"""What became of each record of one input's partition, told from the outputs (contract section 8, the promise).

A row or a dead letter names the record that it speaks of. A record that none names must be a heartbeat, skipped, moved,
a response, a copy of an earlier one, or an action whose row waits for its grace.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.streams.accounting import (
    AUDIT,
    DEAD_LETTER,
    DUPLICATE,
    EVIDENCE,
    HEARTBEAT,
    KINDS,
    MOVED,
    RESPONSE,
    SKIPPED,
)
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Decoded, Event, Fault, Heartbeat, Skipped, decode, text_of
from stepwatch.streams.limits import AHEAD_MAX_US
from stepwatch.streams.moments import forget_from
from stepwatch.streams.routing import FIRST_ARRIVAL, MOVES, first_arrival, moves_of
from stepwatch.streams.sets import PolicySets

WAITING: Final = "waiting"
"""An accepted action whose row waits for the end of its grace."""
UNCHECKED: Final = "unchecked"
"""What would tell what became of it was deleted by retention."""
NAMED_MAX = 20
"""Offsets that are named of each kind of difference; all are counted."""
CLOCKS_APART_MS = 600_000
"""By how much a worker's clock, in the outputs, and a broker's, in the inputs, may differ."""

_TOLD = {AUDIT: 1, EVIDENCE: 2, DEAD_LETTER: 3}
_LET_GO = 4
_NAME_OF = {**{code: name for name, code in _TOLD.items()}, _LET_GO: DEAD_LETTER}
_ORIGINALS = (_TOLD[AUDIT], _TOLD[EVIDENCE], _LET_GO)
_THERE = 0x80


@dataclass(slots=True)
class Named:
    """Some offsets: all counted, the first of them kept."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, offset: int) -> None:
        """Count one."""
        self.count += 1
        if len(self.first) < NAMED_MAX:
            self.first.append(offset)


@dataclass(slots=True)
class Moves:
    """Records of one input that were moved to one partition; all are to be found there."""

    hashes: array[int] = field(default_factory=lambda: array("Q"))
    partitions: array[int] = field(default_factory=lambda: array("L"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, moved: int, partition: int, offset: int) -> None:
        """Note one that was moved away from (partition, offset)."""
        self.hashes.append(moved)
        self.partitions.append(partition)
        self.offsets.append(offset)


class Tally:
    """One input of one partition: one byte for each of its offsets, and the counts.

    Attributes:
        topic, partition: which.
        begin: where the log begins; what lay before was deleted by retention.
        position: where reading goes on: what is accounted for lies below.
        counts: what became of how many.
        since_counts: the same, of the records from `since` on, which is where the worker's own account begins.
        records: how many were read, and first_ms: the append time of the first.
        missing, doubled: records that nothing tells of, or that more than one row tells of.
        strays: offsets that a row names and at which no record lies.
        candidates: (offset, hash of its event's key) of records that are copies, or else are missing.
    """

    def __init__(self, topic: str, partition: int, begin: int, position: int, since: int) -> None:
        self.topic = topic
        self.partition = partition
        self.begin = begin
        self.position = max(position, begin)
        self.since = since
        self.records = 0
        self.first_ms = 0
        self.counts: dict[str, int] = dict.fromkeys((*KINDS, WAITING, UNCHECKED), 0)
        self.since_counts: dict[str, int] = dict.fromkeys(self.counts, 0)
        self.missing, self.doubled, self.strays = Named(), Named(), Named()
        self.candidates: tuple[array[int], array[int], array[int]] = (array("Q"), array("Q"), array("Q"))
        self._codes = bytearray(self.position - begin)

    @property
    def difference(self) -> int:
        """How many records are not exactly one thing."""
        return self.missing.count + self.doubled.count + self.strays.count

    def tell(self, offset: int, what: str, *, let_go: bool = False) -> None:
        """Note that an output tells of a record.

        Args:
            offset: its; of one that was deleted, or not read by then, nothing is noted.
            what: it became.
            let_go: it is a dead letter of kind `bug`, which may have been accepted, and judged, before.
        """
        if not self.begin <= offset < self.position:
            return
        before = self._codes[offset - self.begin]
        if not before:
            self._codes[offset - self.begin] = _TOLD[what]
        elif let_go and before in (_TOLD[AUDIT], _TOLD[EVIDENCE]):
            # What was published of it stays published, so its copies are copies still.
            self._codes[offset - self.begin] = _LET_GO
        else:
            self.doubled.add(offset)

    def told(self, offset: int) -> str | None:
        """What the outputs tell of a record that was read; None: nothing."""
        code = self._codes[offset - self.begin]
        self._codes[offset - self.begin] = code | _THERE
        return _NAME_OF.get(code & ~_THERE)

    def is_original(self, offset: int) -> bool:
        """Whether an output tells that its event was accepted, so that later records of the event are copies."""
        return self._codes[offset - self.begin] & ~_THERE in _ORIGINALS

    def became(self, offset: int, what: str) -> None:
        """Count what became of a record."""
        self.counts[what] += 1
        if offset >= self.since:
            self.since_counts[what] += 1

    def close(self) -> None:
        """Find the rows of records that are not there, after all were read."""
        for code in _NAME_OF:
            at = self._codes.find(code)
            while at >= 0:
                self.strays.add(self.begin + at)
                at = self._codes.find(code, at + 1)


@dataclass(slots=True)
class Outputs:
    """What one partition's outputs and state say of its inputs.

    Attributes:
        tallies: by topic of the input.
        waiting: offsets in `actions` of those whose first row is still to come.
        deleted_ms: output -> append time of its first record that is left, where retention deleted some.
    """

    tallies: dict[str, Tally]
    waiting: set[int]
    deleted_ms: dict[str, float] = field(default_factory=dict)


class Reader:
    """Reads the records of the inputs of one partition and says what became of each.

    Args:
        outputs: what tells of them.
        partition: its number.
        partitions: how many there are.
        topics: names of the inputs (actions, authentications, responses) and of the outputs that tell of each.
        sets: for aliases; None: there are none.
        moves: (topic, partition) -> what was moved there; added to.
        arrived: (topic, partition) -> hashes of what lies there and was moved; added to.
    """

    def __init__(
        self,
        outputs: Outputs,
        partition: int,
        partitions: int,
        topics: Any,
        sets: PolicySets | None,
        moves: dict[tuple[str, int], Moves],
        arrived: dict[tuple[str, int], array[int]],
    ) -> None:
        self._outputs = outputs
        self._partition = partition
        self._partitions = partitions
        self._topics = topics
        self._sets = sets
        self._moves = moves
        self._arrived = arrived
        self._log_ms = -1
        self._remembered_ms = _remembered_ms(sets)

    def begin(self) -> None:
        """Before the first record of an input."""
        self._log_ms = -1

    def read(self, tally: Tally, records: Iterable[Any]) -> None:
        """Take records of an input, in the order of their offsets; those above the position only for what was moved."""
        for record in records:
            self._log_ms = max(self._log_ms, record.timestamp)
            if record.headers and moves_of(record.headers):
                self._arrived.setdefault((tally.topic, self._partition), array("Q")).append(
                    _moved_hash(record, moves_of(record.headers))
                )
            if record.offset >= tally.position:
                continue
            if not tally.records:
                tally.first_ms = record.timestamp
            tally.records += 1
            told = tally.told(record.offset)
            what = told or self._find_out(tally, record)
            if what is not None:
                tally.became(record.offset, what)

    def look_for_originals(self, tally: Tally, hashes: dict[int, int], records: Iterable[Any]) -> None:
        """Note the first record of each event that some candidate may be a copy of.

        Args:
            tally: of the input.
            hashes: hash of a candidate's key -> the least offset of a record of that event; changed here.
            records: as `read`.
        """
        for record in records:
            self._log_ms = max(self._log_ms, record.timestamp)
            if record.offset < tally.position and self._is_original(tally, record):
                event = self._decoded(tally.topic, record)
                if isinstance(event, Event):
                    key = self._key_hash(event)
                    if record.offset < hashes.get(key, -1):
                        hashes[key] = record.offset

    def _is_original(self, tally: Tally, record: Any) -> bool:
        """Whether a later record of the same event is a copy of this one; where rows are gone, any may be."""
        told = tally.is_original(record.offset)
        return told or bool(self._outputs.deleted_ms) or self._waits(tally, record.offset)

    def _waits(self, tally: Tally, offset: int) -> bool:
        return tally.topic == self._topics.actions and offset in self._outputs.waiting

    def _find_out(self, tally: Tally, record: Any) -> str | None:
        """What a record that no output tells of must be; None: it is not known yet, or missing."""
        if tally.topic == self._topics.responses:
            # That it is one is all that is kept of it; what could not be read is a dead letter.
            return RESPONSE
        if self._waits(tally, record.offset):
            return WAITING
        outcome = self._decoded(tally.topic, record)
        if isinstance(outcome, Heartbeat):
            return HEARTBEAT
        if isinstance(outcome, Skipped):
            return SKIPPED
        if isinstance(outcome, Fault):
            return self.missing(tally, record.offset, record.timestamp, is_fault=True)
        target = self._elsewhere(outcome)
        if target is not None:
            moves = self._moves.setdefault((tally.topic, target), Moves())
            moves.add(_moved_hash(record, moves_of(record.headers) + 1), self._partition, record.offset)
            return MOVED
        offsets, hashes, times = tally.candidates
        offsets.append(record.offset)
        hashes.append(self._key_hash(outcome))
        times.append(record.timestamp)
        return None

    def missing(self, tally: Tally, offset: int, time_ms: int, *, is_fault: bool = False) -> str | None:
        """Whether a record of which nothing tells can be checked at all; one that can is a difference."""
        topics = self._topics
        row = topics.audit if tally.topic == topics.actions else topics.evidence
        for output in (topics.dead_letters,) if is_fault else (row, topics.dead_letters):
            if time_ms <= self._outputs.deleted_ms.get(output, -1) + CLOCKS_APART_MS:
                return UNCHECKED
        if tally.begin and not is_fault and time_ms <= tally.first_ms + self._remembered_ms:
            return UNCHECKED  # it may be a copy of a record that is gone
        tally.missing.add(offset)
        return None

    def _decoded(self, topic: str, record: Any) -> Decoded:
        text = text_of(record.value, record.headers)
        if isinstance(text, Fault):
            return text
        arrival_us = self._log_ms * 1000
        if record.headers:
            late_us = self._sets.accept_late_max_us if self._sets is not None else 0
            arrival_us = first_arrival(record.headers, arrival_us, late_us)
        return decode(text, arrival_us, ACTION if topic == self._topics.actions else AUTHENTICATION)

    def _elsewhere(self, event: Event) -> int | None:
        """The partition that an event belongs to by some set, where that is another; None: it belongs here.

        By any set: one that became known later may say otherwise than those by which it was read.
        """
        for subject in self._subjects(event):
            target = partition_of(subject_key(event.tenant, subject), self._partitions)
            if target != self._partition:
                return target
        return None

    def _subjects(self, event: Event) -> list[str]:
        if self._sets is None:
            return [event.subject]
        first = self._sets.at(event.time_us).canonical(event.tenant, event.subject)
        others = {one.canonical(event.tenant, event.subject) for one in self._sets.sets}
        return [first, *sorted(others - {first})]

    def _key_hash(self, event: Event) -> int:
        return _hash(event.tenant.encode(), self._subjects(event)[0].encode(), event.source.encode(), event.id.encode())


def find_copies(tally: Tally, hashes: dict[int, int], chunk: slice, reader: Reader) -> None:
    """Count the candidates of a chunk: copies where a record of the same event lies before, or else missing."""
    offsets, keys, times = (column[chunk] for column in tally.candidates)
    for offset, key, time_ms in zip(offsets, keys, times, strict=True):
        what = DUPLICATE if hashes[key] < offset else reader.missing(tally, offset, time_ms)
        if what is not None:
            tally.became(offset, what)


def lost_moves(moves: Moves, arrived: Iterable[int]) -> list[tuple[int, int]]:
    """(partition, offset) of the records that were moved and lie nowhere."""
    there = set(arrived)
    return [
        (partition, offset)
        for moved, partition, offset in zip(moves.hashes, moves.partitions, moves.offsets, strict=True)
        if moved not in there
    ]


def _remembered_ms(sets: PolicySets | None) -> int:
    """How long after a record a copy of it may still be known as one (contract section 5, forgetting)."""
    if sets is None:
        return 0
    return forget_from(sets, AHEAD_MAX_US, 0) // 1000


def _moved_hash(record: Any, moves: int) -> int:
    kept = sorted((name, said or b"") for name, said in record.headers if name not in (FIRST_ARRIVAL, MOVES))
    parts: Sequence[bytes] = [part for name, said in kept for part in (name.encode(), said)]
    return _hash(str(moves).encode(), record.value or b"", *parts)


def _hash(*parts: bytes) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return int.from_bytes(digest.digest())
