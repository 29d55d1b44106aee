"""The day as it is sent: a clock that can be held, the wire to Kafka, and an identity provider that can fall silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from stepwatch.agents.settings import Settings
from stepwatch.demo.said import AUTHENTICATIONS, Happening, heartbeat
from stepwatch.schemas.keys import partition_of

_TICK_S = 0.05
_BEAT_S = 0.5
"""A sixth of the demo's `silent_after`: one beat may be late without anybody being blind."""


class DayClock:
    """Which time of the day it is on the stage.

    Args:
        start_us: when the day begins, us.
        length_us: how long it is.
        seconds: in how many seconds of this machine's time it passes where nothing holds it.
    """

    def __init__(self, start_us: int, length_us: int, seconds: float) -> None:
        self.now_us = start_us
        self._start_us, self._length_us, self._seconds = start_us, length_us, seconds
        self._holds: list[tuple[int, asyncio.Event]] = []
        self._ticked = time.monotonic()

    @property
    def part(self) -> float:
        """Which part of the day is over, 0 to 1."""
        return min(1.0, (self.now_us - self._start_us) / self._length_us)

    def at(self, part: float) -> int:
        """The time at which a part of the day is over, us."""
        return self._start_us + int(part * self._length_us)

    def hold(self, part: float) -> asyncio.Event:
        """Let the clock stand at a part of the day until the event is set."""
        until = asyncio.Event()
        self._holds.append((self.at(part), until))
        return until

    def tick(self) -> int:
        """Move on by what has passed since the last tick; returns the time of the day, us."""
        now = time.monotonic()
        wanted = self.now_us + int((now - self._ticked) / self._seconds * self._length_us)
        self._ticked = now
        for at_us, until in self._holds:
            if not until.is_set():
                wanted = min(wanted, at_us)
        self.now_us = max(self.now_us, wanted)
        return self.now_us

    async def reaches(self, part: float) -> None:
        """Return once a part of the day is over."""
        while self.now_us < self.at(part):
            await asyncio.sleep(_TICK_S)


class Wire:
    """From the bank's systems to Kafka. What the identity provider says is held back while it is silent.

    Attributes:
        silent: whether it is.
        sent: how many events went out, by family; heartbeats are none.
    """

    def __init__(self, settings: Settings, producer: Any) -> None:
        self.silent = False
        self.sent: dict[str, int] = {}
        self._settings = settings
        self._producer = producer
        self._held: list[Happening] = []
        self._beats = 0

    async def send(self, happenings: Sequence[Happening]) -> None:
        """Send events and wait until Kafka has them: proofs first, as nobody acts before they have proved."""
        proofs = [happening for happening in happenings if happening.family == AUTHENTICATIONS]
        if self.silent:
            self._held += proofs
        else:
            await self._put(proofs)
        await self._put([happening for happening in happenings if happening.family != AUTHENTICATIONS])

    def hush(self) -> None:
        """The identity provider falls silent."""
        self.silent = True

    async def recover(self) -> None:
        """It comes back: what was held back, then a heartbeat behind it."""
        held, self._held = self._held, []
        await self._put(held)
        self.silent = False
        await self._beat()

    async def beat_for_ever(self) -> None:
        """Send heartbeats to every partition, twice a second, unless it is silent."""
        while True:
            if not self.silent:
                await self._beat()
            await asyncio.sleep(_BEAT_S)

    async def _beat(self) -> None:
        self._beats += 1
        value = heartbeat(self._beats, time.time_ns() // 1000)
        topic = self._settings.topics.authentications
        await self._acknowledged(
            [
                await self._producer.send(topic, value, partition=partition)
                for partition in range(self._settings.partitions)
            ]
        )

    async def _put(self, happenings: Sequence[Happening]) -> None:
        futures = []
        for happening in happenings:
            topic = self._settings.topics.prefix + happening.family
            partition = partition_of(happening.key, self._settings.partitions)
            futures.append(await self._producer.send(topic, happening.value, happening.key, partition=partition))
            self.sent[happening.family] = self.sent.get(happening.family, 0) + 1
        await self._acknowledged(futures)

    async def _acknowledged(self, futures: Sequence[Any]) -> None:
        for future in futures:
            await future


async def play(day: Sequence[Happening], wire: Wire, clock: DayClock) -> None:
    """Send the ordinary day, each event when its time has come, to its end."""
    next_one = 0
    while clock.part < 1.0 or next_one < len(day):
        await asyncio.sleep(_TICK_S)
        now_us = clock.tick()
        due = next_one
        while due < len(day) and day[due].when_us <= now_us:
            due += 1
        if due > next_one:
            await wire.send(day[next_one:due])
            next_one = due
