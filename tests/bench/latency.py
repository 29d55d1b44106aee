"""How long after an event its row can be read, at a steady rate: of the worker by verdict, and of the bare loop."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics
from stepwatch.schemas.times import SECOND_US, parse_time
from tests.bench.data import GRACE_S
from tests.bench.figures import percentile
from tests.bench.latency_load import Plan, Report
from tests.bench.loop import loop_on
from tests.bench.watch import cpu_s
from tests.faults.soak_watch import is_ready
from tests.live.harness import ROOT, environment, until
from tests.live.road import Role

WARM_S = 5.0
"""What is sent in the first seconds is not counted: connections, caches and the first transactions."""
_DRAIN_S = 60.0
_READY_S = 60.0
_READER_WAIT_MS = 20
_ROW = re.compile(rb'"action_id":"a-(\d+)".*?"arrival":"([^"]+)"')
_VERDICT = {"verified": b'"verdict":"verified"', "unverified": b'"verdict":"unverified"'}


class Late(NamedTuple):
    """How late rows of one kind were.

    Attributes:
        rows: how many there were.
        p50_ms, p99_ms: half and 99 of a hundred came within it.
    """

    rows: int
    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return f"{self.p50_ms:.1f} / {self.p99_ms:.1f}"


@dataclass(frozen=True, slots=True)
class Latency:
    """One process at one rate.

    Attributes:
        kinds: `verified` from the send of the action, `unverified` from the end of the grace that begins with the
            action's arrival; of the bare loop `row`, from the send of the action.
        wrong: actions whose row did not come, or said another verdict than was due.
        cpu_percent: of one core, start not counted.
        load_late_ms: the most that an event was sent after it was due.
    """

    kinds: dict[str, Late]
    wrong: int
    cpu_percent: float
    load_late_ms: float


class Seen(NamedTuple):
    """A row as it was read, and when, ns of the wall clock."""

    at_ns: int
    partition: int
    value: bytes


async def worker_latency(settings: Settings, rate: float, seconds: float, folder: Path) -> Latency:
    """Measure the role `correlate` on topics of its own.

    Args:
        settings: whose topics are not there yet.
        rate: events a second.
        seconds: that count; `WARM_S` more come before.
        folder: for logs and reports.
    """
    port = settings.correlate_web_port
    assert port is not None, "without its health page nobody knows when it is ready"
    await create_topics(settings)
    role = Role(settings, folder / f"{settings.prefix}worker.log", "correlate")
    try:
        await until(lambda: is_ready(settings, port), _READY_S, "the worker")
        seen: list[Seen] = []
        async with _reading(settings, settings.topics.audit, seen):
            report, cpu_percent = await _loaded(settings, role.process.pid, rate, seconds, folder)
            wanted = len(report.verified) + len(report.unverified)
            await _until_read(lambda: len(_first_said(seen)) >= wanted)
    finally:
        role.kill()
    return worker_figures(report, seen, rate, cpu_percent)


async def loop_latency(
    settings: Settings, row_bytes: tuple[int, int], rate: float, seconds: float, folder: Path
) -> Latency:
    """Measure the bare loop in the same way; arguments as `worker_latency`, `row_bytes` as `loop_on`."""
    await create_topics(settings)
    async with loop_on(settings, row_bytes, folder, "bare") as running:
        seen: list[Seen] = []
        async with _reading(settings, running.audit, seen):
            report, cpu_percent = await _loaded(settings, running.process.pid, rate, seconds, folder)
            wanted = sum(map(len, report.actions))
            await _until_read(lambda: len(seen) >= wanted)
    return loop_figures(report, seen, rate, cpu_percent)


def worker_figures(report: Report, seen: list[Seen], rate: float, cpu_percent: float) -> Latency:
    """Match rows with what was sent, by the action's id; of several revisions the first is the one that was late."""
    sent_ns: dict[int, int] = {}
    for number, at_ns in (one for each in report.actions for one in each):
        sent_ns[number] = min(at_ns, sent_ns.get(number, at_ns))
    wanted = {**dict.fromkeys(report.verified, "verified"), **dict.fromkeys(report.unverified, "unverified")}
    said = _first_said(seen)
    late_ms: dict[str, list[float]] = {verdict: [] for verdict in _VERDICT}
    for number, (verdict, at_ns, arrival_us) in said.items():
        if number >= WARM_S * rate:
            since_ns = sent_ns[number] if verdict == "verified" else (arrival_us + GRACE_S * SECOND_US) * 1000
            late_ms[verdict].append((at_ns - since_ns) / 1e6)
    kinds = {verdict: _late(values) for verdict, values in late_ms.items()}
    wrong = sum(1 for number in wanted.keys() | said.keys() if wanted.get(number) != said.get(number, ("", 0, 0))[0])
    return Latency(kinds, wrong, cpu_percent, report.late_s * 1000)


def loop_figures(report: Report, seen: list[Seen], rate: float, cpu_percent: float) -> Latency:
    """Match rows with what was sent, by their order: the loop writes one for each action, in the order of the log."""
    late_ms = []
    wrong = 0
    for partition, sent in enumerate(report.actions):
        rows = [row.at_ns for row in seen if row.partition == partition]
        wrong += abs(len(sent) - len(rows))
        late_ms += [(at - since) / 1e6 for (n, since), at in zip(sent, rows, strict=False) if n >= WARM_S * rate]
    return Latency({"row": _late(late_ms)}, wrong, cpu_percent, report.late_s * 1000)


def _late(values: list[float]) -> Late:
    return Late(len(values), percentile(values, 50), percentile(values, 99))


def _first_said(seen: list[Seen]) -> dict[int, tuple[str, int, int]]:
    """Number of an action -> (verdict, when read ns, arrival us) of the first row that says one of the two."""
    said: dict[int, tuple[str, int, int]] = {}
    for row in seen:
        for verdict, words in _VERDICT.items():
            if words in row.value and (found := _ROW.search(row.value)):
                arrival_us = parse_time(found[2].decode())
                assert arrival_us is not None, "a row without arrival"
                said.setdefault(int(found[1]), (verdict, row.at_ns, arrival_us))
    return said


@asynccontextmanager
async def _reading(settings: Settings, topic: str, seen: list[Seen]) -> AsyncIterator[None]:
    """Note what a reader of committed records reads, and when, until the block ends."""
    async with AIOKafkaConsumer(
        **settings.kafka_client_options(), isolation_level="read_committed", fetch_max_wait_ms=_READER_WAIT_MS
    ) as reader:
        tps = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        reader.assign(tps)
        await reader.seek_to_beginning(*tps)

        async def follow() -> None:
            while True:
                got = await reader.getmany(timeout_ms=200)
                at_ns = time.time_ns()
                seen.extend(Seen(at_ns, tp.partition, row.value) for tp, rows in got.items() for row in rows)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def _loaded(settings: Settings, pid: int, rate: float, seconds: float, folder: Path) -> tuple[Report, float]:
    """Send, and return what was sent and how much of a core the process took meanwhile, percent."""
    said = folder / f"{settings.prefix}sent.json"
    plan = Plan(rate, WARM_S + seconds, 7, str(said))
    measured = [psutil.Process(pid)]
    before_s, begun = cpu_s(measured), time.monotonic()
    load = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.latency_load",
        msgspec.json.encode(plan).decode(),
        cwd=ROOT,
        env=environment(settings),
    )
    try:
        status = await asyncio.wait_for(load.wait(), 2 * plan.seconds + _READY_S)
    finally:
        if load.returncode is None:
            load.kill()
            await load.wait()
    if status:
        raise RuntimeError(f"the load ended with status {status}")
    cpu_percent = (cpu_s(measured) - before_s) / (time.monotonic() - begun) * 100
    return msgspec.json.decode(said.read_bytes(), type=Report), cpu_percent


async def _until_read(enough: Callable[[], bool]) -> None:
    """Wait for the last rows; what has not come after a minute is told as missing."""
    give_up = time.monotonic() + _DRAIN_S
    while not enough() and time.monotonic() < give_up:
        await asyncio.sleep(0.2)
