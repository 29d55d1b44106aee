"""What a scenario of the fault suite is given: servers, settings on a fresh prefix, roles that are started again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwatch.agents.settings import Settings
from tests.live.harness import Worker
from tests.live.road import new_road
from tests.servers import ClickHouseServer, ClickHouseSettings, KafkaServer, settings_of

_LOOK_S = 0.2
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario that found everything exact has to tell."""

    records: int
    kills: int
    words: str


class Stage:
    """The ground of one scenario. Whatever it starts is dead after `close`.

    Every random choice comes from `rng`, which the seed and the scenario's name decide; so
    `python -m tests.faults --seed N --only NAME` plays the same choices again.
    """

    def __init__(
        self,
        name: str,
        tmp: Path,
        kafka_server: KafkaServer,
        clickhouse_server: ClickHouseServer | None = None,
        *,
        seed: int = 1,
        scale: float = 1.0,
    ) -> None:
        """A stage.

        Args:
            name: of the scenario.
            tmp: a folder that is there.
            kafka_server: started.
            clickhouse_server: started; None: the scenario needs none.
            seed: of every random choice.
            scale: 1.0 as `make faults` plays it; less in `make test`.
        """
        self.name = name
        self.tmp = tmp
        self.kafka_server = kafka_server
        self.clickhouse_server = clickhouse_server
        self.seed = seed
        self.scale = scale
        self.rng = random.Random(f"{seed} {name}")
        self.notes: list[str] = []
        self._actors: list[Actor] = []
        self._roads = 0

    @property
    def kafka(self) -> str:
        """The broker's address."""
        return self.kafka_server.bootstrap

    @property
    def clickhouse(self) -> ClickHouseSettings:
        """How to connect to ClickHouse."""
        assert self.clickhouse_server is not None, f"{self.name} needs a ClickHouse and was given none"
        return settings_of(self.clickhouse_server)

    def with_clickhouse(self) -> dict[str, Any]:
        """The settings of the role `store`; its database is that of the server."""
        to = self.clickhouse
        return {
            "clickhouse_url": to.url,
            "clickhouse_user": to.user,
            "clickhouse_password": to.password,
            "clickhouse_database": to.database,
        }

    def scaled(self, count: int, least: int = 1) -> int:
        """`count` of the long run, as many as the scale asks for."""
        return max(least, int(count * self.scale))

    def note(self, words: str) -> None:
        """Words for whoever reads a run that failed, with the time."""
        self.notes.append(f"{time.strftime('%H:%M:%S')} {words}")

    async def road(self, policy: str | None = None, **changes: Any) -> Settings:
        """Settings and topics on a fresh prefix, and a folder with the policy file (none: that of the live tests)."""
        self._roads += 1
        folder = self.tmp / f"road{self._roads}"
        folder.mkdir(parents=True)
        settings = await new_road(self.kafka, folder, **changes)
        if policy is not None:
            assert settings.policies_dir is not None
            (settings.policies_dir / "none.yaml").write_text(policy)
        return settings

    def start(
        self,
        settings: Settings,
        module: str | Callable[[int], str] = "stepwatch.cli.main correlate",
        *,
        again: bool = True,
        **env: str,
    ) -> Actor:
        """Start a process of a role.

        Args:
            settings: of the role.
            module: what `python -m` runs, with its arguments; a function says it for each life, from 1.
            again: start it again whenever it ends by itself, as every supervisor does.
            env: further environment variables.
        """
        log = self.tmp / f"{settings.prefix}{len(self._actors)}.log"
        actor = Actor(self, settings, log, module, env, again=again)
        self._actors.append(actor)
        return actor

    def story(self) -> Iterator[str]:
        """What happened last, and what each role said last."""
        yield from self.notes[-20:]
        for actor in self._actors:
            yield f"{actor.log.name} said last:"
            yield from (f"    {line[:500]}" for line in actor.said.splitlines()[-8:])

    async def close(self) -> None:
        """Kill everything."""
        for actor in self._actors:
            await actor.kill_for_good()


class Actor:
    """A role as a process that a supervisor watches. `said` is what all its lives said."""

    def __init__(
        self,
        stage: Stage,
        settings: Settings,
        log: Path,
        module: str | Callable[[int], str],
        env: dict[str, str],
        *,
        again: bool,
    ) -> None:
        self.log = log
        self.lives = 0
        self.ends: list[int] = []
        self._stage = stage
        self._settings = settings
        self._module = module
        self._env = env
        self._again = again
        self._worker = self._begin()
        self._watching = asyncio.create_task(self._watch())

    @property
    def said(self) -> str:
        """Its log lines, of all its lives."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of its present or last life."""
        return self._worker.process.pid

    @property
    def running(self) -> bool:
        """Whether it lives now."""
        return self._worker.process.poll() is None

    @property
    def process(self) -> Any:
        """Its present or last process."""
        return self._worker.process

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if it has ended."""
        self._worker.process.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    async def kill(self) -> None:
        """kill -9; the supervisor starts it again."""
        self.signal(signal.SIGKILL)
        await asyncio.to_thread(self._worker.process.wait, _STOP_S)

    async def kill_for_good(self) -> None:
        """kill -9, and nobody starts it again."""
        await self._unwatch()
        await self.kill()

    async def stop(self) -> int:
        """SIGTERM, and nobody starts it again; returns the exit status."""
        await self._unwatch()
        self.signal(signal.SIGTERM)
        return await asyncio.to_thread(self._worker.process.wait, _STOP_S)

    def start(self) -> None:
        """Start it once more after `stop` or `kill_for_good`."""
        assert not self.running, "it runs"
        self._worker = self._begin()
        self._watching = asyncio.create_task(self._watch())

    def _begin(self) -> Worker:
        self.lives += 1
        module = self._module if isinstance(self._module, str) else self._module(self.lives)
        return Worker(self._settings, self.log, module, **self._env)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            status = self._worker.process.poll()
            if status is None:
                continue
            self.ends.append(status)
            self._stage.note(f"{self.log.name}: life {self.lives} ended with {status}")
            if not self._again:
                return
            self._worker = self._begin()

    async def _unwatch(self) -> None:
        self._watching.cancel()
        await asyncio.wait({self._watching})


Scenario = Callable[[Stage], Awaitable[Outcome]]
"""Plays a fault, and raises AssertionError with the details where something is not exact."""


def beside(scenario: Scenario) -> Scenario:
    """Mark a scenario that waits for long: it runs beside the others, on servers of its own."""
    scenario.beside = True  # type: ignore[attr-defined]
    return scenario


async def act(scenario: Scenario, stage: Stage) -> Outcome:
    """Play a scenario and clear the stage, whatever happens."""
    try:
        return await scenario(stage)
    except BaseException:
        for words in stage.story():
            print(f"  {words}", flush=True)
        raise
    finally:
        await stage.close()
