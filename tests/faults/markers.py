"""Scenarios of a broker that loses the markers of a commit: hung records, and the sweep that closes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stepwatch.agents.settings import Settings
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.faults.network import took_over
from tests.faults.segments import cut_marker
from tests.faults.stage import Actor, Outcome, Scenario, Stage
from tests.faults.swept import HANGS
from tests.live.account import assert_exact, until_all_read
from tests.live.harness import new_settings, read, until, with_topics

Hanging = Callable[[], Awaitable[list[str]]]
_PARTITIONS = 12
SWEPT, UNSWEPT = "tests.faults.swept", "tests.faults.swept unswept"
_EACH = 200


@contextlib.asynccontextmanager
async def open_ends(settings: Settings) -> AsyncIterator[Hanging]:
    """What tells the output partitions in which a transaction is open."""
    topics = settings.topics
    tps = [
        TopicPartition(topic, partition)
        for topic in (topics.audit, topics.evidence, topics.alerts, topics.dead_letters, topics.state)
        for partition in range(settings.partitions)
    ]
    options = settings.kafka_client_options()
    async with (
        AIOKafkaConsumer(**options, isolation_level="read_committed") as committed,
        AIOKafkaConsumer(**options) as all_of_it,
    ):

        async def hanging() -> list[str]:
            # In this order: a transaction that ends between the two does not count as open.
            ends = await all_of_it.end_offsets(tps)
            stable = await committed.end_offsets(tps)
            return [f"{tp.topic}-{tp.partition}" for tp in tps if stable[tp] < ends[tp]]

        yield hanging


async def _end_exact(settings: Settings, worker: Actor) -> int:
    """All is read and exact, and nothing hangs any more; returns how many take-overs found that something hung."""
    await until_all_read(settings)
    assert await worker.stop() == 0, worker.said
    await assert_exact(settings)
    async with open_ends(settings) as hanging:
        assert await hanging() == []
    return worker.said.count(HANGS)


async def lost_markers(stage: Stage) -> Outcome:
    """Broker and worker die together in tight transactions: what then hangs is closed by the sweep, all is exact."""
    settings, worker = await _begin(stage, SWEPT)
    kills = stage.scaled(12, 2)
    for number in range(kills):
        await _die(stage, settings, worker, number + 1)
    found = await _end_exact(settings, worker)
    return Outcome(await _count(settings), 2 * kills, f"{found} take-overs found records that hung, none left")


async def cut_markers(stage: Stage) -> Outcome:
    """The markers of the last commit of each partition are gone, as a dying broker loses them: the sweep closes it."""
    settings, worker = await _without_markers(stage, SWEPT)
    found = await _end_exact(settings, worker)
    assert found == _PARTITIONS, f"{found} take-overs found records that hung: {worker.said}"
    return Outcome(await _count(settings), 2, f"{found} take-overs found records that hung, all closed, exact")


async def without_sweep(stage: Stage) -> Outcome:
    """The same without the sweep: hung records show after their inputs were read again. So the danger is real."""
    settings, worker = await _without_markers(stage, UNSWEPT)
    # Whatever it reads makes it commit again, and with it what hung.
    await _fill(settings)
    await until_all_read(settings)

    async def doubled() -> int:
        return await _doubled(settings)

    rows = await until(doubled, 60, "rows that are there twice")
    await worker.kill_for_good()
    found = worker.said.count(HANGS)
    return Outcome(
        await _count(settings), 2, f"no promise here: {found} take-overs with hung records, {rows} rows twice"
    )


async def _without_markers(stage: Stage, module: str) -> tuple[Settings, Actor]:
    """A worker that takes over partitions whose last commits have no markers, though Kafka calls them complete."""
    server = stage.kafka_server
    assert isinstance(server, EmbeddedKafka), "its files are in reach of the embedded broker only"
    settings, worker = await _begin(stage, module)
    await until_all_read(settings)
    await asyncio.gather(asyncio.to_thread(server.kill), worker.kill_for_good())
    data = server._folder.path / "kafka" / "data"
    for topic in (settings.topics.audit, settings.topics.state):
        for partition in range(_PARTITIONS):
            assert cut_marker(data / f"{topic}-{partition}"), f"{topic}-{partition} does not end with a marker"
    await asyncio.to_thread(server.start)
    taken = worker.said.count("took over")
    worker.start()
    await took_over(worker, taken + _PARTITIONS)
    return settings, worker


async def _begin(stage: Stage, module: str) -> tuple[Settings, Actor]:
    folder = stage.tmp / "markers"
    folder.mkdir(exist_ok=True)
    changes = {"partitions": _PARTITIONS, "batch_records": 5, "start_timeout_ms": 30_000}
    settings = await with_topics(new_settings(stage.kafka, folder, **changes))
    await _fill(settings)
    worker = stage.start(settings, module)
    await took_over(worker, _PARTITIONS)
    return settings, worker


async def _die(stage: Stage, settings: Settings, worker: Actor, number: int) -> None:
    """More input, then the death of both in the middle of it; returns when the worker works again."""
    await _fill(settings)
    await asyncio.sleep(stage.rng.uniform(0.0, 0.3))
    await asyncio.gather(asyncio.to_thread(stage.kafka_server.kill), worker.kill())
    taken = worker.said.count("took over")
    await asyncio.to_thread(stage.kafka_server.start)
    stage.note(f"death {number}: {worker.said.count(HANGS)} take-overs so far found something that hangs")
    await took_over(worker, taken + _PARTITIONS)


async def _fill(settings: Settings) -> None:
    """A dozen transactions for each partition, all of them at once."""
    async with AIOKafkaProducer(**settings.kafka_client_options(), linger_ms=5) as producer:
        sent = [
            await producer.send(settings.topics.actions, b"{}", b"default/alice", partition=partition)
            for _ in range(_EACH)
            for partition in range(_PARTITIONS)
        ]
        await asyncio.gather(*sent)


async def _doubled(settings: Settings) -> int:
    """Rows that a `read_committed` reader finds more than once."""
    rows = Counter(tuple(json.loads(record.value)) for record in await read(settings, settings.topics.audit))
    return sum(times - 1 for times in rows.values())


async def _count(settings: Settings) -> int:
    return sum([len(await read(settings, topic)) for topic in settings.topics.inputs])


MARKERS: dict[str, Scenario] = {
    "broker.lost_markers": lost_markers,
    "broker.cut_markers": cut_markers,
    "broker.without_sweep": without_sweep,
}
