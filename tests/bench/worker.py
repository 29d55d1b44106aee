"""The correlate role as shipped, in processes of its own, from the start until every input is committed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from tests.bench.figures import Run, figures_of
from tests.bench.fill import Filled
from tests.bench.watch import watch
from tests.faults.soak_watch import metrics_of
from tests.live.road import Role


async def run_workers(filled: Filled, folder: Path, name: str, count: int = 1) -> Run:
    """Start the role on the inputs, watch it to their end, stop it.

    Args:
        filled: inputs that nobody has judged yet.
        folder: for its log lines.
        name: of the run, and of the logs.
        count: processes, which share the partitions.
    """
    started = time.monotonic()
    each = [filled.settings.model_copy(update={"correlate_web_port": ports.any_free()}) for _ in range(count)]
    logs = [folder / f"{name.replace(' ', '-')}-{number}.log" for number in range(1, count + 1)]
    roles = [Role(settings, log, "correlate") for settings, log in zip(each, logs, strict=True)]
    first = asyncio.create_task(_first_verdict(filled.settings, started))

    async def records() -> int:
        return (await totals(each))["read"]

    try:
        samples = await watch([role.process for role in roles], logs, records, filled.records)
        figures = figures_of(samples, await asyncio.wait_for(first, 30))
        transactions = (await totals(each))["transactions"]
        for role in roles:
            if status := await asyncio.to_thread(role.stop):
                raise RuntimeError(f"the worker ended with status {status}: {role.said[-2000:]}")
    finally:
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        for role in roles:
            if role.process.poll() is None:
                role.kill()
    return Run(name, figures, filled.records // max(1, transactions))


async def totals(each: Sequence[Settings]) -> Counter[str]:
    """`read` (inputs committed; our own pulses are none) and `transactions`, of all workers, by their metrics pages.

    What was read is told by the account, which is kept with the positions: however often partitions change hands, each
    record is in it once. It may be too small for a moment while a partition is handed over.
    """
    found: Counter[str] = Counter()
    for settings in each:
        for (name, _), value in (await metrics_of(settings, settings.correlate_web_port)).items():
            if name == "stepwatch_accounted_records":
                found["read"] += int(value)
            elif name == "stepwatch_pulses_total":
                found["read"] -= int(value)
            elif name == "stepwatch_transactions_total":
                found["transactions"] += int(value)
    return found


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
