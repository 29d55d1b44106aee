"""A day of log for both inputs, and what a worker would have said that had read it live."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from stepwatch.streams.alerting import SOURCE_SILENCE
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.decode import ACTION, AUTHENTICATION
from stepwatch.streams.effects import Effects
from stepwatch.streams.sets import PolicySets
from tests.faults.grounds import alter_topics

DAY_MS = 86_400_000
GRACE_MS = 10_000
TENANT = "default"
POLICY = """\
version: 1
defaults: {grace: 10s, revise_within: 1h, accept_late: 24h}
sources: [{name: /idp, silent_after: 30m}]
policies:
  - id: payout
    match: {action: ["payments.*"]}
    require: {amr_any: [hwk, otp], max_uses: 1}
    alert: {severity: critical}
  - id: grant
    match: {action: ["iam.*"]}
    require: {amr_any: [hwk, otp]}
"""
_SUBJECTS = 300
_BEAT_MS = 60_000
_SILENT_MS = (10 * 3_600_000, 11 * 3_600_000 + 1_800_000)
"""From when to when in the day the feed says nothing: an hour and a half, three times `silent_after`."""


class Sent(NamedTuple):
    """One event on its way into the log: `at_ms` is its append time; no subject: a heartbeat, for every partition."""

    at_ms: int
    family: str
    subject: str | None
    body: bytes


class Record(NamedTuple):
    """The same, as a correlator reads it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[()] = ()


Laid = dict[tuple[str, int], list[Record]]
"""(family, partition) -> its log."""


class Day:
    """Makes the events. Every append time of the day is another millisecond, so that there is one order of arrival:
    even ones for actions, odd ones for authentications, so that this stays so where one family is shifted.

    Args:
        rng: all chance comes from it.
        begin_ms: the first append time.
        actions: how many a policy matches; most are proved, some in time though after the action, some too late.
        more_actions, more_authentications: others, of which no verdict depends.
    """

    def __init__(
        self, rng: random.Random, begin_ms: int, actions: int, more_actions: int, more_authentications: int
    ) -> None:
        self._rng = rng
        self._begin_ms = begin_ms
        self._taken: set[int] = set()
        self._count = 0
        self.sent: list[Sent] = []
        for _ in range(actions):
            self._policed()
        for _ in range(more_actions):
            self._action("docs.file.read", self._anywhere())
        for _ in range(more_authentications):
            kind = rng.choice(["session.started", "stepup.challenged", "stepup.required", "approval.granted"])
            self._authentication(kind, self._who(), self._anywhere(), amr=["pwd"], approver="a-colleague")
        for hour in range(0, 24, 3):
            who, at_ms = self._who(), hour * 3_600_000 + rng.randrange(3_000_000)
            for number in range(6):
                self._authentication("stepup.challenged", who, at_ms + number * 20_000)
        for at_ms in range(0, DAY_MS, _BEAT_MS):
            if not _SILENT_MS[0] < at_ms < _SILENT_MS[1]:
                self._heartbeat(at_ms)
        self.sent.sort()

    def _anywhere(self) -> int:
        return self._rng.randrange(DAY_MS - 1000)

    def _who(self) -> str:
        return f"user-{self._rng.randrange(_SUBJECTS)}"

    def _put(self, at_ms: int, family: str, subject: str | None, event: dict[str, Any], delay_ms: int) -> int:
        at_ms += self._begin_ms
        at_ms += (at_ms + (family == AUTHENTICATION)) % 2
        while at_ms in self._taken:
            at_ms += 2
        self._taken.add(at_ms)
        self._count += 1
        event = {"specversion": "1.0", "id": f"e-{self._count}", **event}
        event["time"] = format_time((at_ms - delay_ms) * 1000)
        if subject is not None:
            event["subject"] = subject
        self.sent.append(Sent(at_ms, family, subject, json.dumps(event).encode()))
        return at_ms - self._begin_ms

    def _heartbeat(self, at_ms: int) -> None:
        self._put(at_ms, AUTHENTICATION, None, {"type": "stepwatch.heartbeat", "source": "/idp"}, 0)

    def _action(self, name: str, at_ms: int, subject: str | None = None, session: str = "s-0") -> int:
        subject = self._who() if subject is None else subject
        data = {"action": name, "session": session, "resource": {"sensitivity": "low"}}
        event = {"type": "stepwatch.action.performed", "source": "/app", "data": data}
        return self._put(at_ms, ACTION, subject, event, self._rng.randrange(50, 900))

    def _authentication(self, kind: str, subject: str, at_ms: int, delay_ms: int = 300, **data: Any) -> None:
        event = {"type": f"stepwatch.{kind}", "source": "/idp", "data": {"session": "s-0", **data}}
        self._put(min(at_ms, DAY_MS - 1), AUTHENTICATION, subject, event, delay_ms)

    def _policed(self) -> None:
        rng = self._rng
        subject, session = self._who(), f"s-{rng.randrange(3)}"
        name = rng.choice(["payments.payout.approve", "iam.role.grant"])
        at_ms = self._action(name, self._anywhere(), subject, session)
        chance = rng.random()
        proof = {"session": session, "amr": [rng.choice(["hwk", "otp"])]}
        verified = "stepup.verified"
        if chance < 0.5:
            self._authentication(verified, subject, max(0, at_ms - rng.randrange(2000, 250_000)), **proof)
        elif chance < 0.7:  # in time, though it comes after the action
            after_ms = rng.randrange(1, GRACE_MS)
            self._authentication(verified, subject, at_ms + after_ms, after_ms + rng.randrange(1000, 30_000), **proof)
        elif chance < 0.85:  # too late to be waited for, and before the close
            after_ms = rng.randrange(GRACE_MS + 1000, 3_500_000)
            self._authentication(verified, subject, at_ms + after_ms, after_ms + rng.randrange(1000, 30_000), **proof)
        elif chance < 0.9:
            self._authentication(verified, subject, max(0, at_ms - 5000), **{**proof, "amr": ["pwd"]})


def shifted(sent: Iterable[Sent], family: str, by_ms: int) -> list[Sent]:
    """One family came into its log so much later; its events happened when they did."""
    assert by_ms % 2 == 0, "append times of the two families must stay apart"
    return sorted(each._replace(at_ms=each.at_ms + by_ms) if each.family == family else each for each in sent)


def laid(sent: Iterable[Sent], partitions: int) -> Laid:
    """The logs of both inputs, in the order of append times."""
    logs: Laid = {(family, p): [] for family in (ACTION, AUTHENTICATION) for p in range(partitions)}
    for event in sent:
        key = None if event.subject is None else subject_key(TENANT, event.subject)
        for partition in range(partitions) if key is None else (partition_of(key, partitions),):
            log = logs[event.family, partition]
            log.append(Record(len(log), event.at_ms, key, event.body))
    return logs


async def set_timestamps(settings: Settings, kind: str) -> None:
    """How the broker stamps the two big inputs: a log of other hours can only be laid down with `CreateTime`."""
    topics = (settings.topics.actions, settings.topics.authentications)
    await alter_topics(settings, topics, {"message.timestamp.type": kind, "retention.ms": "-1"})


async def lay_down(settings: Settings, logs: Laid) -> None:
    """Append the logs with their own append times."""
    topic_of = {ACTION: settings.topics.actions, AUTHENTICATION: settings.topics.authentications}
    await set_timestamps(settings, "CreateTime")
    async with AIOKafkaProducer(**settings.kafka_client_options(), max_batch_size=500_000) as producer:
        for (family, partition), records in logs.items():
            for begin in range(0, len(records), 800):
                batch = producer.create_batch()
                for record in records[begin : begin + 800]:
                    assert batch.append(key=record.key, value=record.value, timestamp=record.timestamp) is not None
                batch.close()
                await (await producer.send_batch(batch, topic_of[family], partition=partition))
    await set_timestamps(settings, "LogAppendTime")


@dataclass
class Said:
    """What came out: of one run, read live or later.

    Attributes:
        members: alert id -> actions that it named in any version in which it was not resolved.
        last: alert id -> its last version.
        accused: actions of which some row said `unverified` or `blind`.
    """

    members: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    accused: set[str] = field(default_factory=set)

    def hear_alert(self, alert: dict[str, Any]) -> None:
        """One version of an alert."""
        if alert["state"] != "resolved" and alert["kind"] != SOURCE_SILENCE:
            self.members.setdefault(alert["alert_id"], set()).update(alert["actions"])
        before = self.last.get(alert["alert_id"])
        assert before is None or before["version"] < alert["version"], (before, alert)
        self.last[alert["alert_id"]] = alert

    def hear_row(self, row: dict[str, Any]) -> None:
        """One audit row."""
        if row["verdict"] in ("unverified", "blind"):
            self.accused.add(row["action_id"])

    def open(self) -> dict[str, tuple[Any, ...]]:
        """alert id -> what a person sees of each alert that is open at the end.

        Silence of a source goes by its name: when it began depends on pulses, which lie in the log of a live run only.
        """
        shown = ("kind", "severity", "subject", "policy", "reason", "count", "first_time", "last_time")
        found: dict[str, tuple[Any, ...]] = {}
        for alert_id, alert in self.last.items():
            if alert["state"] == "open" and alert["kind"] == SOURCE_SILENCE:
                found[alert["reason"]] = (alert["kind"], alert["severity"], alert["count"])
            elif alert["state"] == "open":
                found[alert_id] = (*(alert[name] for name in shown), tuple(alert["actions"]))
        return found


def read_live(settings: Settings, sets: PolicySets, logs: Laid, end_ms: int) -> Said:
    """What workers say that read each record when it is appended, with a pulse at every moment that is due.

    Args:
        settings: names and numbers.
        sets: what they judge by.
        logs: both inputs.
        end_ms: append time up to which pulses come.
    """
    said = Said()
    topic_of = {ACTION: settings.topics.actions, AUTHENTICATION: settings.topics.authentications}
    for partition in range(settings.partitions):
        records = [(r.timestamp, family, r) for family in topic_of for r in logs[family, partition]]
        reader = _Live(settings, sets, partition, said)
        for at_ms, family, record in sorted(records, key=lambda each: each[0]):
            reader.pulse_until(at_ms)
            reader.take(topic_of[family], record.key, record.value, at_ms)
        reader.pulse_until(end_ms)
    return said


class _Live:
    """A partition of which nothing is ever late."""

    def __init__(self, settings: Settings, sets: PolicySets, partition: int, said: Said) -> None:
        self._topics = settings.topics
        self._said = said
        self._next = dict.fromkeys(self._topics.inputs, 0)
        self._correlator = Correlator(
            partition=partition, partitions=settings.partitions, topics=self._topics, sets=sets
        )

    def take(self, topic: str, key: bytes | None, value: bytes, at_ms: int) -> None:
        record = Record(self._next[topic], at_ms, key, value)
        self._next[topic] += 1
        self._hear(self._correlator.take(topic, [record], at_ms * 1000))

    def pulse_until(self, before_ms: int) -> None:
        """A pulse at each moment before, at which something would be published."""
        while (due_us := self._correlator.due_us()) is not None and -(-due_us // 1000) < before_ms:
            at_ms = -(-due_us // 1000)
            event = {"id": "pulse", "source": "stepwatch", "type": "stepwatch.heartbeat"}
            value = json.dumps({**event, "time": format_time(at_ms * 1000)}).encode()
            self.take(self._topics.authentications, None, value, at_ms)

    def _hear(self, effects: Effects) -> None:
        for _, value in effects.alerts:
            if value is not None:
                self._said.hear_alert(json.loads(value))
        for _, value in effects.audit:
            self._said.hear_row(json.loads(value))
