"""The stream into a real Kafka: a broker in a temporary folder, topics as the product makes them."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from stepwatch.agents.policies import publish_policies
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics
from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from stepwatch.schemas.keys import partition_of, subject_key
from tests.bench import data
from tests.bench.check import Truth

PARTITIONS = 4
_CHUNK = 4000
"""Events that are appended together: both topics arrive in step, and a batch stays below 1 MB."""
_CHUNKS_BETWEEN_HEARTBEATS = 12
_GRACE_OVER_S = 1.2
_BATCH_BYTES = 1_000_000

Keyed = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Road:
    """One filled set of topics, for one run of the worker.

    Attributes:
        settings: of the worker that will run on it.
        ends: topic -> offset of each partition at which the filled records end.
    """

    settings: Settings
    ends: dict[str, list[int]]

    @property
    def records(self) -> int:
        """Events and heartbeats in the inputs."""
        return sum(sum(ends) for ends in self.ends.values())


@contextmanager
def broker() -> Iterator[tuple[str, Path]]:
    """(address, folder) of a broker that leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="stepwatch-bench-") as name:
        folder = DataFolder(Path(name) / "data")
        with folder.lock():
            server = EmbeddedKafka(folder, port=ports.any_free())
            server.start()
            try:
                yield server.bootstrap, Path(name)
            finally:
                server.kill()


async def open_road(kafka: str, prefix: str, folder: Path) -> Settings:
    """Settings, topics and the published policy under a prefix of their own."""
    settings = Settings(
        kafka_bootstrap=kafka,
        prefix=prefix,
        partitions=PARTITIONS,
        data=folder / "roles",
        correlate_web_port=ports.any_free(),
        log_level="warning",
    )
    policy = folder / "bench.yaml"
    policy.write_text(data.POLICY)
    await create_topics(settings)
    await publish_policies(settings, [policy], now=True)
    return settings


async def fill(roads: Sequence[Settings], events: int, seed: int) -> tuple[list[Road], Truth]:
    """Append the same stream to every road; a heartbeat in every partition ends it after the last grace.

    Args:
        roads: with topics.
        events: ticks of the stream.
        seed: of the stream.
    """
    begin_us = _now_us() - data.span_us(events) + data.LEAD_US
    truth = Truth()
    made = data.make(events, seed, begin_us)
    async with AIOKafkaProducer(**roads[0].kafka_client_options(), max_batch_size=_BATCH_BYTES) as producer:
        filler = _Filler(producer, roads)
        for number in itertools.count():
            if number % _CHUNKS_BETWEEN_HEARTBEATS == 0:
                await filler.beat()
            chunk = list(itertools.islice(made, _CHUNK))
            if not chunk:
                break
            for record in chunk:
                truth.see(record.body)
                filler.add(record)
            await filler.flush()
        await asyncio.sleep(_GRACE_OVER_S)
        await filler.beat()
    return [Road(settings, filler.ends_of(settings)) for settings in roads], truth


def _now_us() -> int:
    return time.time_ns() // 1000


class _Filler:
    """Gathers a chunk by topic and partition, and appends it to every road."""

    def __init__(self, producer: AIOKafkaProducer, roads: Sequence[Settings]) -> None:
        self._producer = producer
        self._roads = roads
        self._held: dict[tuple[bool, int], list[Keyed]] = {}
        self._counts: dict[tuple[bool, int], int] = {}
        self._keys: dict[str, tuple[bytes, int]] = {}
        self._beats = 0

    def add(self, record: data.Made) -> None:
        key = self._keys.get(record.subject)
        if key is None:
            encoded = subject_key(data.TENANT, record.subject)
            key = self._keys[record.subject] = encoded, partition_of(encoded, PARTITIONS)
        self._held.setdefault((record.is_action, key[1]), []).append((key[0], record.body))

    async def beat(self) -> None:
        """A heartbeat into every partition of both inputs."""
        self._beats += 1
        for is_action in (True, False):
            for partition in range(PARTITIONS):
                beat = (b"hb", data.heartbeat(self._beats, _now_us()))
                self._held.setdefault((is_action, partition), []).append(beat)
        await self.flush()

    async def flush(self) -> None:
        sent: list[Any] = []
        for (is_action, partition), records in self._held.items():
            self._counts[is_action, partition] = self._counts.get((is_action, partition), 0) + len(records)
            for road in self._roads:
                batch = self._producer.create_batch()
                for key, body in records:
                    assert batch.append(key=key, value=body, timestamp=None) is not None, "a chunk fits a batch"
                batch.close()
                topic = road.topics.actions if is_action else road.topics.authentications
                sent.append(await self._producer.send_batch(batch, topic, partition=partition))
        self._held = {}
        await asyncio.gather(*sent)

    def ends_of(self, road: Settings) -> dict[str, list[int]]:
        return {
            topic: [self._counts[is_action, partition] for partition in range(PARTITIONS)]
            for is_action, topic in ((True, road.topics.actions), (False, road.topics.authentications))
        }
