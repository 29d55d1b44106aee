"""A process and the topic that it fills, sampled until nothing more comes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import NamedTuple

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from tests.bench.data import PARTITIONS

_STEP_S = 0.1
_QUIET_S = 4.0
_GIVE_UP_S = 300.0


class Sample(NamedTuple):
    """One look: seconds since the start, CPU seconds (user and system, all threads), offsets written, resident bytes."""

    at_s: float
    cpu_s: float
    written: int
    rss_bytes: int


@dataclass(frozen=True)
class Run:
    """What one run cost.

    Attributes:
        events_per_s: while 10 to 95 % of the output was written.
        cpu_us: CPU per input record in that time.
        cold_cpu_us: of the whole process, from its start.
        first_s: from the start of the process to its first output.
        peak_bytes: resident.
    """

    events_per_s: float
    cpu_us: float
    cold_cpu_us: float
    first_s: float
    peak_bytes: int


async def watch(settings: Settings, process: psutil.Popen, topic: str, events: int) -> Run:
    """Sample until the topic has not grown for 4 s.

    Args:
        settings: where Kafka is.
        process: just started.
        topic: that it fills, empty before.
        events: input records that it has to read.
    """
    tps = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(**settings.kafka_client_options())
    await consumer.start()
    started = time.monotonic()
    samples: list[Sample] = []
    try:
        while not _is_done(samples):
            assert process.is_running(), "the process ended before its work was done"
            assert time.monotonic() - started < _GIVE_UP_S, "it is not done after 5 minutes"
            ends = await consumer.end_offsets(tps)
            cpu = process.cpu_times()
            at_s, used_s = time.monotonic() - started, cpu.user + cpu.system
            samples.append(Sample(at_s, used_s, sum(ends.values()), process.memory_info().rss))
            await asyncio.sleep(_STEP_S)
    finally:
        await consumer.stop()
    return _summed(samples, events)


def _is_done(samples: list[Sample]) -> bool:
    last = samples[-1] if samples else None
    if last is None or last.written == 0:
        return False
    grew = next(sample for sample in samples if sample.written == last.written)
    return last.at_s - grew.at_s > _QUIET_S


def _summed(samples: list[Sample], events: int) -> Run:
    total = samples[-1].written
    end = next(sample for sample in samples if sample.written == total)
    begin_warm = next(sample for sample in samples if sample.written >= 0.10 * total)
    end_warm = next(sample for sample in samples if sample.written >= 0.95 * total)
    warm_events = events * (end_warm.written - begin_warm.written) / total
    return Run(
        events_per_s=warm_events / max(end_warm.at_s - begin_warm.at_s, _STEP_S),
        cpu_us=(end_warm.cpu_s - begin_warm.cpu_s) / max(warm_events, 1) * 1e6,
        cold_cpu_us=end.cpu_s / events * 1e6,
        first_s=next(sample for sample in samples if sample.written > 0).at_s,
        peak_bytes=max(sample.rss_bytes for sample in samples),
    )
