"""Records of files as events that are checked, counted and handed on: to Kafka, or to the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from stepwatch.cli.lines import Conversion
from stepwatch.cli.rebasing import rebased
from stepwatch.cli.unpacking import Batch
from stepwatch.streams.decode import ACTION, Event, Fault, Heartbeat, Skipped, decode

_NAP_S = 0.005
"""What is ahead of its pace by less is handed on at once."""

_TURN = 64
"""Records after which whatever else waits (a signal, what Kafka answers) has its turn."""


@dataclass(slots=True)
class Sent:
    """What became of the records; all that is counted as sent was acknowledged.

    Attributes:
        heartbeats: of the files; each counted once, though it goes to every partition.
        rejected: records that are no event.
        unreadable: files, of several, that could not be read to their end.
        newer: events of a type that only a newer version knows.
        late: actions older than `accept_late`, among those sent.
        policies_known: aliases could be mapped.
        sources: of the events.
        beating: sources that send heartbeats of their own.
    """

    actions: int = 0
    authentications: int = 0
    heartbeats: int = 0
    rejected: int = 0
    unreadable: int = 0
    newer: int = 0
    late: int = 0
    policies_known: bool = True
    sources: set[str] = field(default_factory=set)
    beating: set[str] = field(default_factory=set)

    @property
    def events(self) -> int:
        """Actions and authentication events."""
        return self.actions + self.authentications


class Outlet(Protocol):
    """Where events go."""

    async def event(self, place: str, event: Event, value: bytes) -> bool:
        """Hand one event on; returns whether it is an action that is too late to be judged."""

    async def heartbeat(self, place: str, value: bytes) -> None:
        """Hand a heartbeat on."""

    async def settle(self) -> None:
        """Return once all that was handed on has arrived."""


class Stop(Protocol):
    """Whether somebody asked us to end."""

    @property
    def asked(self) -> bool:
        """Whether somebody did."""

    async def nap(self, seconds: float) -> None:
        """Wait, but no longer than until somebody asks."""


class Shipper:
    """Events out of records.

    Args:
        conversion: from the records of the log.
        outlet: where they go.
        reject: told of each record that is no event, with its place and field.
        stop: looked at before each record.
        rate: events per second at most; None: as fast as it goes.
        shift_s: by how many seconds their times move.
    """

    def __init__(
        self,
        conversion: Conversion,
        outlet: Outlet,
        reject: Callable[[str], None],
        stop: Stop,
        *,
        rate: float | None = None,
        shift_s: int = 0,
    ) -> None:
        self.sent = Sent()
        self.conversion = conversion
        self.outlet = outlet
        self._reject = reject
        self._stop = stop
        self._rate = rate
        self._shift_s = shift_s
        self._due = time.monotonic()

    async def ship(self, batch: Batch, file: str = "") -> bool:
        """Hand on the events of a batch.

        Args:
            batch: its records.
            file: its name, where there are several.

        Returns:
            Whether all were handed on: somebody may have asked us to stop.
        """
        for number, record in enumerate(batch.values, batch.first):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            if self._stop.asked:
                return False
            text = record.strip()
            if not text:
                continue
            for value in self.conversion.events(text, file, batch.noun, number):
                await self._ship_one(f"{file}: {batch.noun} {number}" if file else f"{batch.noun} {number}", value)
        return True

    async def _ship_one(self, place: str, value: bytes) -> None:
        if self._shift_s:
            value = rebased(value, self._shift_s)
        outcome = decode(value, time.time_ns() // 1000)
        if isinstance(outcome, Fault):
            whose = f" (id {outcome.id})" if outcome.id else ""
            self.sent.rejected += 1
            self._reject(f"{place}: {outcome.field}: {outcome.message}{whose}")
        elif isinstance(outcome, Skipped):
            self.sent.newer += 1
        elif isinstance(outcome, Heartbeat):
            self.sent.heartbeats += 1
            self.sent.beating.add(outcome.source)
            await self.outlet.heartbeat(place, value)
        else:
            if self._rate is not None:
                await self._pace(self._rate)
            self.sent.late += await self.outlet.event(place, outcome, value)
            self.sent.sources.add(outcome.source)
            if outcome.family == ACTION:
                self.sent.actions += 1
            else:
                self.sent.authentications += 1

    async def _pace(self, rate: float) -> None:
        now = time.monotonic()
        # Time in which nothing came is not made up for afterwards.
        self._due = max(self._due, now - 1 / rate) + 1 / rate
        if self._due - now > _NAP_S:
            await self._stop.nap(self._due - now)
        else:
            await asyncio.sleep(0)
