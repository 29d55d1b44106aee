"""Writing the benchmark's events into a real Kafka, as their producers would: batches, keyed by subject."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics
from stepwatch.embedded import ports
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import SECOND_US
from stepwatch.streams.decode import ACTION
from tests.bench.data import GRACE_S, POLICY, SUBJECTS, TENANT, Sent, events, heartbeat, subject_of

_FLUSH_EVENTS = 4000
"""Events between two flushes: both topics advance together, and a batch stays below a broker's 1 MB."""
_FLIGHTS_MAX = 16


@dataclass(frozen=True, slots=True)
class Filled:
    """What lies in the inputs now.

    Attributes:
        settings: of a worker that reads them.
        count: events before copies.
        records: of both inputs, copies and heartbeats too.
        begin_us: time of the first event.
    """

    settings: Settings
    count: int
    records: int
    begin_us: int


def new_settings(bootstrap: str, folder: Path, prefix: str, partitions: int) -> Settings:
    """The settings of a worker as shipped, with the benchmark's policy, topics of its own and metrics served."""
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    (policies / "high-risk.yaml").write_text(POLICY)
    return Settings(
        kafka_bootstrap=bootstrap,
        prefix=prefix,
        partitions=partitions,
        policies_dir=policies,
        data=folder / "data",
        correlate_web_port=ports.any_free(),
    )


async def fill(settings: Settings, count: int) -> Filled:
    """Create the topics and write `count` events, their copies, and heartbeats before and after them."""
    await create_topics(settings)
    begin_us = time.time_ns() // 1000 - count * 1000 - 60 * SECOND_US
    async with AIOKafkaProducer(
        **settings.kafka_client_options(), enable_idempotence=True, max_batch_size=1_000_000
    ) as producer:
        writer = _Writer(producer, settings)
        await writer.beat("first")
        await writer.write(events(count, begin_us))
        # Append times are Kafka's own: when the last heartbeat is appended, every grace must have ended.
        await asyncio.sleep(GRACE_S + 0.2)
        await writer.beat("last")
    return Filled(settings, count, writer.records, begin_us)


async def drop(settings: Settings, *more: str) -> None:
    """Delete the topics of a round, and `more`: the next one needs the disk."""
    admin = await open_admin(settings)
    try:
        await admin.delete_topics([spec.name for spec in settings.topics.specs()] + list(more))
    finally:
        await close_client(admin)


class _Writer:
    def __init__(self, producer: AIOKafkaProducer, settings: Settings) -> None:
        self.records = 0
        self._producer = producer
        self._topics = settings.topics
        self._partitions = settings.partitions
        self._keys = [subject_key(TENANT, subject_of(who)) for who in range(SUBJECTS)]
        self._lies_in = [partition_of(key, settings.partitions) for key in self._keys]
        self._batches: dict[tuple[str, int], Any] = {}
        self._flights: list[Any] = []

    async def beat(self, name: str) -> None:
        """A heartbeat into every partition of both inputs."""
        now_us = time.time_ns() // 1000
        for topic in (self._topics.actions, self._topics.authentications):
            for partition in range(self._partitions):
                beat = heartbeat(f"{name}-{partition}", now_us)
                await self._producer.send_and_wait(topic, beat, partition=partition)
                self.records += 1

    async def write(self, sent: Iterable[Sent]) -> None:
        """All events, in their order within each partition."""
        topic_of = {True: self._topics.actions, False: self._topics.authentications}
        batches, keys, lies_in = self._batches, self._keys, self._lies_in
        for _, family, who, body in sent:
            where = (topic_of[family == ACTION], lies_in[who])
            batch = batches.get(where)
            if batch is None:
                batch = batches[where] = self._producer.create_batch()
            if batch.append(key=keys[who], value=body, timestamp=None) is None:
                raise ValueError(f"{_FLUSH_EVENTS} events do not fit into the batches of {self._partitions} partitions")
            self.records += 1
            if not self.records % _FLUSH_EVENTS:
                await self._flush()
        await self._flush()
        await asyncio.gather(*self._flights)

    async def _flush(self) -> None:
        for (topic, partition), batch in self._batches.items():
            batch.close()
            self._flights.append(await self._producer.send_batch(batch, topic, partition=partition))
        self._batches.clear()
        while len(self._flights) > _FLIGHTS_MAX:
            await self._flights.pop(0)
