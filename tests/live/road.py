"""The whole road in tests: a seeded little world, real roles, and what a reader of the outputs must find."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import clickhouse_connect
from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import HOUR_US, SECOND_US, format_time
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Event, Fault, Heartbeat, Skipped, decode
from stepwatch.streams.replay import replay
from stepwatch.streams.routing import first_arrival
from stepwatch.streams.sets import PolicySets, load_files
from tests.live.harness import Worker, new_settings, read, until, with_topics

POLICY = """
version: 1
defaults: {grace: 1s, max_age: 5m, accept_late: 24h}
sources: [{name: /idp, silent_after: 30m}]
identities: [{subject: user-0, aliases: ["zero@acme.example"]}]
policies:
  - id: payout
    reason: money_movement
    owner: payments-oncall
    match: {action: ["payments.*"], sensitivity: [high, critical]}
    require: {amr_any: [hwk, otp], binding: transaction, max_uses: 1}
    exempt: {when: "subject.startsWith('svc-')"}
    alert: {severity: critical}
  - id: grant
    match: {action: ["iam.*"]}
    require: {amr_any: [hwk, otp]}
"""


class Role(Worker):
    """A process of one role, as the console starts it."""

    def __init__(self, settings: Settings, log: Path, role: str) -> None:
        super().__init__(settings, log, module=f"stepwatch.cli.main {role}")


async def new_road(kafka: str, tmp: Path, **changes: Any) -> Settings:
    """Settings and topics of a road of its own, with the policy above."""
    settings = new_settings(kafka, tmp, **changes)
    assert settings.policies_dir is not None
    (settings.policies_dir / "none.yaml").write_text(POLICY)
    return await with_topics(settings)


def sets_of(settings: Settings) -> PolicySets:
    """The sets by which the road judges."""
    assert settings.policies_dir is not None
    return load_files([settings.policies_dir / "none.yaml"])


class Town:
    """Seeded events of every type, right and wrong, as bodies for the two inputs."""

    def __init__(self, seed: int, now_us: int, tenant: str = "acme") -> None:
        self.tenant = tenant
        self.rng = random.Random(seed)
        self.now_us = now_us
        self.count = 0
        self.sent: list[tuple[str, str, bytes]] = []

    def _event(self, kind: str, subject: str, source: str, data: dict[str, Any]) -> bytes:
        self.count += 1
        # The last half hour: every window of the policy has something on both of its sides.
        time_us = self.now_us - self.rng.randrange(1800) * SECOND_US
        event = {
            "specversion": "1.0",
            "id": f"e-{self.count}",
            "source": source,
            "type": kind,
            "time": format_time(time_us),
            "subject": subject,
            "data": {"tenant": self.tenant, **data},
        }
        return json.dumps(event).encode()

    def one(self) -> tuple[str, bytes, bytes]:
        """(family, key, body) of one more event."""
        rng = self.rng
        number = rng.randrange(40)
        subject = "svc-batch" if number == 39 else f"user-{number}"
        sent_as = "zero@acme.example" if number == 0 and rng.random() < 0.5 else subject
        session = f"s-{number}-{rng.randrange(2)}"
        key = subject_key(self.tenant, subject)
        chance = rng.random()
        if chance < 0.05 and self.sent:
            family, key_text, body = rng.choice(self.sent)
            return family, key_text.encode(), body
        if chance < 0.07:
            return (
                AUTHENTICATION,
                key,
                rng.choice(
                    [b"{", b"[]", b'{"id":"x"}', b"\xff", b'{"id":"n","source":"/s","type":"stepwatch.newer.thing"}']
                ),
            )
        if chance < 0.6:
            risky = rng.random() < 0.5
            action = rng.choice(["payments.payout.approve", "iam.role.grant"]) if risky else "docs.file.read"
            data = {
                "session": session,
                "action": action,
                "transaction": f"t-{rng.randrange(3)}",
                "resource": {"type": "payout", "id": f"po-{number}", "sensitivity": rng.choice(["low", "critical"])},
                "outcome": rng.choice(["success", "success", "failure"]),
                "client": {"ip": "203.0.113.7", "user_agent": 'a "quoted" \u00e9'},
            }
            family, body = ACTION, self._event(ev.ACTION_PERFORMED, sent_as, "/app", data)
        else:
            kind = rng.choice(sorted(ev.AUTHENTICATION_TYPES) + [ev.STEPUP_VERIFIED] * 8)
            data = {
                "session": session,
                "amr": [rng.choice(["hwk", "otp", "pwd"])],
                "transaction": f"t-{rng.randrange(3)}",
                "challenge": f"c-{rng.randrange(5)}",
                "credential": f"k-{number}",
                "change": rng.choice(["created", "updated"]),
                "otp_step": rng.randrange(4),
                "approver": rng.choice([subject, "user-1"]),
            }
            family, body = AUTHENTICATION, self._event(kind, sent_as, "/idp", data)
        self.sent.append((family, key.decode(), body))
        return family, key, body


async def play(settings: Settings, town: Town, count: int) -> None:
    """Send `count` events of the town, then a heartbeat of its source to every partition."""
    topics = settings.topics
    topic_of = {ACTION: topics.actions, AUTHENTICATION: topics.authentications}
    async with AIOKafkaProducer(**settings.kafka_client_options(), linger_ms=5) as producer:
        sent = []
        for _ in range(count):
            family, key, body = town.one()
            partition = partition_of(key, settings.partitions)
            sent.append(await producer.send(topic_of[family], body, key, partition=partition))
        for partition in range(settings.partitions):
            beat = {"id": f"h-{town.count}", "source": "/idp", "type": ev.HEARTBEAT, "time": format_time(town.now_us)}
            sent.append(await producer.send(topics.authentications, json.dumps(beat).encode(), partition=partition))
        await asyncio.gather(*sent)


async def inputs(settings: Settings) -> list[tuple[Any, int]]:
    """(record, arrival us) of both inputs: in a partition the greatest append time up to and including it.

    A record that was moved keeps its first arrival.
    """
    found = []
    for topic in (settings.topics.actions, settings.topics.authentications):
        log_times: Counter[int] = Counter()
        for record in await read(settings, topic):
            log_times[record.partition] = max(log_times[record.partition], record.timestamp * 1000)
            arrival_us = first_arrival(record.headers, log_times[record.partition], 24 * HOUR_US)
            found.append((record, arrival_us))
    return found


async def replayed(settings: Settings) -> list[dict[str, Any]]:
    """The rows of `replay` for what lies in the inputs, each record with its arrival."""
    lines = []
    for record, arrival_us in await inputs(settings):
        try:
            event = json.loads(record.value)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("source") != "stepwatch":
            lines.append(json.dumps({**event, "arrival": format_time(arrival_us)}).encode())
    return list(replay(lines, sets_of(settings)))


async def audited(settings: Settings) -> list[dict[str, Any]]:
    """Every row of `audit`, read committed."""
    return [json.loads(record.value) for record in await read(settings, settings.topics.audit)]


def verdicts_of(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Action -> (verdict, reason, policy, verification), the last revision counting."""
    current: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
    for row in rows:
        key = (row["tenant"], row["subject"], row["source"], row["action_id"])
        said = (row["verdict"], row["reason"], row["policy"], row["verification"] or "")
        current[key] = max(current.get(key, (0, said)), (row.get("revision", 1), said))
    return {key: said for key, (_, said) in current.items()}


async def until_judged(settings: Settings, seconds: float = 90.0) -> list[dict[str, Any]]:
    """Wait until the current verdicts are those of `replay`; returns the rows of `audit`."""
    expected = verdicts_of([row for row in await replayed(settings) if row["kind"] == "verdict"])

    async def judged() -> list[dict[str, Any]] | None:
        rows = await audited(settings)
        return rows if verdicts_of(rows) == expected else None

    rows: list[dict[str, Any]] = await until(judged, seconds, "the verdicts of replay")
    return rows


async def assert_accounted(settings: Settings, rows: list[dict[str, Any]]) -> None:
    """Every input record is an audit row, an evidence row, a dead letter, a heartbeat, a copy or skipped, once."""
    told: Counter[tuple[str, int, int]] = Counter()
    told.update(
        (row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]) for row in rows if row["revision"] == 1
    )
    for record in await read(settings, settings.topics.evidence):
        row = json.loads(record.value)
        told[row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]] += 1
    for record in await read(settings, settings.topics.dead_letters):
        headers = {name: value.decode() for name, value in record.headers}
        told[headers["topic"], int(headers["partition"]), int(headers["offset"])] += 1
    assert [where for where, times in told.items() if times != 1] == []
    seen: set[tuple[Any, ...]] = set()
    sets = sets_of(settings)
    for record, arrival_us in await inputs(settings):
        family = ACTION if record.topic == settings.topics.actions else AUTHENTICATION
        outcome = decode(record.value, arrival_us, family)
        where = (record.topic, record.partition, record.offset)
        if isinstance(outcome, Heartbeat | Skipped):
            assert where not in told, where
        elif isinstance(outcome, Fault):
            assert where in told, (where, outcome)
        else:
            assert isinstance(outcome, Event)
            subject = sets.at(outcome.time_us).canonical(outcome.tenant, outcome.subject)
            key = (outcome.family, subject, outcome.source, outcome.id)
            # A copy of an action that no policy matches repeats its row (contract section 3, "one limit").
            assert key in seen or where in told, where
            seen.add(key)


def assert_revisions_without_gap(rows: list[dict[str, Any]]) -> None:
    """Revisions 1..n of each policed action, none twice."""
    revisions: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        if row["verdict"] != "not_required":
            key = (row["tenant"], row["subject"], row["source"], row["action_id"])
            revisions.setdefault(key, []).append(row["revision"])
    assert [key for key, found in revisions.items() if sorted(found) != list(range(1, len(found) + 1))] == []


def query(settings: Settings, sql: str) -> list[dict[str, Any]]:
    """Rows of a query on the road's ClickHouse."""
    at = settings.clickhouse_url.split("//")[1]
    client = clickhouse_connect.get_client(
        host=at.split(":")[0],
        port=int(at.split(":")[1]),
        username=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
        database=settings.clickhouse_database,
    )
    try:
        return list(client.query(sql).named_results())
    finally:
        client.close()


def now_us() -> int:
    """The wall clock, for events that are to be recent."""
    return time.time_ns() // 1000
