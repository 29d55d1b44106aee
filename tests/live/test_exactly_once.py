"""The shell accounts for every record exactly once, whatever kills it (contract section 8)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from stepwatch.agents.settings import Settings
from tests.live.account import assert_exact, fill, said_often, took_over, until_all_read
from tests.live.harness import Worker, new_settings, with_topics
from tests.servers import KafkaServer

pytestmark = pytest.mark.live
EVENTS = 15_000


def test_every_record_is_accounted_for_once_when_the_worker_is_killed_again_and_again(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, batch_records=200))
        filling = asyncio.create_task(fill(settings, EVENTS, pieces=100, pause_s=0.2))
        chance = random.Random(20261124)
        for life in range(1, 7):
            worker = Worker(settings, tmp_path / "log")
            await took_over(worker, life * settings.partitions)
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            worker.kill()
        worker = Worker(settings, tmp_path / "log")
        await filling
        await until_all_read(settings)
        assert worker.stop() == 0, worker.said
        await assert_exact(settings)

    asyncio.run(story())


def test_two_workers_that_come_and_go_account_for_every_record_once(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, batch_records=200, partitions=4))
        first = Worker(settings, tmp_path / "first")
        filling = asyncio.create_task(fill(settings, EVENTS, pieces=30, pause_s=0.2))
        await asyncio.sleep(3)
        second = Worker(settings, tmp_path / "second")
        await took_over(second, 2)
        # What stayed with the first was not read anew from the state topic.
        await said_often(first, "goes on", 2)
        assert first.said.count("took over") == settings.partitions, first.said
        assert first.stop() == 0, first.said
        third = Worker(settings, tmp_path / "third")
        await asyncio.sleep(1)
        second.kill()
        await filling
        await until_all_read(settings)
        assert third.stop() == 0, third.said
        await assert_exact(settings)

    asyncio.run(story())


def test_a_frozen_worker_that_wakes_after_another_took_over_writes_nothing_more_and_ends(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, batch_records=50))
        frozen = Worker(settings, tmp_path / "frozen")
        await took_over(frozen, settings.partitions)
        filling = asyncio.create_task(fill(settings, EVENTS, pieces=60, pause_s=0.2))
        await asyncio.sleep(1.5)
        frozen.process.send_signal(signal.SIGSTOP)
        other = Worker(settings, tmp_path / "other")
        await took_over(other, settings.partitions)
        frozen.process.send_signal(signal.SIGCONT)
        await filling
        await until_all_read(settings)
        # It may have been fenced, or have heard of the rebalance first and joined again: both are right.
        if frozen.process.poll() is None:
            assert frozen.stop() == 0, frozen.said
        assert other.stop() == 0, other.said
        await assert_exact(settings)

    asyncio.run(story())


def test_a_broker_that_is_killed_under_load_loses_and_doubles_nothing(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await with_topics(
            new_settings(kafka_server.bootstrap, tmp_path, batch_records=50, start_timeout_ms=30_000)
        )
        await fill(settings, 20_000)
        async with supervised(settings, tmp_path / "log") as worker:
            await took_over(worker, settings.partitions)
            for _ in range(2):
                await asyncio.to_thread(kafka_server.kill)
                await asyncio.to_thread(kafka_server.start)
                await asyncio.sleep(2)
            await fill(settings, 2000)
            await until_all_read(settings)
        await assert_exact(settings)

    asyncio.run(story())


@contextlib.asynccontextmanager
async def supervised(settings: Settings, log: Path) -> AsyncIterator[Worker]:
    """A worker that is started again when it ends by itself, as every supervisor does."""
    workers = [Worker(settings, log)]

    async def again() -> None:
        while True:
            if workers[-1].process.poll() is not None:
                workers.append(Worker(settings, log))
            await asyncio.sleep(0.5)

    supervising = asyncio.create_task(again())
    try:
        yield workers[0]
    finally:
        supervising.cancel()
        workers[-1].stop()


def test_a_group_member_that_reads_other_topics_is_found_and_said_in_words(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path))
        stranger = AIOKafkaConsumer(
            settings.topics.responses,
            **settings.kafka_client_options(),
            group_id=settings.group("correlate"),
            partition_assignment_strategy=(RangePartitionAssignor,),
            client_id="a-stranger",
        )
        await stranger.start()
        worker = Worker(settings, tmp_path / "log")
        try:
            assert await asyncio.to_thread(worker.wait, 30) == 1
        finally:
            await stranger.stop()
        assert "of t" in worker.said
        assert "but not of" in worker.said
        assert "must use the range assignor" in worker.said

    asyncio.run(story())
