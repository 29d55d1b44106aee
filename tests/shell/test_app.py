"""A role's app: how it ends, and what its pages say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mode import Service

from stepwatch.agents.app import RoleApp, build_app, run_app
from stepwatch.agents.errors import KafkaAway
from stepwatch.agents.settings import Settings


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def app_of(port: int = 0) -> RoleApp:
    return build_app("correlate", Settings(prefix="t.", correlate_web_port=port))


@contextlib.asynccontextmanager
async def running(app: RoleApp) -> AsyncIterator[asyncio.Task[int]]:
    """The app in this loop, stopped by SIGTERM at the end if it has not ended by itself."""
    task = asyncio.create_task(run_app(app))
    yield task
    if not task.done():
        os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 10)


async def get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    for _ in range(100):
        try:
            return await asyncio.to_thread(ask)
        except urllib.error.URLError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


def test_a_batch_put_into_the_channel_reaches_the_agent_though_faust_has_no_kafka() -> None:
    async def story() -> None:
        app = app_of()
        channel: Any = app.channel(maxsize=0)
        taken: asyncio.Queue[object] = asyncio.Queue()

        @app.agent(channel)
        async def take(batches: Any) -> None:
            async for batch in batches:
                taken.put_nowait(batch)

        async with running(app):
            await asyncio.sleep(0.3)
            batch = object()
            await channel.put(batch)
            assert await asyncio.wait_for(taken.get(), 5) is batch

    asyncio.run(story())


def test_an_exception_in_an_agent_ends_the_process_with_status_one(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> int:
        app = app_of()
        channel: Any = app.channel(maxsize=0)

        @app.agent(channel)
        async def take(batches: Any) -> None:
            async for _ in batches:
                raise ValueError("a batch that cannot be")

        async with running(app) as task:
            await asyncio.sleep(0.3)
            await channel.put(1)
            return await asyncio.wait_for(task, 10)

    assert asyncio.run(story()) == 1


class Failing(Service):
    @Service.task
    async def _fail(self) -> None:
        raise KafkaAway("no answer from Kafka at nowhere: start it")


def test_a_failure_that_has_words_and_a_status_ends_the_process_with_both(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def story() -> int:
        app = app_of()
        app.add(Failing(beacon=app.beacon))
        async with running(app) as task:
            return await asyncio.wait_for(task, 10)

    assert asyncio.run(story()) == 3
    assert "no answer from Kafka at nowhere: start it" in "".join(capsys.readouterr())


def test_a_failing_timer_ends_the_process() -> None:
    async def story() -> int:
        app = app_of()

        async def tick() -> None:
            raise RuntimeError("a timer that cannot")

        app.every(0.05, tick)
        async with running(app) as task:
            return await asyncio.wait_for(task, 10)

    assert asyncio.run(story()) == 1


class Stopping(Service):
    stopped = False

    async def on_stop(self) -> None:
        await asyncio.sleep(0.3)
        self.stopped = True


@pytest.mark.parametrize(("which", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_the_process_after_its_services_have_stopped(which: signal.Signals, status: int) -> None:
    async def story() -> int:
        app = app_of()
        service = Stopping(beacon=app.beacon)
        app.add(service)
        async with running(app) as task:
            await asyncio.sleep(0.3)
            os.kill(os.getpid(), which)
            ended = await asyncio.wait_for(task, 10)
        assert service.stopped
        return ended

    assert asyncio.run(story()) == status


def test_the_pages_say_whether_the_role_lives_and_does_its_work() -> None:
    async def story() -> None:
        port = free_port()
        app = app_of(port)
        app.health.waits("kafka", "no answer")
        async with running(app):
            assert await get(port, "/healthz") == (200, "alive\n")
            assert await get(port, "/readyz") == (503, "kafka: no answer\n")
            app.health.works("kafka")
            assert await get(port, "/readyz") == (200, "ready\n")
            status, text = await get(port, "/metrics")
            assert status == 200
            assert "stepwatch_transactions_total" in text

    asyncio.run(story())


def test_a_port_that_is_taken_is_said_in_words_with_the_setting_that_changes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def story(port: int) -> int:
        async with running(app_of(port)) as task:
            return await asyncio.wait_for(task, 10)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert asyncio.run(story(taken.getsockname()[1])) == 2
    assert "STEPWATCH_CORRELATE_WEB_PORT" in "".join(capsys.readouterr())
