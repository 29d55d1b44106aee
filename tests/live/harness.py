"""What the live tests of the shell share: a worker process, records in, everything out."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from stepwatch.agents.losses import WHOLE_KEY
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics

ROOT = Path(__file__).resolve().parents[2]
POLICY = "version: 1\npolicies: []\n"


def new_settings(kafka: str, tmp: Path, **changes: Any) -> Settings:
    """Settings with a prefix of their own, so that tests share a broker and nothing else."""
    policies = tmp / "policies"
    policies.mkdir(exist_ok=True)
    if not (policies / "none.yaml").exists():
        # Settings for another role of a test that has chosen its policies leave them as they are.
        (policies / "none.yaml").write_text(POLICY)
    values: dict[str, Any] = {
        "kafka_bootstrap": kafka,
        "prefix": f"t{uuid.uuid4().hex[:8]}.",
        "partitions": 2,
        "data": tmp / "data",
        "policies_dir": policies,
        "session_timeout_ms": 3000,
        "start_timeout_ms": 2000,
        "correlate_web_port": 0,
        "store_web_port": 0,
        "notify_web_port": 0,
    }
    return Settings(**{**values, **changes})


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The environment by which a process gets these settings."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), **more}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        env["STEPWATCH_" + name.upper()] = "" if value is None else str(value)
    return env


class Worker:
    """A process of the correlate role with the stand-in correlator."""

    def __init__(self, settings: Settings, log: Path, module: str = "tests.live.standin", **env: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module.split()],
                cwd=ROOT,
                env=environment(settings, **env),
                stdout=out,
                stderr=out,
            )
        # A test that fails leaves its worker; it must not outlive the tests.
        atexit.register(self.process.kill)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, seconds: float = 60) -> int:
        """The exit status, once it ended by itself."""
        return self.process.wait(seconds)

    @property
    def said(self) -> str:
        """Its log lines."""
        return self.log.read_text()


async def with_topics(settings: Settings) -> Settings:
    """The same settings, with their topics created."""
    await create_topics(settings)
    return settings


async def produce(
    settings: Settings, topic: str, partition: int, records: list[tuple[bytes, bytes]], at_ms: int | None = None
) -> None:
    """Append records to one partition; `at_ms`, a second apart, where the topic has CreateTime."""
    async with AIOKafkaProducer(**settings.kafka_client_options(), max_batch_size=500_000) as producer:
        for begin in range(0, len(records), 1000):
            batch = producer.create_batch()
            for number, (key, value) in enumerate(records[begin : begin + 1000], begin):
                stamp = None if at_ms is None else at_ms + number * 1000
                assert batch.append(key=key, value=value, timestamp=stamp) is not None
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))


async def read(
    settings: Settings, topic: str, partitions: int | None = None, isolation: str = "read_committed"
) -> list[Any]:
    """All records of a topic, in the order of their offsets within each partition."""
    tps = [TopicPartition(topic, p) for p in range(partitions or settings.partitions)]
    consumer = AIOKafkaConsumer(
        **settings.kafka_client_options(), isolation_level=isolation, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        return [record async for record in _records(consumer, ends)]
    finally:
        await consumer.stop()


async def _records(consumer: AIOKafkaConsumer, ends: dict[Any, int]) -> AsyncIterator[Any]:
    for tp, end in ends.items():
        await consumer.seek_to_beginning(tp)
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                yield record


async def latest(settings: Settings) -> dict[tuple[int, bytes], Any]:
    """The state topic as a restarting worker sees it: (partition, key) -> value."""
    state: dict[tuple[int, bytes], Any] = {}
    for record in await read(settings, settings.topics.state):
        if record.key == WHOLE_KEY:
            continue
        if record.value is None:
            state.pop((record.partition, record.key), None)
        else:
            state[record.partition, record.key] = json.loads(record.value)
    return state


async def until(what: Callable[[], Any], seconds: float = 60.0, words: str = "it") -> Any:
    """Poll an async condition until it is true; returns its value."""
    give_up = time.monotonic() + seconds
    while True:
        if value := await what():
            return value
        assert time.monotonic() < give_up, f"{words} did not come true in {seconds} s"
        await asyncio.sleep(0.1)
