"""The roles that read the output topics, each a process of its own, and a worker's part of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from stepwatch.agents.clients import close_client, open_producer
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics

WAIT_S = 60.0
Sent = tuple[str, int, bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Topic, partition, key, value, headers."""


def settings_for(kafka: str, **values: Any) -> Settings:
    """Settings with a prefix of their own, whose topics are there."""
    build: Any = Settings
    settings: Settings = build(
        _env_file=None,
        kafka_bootstrap=kafka,
        prefix=f"t{uuid4().hex[:8]}.",
        partitions=2,
        session_timeout_ms=6000,
        store_web_port=0,
        notify_web_port=0,
        log_format="json",
        **values,
    )
    asyncio.run(create_topics(settings))
    return settings


def send(settings: Settings, sent: Iterable[Sent], *, commit: bool = True) -> None:
    """Write records as a worker does, in one transaction that is committed or aborted."""

    async def run() -> None:
        producer = await open_producer(settings, transactional_id=f"{settings.prefix}test")
        try:
            await producer.begin_transaction()
            for topic, partition, key, value, headers in sent:
                future = await producer.send(topic, value, key, partition=partition, headers=headers)
                await future
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await close_client(producer)

    asyncio.run(run())


@contextmanager
def role(name: str, settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A role as a process, its output in `folder`; killed at the end if it still runs."""
    program = (
        "import sys; from stepwatch.agents.settings import Settings; "
        f"from stepwatch.agents.{name} import main; sys.exit(main(Settings(_env_file=None)))"
    )
    environ = {**os.environ, **_environ(settings, folder)}
    with (folder / f"{name}.out").open("ab") as out, (folder / f"{name}.err").open("ab") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environ,
            stdout=out,
            stderr=err,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and the exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(WAIT_S)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is so, or fail after a minute or when the process has ended."""
    deadline = time.monotonic() + WAIT_S
    while not what():
        assert process is None or process.poll() is None, "the role has ended"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def _environ(settings: Settings, folder: Path) -> dict[str, str]:
    values = settings.model_dump(exclude_unset=True)
    password = settings.secret("clickhouse_password")
    if password is not None:
        values["clickhouse_password"] = password
    return {
        "STEPWATCH_DATA": str(folder),
        **{f"STEPWATCH_{name.upper()}": str(v) for name, v in values.items()},
    }
