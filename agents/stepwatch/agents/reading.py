"""Reading partitions from where to where, `read_committed` and without a group: for commands that look and go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, open_admin, open_reader
from stepwatch.agents.errors import KafkaAway, TopicsWrong
from stepwatch.agents.settings import Settings

Record: TypeAlias = ConsumerRecord  # key and value are bytes or None
FETCH_BYTES = 4 << 20
FETCH_MS = 50
"""How long a broker may hold back an answer: each partition that is read to its end costs one such wait."""
_POLL_MS = 200
_STUCK_S = 30.0
_RETRY_S = 0.1


class RowOrigin(msgspec.Struct):
    """What a row of `audit` or `evidence` says of the record that it speaks of."""

    kafka_topic: str
    kafka_partition: int
    kafka_offset: int
    revision: int = 1


async def partition_count(settings: Settings, topic: str) -> int:
    """How many partitions a topic has, whatever is set here.

    Raises:
        TopicsWrong: there is no such topic.
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    admin = await open_admin(settings)
    try:
        described = await admin.describe_topics([topic])
    finally:
        await close_client(admin)
    count = len(described[0]["partitions"]) if described and not described[0]["error_code"] else 0
    if not count:
        raise TopicsWrong(
            f"{topic}: does not exist at {settings.kafka_bootstrap}, or this user may not see it: "
            "run `stepwatch topics create`, or set STEPWATCH_PREFIX to that of your topics"
        )
    return count


async def read_until(consumer: AIOKafkaConsumer, tp: TopicPartition, end: int) -> AsyncIterator[Sequence[Record]]:
    """What a partition holds from the consumer's position on, below an offset.

    Args:
        consumer: has the partition; others that it has are left alone.
        tp: resumed here, and paused when all is read.
        end: an end offset that was seen.

    Raises:
        KafkaAway: nothing more came for 30 s.
    """
    consumer.resume(tp)
    moved_at, before = time.monotonic(), -1
    while (position := await consumer.position(tp)) < end:
        # Marks of transactions move the position too, and bring no record.
        if position != before:
            moved_at, before = time.monotonic(), position
        elif time.monotonic() - moved_at > _STUCK_S:
            raise KafkaAway(
                f"{tp.topic}-{tp.partition}: reading it stopped at {position}, {end - position} before its end, "
                f"for {_STUCK_S:.0f} s: see whether its leader is well"
            )
        got: Sequence[Any] = (await consumer.getmany(tp, timeout_ms=_POLL_MS)).get(tp, ())
        if got and got[-1].offset >= end:
            got = [record for record in got if record.offset < end]
        if got:
            yield got
    consumer.pause(tp)


async def noted_offsets(
    settings: Settings, admin: AIOKafkaAdminClient, role: str, partitions: Sequence[TopicPartition] | None = None
) -> dict[TopicPartition, int]:
    """How far a role's group has noted that it read; {} where there is no such group yet.

    Args:
        settings: names the group.
        admin: started.
        role: whose.
        partitions: to ask for; None: all that it has noted.
    """
    give_up = time.monotonic() + settings.start_timeout_ms / 1000
    while True:
        try:
            noted = await admin.list_consumer_group_offsets(settings.group(role), partitions=partitions)
            return {tp: said.offset for tp, said in noted.items() if said.offset >= 0}
        except KafkaError as error:
            # A new cluster makes its topic of offsets when the first group asks for its coordinator.
            if not error.retriable or time.monotonic() >= give_up:
                raise
        await asyncio.sleep(_RETRY_S)


async def first_record(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int, end: int) -> Record | None:
    """The first record from an offset on, below another; None where none is there but marks of transactions."""
    consumer.seek(tp, offset)
    async for records in read_until(consumer, tp, end):
        consumer.pause(tp)
        return records[0]
    return None


async def read_one(settings: Settings, tp: TopicPartition, offset: int) -> Record | None:
    """As `record_at`, by a reader of its own."""
    reader = await open_reader(settings, [tp])
    try:
        return await record_at(reader, tp, offset)
    finally:
        await close_client(reader)


async def record_at(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> Record | None:
    """The record at an offset; None where none is: a mark of a transaction, deleted, aborted or not yet written."""
    begin = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    if not begin <= offset < end:
        return None
    return await first_record(consumer, tp, offset, offset + 1)
