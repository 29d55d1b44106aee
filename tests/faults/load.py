"""A seeded load for the two big inputs: many subjects, every type of event, right and wrong, by good and bad routes."""

from __future__ import annotations

import asyncio
import json
import random
import time
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import format_time

SUBJECTS = 20_000
CHUNK = 2000
HEARTBEAT_EVERY = 20_000
_IN_FLIGHT = 64
_SECOND_US = 1_000_000
_STEPS = ["required", "challenged", "failed", "denied", "expired", "cancelled", "bypassed"]
_OTHERS = [f"stepup.{step}" for step in _STEPS] + ["session.started", "session.revoked", "credential.changed"]
_OTHERS += ["approval.granted", "approval.revoked"]
_MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"id":"x"}',
    b'{"id":7,"source":"/app","type":"stepwatch.stepup.verified"}',
    b'{"id":"x","source":"/app","type":"somebody.else"}',
    b'{"id":"x","source":"/app","type":"stepwatch.stepup.verified","time":"yesterday","subject":"u"}',
    b'{"id":"x","source":"/app","type":"stepwatch.stepup.verified","time":"2026-01-01T00:00:00Z"}',
    b'{"id":"n","source":"/app","type":"stepwatch.newer.thing"}',
]


def policy(subjects: int = SUBJECTS, **changes: str) -> str:
    """The policy file that the load is made for: short waits, so that verdicts come, change and close in a run.

    Args:
        subjects: as of the load; every tenth has an alias.
        changes: of the defaults.
    """
    defaults = {"grace": "1s", "revise_within": "20s", "max_age": "5m", "lookback": "1h", "accept_late": "2h"}
    said = ", ".join(f"{name}: {value}" for name, value in (defaults | changes).items())
    people = "\n".join(
        f'  - {{subject: user-{number}, aliases: ["{alias_of(number)}"]}}' for number in range(0, subjects, 10)
    )
    return f"""\
version: 1
defaults: {{{said}}}
sources: [{{name: /idp, silent_after: 30m}}]
identities:
{people}
policies:
  - id: payout
    reason: money_movement
    match: {{action: ["payments.*"], sensitivity: [high, critical]}}
    require: {{amr_any: [hwk, otp], binding: transaction, max_uses: 1}}
    exempt: {{when: "subject.endsWith('7')"}}
    alert: {{severity: critical}}
  - id: grant
    match: {{action: ["iam.*"]}}
    require: {{amr_any: [hwk, otp]}}
"""


def alias_of(number: int) -> str:
    """The other name of a subject."""
    return f"{number}@acme.example"


class Sent(NamedTuple):
    """One record as it goes out."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Load:
    """Events without end. The same seed gives the same events, but for their times, which are near the clock's.

    Of the subjects one in ten has an alias, and half of its events come from a producer that keys by it; one in twenty
    is served by a producer with librdkafka's own partitioner, crc32. So their records lie where they do not belong.
    """

    def __init__(
        self, settings: Settings, rng: random.Random, subjects: int = SUBJECTS, *, crc32: bool = False
    ) -> None:
        """A load; with `crc32` every subject is served by such a producer."""
        self.settings = settings
        self.rng = rng
        self.subjects = subjects
        self.crc32 = crc32
        self.tenant = settings.prefix.rstrip(".")
        self.count = 0
        self._kept: list[tuple[str, int, int, dict[str, Any]]] = []

    def some(self, count: int, now_us: int | None = None) -> Iterator[Sent]:
        """`count` records; heartbeats of the listed source come beside them.

        Args:
            count: without the heartbeats.
            now_us: what the producers' clocks show; None: this machine's.
        """
        topics, partitions = self.settings.topics, self.settings.partitions
        for _ in range(count):
            now = time.time_ns() // 1000 if now_us is None else now_us
            if self.count % HEARTBEAT_EVERY == 0:
                for partition in range(partitions):
                    yield Sent(topics.authentications, partition, None, self._heartbeat(now), [])
            self.count += 1
            yield self._one(now)

    def _one(self, now_us: int) -> Sent:
        rng, topics = self.rng, self.settings.topics
        chance = rng.random()
        if chance < 0.01:
            topic = rng.choice([topics.actions, topics.authentications])
            return Sent(topic, rng.randrange(self.settings.partitions), b"?", rng.choice(_MALFORMED), [])
        if chance < 0.05 and self._kept:
            topic, number, route, event = rng.choice(self._kept)
            if chance < 0.04:
                # A copy, as likely from another producer as from the same.
                return self._addressed(topic, number, rng.choice([route, rng.randrange(3)]), event)
            # Another body comes by the way of the first, so that the first is the first to arrive as well.
            return self._addressed(topic, number, route, {**event, "data": {**event["data"], "acr": f"c-{self.count}"}})
        number = rng.randrange(self.subjects)
        is_action = rng.random() < 0.6
        topic = topics.actions if is_action else topics.authentications
        route = self._route(number)
        event = self._action(number, now_us) if is_action else self._evidence(number, now_us)
        if number % 10 == 0 and rng.random() < 0.5:
            event["subject"] = alias_of(number)
        # A copy of an action that no policy matches may be judged again (contract section 3, "one limit").
        if not is_action or not event["data"]["action"].startswith("docs"):
            if len(self._kept) < 5000:
                self._kept.append((topic, number, route, event))
            else:
                self._kept[rng.randrange(5000)] = (topic, number, route, event)
        return self._addressed(topic, number, route, event)

    def _route(self, number: int) -> int:
        """By which producer: 0 a good one, 1 one that keys by alias, 2 one with crc32."""
        if number % 10 == 0:
            return self.rng.randrange(2)
        return 2 if self.crc32 or number % 20 == 5 else 0

    def _addressed(self, topic: str, number: int, route: int, event: dict[str, Any]) -> Sent:
        partitions = self.settings.partitions
        name = alias_of(number) if route == 1 and number % 10 == 0 else f"user-{number}"
        key = f"{self.tenant}/{name}".encode()
        partition = zlib.crc32(key) % partitions if route == 2 else partition_of(key, partitions)
        if number % 50 != 1:
            return Sent(topic, partition, key, json.dumps(event).encode(), [])
        headers = [(f"ce_{name}", str(value).encode()) for name, value in event.items() if name != "data"]
        return Sent(topic, partition, key, json.dumps(event["data"]).encode(), headers)

    def _event(self, kind: str, source: str, number: int, now_us: int, data: dict[str, Any]) -> dict[str, Any]:
        chance = self.rng.random()
        ago_s = self.rng.random() * 3 if chance < 0.9 else self.rng.random() * 600 if chance < 0.995 else 3 * 3600.0
        return {
            "specversion": "1.0",
            "id": f"e-{self.count}",
            "source": source,
            "type": f"stepwatch.{kind}",
            "time": format_time(now_us - int(ago_s * _SECOND_US)),
            "subject": f"user-{number}",
            "data": {"tenant": self.tenant, "session": f"s-{number}-{self.rng.randrange(8) // 7}", **data},
        }

    def _action(self, number: int, now_us: int) -> dict[str, Any]:
        rng = self.rng
        chance = rng.random()
        action = "docs.file.read" if chance < 0.6 else "payments.payout.approve" if chance < 0.85 else "iam.role.grant"
        data = {
            "action": action,
            "transaction": f"t-{rng.randrange(2)}",
            "resource": {"type": "payout", "id": f"po-{number}", "sensitivity": rng.choice(["low", "critical"])},
            "outcome": rng.choice(["success", "success", "success", "failure"]),
            "client": {"ip": "203.0.113.7", "user_agent": "a browser"},
        }
        return self._event("action.performed", "/app", number, now_us, data)

    def _evidence(self, number: int, now_us: int) -> dict[str, Any]:
        rng = self.rng
        kind = "stepup.verified" if rng.random() < 0.6 else rng.choice(_OTHERS)
        data = {
            "amr": [rng.choice(["hwk", "hwk", "otp", "pwd"])],
            "transaction": f"t-{rng.randrange(2)}",
            "challenge": f"c-{rng.randrange(5)}",
            "credential": f"k-{number}",
            "change": rng.choice(["created", "updated", "revoked"]),
            "otp_step": rng.randrange(40),
            "approver": f"user-{rng.choice([number, 1])}",
        }
        return self._event(kind, "/idp", number, now_us, data)

    def _heartbeat(self, now_us: int) -> bytes:
        beat = {"id": f"h-{self.count}", "source": "/idp", "type": "stepwatch.heartbeat", "time": format_time(now_us)}
        return json.dumps(beat).encode()


async def send(load: Load, count: int, per_second: int | None = None) -> None:
    """Append `count` events of a load; what the broker has acknowledged counts, so all of it is there afterwards.

    Args:
        load: where they come from.
        count: how many.
        per_second: at most so fast; None: as fast as it goes.
    """
    begun = time.monotonic()
    options = load.settings.kafka_client_options()
    async with AIOKafkaProducer(**options, enable_idempotence=True, max_batch_size=900_000) as producer:
        waiting: set[Any] = set()
        for begin in range(0, count, CHUNK):
            for future in await append(producer, load.some(min(CHUNK, count - begin))):
                waiting.add(future)
            if len(waiting) > _IN_FLIGHT:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    future.result()
            if per_second is not None:
                await asyncio.sleep(max(0.0, begun + (begin + CHUNK) / per_second - time.monotonic()))
        for future in waiting:
            await future


async def append(producer: AIOKafkaProducer, records: Iterator[Sent], at_ms: int | None = None) -> list[Any]:
    """Hand records over in batches, each partition's in their order; returns futures that the broker completes.

    Args:
        producer: started.
        records: some thousands.
        at_ms: their time, where the topics have CreateTime.
    """
    batches: dict[tuple[str, int], Any] = {}
    full = []
    for sent in records:
        at = (sent.topic, sent.partition)
        if at not in batches:
            batches[at] = producer.create_batch()
        record = {"key": sent.key, "value": sent.value, "timestamp": at_ms, "headers": sent.headers}
        if batches[at].append(**record) is None:
            full.append((at, batches[at]))
            batches[at] = producer.create_batch()
            batches[at].append(**record)
    futures = []
    for (topic, partition), batch in [*full, *batches.items()]:
        batch.close()
        futures.append(await producer.send_batch(batch, topic, partition=partition))
    return futures
