"""The bare loop that the worker is measured by: consume, decode the envelope, write a row, commit. No logic.

The same client, batch sizes, transactions and row sizes as the worker: what is left between the two is what judging
costs. Run as a process: `python -m tests.bench.loop JSON`, with the fields of `Job`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiokafka.producer.sender
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.settings import Settings
from stepwatch.schemas.compiled import decode_envelope
from tests.bench.figures import Run, figures_of
from tests.bench.fill import Filled
from tests.bench.watch import watch

_BATCH_RECORDS = 4000
_BATCHES_AHEAD = 6
_TRANSACTION_RECORDS_MAX = 20_000
_FETCH_BYTES = 2 << 20
_FETCH_MS = 50
_PRODUCE_BYTES = 900_000
_ROOT = Path(__file__).resolve().parents[2]


class Job(msgspec.Struct):
    """What the process is told.

    Attributes:
        inputs: topic -> (topic of its rows, bytes of one row).
        state: topic of the positions.
        progress: file in which it says how many records and transactions are committed, 8 bytes each.
    """

    bootstrap: str
    partitions: int
    inputs: dict[str, tuple[str, int]]
    state: str
    progress: str


@dataclass(frozen=True, slots=True)
class Running:
    """A loop that was started.

    Attributes:
        audit: the topic of its rows for actions.
        log: what it says.
    """

    process: subprocess.Popen[bytes]
    audit: str
    log: Path
    _progress: Path

    async def records(self) -> int:
        """How many it has read and committed."""
        return int.from_bytes(self._progress.read_bytes()[:8])

    @property
    def transactions(self) -> int:
        """How many it has committed."""
        return int.from_bytes(self._progress.read_bytes()[8:])


@asynccontextmanager
async def loop_on(settings: Settings, row_bytes: tuple[int, int], folder: Path, name: str) -> AsyncIterator[Running]:
    """A loop on the same inputs as a worker with these settings; its rows lie in topics that are deleted after.

    Args:
        settings: of the worker.
        row_bytes: of a row for an action, and for an authentication event.
        folder: for its log and progress.
        name: of this run, part of its topics' names.
    """
    topics = settings.topics
    audit, evidence, state = (f"{settings.prefix}{name}.{kind}" for kind in ("audit", "evidence", "state"))
    progress, log = folder / f"{audit}.progress", folder / f"{audit}.log"
    progress.write_bytes(bytes(16))
    job = Job(
        settings.kafka_bootstrap,
        settings.partitions,
        {topics.actions: (audit, row_bytes[0]), topics.authentications: (evidence, row_bytes[1])},
        state,
        str(progress),
    )
    admin = await open_admin(settings)
    try:
        await admin.create_topics([NewTopic(topic, settings.partitions, 1) for topic in (audit, evidence, state)])
        with log.open("ab") as out:
            command = [sys.executable, "-m", "tests.bench.loop", msgspec.json.encode(job).decode()]
            process = subprocess.Popen(command, cwd=_ROOT, stdout=out, stderr=out)
        try:
            yield Running(process, audit, log, progress)
        finally:
            process.kill()
            process.wait()
            await admin.delete_topics([audit, evidence, state])
    finally:
        await close_client(admin)


async def run_loop(filled: Filled, row_bytes: tuple[int, int], folder: Path, name: str) -> Run:
    """Run the loop on the worker's inputs to their end; arguments as `loop_on`."""
    async with loop_on(filled.settings, row_bytes, folder, name) as running:
        samples = await watch([running.process], [running.log], running.records, filled.records)
        return Run(f"bare loop, {name}", figures_of(samples), filled.records // running.transactions)


class _Copier:
    """One partition: its batches, its transactional producer."""

    done = 0
    transactions = 0

    def __init__(self, job: Job, consumer: AIOKafkaConsumer, partition: int) -> None:
        self._job = job
        self._consumer = consumer
        self._partition = partition
        self._tps = [TopicPartition(topic, partition) for topic in job.inputs]
        self._queue: asyncio.Queue[tuple[str, list[Any]]] = asyncio.Queue(_BATCHES_AHEAD)
        self._progress = os.open(job.progress, os.O_WRONLY)
        self._rows = {topic: (out, b"x" * size) for topic, (out, size) in job.inputs.items()}

    async def read(self) -> None:
        while True:
            got = await self._consumer.getmany(*self._tps, timeout_ms=200, max_records=_BATCH_RECORDS)
            for tp, records in got.items():
                await self._queue.put((tp.topic, records))

    async def write(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._job.bootstrap,
            transactional_id=f"{self._job.state}-{self._partition}",
            max_batch_size=_PRODUCE_BYTES,
        )
        async with producer:
            while True:
                batches = [await self._queue.get()]
                count = len(batches[0][1])
                while not self._queue.empty() and count < _TRANSACTION_RECORDS_MAX:
                    batches.append(self._queue.get_nowait())
                    count += len(batches[-1][1])
                async with producer.transaction():
                    sent = []
                    for topic, records in batches:
                        sent += await self._send(producer, topic, records)
                    await asyncio.gather(*sent)
                _Copier.done += count
                _Copier.transactions += 1
                os.pwrite(self._progress, _Copier.done.to_bytes(8) + _Copier.transactions.to_bytes(8), 0)

    async def _send(self, producer: AIOKafkaProducer, topic: str, records: list[Any]) -> list[Any]:
        out, row = self._rows[topic]
        now_ms = time.time_ns() // 1_000_000
        sent = []
        batch = producer.create_batch()
        append = batch.append
        for record in records:
            decode_envelope(record.value)
            if append(key=record.key, value=row, timestamp=now_ms) is None:
                sent.append(await self._hand_over(producer, out, batch))
                batch = producer.create_batch()
                append = batch.append
                append(key=record.key, value=row, timestamp=now_ms)
        sent.append(await self._hand_over(producer, out, batch))
        position = producer.create_batch()
        position.append(key=topic.encode(), value=str(records[-1].offset + 1).encode(), timestamp=now_ms)
        sent.append(await self._hand_over(producer, self._job.state, position))
        return sent

    async def _hand_over(self, producer: AIOKafkaProducer, topic: str, batch: Any) -> Any:
        batch.close()
        return await producer.send_batch(batch, topic, partition=self._partition)


async def _main(job: Job) -> None:
    # As the worker does, or the loop would pay for the defaults: see agents/transaction.py and agents/correlate.py.
    aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002
    gc.set_threshold(200_000, 50, 100)
    gc.freeze()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=job.bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=_FETCH_MS,
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    async with consumer:
        tps = [TopicPartition(topic, partition) for topic in job.inputs for partition in range(job.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        copiers = [_Copier(job, consumer, partition) for partition in range(job.partitions)]
        await asyncio.gather(*(copier.read() for copier in copiers), *(copier.write() for copier in copiers))


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Job)))
