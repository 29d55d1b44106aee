"""The load of the soak, a process of its own: so many events a second, for as long as it is told.

The log that it writes runs `faster` times as fast as the wall clock, so that a day, which facts are kept for at least,
passes in minutes. It begins now and runs into the future: a pulse, which bears the real time, then lies before the log
time and moves nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time

SUBJECTS = 20_000
PLAINLY_WRONG = 20
"""Subjects of whom nothing is ever proved: so few that their alerts are few."""
TICK_S = 0.05
_TICK_MAX = 4000
"""Events of one tick: a partition's share of them must fit into one batch."""
_PROOF_LEAD_S = 0.5
_POLICED, _WRONG = 0.05, 0.001


@dataclass(frozen=True)
class Plan:
    """What to send.

    Attributes:
        rate: events a second; 0: as fast as they can be made.
        seconds: for how long.
        faster: log seconds in a second.
        begin_s: wall clock at which the log begins; there log and wall clock agree.
        seed: of all chance.
        name: what ids begin with.
    """

    rate: float
    seconds: float
    faster: float
    begin_s: float
    seed: int
    name: str


@dataclass
class Sent:
    """What was sent, by what must become of it."""

    records: int = 0
    verified: int = 0
    unverified: int = 0
    not_required: int = 0
    evidence: int = 0
    heartbeats: int = 0
    last_s: float = 0.0


_HEAD = (
    '{"specversion":"1.0","id":"%s","source":"%s","type":"stepwatch.%s","time":"%s","subject":"%s",'
    '"data":{"tenant":"acme","session":"%s",'
)
_ACTION = (
    '"action":"%s","resource":{"type":"payout","id":"po_%d","sensitivity":"low"},"outcome":"success",'
    '"client":{"ip":"203.0.113.%d","device":"d-%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}}}'
)
_PROOF = '"challenge":"c-%s","amr":["hwk"],"acr":"phr","credential":"k-%s","client":{"ip":"203.0.113.9"}}}'


class Load:
    """Makes and sends the events of a plan."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.plan = plan
        self.sent = Sent()
        self._settings = settings
        self._rng = random.Random(plan.seed)
        self._producer: AIOKafkaProducer | None = None
        self._waiting: deque[tuple[float, int, str]] = deque()
        self._batches: dict[tuple[str, int], Any] = {}
        self._keys = [subject_key("acme", f"u{number}") for number in range(SUBJECTS)]
        self._wrong = [subject_key("acme", f"w{number}") for number in range(PLAINLY_WRONG)]
        self._lies_in = {key: partition_of(key, settings.partitions) for key in (*self._keys, *self._wrong)}
        self._count = 0
        self._beat_s = 0.0

    async def run(self) -> Sent:
        """Send for as long as the plan says, then what still waits for its action."""
        plan, begun, made = self.plan, time.time(), 0
        async with AIOKafkaProducer(**self._settings.kafka_client_options(), max_batch_size=1_000_000) as producer:
            self._producer = producer
            while (now := time.time()) - begun < plan.seconds:
                count = min(_TICK_MAX, int(plan.rate * (now - begun)) - made) if plan.rate else _TICK_MAX
                made += count
                await self._tick(now, count)
                await asyncio.sleep(TICK_S if plan.rate else 0)
            await asyncio.sleep(_PROOF_LEAD_S)
            await self._tick(time.time(), 0)
        self.sent.last_s = time.time()
        return self.sent

    def _log_us(self, now_s: float) -> int:
        plan = self.plan
        return int((plan.begin_s + (now_s - plan.begin_s) * plan.faster) * 1000) * 1000

    async def _tick(self, now_s: float, count: int) -> None:
        """One batch for each partition."""
        log_us = self._log_us(now_s)
        at, stamp = format_time(log_us), log_us // 1000
        if now_s - self._beat_s > 1:
            self._beat_s = now_s
            self._beat(at, stamp)
        while self._waiting and self._waiting[0][0] <= now_s:
            _, who, session = self._waiting.popleft()
            self._act(self._keys[who], f"u{who}", session, "payments.payout.approve", at, stamp, now_s)
            self.sent.verified += 1
        for _ in range(count):
            chance, who = self._rng.random(), self._rng.randrange(SUBJECTS)
            if chance < _POLICED:
                self._prove(who, at, stamp, now_s)
            elif chance < _POLICED + _WRONG:
                number = who % PLAINLY_WRONG
                self._act(self._wrong[number], f"w{number}", "s", "payments.payout.approve", at, stamp, now_s)
                self.sent.unverified += 1
            else:
                self._act(self._keys[who], f"u{who}", "s", "docs.file.read", at, stamp, now_s)
                self.sent.not_required += 1
        await self._flush()

    async def _flush(self) -> None:
        assert self._producer is not None, "run() opens it"
        batches, self._batches = self._batches, {}
        flights = []
        for (topic, partition), batch in batches.items():
            batch.close()
            flights.append(await self._producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*flights)

    def _put(self, topic: str, partition: int, key: bytes | None, body: str, stamp: int) -> None:
        batch = self._batches.get((topic, partition))
        if batch is None:
            assert self._producer is not None, "run() opens it"
            batch = self._batches[topic, partition] = self._producer.create_batch()
        assert batch.append(key=key, value=body.encode(), timestamp=stamp) is not None
        self.sent.records += 1

    def _id(self, now_s: float) -> str:
        self._count += 1
        return f"{self.plan.name}-{self._count}-{int(now_s * 1000)}"

    def _beat(self, at: str, stamp: int) -> None:
        for topic in (self._settings.topics.actions, self._settings.topics.authentications):
            for partition in range(self._settings.partitions):
                event = {"id": f"h-{stamp}", "source": "/idp", "type": "stepwatch.heartbeat", "time": at}
                self._put(topic, partition, None, json.dumps(event), stamp)
                self.sent.heartbeats += 1

    def _prove(self, who: int, at: str, stamp: int, now_s: float) -> None:
        """A step-up now; its action comes a little later."""
        name = self._id(now_s)
        head = _HEAD % (f"v-{name}", "/idp", "stepup.verified", at, f"u{who}", f"s-{name}")
        key = self._keys[who]
        topic = self._settings.topics.authentications
        self._put(topic, self._lies_in[key], key, head + _PROOF % (name, who), stamp)
        self.sent.evidence += 1
        self._waiting.append((now_s + _PROOF_LEAD_S, who, f"s-{name}"))

    def _act(self, key: bytes, subject: str, session: str, action: str, at: str, stamp: int, now_s: float) -> None:
        head = _HEAD % (f"a-{self._id(now_s)}", "/app", "action.performed", at, subject, session)
        body = head + _ACTION % (action, self._count, self._count % 250, self._count % 9)
        self._put(self._settings.topics.actions, self._lies_in[key], key, body, stamp)


def main() -> int:
    """Play the plan that is the first argument, as JSON; prints what was sent, as JSON."""
    plan = Plan(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(asyncio.run(Load(Settings(), plan).run()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
