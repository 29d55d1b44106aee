"""Filling the inputs and checking that every record of them is accounted for exactly once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from stepwatch.agents.settings import Settings
from tests.live.harness import Worker, latest, produce, read, until
from tests.live.standin import POSITION, REFUSED, step


async def took_over(worker: Worker, times: int) -> None:
    """Wait until a worker has taken over so many partitions."""
    await said_often(worker, "took over", times)


async def said_often(worker: Worker, words: str, times: int) -> None:
    """Wait until a worker has said something so often."""

    async def often_enough() -> bool:
        assert worker.process.poll() is None, worker.said
        return worker.said.count(words) >= times

    await until(often_enough, 30, words)


async def fill(settings: Settings, count: int, pieces: int = 1, pause_s: float = 0.0) -> None:
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


async def until_all_read(settings: Settings) -> None:
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


async def assert_exact(settings: Settings) -> None:
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
