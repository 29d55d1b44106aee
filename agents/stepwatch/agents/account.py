"""The accounting of an operator: every record in is exactly one thing (contract section 8, the promise).

Read from Kafka alone, beside running workers, up to the positions that were committed when it began; one partition at a
time, one byte for each offset of an input.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.accounted import Moves, Outputs, Reader, Tally, find_copies, lost_moves
from stepwatch.agents.clients import close_client, in_words, open_reader
from stepwatch.agents.dead_letters import letter_of
from stepwatch.agents.errors import TakeoverRefused
from stepwatch.agents.policies import read_sets
from stepwatch.agents.reading import FETCH_BYTES, FETCH_MS, RowOrigin, partition_count, read_until
from stepwatch.agents.settings import Settings
from stepwatch.streams.accounting import AUDIT, DEAD_LETTER, EVIDENCE, KINDS
from stepwatch.streams.effects import BUG
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.state import ACTION_KEY, POSITION, StateError, read_action, read_position

_HANGS_S = 30.0
_POLL_S = 0.1
_COPIES_AT_ONCE = 500_000
"""Candidates looked up in one reading of an input: about 60 MB."""


@dataclass(slots=True)
class Account:
    """One input of one partition.

    Attributes:
        tally: what was found in the outputs.
        kept: what the state topic says, by what became of records from `tally.since` on.
        lost: offsets of records that were moved and lie nowhere.
        problems: differences, in words with coordinates.
        notes: what could not be checked, and why.
    """

    tally: Tally
    kept: Mapping[str, int]
    lost: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def difference(self) -> int:
        """How many records are not exactly one thing."""
        return self.tally.difference + len(self.lost)


@dataclass(slots=True)
class _State:
    """What the state of one partition says."""

    logs: dict[str, LogTime] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)


async def account(settings: Settings) -> list[Account]:
    """Account for every record that was read by now, in every partition.

    Raises:
        RoleError: Kafka does not answer, or a topic is missing; in words.
    """
    count = await partition_count(settings, settings.topics.actions)
    sets = await read_sets(settings)
    try:
        return await _Accountant(settings, count, sets).run()
    except KafkaError as error:
        raise in_words(settings, error, "Read") from error
    except StateError as error:
        raise TakeoverRefused(f"{settings.topics.state}: {error}") from error


class _Accountant:
    def __init__(self, settings: Settings, partitions: int, sets: PolicySets | None) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._partitions = partitions
        self._sets = sets
        self._moves: dict[tuple[str, int], Moves] = {}
        self._arrived: dict[tuple[str, int], array[int]] = {}
        self._outputs = {
            self._topics.audit: AUDIT,
            self._topics.evidence: EVIDENCE,
            self._topics.dead_letters: DEAD_LETTER,
        }
        self._begins: dict[Any, int] = {}
        self._ends: dict[Any, int] = {}

    async def run(self) -> list[Account]:
        names = (*self._topics.inputs, *self._outputs, self._topics.state)
        tps = [TopicPartition(name, number) for name in names for number in range(self._partitions)]
        self._reader = await open_reader(
            self._settings, tps, max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=FETCH_MS
        )
        try:
            hanging = await self._take_ends(tps)
            accounts = []
            for partition in range(self._partitions):
                accounts += await self._account(partition)
        finally:
            await close_client(self._reader)
        self._find_lost({(one.tally.topic, one.tally.partition): one for one in accounts})
        for one in accounts:
            one.problems[:0] = [words for number, words in hanging if number == one.tally.partition]
            _say_differences(one)
        return accounts

    async def _take_ends(self, tps: Sequence[Any]) -> list[tuple[int, str]]:
        """Where each partition ends for us.

        First the state, whose positions say what was read; then what the rest holds, which is at least what belongs to
        them. A transaction's marker may reach the state before an output: so the outputs count up to the end of what is
        in them, committed or not yet, and it is waited for that all of it is decided.

        Returns:
            (partition, words) where a transaction hangs.
        """
        state = [tp for tp in tps if tp.topic == self._topics.state]
        others = [tp for tp in tps if tp.topic != self._topics.state]
        self._begins = await self._reader.beginning_offsets(tps)
        self._ends = await self._reader.end_offsets(state)
        uncommitted = await open_reader(self._settings, others, isolation_level="read_uncommitted")
        try:
            wanted = await uncommitted.end_offsets(others)
        finally:
            await close_client(uncommitted)
        give_up = time.monotonic() + _HANGS_S
        while True:
            stable = await self._reader.end_offsets(others)
            hanging = [tp for tp in others if stable[tp] < wanted[tp]]
            if not hanging or time.monotonic() >= give_up:
                break
            await asyncio.sleep(_POLL_S)
        self._ends |= {tp: min(wanted[tp], stable[tp]) for tp in others}
        return [
            (
                tp.partition,
                f"{tp.topic}-{tp.partition}: a transaction hangs at {stable[tp]}, {wanted[tp] - stable[tp]} before the "
                "end: nothing behind it can be read; a worker that takes the partition over closes it",
            )
            for tp in hanging
        ]

    async def _account(self, partition: int) -> list[Account]:
        state = await self._read_state(partition)
        accounts = {topic: self._new_account(topic, partition, state) for topic in self._topics.inputs}
        outputs = Outputs({topic: one.tally for topic, one in accounts.items()}, state.waiting)
        for topic, what in self._outputs.items():
            await self._read_output(TopicPartition(topic, partition), what, outputs, accounts)
        reader = Reader(outputs, partition, self._partitions, self._topics, self._sets, self._moves, self._arrived)
        for one in accounts.values():
            await self._read_input(one.tally, reader)
        return list(accounts.values())

    def _new_account(self, topic: str, partition: int, state: _State) -> Account:
        tp = TopicPartition(topic, partition)
        begin, end = self._begins[tp], self._ends[tp]
        log = state.logs.get(topic)
        position, since = (begin, begin) if log is None else (log.next_offset, log.since)
        one = Account(Tally(topic, partition, begin, min(position, end), since), log.account if log else {})
        if position > end:
            one.problems.append(
                f"{topic}-{partition}: read up to {position}, but the log ends at {end}: it was recreated or has lost "
                "its end"
            )
        if position < begin:
            one.problems.append(
                f"{topic}-{partition}: read up to {position}, but the log begins at {begin}: {begin - position} "
                "offsets were deleted by retention before they were read"
            )
        if begin:
            one.notes.append(
                f"{topic}-{partition}: retention has deleted what lay before {begin}; it cannot be checked any more"
            )
        return one

    async def _read_state(self, partition: int) -> _State:
        found = _State()
        waits: dict[bytes, int] = {}
        async for records in self._read(TopicPartition(self._topics.state, partition)):
            for record in records:
                key, value = record.key, record.value
                if key.startswith(POSITION) and value:
                    found.logs[key[len(POSITION) :].decode()] = read_position(value)
                elif key.startswith(ACTION_KEY):
                    action = read_action(value) if value else None
                    if action is not None and not action.revision:
                        waits[key] = action.row.kafka_offset
                    else:
                        waits.pop(key, None)
        found.waiting = set(waits.values())
        return found

    async def _read_output(self, tp: Any, what: str, outputs: Outputs, accounts: Mapping[str, Account]) -> None:
        decode = msgspec.json.Decoder(RowOrigin).decode
        first_ms: float | None = None
        async for records in self._read(tp):
            if first_ms is None:
                first_ms = records[0].timestamp
            for record in records:
                let_go = False
                if what == DEAD_LETTER:
                    letter = letter_of(record)
                    where = (letter.topic, letter.from_offset)
                    let_go = letter.error == BUG
                else:
                    row = decode(record.value)
                    if row.revision != 1:
                        continue
                    where = (row.kafka_topic, row.kafka_offset)
                if where[0] in outputs.tallies:
                    outputs.tallies[where[0]].tell(where[1], what, let_go=let_go)
        if self._begins[tp]:
            outputs.deleted_ms[tp.topic] = float("inf") if first_ms is None else first_ms
            words = f"{tp.topic}-{tp.partition}: retention has deleted what lay before {self._begins[tp]}"
            accounts[self._topics.actions].notes.append(f"{words}: records older than what is left cannot be checked")

    async def _read_input(self, tally: Tally, reader: Reader) -> None:
        tp = TopicPartition(tally.topic, tally.partition)
        reader.begin()
        async for records in self._read(tp):
            reader.read(tally, records)
        tally.close()
        offsets, keys, _ = tally.candidates
        for first in range(0, len(offsets), _COPIES_AT_ONCE):
            chunk = slice(first, first + _COPIES_AT_ONCE)
            hashes: dict[int, int] = dict.fromkeys(keys[chunk], tally.position)
            reader.begin()
            async for records in self._read(tp, tally.position):
                reader.look_for_originals(tally, hashes, records)
            find_copies(tally, hashes, chunk, reader)

    async def _read(self, tp: Any, end: int | None = None) -> Any:
        """All that a partition holds, from its begin."""
        reader: AIOKafkaConsumer = self._reader
        await reader.seek_to_beginning(tp)
        async for records in read_until(reader, tp, self._ends[tp] if end is None else end):
            yield records

    def _find_lost(self, accounts: Mapping[tuple[str, int], Account]) -> None:
        for (topic, target), moves in self._moves.items():
            if self._begins[TopicPartition(topic, target)]:
                accounts[topic, target].notes.append(
                    f"{topic}-{target}: whether all that was moved here arrived cannot be checked, for the same reason"
                )
                continue
            for partition, offset in lost_moves(moves, self._arrived.get((topic, target), ())):
                accounts[topic, partition].lost.append(offset)


def _say_differences(one: Account) -> None:
    """Put the differences into words: what, how many, and where the first of them lie."""
    tally = one.tally
    log = f"{tally.topic}-{tally.partition}"
    for named, words in (
        (tally.missing, "read, and no output tells what became of them"),
        (tally.doubled, "told of by more than one row"),
        (tally.strays, "told of by a row, but no such record is there"),
    ):
        if named.count:
            one.problems.append(f"{log}: {named.count:,} {words}: {_offsets(log, named.first, named.count)}")
    if one.lost:
        words = "moved away, and not to be found where they belong"
        one.problems.append(f"{log}: {len(one.lost):,} {words}: {_offsets(log, one.lost[:20], len(one.lost))}")
    one.problems += _compare(one, log)


def _compare(one: Account, log: str) -> list[str]:
    """The worker's own account against what was found; [] where both say the same."""
    tally = one.tally
    if tally.since > tally.begin:
        one.notes.append(f"{log}: the account in the state begins at {tally.since}: an older worker kept none")
    if tally.begin > tally.since or tally.counts["unchecked"]:
        one.notes.append(f"{log}: the account in the state speaks of records that are deleted; not compared")
        return []
    found = {kind: tally.since_counts[kind] for kind in KINDS}
    found[AUDIT] += tally.since_counts["waiting"]
    differs = [
        f"{kind} {one.kept.get(kind, 0):,} (found {found.get(kind, 0):,})"
        for kind in dict.fromkeys((*KINDS, *one.kept))
        if one.kept.get(kind, 0) != found.get(kind, 0)
    ]
    return [f"{log}: the account in the state says otherwise: {', '.join(differs)}"] if differs else []


def _offsets(log: str, first: Sequence[int], count: int) -> str:
    named = ", ".join(f"{log}@{offset}" for offset in first[:5])
    return named + (", …" if count > 5 else "")
