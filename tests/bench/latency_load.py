"""The load of the latency measurement, a process of its own: so many events a second, each sent when it is due.

The mix of `data`: of every hundred 90 actions that no policy matches, 5 that one does, 5 step-ups; one copy. Of five
policed actions four have a proof, sent 1.5 s before at least; the fifth acts in a session in which nobody proved
anything. Producers as they are where latency counts: `acks=all`, linger 0, a send for each event.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import deque
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of, subject_key
from tests.bench.data import SESSIONS, SUBJECTS, TENANT, action_body, heartbeat, step_up_body, subject_of

PROOF_LEAD_S = 1.5
_PROVED = 0.8
_STRANGE_SESSION = SESSIONS
"""A session in which no step-up of this load happens."""


class Plan(msgspec.Struct):
    """What to send.

    Attributes:
        rate: events a second.
        seconds: for how long.
        seed: of all chance.
        report: file for what was sent, `Report` as JSON.
    """

    rate: float
    seconds: float
    seed: int
    report: str


class Report(msgspec.Struct):
    """What was sent, in the order of sending.

    Attributes:
        actions: for each partition of the actions, of each record its action's number and when it was sent, ns of the
            wall clock; copies too.
        verified: numbers of the actions that have a proof.
        unverified: of those that have none.
        late_s: the most that a send came after it was due: what the load itself could not keep up.
    """

    actions: list[list[tuple[int, int]]]
    verified: list[int] = msgspec.field(default_factory=list)
    unverified: list[int] = msgspec.field(default_factory=list)
    late_s: float = 0.0


class _Load:
    def __init__(self, settings: Settings, plan: Plan, producer: AIOKafkaProducer) -> None:
        self.report = Report([[] for _ in range(settings.partitions)])
        self._settings = settings
        self._plan = plan
        self._producer = producer
        self._rng = random.Random(plan.seed)
        self._keys = [subject_key(TENANT, subject_of(who)) for who in range(SUBJECTS)]
        self._lies_in = [partition_of(key, settings.partitions) for key in self._keys]
        self._proved: deque[tuple[float, int, int]] = deque()
        self._last: tuple[int, int, bytes] | None = None
        self._flights: list[asyncio.Future[object]] = []

    async def run(self) -> None:
        """Send what the plan says, and wait until Kafka has it."""
        for partition in range(self._settings.partitions):
            beat = heartbeat(f"latency-{partition}", time.time_ns() // 1000)
            await self._producer.send_and_wait(self._settings.topics.authentications, beat, partition=partition)
        begun = time.monotonic()
        for number in range(int(self._plan.rate * self._plan.seconds)):
            due = begun + number / self._plan.rate
            while (now := time.monotonic()) < due:
                await asyncio.sleep(due - now)
            self.report.late_s = max(self.report.late_s, now - due)
            await self._one(number, now)
            if self._rng.random() < 0.01 and self._last is not None:
                await self._act(*self._last)
        await asyncio.gather(*self._flights)

    async def _one(self, number: int, now: float) -> None:
        chance = self._rng.random()
        who, session = self._rng.randrange(SUBJECTS), self._rng.randrange(SESSIONS)
        time_us = time.time_ns() // 1000
        if chance < 0.05:
            body = step_up_body(number, time_us, who, session, "hwk")
            await self._send(self._settings.topics.authentications, who, body)
            self._proved.append((now, who, session))
            return
        policed = chance < 0.10
        if policed and self._rng.random() < _PROVED:
            policed = bool(self._proved) and now - self._proved[0][0] >= PROOF_LEAD_S
            if policed:
                _, who, session = self._proved.popleft()
                self.report.verified.append(number)
        elif policed:
            session = _STRANGE_SESSION
            self.report.unverified.append(number)
        self._last = (number, who, action_body(number, time_us, who, session, policed))
        await self._act(*self._last)

    async def _act(self, number: int, who: int, body: bytes) -> None:
        self.report.actions[self._lies_in[who]].append((number, time.time_ns()))
        await self._send(self._settings.topics.actions, who, body)

    async def _send(self, topic: str, who: int, body: bytes) -> None:
        self._flights.append(await self._producer.send(topic, body, self._keys[who], partition=self._lies_in[who]))


async def _main(plan: Plan) -> None:
    settings = Settings()
    options = settings.kafka_client_options()
    async with AIOKafkaProducer(**options, enable_idempotence=True, acks="all", linger_ms=0) as producer:
        load = _Load(settings, plan, producer)
        await load.run()
    Path(plan.report).write_bytes(msgspec.json.encode(load.report))


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Plan)))
