"""The correlate role as it is shipped, as a process, on a filled road."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from tests.bench.figures import Figures, Sample, figures_of
from tests.bench.fill import Road

_LOOK_S = 0.25
_LONGEST_S = 300.0
_METRIC = re.compile(r"^(stepwatch_records_in_total|stepwatch_waiting_actions)\{[^}]*\} (\S+)$", re.MULTILINE)


async def run_worker(road: Road, log: Path) -> Figures:
    """Start one, wait until it has committed the effects of all records and nothing waits, and stop it.

    Args:
        road: filled, and never read by a worker.
        log: takes its output.

    Raises:
        RuntimeError: it ended by itself, or took longer than 5 minutes; its last lines are in the message.
    """
    first = asyncio.create_task(_first_row(road.settings))
    await asyncio.sleep(0.5)  # the reader is there first, so that it does not measure its own start
    started = time.monotonic()
    with _process(road.settings, log) as process:
        samples = await _watch(process, road, started, log)
        figures = figures_of(samples, await first - started)
        process.send_signal(signal.SIGTERM)
        if await asyncio.to_thread(process.wait, 60) != 0:
            raise RuntimeError(f"the worker did not end well:\n{_tail(log)}")
    return figures


@contextmanager
def _process(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = dict(os.environ)
    for name in settings.model_fields_set:
        env["STEPWATCH_" + name.upper()] = str(getattr(settings, name))
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "stepwatch.cli.main", "correlate"], env=env, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _watch(process: subprocess.Popen[bytes], road: Road, started: float, log: Path) -> list[Sample]:
    looked = psutil.Process(process.pid)
    samples: list[Sample] = []
    while True:
        await asyncio.sleep(_LOOK_S)
        wall_s = time.monotonic() - started
        if process.poll() is not None or wall_s > _LONGEST_S:
            raise RuntimeError(f"the worker ended, or took longer than {_LONGEST_S:g} s:\n{_tail(log)}")
        said = await asyncio.to_thread(_metrics, road.settings)
        if said is None:
            continue
        records, waiting = said
        times, memory = looked.cpu_times(), looked.memory_info()
        if samples and records == samples[-1].records:
            # Pulses are records too: only when nothing came for a while is it certain that all is done.
            if records >= road.records and not waiting:
                return samples
            continue
        samples.append(Sample(wall_s, times.user + times.system, records, memory.rss / 2**20))


def _metrics(settings: Settings) -> tuple[int, int] | None:
    """(records accounted for, actions that wait), as the worker says it; None: it does not answer yet."""
    try:
        url = f"http://{settings.web_host}:{settings.correlate_web_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None
    sums = {"stepwatch_records_in_total": 0.0, "stepwatch_waiting_actions": 0.0}
    for name, value in _METRIC.findall(text):
        sums[name] += float(value)
    records, waiting = sums.values()
    return int(records), int(waiting)


async def _first_row(settings: Settings) -> float:
    """When a reader of topic `audit` got the first committed row, monotonic seconds."""
    consumer = AIOKafkaConsumer(
        **settings.kafka_client_options(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(settings.topics.audit, p) for p in range(settings.partitions)])
        await consumer.getone()
        return time.monotonic()
    finally:
        await consumer.stop()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
