"""Reading the inputs of a partition side by side, on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from stepwatch.agents.clients import close_client, open_admin, open_reader
from stepwatch.agents.errors import PositionLost
from stepwatch.agents.feeder import Feeder
from stepwatch.agents.settings import Settings
from stepwatch.agents.task import Batch
from tests.live.harness import new_settings

pytestmark = pytest.mark.live
HOUR_MS = 3_600_000
BEGIN_MS = 1_795_000_000_000


class Task:
    """What the feeder needs of a task."""

    partition = 0
    stint = 0


async def fill(settings: Settings, topic: str, times_ms: Iterator[int] | range) -> None:
    """Records whose times the test chooses, as only a topic without LogAppendTime lets it."""
    async with AIOKafkaProducer(**settings.kafka_client_options(), max_batch_size=500_000) as producer:
        batch = producer.create_batch()
        for at in times_ms:
            assert batch.append(key=b"k", value=b"v", timestamp=at) is not None
        batch.close()
        await (await producer.send_batch(batch, topic, partition=0))


@contextlib.asynccontextmanager
async def feeding(settings: Settings, batch_records: int) -> AsyncIterator[asyncio.Queue[Batch]]:
    topics = settings.topics.inputs
    tps = [TopicPartition(topic, 0) for topic in topics]
    consumer = await open_reader(settings, tps, fetch_max_wait_ms=50)
    batches: asyncio.Queue[Batch] = asyncio.Queue()
    task: Any = Task()
    feeder = Feeder(consumer, task, topics, batches.put, batch_records)
    consumer.resume(*tps)
    running = asyncio.create_task(feeder.run())
    try:
        yield batches
    finally:
        running.cancel()
        await asyncio.wait({running})
        await close_client(consumer)


async def take(batches: asyncio.Queue[Batch], records: int) -> list[Batch]:
    """Batches until so many records came, each acknowledged at once."""
    taken: list[Batch] = []
    async with asyncio.timeout(20):
        while sum(len(batch.records) for batch in taken) < records:
            taken.append(await batches.get())
            taken[-1].acknowledge()
    return taken


async def settings_of(kafka: str, tmp_path: Path) -> Settings:
    settings = new_settings(kafka, tmp_path)
    admin = await open_admin(settings)
    await admin.create_topics([NewTopic(topic, 1, 1) for topic in settings.topics.inputs])
    await asyncio.sleep(0.3)
    await close_client(admin)
    return settings


def test_two_inputs_with_a_backlog_of_hours_advance_side_by_side(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_of(kafka, tmp_path)
        hours_ms = range(BEGIN_MS, BEGIN_MS + 2 * HOUR_MS, 2 * HOUR_MS // 1000)
        await fill(settings, settings.topics.actions, hours_ms)
        await fill(settings, settings.topics.authentications, hours_ms)
        read_to: dict[str, int] = {
            settings.topics.actions: BEGIN_MS,
            settings.topics.authentications: BEGIN_MS,
        }
        apart_ms = 0
        async with feeding(settings, batch_records=50) as batches:
            for batch in await take(batches, 2000):
                assert batch.records[0].timestamp >= read_to[batch.topic]
                read_to[batch.topic] = batch.records[-1].timestamp
                apart_ms = max(
                    apart_ms, abs(read_to[settings.topics.actions] - read_to[settings.topics.authentications])
                )
        # A batch of 50 spans 6 minutes; without the rule one input runs the whole two hours ahead.
        assert apart_ms <= 7 * 60_000

    asyncio.run(story())


def test_an_input_without_data_holds_up_no_other(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_of(kafka, tmp_path)
        await fill(settings, settings.topics.actions, range(BEGIN_MS, BEGIN_MS + 4000))
        async with feeding(settings, batch_records=100) as batches:
            await take(batches, 100)
            async with asyncio.timeout(3):
                taken = await take(batches, 3900)
        assert [batch.at_end for batch in taken[-1:]] == [True]
        assert not any(batch.at_end for batch in taken[:-1])

    asyncio.run(story())


def test_no_more_batches_are_on_their_way_than_the_task_can_soon_take(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_of(kafka, tmp_path)
        await fill(settings, settings.topics.actions, range(BEGIN_MS, BEGIN_MS + 2000))
        async with feeding(settings, batch_records=10) as batches:
            await asyncio.sleep(2.0)
            on_their_way = batches.qsize()
            assert on_their_way == 3
            await take(batches, 2000)

    asyncio.run(story())


def test_a_position_that_was_deleted_meanwhile_ends_the_reading_in_words(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_of(kafka, tmp_path)
        topic = settings.topics.actions
        await fill(settings, topic, range(BEGIN_MS, BEGIN_MS + 10))
        admin = await open_admin(settings)
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
        await close_client(admin)
        tp = TopicPartition(topic, 0)
        consumer = await open_reader(settings, [tp], auto_offset_reset="none")
        consumer.seek(tp, 3)
        consumer.resume(tp)
        task: Any = Task()
        feeder = Feeder(consumer, task, [topic], asyncio.Queue[Batch]().put, 10)
        with pytest.raises(PositionLost, match=f"{topic}-0@3 was to be read next"):
            await asyncio.wait_for(feeder.run(), 20)
        await close_client(consumer)

    asyncio.run(story())
