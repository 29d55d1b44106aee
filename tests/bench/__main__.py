"""One worker on real Kafka beside a bare loop in the same run, then the stages of the core.

    python -m tests.bench [--events 1000000] [--rounds 2]

The machine may be shared: what counts is the ratio, and each figure is the best of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics
from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.bench.data import PARTITIONS, POLICY, Stream, build_stream
from tests.bench.stages import measure
from tests.bench.watch import Run, watch
from tests.live.harness import ROOT, environment, read


def settings_of(bootstrap: str, folder: Path, prefix: str) -> Settings:
    """Settings of one round: topics of its own on the same broker."""
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    (policies / "bench.yaml").write_text(POLICY)
    return Settings(
        kafka_bootstrap=bootstrap,
        prefix=prefix,
        partitions=PARTITIONS,
        policies_dir=policies,
        data=folder / "data",
        correlate_web_port=0,
    )


async def fill(settings: Settings, stream: Stream) -> None:
    """Lay the stream down in the inputs."""
    topics = {"actions": settings.topics.actions, "authentications": settings.topics.authentications}
    async with AIOKafkaProducer(**settings.kafka_client_options(), max_batch_size=900_000) as producer:
        for (name, partition), log in stream.records.items():
            batch = producer.create_batch()
            for key, value in log:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    batch.close()
                    await producer.send_batch(batch, topics[name], partition=partition)
                    batch = producer.create_batch()
                    batch.append(key=key, value=value, timestamp=None)
            batch.close()
            await producer.send_batch(batch, topics[name], partition=partition)
        await producer.flush()


def start(settings: Settings, log: Path, *module: str) -> psutil.Popen:
    """A Python process with these settings in its environment."""
    with log.open("ab") as out:
        return psutil.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, env=environment(settings), stdout=out, stderr=out
        )


async def run_worker(settings: Settings, stream: Stream, folder: Path) -> Run:
    """The correlate role as shipped."""
    process = start(settings, folder / "worker.log", "stepwatch.cli.main", "correlate")
    try:
        return await watch(settings, process, settings.topics.audit, stream.count)
    finally:
        process.terminate()
        process.wait(30)


async def run_loop(settings: Settings, stream: Stream, folder: Path, row_bytes: int) -> Run:
    """The bare loop on the same inputs."""
    output = settings.prefix + "loop"
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    await admin.start()
    await admin.create_topics([NewTopic(output, PARTITIONS, 1)])
    await admin.close()
    process = start(settings, folder / "loop.log", "tests.bench.loop", output, str(row_bytes))
    try:
        return await watch(settings, process, output, stream.count)
    finally:
        process.kill()
        process.wait(30)


async def check(settings: Settings, stream: Stream) -> tuple[int, list[str]]:
    """Mean bytes of an audit row, and every action whose current verdict is not what it must be."""
    current: dict[str, tuple[int, str]] = {}
    size = count = 0
    for record in await read(settings, settings.topics.audit):
        row: dict[str, Any] = json.loads(record.value)
        current[row["action_id"]] = max(current.get(row["action_id"], (0, "")), (row["revision"], row["verdict"]))
        size, count = size + len(record.value), count + 1
    expected = stream.expected()
    wrong = [name for name, verdict in expected.items() if current.get(name, (0, "none"))[1] != verdict]
    others = sum(verdict == "not_required" for _, verdict in current.values())
    if len(current) != stream.actions or others != stream.actions - len(expected):
        wrong.append(f"{len(current)} actions judged of {stream.actions}, {others} of them not_required")
    return size // max(count, 1), wrong


def table(
    rounds: Sequence[tuple[Run, Run]], stages: Sequence[tuple[str, float]], stream: Stream, spent_s: float
) -> str:
    """What is printed."""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {psutil.cpu_count()} cores shared with the broker, "
        f"Python {platform.python_version()}, {stream.count:,} records, {len(rounds)} rounds, {spent_s:.0f} s",
        "",
        "                                    worker   bare loop    ratio",
    ]
    for name, pick, best in (
        ("CPU per record, warm (us)", lambda run: run.cpu_us, min),
        ("CPU per record, whole process (us)", lambda run: run.cold_cpu_us, min),
        ("records per second", lambda run: run.events_per_s, max),
        ("start to first output (s)", lambda run: run.first_s, min),
        ("peak memory (MB)", lambda run: run.peak_bytes / 1e6, min),
    ):
        worker, loop = (best(pick(pair[side]) for pair in rounds) for side in (0, 1))
        lines.append(f"{name:<34} {worker:>9,.1f} {loop:>9,.1f} {worker / loop:>8.2f}")
    lines += ["", "stage of the core                          us per record"]
    lines += [f"{name:<42} {us:>9.2f}" for name, us in stages]
    return "\n".join(lines)


async def bench(events: int, rounds: int) -> int:
    """Run everything; returns the exit status: 1 where a verdict was wrong."""
    started = time.monotonic()
    stream = build_stream(events, time.time_ns() // 1000 - 60_000_000)
    results: list[tuple[Run, Run]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = DataFolder(folder / "servers")
        with data.lock():
            kafka = EmbeddedKafka(data, port=ports.any_free())
            kafka.start()
            try:
                for number in range(rounds):
                    settings = settings_of(kafka.bootstrap, folder, f"bench{number}.")
                    await create_topics(settings)
                    await fill(settings, stream)
                    worker = await run_worker(settings, stream, folder)
                    row_bytes, wrong = await check(settings, stream)
                    if wrong:
                        print(f"wrong verdicts: {len(wrong)}, the first: {wrong[:5]}", file=sys.stderr)
                        print((folder / "worker.log").read_text()[-2000:], file=sys.stderr)
                        return 1
                    results.append((worker, await run_loop(settings, stream, folder, row_bytes)))
                    print(f"round {number + 1}: worker {worker.cpu_us:.1f} us", file=sys.stderr)
            finally:
                kafka.stop()
    print(table(results, measure(stream, time.time_ns() // 1000), stream, time.monotonic() - started))
    return 0


def main() -> int:
    """Read the options and run."""
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=2)
    said = options.parse_args()
    return asyncio.run(bench(said.events, said.rounds))


if __name__ == "__main__":
    sys.exit(main())
