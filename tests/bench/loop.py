"""The bare loop: what any exactly-once worker in Python pays before its first line of logic.

aiokafka's consumer, read_committed; one msgspec decode of every field that a row shows; one transactional producer for
each partition; `send_batch` of rows of as many bytes as ours. It judges nothing, remembers nothing and writes no state.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from typing import Any

import aiokafka.producer.sender
import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stepwatch.agents.settings import Settings
from stepwatch.schemas.compiled import FastData
from tests.bench.figures import Figures, Sample, figures_of
from tests.bench.fill import Road

_BATCH_RECORDS = 8000
_BATCH_BYTES = 900_000
_FETCH_BYTES = 2 << 20
_LOOK_S = 0.25


class Job(msgspec.Struct):
    """What the process is told.

    Attributes:
        kafka: the broker's address.
        started: when it was started, seconds since 1970.
        ends: input -> offset of each partition at which to stop.
        outputs: input -> where its rows go.
        row_bytes: input -> bytes of such a row.
    """

    kafka: str
    started: float
    ends: dict[str, list[int]]
    outputs: dict[str, str]
    row_bytes: dict[str, int]


class Report(msgspec.Struct):
    """What the process prints."""

    first_s: float
    samples: list[Sample]


class _Event(msgspec.Struct, gc=False):
    id: str = ""
    source: str = ""
    type: str = ""
    time: str = ""
    subject: str = ""
    data: FastData = msgspec.UNSET


async def run_loop(road: Road, outputs: Settings, audit_bytes: int, evidence_bytes: int) -> Figures:
    """Run it as a process over the records of a road.

    Args:
        road: filled.
        outputs: topics under another prefix, for its rows.
        audit_bytes, evidence_bytes: bytes of a row.
    """
    inputs = road.settings.topics
    job = Job(
        road.settings.kafka_bootstrap,
        time.time(),
        road.ends,
        {inputs.actions: outputs.topics.audit, inputs.authentications: outputs.topics.evidence},
        {inputs.actions: audit_bytes, inputs.authentications: evidence_bytes},
    )
    argv = [sys.executable, "-m", "tests.bench.loop", msgspec.json.encode(job).decode()]
    done = await asyncio.to_thread(subprocess.run, argv, stdout=subprocess.PIPE, check=True, timeout=300)
    report = msgspec.json.decode(done.stdout, type=Report)
    return figures_of(report.samples, report.first_s)


class _Loop:
    """The process: one task for each partition on one consumer."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rows = {topic: b"x" * size for topic, size in job.row_bytes.items()}
        self._decode = msgspec.json.Decoder(_Event).decode
        self._process = psutil.Process()
        self._looked = 0.0
        self._records = 0
        self.first_s = 0.0
        self.samples: list[Sample] = []

    async def run(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._job.kafka,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        await consumer.start()
        partitions = range(len(next(iter(self._job.ends.values()))))
        consumer.assign([TopicPartition(topic, partition) for topic in self._job.ends for partition in partitions])
        await asyncio.gather(*(self._work(consumer, partition) for partition in partitions))
        self._look()
        await consumer.stop()

    async def _work(self, consumer: AIOKafkaConsumer, partition: int) -> None:
        left = {TopicPartition(topic, partition): ends[partition] for topic, ends in self._job.ends.items()}
        async with AIOKafkaProducer(
            bootstrap_servers=self._job.kafka,
            transactional_id=f"{next(iter(self._job.outputs.values()))}-{partition}",
            max_batch_size=_BATCH_BYTES,
        ) as producer:
            while left:
                got = await consumer.getmany(*left, timeout_ms=50, max_records=_BATCH_RECORDS)
                if not got:
                    continue
                await self._commit(producer, got)
                for tp, records in got.items():
                    self._records += len(records)
                    if records[-1].offset + 1 >= left[tp]:
                        del left[tp]
                self.first_s = self.first_s or time.time() - self._job.started
                if time.monotonic() - self._looked > _LOOK_S:
                    self._look()

    async def _commit(self, producer: AIOKafkaProducer, got: dict[Any, list[Any]]) -> None:
        await producer.begin_transaction()
        sent = []
        decode, now_ms = self._decode, time.time_ns() // 1_000_000
        for tp, records in got.items():
            row, output = self._rows[tp.topic], self._job.outputs[tp.topic]
            batch = producer.create_batch()
            for record in records:
                decode(record.value)
                if batch.append(key=record.key, value=row, timestamp=now_ms) is None:
                    batch.close()
                    sent.append(await producer.send_batch(batch, output, partition=tp.partition))
                    batch = producer.create_batch()
                    batch.append(key=record.key, value=row, timestamp=now_ms)
            batch.close()
            sent.append(await producer.send_batch(batch, output, partition=tp.partition))
        await asyncio.gather(*sent)
        await producer.commit_transaction()

    def _look(self) -> None:
        self._looked = time.monotonic()
        wall_s, memory = time.time() - self._job.started, self._process.memory_info()
        self.samples.append(Sample(wall_s, time.process_time(), self._records, memory.rss / 2**20))


def main() -> None:
    """Run the job of the command line, and print the report."""
    gc.set_threshold(200_000, 50, 100)
    # As in the worker: else both wait 20 ms between two transactions.
    aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002
    loop = _Loop(msgspec.json.decode(sys.argv[1], type=Job))
    asyncio.run(loop.run())
    print(json.dumps({"first_s": loop.first_s, "samples": loop.samples}))


if __name__ == "__main__":
    main()
