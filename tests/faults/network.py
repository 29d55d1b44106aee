"""What scenarios of broken networks stand on: a broker of their own behind a proxy, and workers that are watched."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import psutil

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.faults.proxy import Proxy
from tests.faults.stage import Actor, Stage
from tests.live.harness import until


@dataclass(frozen=True)
class Far:
    """A broker that workers reach through the proxy only, and the test directly."""

    server: EmbeddedKafka
    proxy: Proxy

    def through_proxy(self, settings: Settings) -> Settings:
        """The same settings, for a worker that is far from the broker."""
        return settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{self.proxy.port}"})


@contextlib.asynccontextmanager
async def far_broker(stage: Stage, properties: Mapping[str, str] | None = None) -> AsyncIterator[Far]:
    """A broker with a second listener whose advertised address is the proxy's."""
    behind, before = ports.any_free(), ports.any_free()
    folder = DataFolder(stage.tmp / "far")
    with folder.lock():
        server = EmbeddedKafka(
            folder,
            port=ports.any_free(),
            properties={
                "listeners": "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},"
                f"FAR://127.0.0.1:{behind}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},FAR://127.0.0.1:{before}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,FAR:PLAINTEXT",
                **(properties or {}),
            },
        )
        try:
            await asyncio.to_thread(server.start)
            async with Proxy(behind, before) as proxy:
                yield Far(server, proxy)
        finally:
            server.kill()


@dataclass
class Seen:
    """What a worker cost and said while it was watched."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    lines: int = 0

    @property
    def words(self) -> str:
        """Figures for a scenario's line."""
        return (
            f"{100 * self.cpu_s / max(self.seconds, 0.1):.1f} % of a core, {self.lines} lines in {self.seconds:.0f} s"
        )


@contextlib.asynccontextmanager
async def watched(actor: Actor) -> AsyncIterator[Seen]:
    """Adds up the processor time of all lives of a worker, and counts its lines."""
    seen, begun, lines = Seen(), time.monotonic(), len(actor.said.splitlines())
    spent: dict[int, float] = {}
    before = {actor.pid: _cpu_s(actor.pid) or 0.0}

    async def look() -> None:
        while True:
            if (cpu_s := _cpu_s(actor.pid)) is not None:
                spent[actor.pid] = cpu_s
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        seen.seconds = time.monotonic() - begun
        seen.cpu_s = sum(cpu_s - before.get(pid, 0.0) for pid, cpu_s in spent.items())
        seen.lines = len(actor.said.splitlines()) - lines


def _cpu_s(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return None
    return float(times.user + times.system)


def require_calm(actor: Actor, seen: Seen) -> None:
    """A worker in trouble says so in words, seldom, and does not spin."""
    said = actor.said
    assert "Traceback" not in said, said
    assert "does not answer" in said or "no answer from Kafka" in said, said
    # Each life may cost a start-up of about two seconds.
    assert seen.cpu_s <= 2.0 * actor.lives + 0.1 * seen.seconds, f"it spins: {seen.words}"
    assert seen.lines <= 6 * actor.lives + seen.seconds / 5, f"it chatters: {seen.words}:\n{said}"


async def took_over(actor: Actor, times: int) -> None:
    """Wait until partitions were taken over so many times."""

    async def often_enough() -> bool:
        return actor.said.count("took over") >= times

    await until(often_enough, 120, f"take-over number {times}")
