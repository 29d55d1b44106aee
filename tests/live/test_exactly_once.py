"""The shell accounts for every record exactly once, whatever kills it (contract section 8)."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from tests.live.harness import Worker, latest, new_settings, produce, read, until, with_topics
from tests.live.standin import POSITION, REFUSED, step

pytestmark = pytest.mark.live
EVENTS = 15_000


def test_every_record_is_accounted_for_once_when_the_worker_is_killed_again_and_again(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, batch_records=200))
        filling = asyncio.create_task(_fill(settings, EVENTS, pieces=100, pause_s=0.2))
        chance = random.Random(20261124)
        for life in range(1, 7):
            worker = Worker(settings, tmp_path / "log")
            await _took_over(worker, life * settings.partitions)
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            worker.kill()
        worker = Worker(settings, tmp_path / "log")
        await filling
        await _until_all_read(settings)
        assert worker.stop() == 0, worker.said
        await _assert_exact(settings)

    asyncio.run(story())


def test_two_workers_that_come_and_go_account_for_every_record_once(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, batch_records=200, partitions=4))
        first = Worker(settings, tmp_path / "first")
        filling = asyncio.create_task(_fill(settings, EVENTS, pieces=30, pause_s=0.2))
        await asyncio.sleep(3)
        second = Worker(settings, tmp_path / "second")
        await asyncio.sleep(3)
        assert first.stop() == 0, first.said
        third = Worker(settings, tmp_path / "third")
        await asyncio.sleep(1)
        second.kill()
        await filling
        await _until_all_read(settings)
        assert third.stop() == 0, third.said
        await _assert_exact(settings)

    asyncio.run(story())


async def _took_over(worker: Worker, times: int) -> None:
    async def often_enough() -> bool:
        assert worker.process.poll() is None, worker.said
        return worker.said.count("took over") >= times

    await until(often_enough, 30, "the take-over")


async def _fill(settings: Settings, count: int, pieces: int = 1, pause_s: float = 0.0) -> None:
    """Both big inputs, every partition, some records that the correlator refuses."""
    for piece in range(pieces):
        for topic in (settings.topics.actions, settings.topics.authentications):
            for partition in range(settings.partitions):
                each = count // pieces // settings.partitions // 2
                records = [
                    (b"default/u%d" % (n % 97), REFUSED if n % 101 == 7 else b'{"piece":%d}' % piece)
                    for n in range(each)
                ]
                await produce(settings, topic, partition, records)
        await asyncio.sleep(pause_s)


async def _until_all_read(settings: Settings) -> None:
    total = len(await _inputs(settings))

    async def all_read() -> bool:
        audit, refused = await _outputs(settings)
        return len(audit) + len(refused) >= total

    await until(all_read, 90, f"reading {total} records")


async def _inputs(settings: Settings) -> list[Any]:
    return [record for topic in settings.topics.inputs for record in await read(settings, topic)]


async def _outputs(settings: Settings) -> tuple[list[Any], list[Any]]:
    topics = settings.topics
    return await read(settings, topics.audit), await read(settings, topics.dead_letters)


async def _assert_exact(settings: Settings) -> None:
    inputs = await _inputs(settings)
    audit, refused = await _outputs(settings)
    told = [tuple(json.loads(record.value)) for record in audit]
    for record in refused:
        headers = dict(record.headers)
        told.append((headers["topic"].decode(), record.partition, int(headers["offset"])))
    assert sorted(told) == sorted((r.topic, r.partition, r.offset) for r in inputs)

    counts: dict[tuple[int, bytes], list[int]] = {}
    positions: dict[tuple[int, bytes], int] = {}
    for record in inputs:
        positions[record.partition, POSITION + record.topic.encode()] = record.offset + 1
        if record.value != REFUSED:
            key = (record.partition, b"%d|%s" % (settings.topics.inputs.index(record.topic), record.key))
            counts[key] = step(counts.get(key, [0, 0]), record.offset)
    state = await latest(settings)
    assert {k: v for k, v in state.items() if not k[1].startswith(POSITION)} == counts
    assert {k: v[0] for k, v in state.items() if k[1].startswith(POSITION)} == positions
