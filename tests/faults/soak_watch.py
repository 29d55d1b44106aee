"""What the soak looks at: two processes from outside, their metrics, and how late verdicts are."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stepwatch.agents.settings import Settings
from tests.faults.stage import Actor

_LINE = re.compile(r"^(stepwatch_\w+)(?:\{([^}]*)\})? ([0-9.e+-]+)$", re.MULTILINE)
_ROW = re.compile(rb'"action_id":"a-[^"]*-(\d+)"')
_VERIFIED, _UNVERIFIED = b'"verdict":"verified"', b'"verdict":"unverified"'


class Sample(NamedTuple):
    """One look. Figures of a process begin with its role's name; latencies are since the look before, ms."""

    at_s: float
    correlate_rss_mb: float
    store_rss_mb: float
    correlate_descriptors: float
    store_descriptors: float
    correlate_threads: float
    store_threads: float
    correlate_cpu_percent: float
    store_cpu_percent: float
    correlate_lag: float
    store_lag: float
    state_log_mb: float
    verified_p50_ms: float
    verified_p99_ms: float
    unverified_p50_ms: float
    unverified_p99_ms: float


class Latencies:
    """Reads the rows of one partition, as a reader of committed records does, and notes how late each verdict is.

    `verified`: since its action was sent. `unverified`: since the end of its grace.
    """

    def __init__(self, settings: Settings, grace_s: float) -> None:
        self._settings = settings
        self._late_ms = {_VERIFIED: 0.0, _UNVERIFIED: grace_s * 1000}
        self._seen: dict[bytes, list[float]] = defaultdict(list)

    async def follow(self) -> None:
        """Read until cancelled."""
        async with AIOKafkaConsumer(
            **self._settings.kafka_client_options(), isolation_level="read_committed", fetch_max_wait_ms=20
        ) as reader:
            at = TopicPartition(self._settings.topics.audit, 0)
            reader.assign([at])
            await reader.seek_to_end(at)
            while True:
                got = await reader.getmany(at, timeout_ms=100)
                now_ms = time.time() * 1000
                for record in got.get(at, ()):
                    for verdict, late_ms in self._late_ms.items():
                        if verdict in record.value and (found := _ROW.search(record.value)):
                            self._seen[verdict].append(now_ms - int(found[1]) - late_ms)

    def take(self) -> tuple[float, float, float, float]:
        """p50 and p99 of `verified`, then of `unverified`, since the last call; NaN where there was none."""
        seen, self._seen = self._seen, defaultdict(list)
        return (
            _quantile(seen[_VERIFIED], 0.5),
            _quantile(seen[_VERIFIED], 0.99),
            _quantile(seen[_UNVERIFIED], 0.5),
            _quantile(seen[_UNVERIFIED], 0.99),
        )


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


class Watch:
    """Looks at both roles.

    Args:
        settings: of both; their metrics are served.
        correlate, store: running.
        latencies: being followed.
        state_logs: folders of the state topic in the broker's data.
    """

    def __init__(self, settings: Settings, correlate: Actor, store: Actor, latencies: Latencies, data: Path) -> None:
        self._settings = settings
        self._processes = [psutil.Process(actor.pid) for actor in (correlate, store)]
        self._latencies = latencies
        self._data = data
        for process in self._processes:
            process.cpu_percent()

    async def look(self, began_s: float) -> Sample:
        """One sample."""
        seen = []
        for process in self._processes:
            with process.oneshot():
                rss_mb = process.memory_info().rss / 1e6
                seen.append((rss_mb, process.num_fds(), process.num_threads(), process.cpu_percent()))
        pairs = [figure for pair in zip(*seen, strict=True) for figure in pair]
        logs = self._data.glob(f"{self._settings.topics.state}-*/*.log")
        size = 0
        for log in logs:
            with contextlib.suppress(FileNotFoundError):  # the cleaner was faster
                size += log.stat().st_size
        lags = await self.lags()
        return Sample(time.monotonic() - began_s, *pairs, *lags, size / 1e6, *self._latencies.take())

    async def lags(self) -> tuple[float, float]:
        """Records that correlate, and rows that store, have not committed; by the group's offsets, seconds old."""
        topics = self._settings.topics
        inputs, outputs = topics.inputs, (topics.audit, topics.evidence, topics.alerts, topics.dead_letters)
        return await _lag(self._settings, "correlate", inputs), await _lag(self._settings, "store", outputs)


async def _lag(settings: Settings, role: str, topics: tuple[str, ...]) -> float:
    tps = [TopicPartition(topic, number) for topic in topics for number in range(settings.partitions)]
    async with AIOKafkaConsumer(**settings.kafka_client_options()) as consumer:
        ends = await consumer.end_offsets(tps)
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    await admin.start()
    try:
        done = await admin.list_consumer_group_offsets(settings.group(role))
    finally:
        await admin.close()
    return float(sum(max(0, end - (done[tp].offset if tp in done else 0)) for tp, end in ends.items()))


async def metrics_of(settings: Settings, port: int | None) -> dict[tuple[str, str], float]:
    """(name, labels) -> value, of a role's metrics page; empty while it is not served."""
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        address = f"http://{settings.web_host}:{port}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=10).read())
        return {(name, labels): float(value) for name, labels, value in _LINE.findall(page.decode())}
    return {}


async def is_ready(settings: Settings, port: int) -> bool:
    """Whether the role with this port works."""
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        address = f"http://{settings.web_host}:{port}/readyz"
        await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=10).read())
        return True
    return False


def thirds(samples: list[Sample], from_s: float) -> tuple[dict[str, float], dict[str, float]]:
    """Mean of each figure over the first and the last third of what was seen from a moment on."""
    full = [sample for sample in samples if sample.at_s >= from_s]
    third = max(1, len(full) // 3)
    return _means(full[:third]), _means(full[-third:])


def _means(samples: list[Sample]) -> dict[str, float]:
    found = {}
    for name in Sample._fields[1:]:
        values = [value for sample in samples if (value := getattr(sample, name)) == value]
        found[name] = mean(values) if values else float("nan")
    return found
