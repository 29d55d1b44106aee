"""A log without a broker, and a driver that lets a correlator read it: time moves only where a test says so.

    driver = Driver(POLICY)
    driver.action("a-1")                                  # appended to `actions` and read at once
    driver.evidence("stepup.verified", "v-1", amr=["hwk"])
    driver.pulse(T0_US + 10 * SECOND_US)                  # both inputs reach this log time
    assert driver.verdict("a-1")["verdict"] == "verified"

Every event time and append time is in microseconds; append times are whole milliseconds, as a broker's are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.times import format_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.effects import DeadLetter, Effects
from stepwatch.streams.reading import NAMED_ERRORS
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.chunks import as_chunk

T0_US = 1_795_510_800_000_000
"""2026-11-24T09:00:00Z: where the log of every driver begins."""
MS_US = 1_000
TOPICS = Topics()
Row = dict[str, Any]


class Record(NamedTuple):
    """A record of an input, as a Kafka client gives it; `timestamp` is the append time in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Log:
    """One partition of the three inputs. Its clock, `now_us`, is the greatest append time so far."""

    def __init__(self, start_us: int = T0_US) -> None:
        self.now_us = start_us
        self.records: dict[str, list[Record]] = {topic: [] for topic in TOPICS.inputs}

    def append(
        self,
        topic: str,
        event: Mapping[str, Any] | bytes | None,
        at_us: int | None = None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Record:
        """Append one record.

        Args:
            topic: one of `TOPICS.inputs`.
            event: an object to be written as JSON, the bytes themselves, or a tombstone.
            at_us: append time, whole milliseconds; default: now. It may lie before the last one.
            key: of the record; default: `tenant/subject` as the event says them.
            headers: of the record.
        """
        at_us = self.now_us if at_us is None else at_us
        assert at_us % MS_US == 0, "append times are whole milliseconds"
        self.now_us = max(self.now_us, at_us)
        if isinstance(event, Mapping):
            if key is None and "subject" in event:
                key = subject_key((event.get("data") or {}).get("tenant") or "default", event["subject"])
            event = json.dumps(event, ensure_ascii=False).encode()
        log = self.records[topic]
        log.append(Record(len(log), at_us // MS_US, key, event, headers))
        return log[-1]


AS_CHUNKS = False
"""Whether the correlator is given chunks, which the native core reads, or lists: see `conftest.py`."""


def an_event(
    kind: str,
    event_id: str,
    *,
    time_us: int = T0_US,
    subject: str | None = "alice",
    source: str = "/app",
    **data: Any,
) -> Row:
    """An event as a producer writes it.

    Args:
        kind: the type, with or without `stepwatch.` in front.
        time_us: its `time`; every digit is written.
        subject: None leaves it out.
        data: members of `data`.
    """
    kind = kind if kind.startswith("stepwatch.") else f"stepwatch.{kind}"
    event: Row = {"specversion": "1.0", "id": event_id, "source": source, "type": kind}
    event["time"] = format_time(time_us)
    if subject is not None:
        event["subject"] = subject
    event["data"] = data
    return event


def sets_of(policies: str | PolicySets) -> PolicySets:
    """One set in force from the beginning of time; `version: 1` is put in front where it lacks."""
    if isinstance(policies, PolicySets):
        return policies
    text = policies if "version:" in policies else f"version: 1\n{policies}"
    return PolicySets([build_set([("policies.yaml", text)], None)])


class Driver:
    """A correlator of one partition with its log, and all that it has said so far.

    Args:
        policies: YAML of one policy file, or sets.
        partition: number of the partition.
        partitions: how many there are.

    Attributes:
        log: what lies in the inputs, read or not.
        rows: every audit row, in order.
        evidence_rows: every row of topic `evidence`.
        alerts: every version of every alert; tombstones are left out.
        dead_letters: every dead letter.
        counts: sum of all metrics.
        effects: of the last batch.
        state: the state topic after compaction: key -> value.
        wall_us: the wall clock that rows show; None: 250 ms past the log's.
    """

    def __init__(self, policies: str | PolicySets = "", partition: int = 0, partitions: int = 1) -> None:
        self.sets = sets_of(policies)
        self.partition = partition
        self.partitions = partitions
        self.log = Log()
        self.wall_us: int | None = None
        self.rows: list[Row] = []
        self.evidence_rows: list[Row] = []
        self.alerts: list[Row] = []
        self.dead_letters: list[DeadLetter] = []
        self.counts: Counter[str] = Counter()
        self.state: dict[bytes, bytes] = {}
        self.effects = Effects()
        self._pulses = 0
        self.correlator = self._build()

    def _build(self) -> Correlator:
        return Correlator(
            partition=self.partition,
            partitions=self.partitions,
            topics=TOPICS,
            sets=self.sets,
            restored=list(self.state.items()),
        )

    def restart(self) -> None:
        """A new process: the correlator is built anew from nothing but the encoded state records."""
        self.correlator = self._build()

    def read(self, topic: str | None = None, limit: int | None = None) -> Effects:
        """Let the correlator take what it has not read, as one batch of each input.

        Args:
            topic: one input only; default: all, in the order of `TOPICS.inputs`.
            limit: at most so many records of each.
        """
        for name in TOPICS.inputs if topic is None else (topic,):
            first = self.correlator.positions.get(name, 0)
            batch = self.log.records[name][first:][:limit]
            if batch:
                self.take(name, batch)
        return self.effects

    def take(self, topic: str, records: Sequence[Record]) -> Effects:
        """Give the correlator one batch, whether it has read it before or not, and gather the effects."""
        wall_us = self.log.now_us + 250 * MS_US if self.wall_us is None else self.wall_us
        batch = as_chunk(records) if AS_CHUNKS else records
        effects = self.effects = self.correlator.take(topic, batch, wall_us)
        self.rows += [json.loads(value) for _, value in effects.audit_rows()]
        self.evidence_rows += [json.loads(value) for _, value in effects.evidence]
        self.alerts += [json.loads(value) for _, value in effects.alerts if value is not None]
        self.dead_letters += effects.dead_letters
        self.counts.update(effects.counts)
        for key, value in effects.state:
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        return effects

    def send(
        self,
        topic: str,
        event: Mapping[str, Any] | bytes | None,
        at_us: int | None = None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Effects:
        """Append one record to an input and read that input to its end."""
        self.log.append(topic, event, at_us, key=key, headers=headers)
        return self.read(topic)

    def action(
        self,
        event_id: str,
        *,
        time_us: int | None = None,
        at_us: int | None = None,
        subject: str = "alice",
        source: str = "/app",
        action: str = "payments.payout.approve",
        session: str = "s1",
        **data: Any,
    ) -> Effects:
        """Append an action and read it. Default times: now; it arrives no earlier than it happened."""
        time_us = self.log.now_us if time_us is None else time_us
        data = {"session": session, "action": action, **data}
        event = an_event("action.performed", event_id, time_us=time_us, subject=subject, source=source, **data)
        return self.send(TOPICS.actions, event, self._arrival(time_us, at_us))

    def evidence(
        self,
        kind: str,
        event_id: str,
        *,
        time_us: int | None = None,
        at_us: int | None = None,
        subject: str = "alice",
        source: str = "/idp",
        session: str = "s1",
        **data: Any,
    ) -> Effects:
        """Append an authentication event (`stepup.verified`, ...) and read it. Times as for actions."""
        time_us = self.log.now_us if time_us is None else time_us
        data = {"session": session, **data}
        event = an_event(kind, event_id, time_us=time_us, subject=subject, source=source, **data)
        return self.send(TOPICS.authentications, event, self._arrival(time_us, at_us))

    def heartbeat(
        self,
        source: str,
        event_id: str = "hb",
        *,
        time_us: int | None = None,
        at_us: int | None = None,
        topic: str = TOPICS.authentications,
        **data: Any,
    ) -> Effects:
        """Append a heartbeat of a feed and read it. Times as for actions."""
        time_us = self.log.now_us if time_us is None else time_us
        event = an_event("heartbeat", event_id, time_us=time_us, subject=None, source=source, **data)
        return self.send(topic, event, self._arrival(time_us, at_us))

    def pulse(self, log_time_us: int, topics: Sequence[str] = TOPICS.inputs[:2]) -> None:
        """Bring inputs to a log time, rounded up to a millisecond, by pulses that are read at once."""
        log_time_us = _whole_ms(log_time_us)
        for topic in topics:
            self._pulses += 1
            event = an_event(
                "heartbeat", f"pulse-{self._pulses}", time_us=log_time_us, subject=None, source="stepwatch"
            )
            self.send(topic, event, log_time_us)

    def respond(self, alert_id: str, decision: str, *, response_id: str = "r-1", version: int = 1) -> Effects:
        """Append what a person (`olga`) decided about an alert, and read it."""
        response = {
            "id": response_id,
            "alert_id": alert_id,
            "seen_version": version,
            "decision": decision,
            "by": "olga",
            "at": format_time(self.log.now_us),
            "note": "",
        }
        return self.send(TOPICS.responses, response)

    def _arrival(self, time_us: int, at_us: int | None) -> int:
        return max(_whole_ms(time_us), self.log.now_us) if at_us is None else at_us

    def verdict(self, action_id: str, source: str = "/app") -> Row:
        """The last revision of one action; KeyError where none was published."""
        for row in reversed(self.rows):
            if (row["source"], row["action_id"]) == (source, action_id):
                return row
        raise KeyError(action_id)

    def revisions(self, action_id: str) -> list[Row]:
        """Every audit row of an action, in the order of publishing."""
        return [row for row in self.rows if row["action_id"] == action_id]

    @property
    def open_alerts(self) -> dict[str, Row]:
        """alert_id -> the last version of each alert that is not resolved."""
        latest = {row["alert_id"]: row for row in self.alerts}
        return {alert_id: row for alert_id, row in latest.items() if row["state"] != "resolved"}

    @property
    def faults(self) -> list[tuple[str, str]]:
        """(error code, field) of every dead letter: `conflict`, `misrouted`, or `invalid` for any other."""
        return [
            (headers["error"] if headers["error"] in NAMED_ERRORS else "invalid", headers["field"])
            for headers in ({name: value.decode() for name, value in letter.headers} for letter in self.dead_letters)
        ]


def _whole_ms(time_us: int) -> int:
    return -(-time_us // MS_US) * MS_US
