"""The correlate role as shipped, in its own process, from its start until every input is committed."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from tests.bench.figures import Run, figures_of
from tests.bench.fill import Filled
from tests.bench.watch import watch
from tests.live.road import Role

_TOTAL = re.compile(r"^stepwatch_(records_in|pulses|transactions)_total(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


async def run_worker(filled: Filled, log: Path, **env: str) -> Run:
    """Start the role on the inputs, watch it to their end, stop it.

    Args:
        filled: inputs that nobody has judged yet.
        log: file for its log lines.
        env: of the process, beside its settings.
    """
    settings = filled.settings
    started = time.monotonic()
    role = Role(settings, log, "correlate", **env)
    first = asyncio.create_task(_first_verdict(settings, started))
    try:
        samples = await watch(role.process, log, _Metrics(settings).records, filled.records)
        figures = figures_of(samples, await asyncio.wait_for(first, 30))
        transactions = (await asyncio.to_thread(_totals, settings))["transactions"]
        if status := role.stop():
            raise RuntimeError(f"the worker ended with status {status}: {role.said[-2000:]}")
    finally:
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        if role.process.poll() is None:
            role.kill()
    return Run("worker", figures, filled.records // transactions)


class _Metrics:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def records(self) -> int:
        """Inputs read and committed; the worker's own pulses are none of them."""
        totals = await asyncio.to_thread(_totals, self._settings)
        return totals["records_in"] - totals["pulses"]


def _totals(settings: Settings) -> dict[str, int]:
    """Counters of its metrics page, summed over labels; all 0 while it is not served yet."""
    totals = dict.fromkeys(("records_in", "pulses", "transactions"), 0)
    address = f"http://{settings.web_host}:{settings.correlate_web_port}/metrics"
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        page = urllib.request.urlopen(address, timeout=10).read().decode()
        for name, value in _TOTAL.findall(page):
            totals[name] += int(float(value))
    return totals


async def _first_verdict(settings: Settings, started: float) -> float:
    """Seconds from `started` until a reader of committed records sees an audit row."""
    async with AIOKafkaConsumer(
        **settings.kafka_client_options(), isolation_level="read_committed", fetch_max_wait_ms=20
    ) as reader:
        tps = [TopicPartition(settings.topics.audit, partition) for partition in range(settings.partitions)]
        reader.assign(tps)
        await reader.seek_to_beginning(*tps)
        while not any((await reader.getmany(timeout_ms=50, max_records=1)).values()):
            pass
    return time.monotonic() - started
