"""Taking over a partition: from "Kafka gave it to us" to "the first record may be read"."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents import metrics
from stepwatch.agents.clients import close_client, in_words, open_reader
from stepwatch.agents.errors import SweepFailed, TakeoverRefused
from stepwatch.agents.logs import get_logger
from stepwatch.agents.losses import WHOLE_KEY, Known, check_end, check_state, find_starts, read_told
from stepwatch.agents.settings import Settings
from stepwatch.agents.task import CorrelatorLike
from stepwatch.agents.transaction import Transaction
from stepwatch.agents.whole import records_of, whole
from stepwatch.streams.effects import Effects
from stepwatch.streams.state import POSITION, StateError

log = get_logger(__name__)
_POLL_S = 0.02
_SWEEP_S = 30.0
_STUCK_S = 30.0
_FETCH_BYTES = 4 << 20
_CHUNK_RECORDS = 10_000

Build = Callable[[int, Iterable[tuple[bytes, bytes]]], CorrelatorLike]
"""(partition, restored state records) -> its correlator."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A partition that was taken over.

    Attributes:
        transaction: its producer; every former owner's is fenced.
        correlator: restored.
        starts: input topic -> the offset to read from.
    """

    transaction: Transaction
    correlator: CorrelatorLike
    starts: Mapping[str, int]


async def take_over(settings: Settings, partition: int, build: Build) -> Owned:
    """Take over a partition (DESIGN section 7).

    1. Start the transactional producer: the former owner is fenced, its open transaction aborted.
    2. Sweep: begin, one record to each output partition, abort; wait until the last stable offset of each is
       its end. After a kill -9 a broker can forget to write a commit's markers; without this the hung records
       would become visible with our first commit, as duplicates.
    3. Read the state partition, `read_committed`, to its end: facts and input positions.
    4. Build the correlator from it; its positions say where to go on reading.
    5. Refuse where state, inputs and outputs do not belong together (`losses`).

    Args:
        settings: of the role.
        partition: its number in every topic.
        build: makes the correlator.

    Raises:
        TakeoverRefused: step 5; the message names the decision that somebody has to take.
        SweepFailed: something still hangs; starting again may help.
        KafkaAway, KafkaRefused, TransactionFailed: as `Transaction`.
    """
    started = time.monotonic()
    transaction = Transaction(settings, partition)
    try:
        await transaction.open()
        topics = (*settings.topics.inputs, *transaction.outputs)
        committed = await open_reader(
            settings,
            [TopicPartition(topic, partition) for topic in topics],
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
        )
        try:
            await _sweep(settings, transaction, committed)
            restored = await _restore(settings, partition)
            correlator, starts = await _build_from(settings, transaction, committed, restored, build)
        except KafkaError as error:
            raise in_words(settings, error, "Read") from error
        except StateError as error:
            raise TakeoverRefused(f"{settings.topics.state}-{partition}: {error}") from error
        finally:
            await close_client(committed)
    except BaseException:
        await transaction.close()
        raise
    seconds = time.monotonic() - started
    metrics.TAKEOVER_SECONDS.observe(seconds)
    log.info("took over", partition=partition, restored=len(restored), seconds=round(seconds, 3), **starts)
    return Owned(transaction, correlator, starts)


async def _build_from(
    settings: Settings,
    transaction: Transaction,
    committed: AIOKafkaConsumer,
    restored: dict[bytes, bytes],
    build: Build,
) -> tuple[CorrelatorLike, Mapping[str, int]]:
    """The correlator, and where it goes on reading; what was decided about losses is committed."""
    partition, decided = transaction.partition, Effects()
    found = restored.get(WHOLE_KEY)
    told = await read_told(settings, partition, committed)
    known = await check_state(settings, partition, restored, told)
    if known is None:
        decided.state = [(key, None) for key in restored]
        restored, known = {}, Known(told)
    correlator = await _build(build, partition, restored)
    starts, forgotten = await find_starts(settings, partition, correlator, committed, known)
    for topic in forgotten:
        del restored[key := POSITION + topic.encode()]
        decided.state.append((key, None))
        # The outputs name records of the topic that was there before.
        known.told = {**known.told, topic: told.get(topic, 0)}
    if forgotten:
        correlator = await _build(build, partition, restored)
    check_end(settings, partition, correlator.positions, told, known)
    if known.encode() != found or decided.state:
        decided.state.append((WHOLE_KEY, known.encode()))
        await transaction.commit(decided)
    return correlator, starts


async def _build(build: Build, partition: int, restored: Mapping[bytes, bytes]) -> CorrelatorLike:
    """Build the correlator beside the loop: it takes some 10 us a record, and the group's heartbeats run on the loop.

    Where it took longer than the session, each owner in turn would be expelled, and none would ever get on.
    """
    return await asyncio.to_thread(build, partition, restored.items())


async def _sweep(settings: Settings, transaction: Transaction, committed: AIOKafkaConsumer) -> None:
    await transaction.abort_one_each()
    outputs = [TopicPartition(topic, transaction.partition) for topic in transaction.outputs]
    uncommitted = await open_reader(settings, outputs, isolation_level="read_uncommitted")
    give_up = time.monotonic() + _SWEEP_S
    try:
        # Nobody else writes to these partitions, so the ends stand still but for our own markers.
        while True:
            ends = await uncommitted.end_offsets(outputs)
            stable = await committed.end_offsets(outputs)
            hanging = [tp for tp in outputs if stable[tp] < ends[tp]]
            if not hanging:
                return
            if time.monotonic() >= give_up:
                raise SweepFailed(
                    f"partition {transaction.partition}: an open transaction hangs in "
                    + ", ".join(f"{tp.topic}-{tp.partition}@{stable[tp]}" for tp in hanging)
                    + f" and is not one of {transaction.id}: find and abort it with "
                    "`kafka-transactions.sh find-hanging` and `abort`"
                )
            await asyncio.sleep(_POLL_S)
    finally:
        await close_client(uncommitted)


async def _restore(settings: Settings, partition: int) -> dict[bytes, bytes]:
    """The latest value of each key of the state partition; deleted ones left out."""
    state = TopicPartition(settings.topics.state, partition)
    reader = await open_reader(
        settings,
        [state],
        # A million live facts are a million records: as chunks they are read in a third of the time.
        value_deserializer=whole(_CHUNK_RECORDS) if settings.native else None,
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=100,
    )
    try:
        return await _read_state(reader, state)
    finally:
        await close_client(reader)


async def _read_state(reader: AIOKafkaConsumer, state: TopicPartition) -> dict[bytes, bytes]:
    restored: dict[bytes, bytes] = {}
    reader.resume(state)
    end = (await reader.end_offsets([state]))[state]
    moved_at = time.monotonic()
    while (position := await reader.position(state)) < end:
        batches = await reader.getmany(state, timeout_ms=50)
        for record in records_of(batches.get(state, ())):
            if record.value is None:
                restored.pop(record.key, None)
            else:
                restored[record.key] = record.value
        if batches:
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > _STUCK_S:
            raise SweepFailed(
                f"{state.topic}-{state.partition}: reading it stopped at {position}, {end - position} before its "
                f"end, for {_STUCK_S:.0f} s: see whether its leader is well"
            )
    return restored
