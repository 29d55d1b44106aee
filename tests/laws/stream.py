"""A world as two partitions of Kafka, read by the correlator in any order, with copies, batch borders and restarts."""

import json
import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.decode import ACTION, Event, Fault, Skipped, decode, tie_hash
from stepwatch.streams.effects import Effects, Move
from stepwatch.streams.moments import forget_from
from stepwatch.streams.native import is_built
from stepwatch.streams.sets import PolicySets
from tests.core.chunks import as_chunk

TOPICS = Topics()
PULSE = b'{"specversion":"1.0","id":"pulse","source":"stepwatch","type":"stepwatch.heartbeat","time":"%s"}'
HOUR_MS = 3_600_000


class Record(NamedTuple):
    """A record of an input, as the Kafka client gives it."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def event_key(event: Event, sets: PolicySets) -> tuple[str, ...]:
    """What makes two records one event (contract section 3)."""
    subject = sets.at(event.time_us).canonical(event.tenant, event.subject)
    return (event.tenant, subject, event.family, event.source, event.id)


def in_whole_ms(lines: list[bytes], sets: PolicySets) -> list[bytes]:
    """The lines with arrivals cut to Kafka's milliseconds, without what a topic cannot hold or promise.

    Left out are lines that are no events (they have no arrival), and other bodies of one action: the stream remembers
    only some of them (contract section 3, "one limit"), a file all.
    """
    kept: list[tuple[int, bytes]] = []
    bodies: dict[tuple[str, ...], str] = {}
    for line in lines:
        outcome = decode(line, None)
        if isinstance(outcome, Fault | Skipped):
            continue
        arrival_us = outcome.arrival_us - outcome.arrival_us % 1000
        event = json.loads(line)
        event["arrival"] = format_time(arrival_us)
        whole = json.dumps(event).encode()
        if isinstance(decode(whole, None), Fault):
            continue
        if isinstance(outcome, Event) and outcome.family == ACTION:
            key = event_key(outcome, sets)
            if bodies.setdefault(key, tie_hash(whole)) != tie_hash(whole):
                continue
        kept.append((arrival_us, whole))
    return [line for _, line in kept]


def as_topics(lines: list[bytes], rng: random.Random, sets: PolicySets) -> dict[str, list[Record]]:
    """The lines in the order of their arrivals, with further copies of some of them later on.

    A copy that comes after its event may be forgotten cannot be told from a first record, so there is none.
    """
    first: dict[tuple[str, ...], int] = {}
    placed: dict[str, list[tuple[int, str, bytes]]] = {TOPICS.actions: [], TOPICS.authentications: []}
    decoded = [(line, decode(line, None)) for line in lines]
    for line, outcome in sorted(decoded, key=lambda pair: pair[1].arrival_us):
        assert not isinstance(outcome, Fault | Skipped)
        last_us = 2**62
        if isinstance(outcome, Event):
            last_us = forget_from(sets, outcome.time_us, outcome.arrival_us)
            last_us = first.setdefault(event_key(outcome, sets), last_us)
        if outcome.arrival_us > last_us:
            continue
        is_action = isinstance(outcome, Event) and outcome.family == ACTION
        topic = TOPICS.actions if is_action else TOPICS.authentications
        placed[topic].append((outcome.arrival_us // 1000, tie_hash(line), line))
        copy_ms = outcome.arrival_us // 1000 + rng.choice((0, 1, 5000, HOUR_MS))
        if isinstance(outcome, Event) and rng.random() < 0.2 and copy_ms * 1000 <= last_us:
            placed[topic].append((copy_ms, "~", line))
    return {
        topic: [Record(offset, ms, line) for offset, (ms, _, line) in enumerate(sorted(records))]
        for topic, records in placed.items()
    }


@dataclass
class Outputs:
    """What a `read_committed` reader of the outputs has seen."""

    rows: dict[tuple[str, ...], list[dict[str, Any]]] = field(default_factory=dict)
    alerts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    state: dict[bytes, bytes] = field(default_factory=dict)
    evidence: int = 0

    def commit(self, effects: Effects) -> None:
        """One transaction."""
        for _, value in effects.audit_rows():
            row = json.loads(value)
            key = (row["tenant"], row["subject"], row["source"], row["action_id"])
            self.rows.setdefault(key, []).append(row)
        for _, alert in effects.alerts:
            if alert is not None:
                row = json.loads(alert)
                self.alerts.setdefault(row["alert_id"], []).append(row)
        for key_bytes, state in effects.state:
            if state is None:
                self.state.pop(key_bytes, None)
            else:
                self.state[key_bytes] = state
        self.evidence += len(effects.evidence)


class Reader:
    """One partition's task without Kafka: it reads, commits, dies and comes back."""

    def __init__(
        self, sets: PolicySets, topics: dict[str, list[Record]], partition: int = 0, partitions: int = 1
    ) -> None:
        self.sets = sets
        self.topics = topics
        self.partition = partition
        self.partitions = partitions
        self.outputs = Outputs()
        self.correlator = self._correlator()

    def _correlator(self) -> Correlator:
        restored = list(self.outputs.state.items())
        return Correlator(
            partition=self.partition, partitions=self.partitions, topics=TOPICS, sets=self.sets, restored=restored
        )

    @property
    def last_ms(self) -> int:
        """The broker's clock: the greatest append time of the partition."""
        return max((record.timestamp for records in self.topics.values() for record in records), default=0)

    def append(self, topic: str, record: Record) -> None:
        """Append a record; its append time is never before the last one's."""
        log = self.topics[topic]
        last_ms = log[-1].timestamp if log else 0
        log.append(record._replace(offset=len(log), timestamp=max(record.timestamp, last_ms)))

    def restart(self) -> None:
        """Only what was committed is left."""
        self.correlator = self._correlator()

    def left(self) -> list[str]:
        """Topics with records that have not been read."""
        return [
            topic
            for topic, records in self.topics.items()
            if records and self.correlator.positions.get(topic, 0) <= records[-1].offset
        ]

    def read(self, topic: str, count: int, commit: bool = True) -> list[Move]:
        """Take the next records of a topic; a batch that is not committed never was, but for its moves."""
        start = self.correlator.positions.get(topic, 0)
        batch = [record for record in self.topics[topic] if record.offset >= start][:count]
        # In turn as the native core and as Python reads them: the law holds for any mixture of the two.
        records = as_chunk(batch) if batch and is_built and start % 2 else batch
        effects = self.correlator.take(topic, records, 0)
        if commit:
            self.outputs.commit(effects)
        else:
            self.restart()
        return effects.moves

    def pulse(self, log_time_ms: int) -> None:
        """Bring both log times to a moment."""
        for topic, records in self.topics.items():
            offset = records[-1].offset + 1 if records else 0
            records.append(Record(offset, log_time_ms, PULSE % format_time(log_time_ms * 1000).encode()))
            while topic in self.left():
                self.read(topic, 1000)

    def finish(self) -> None:
        """Read on past every close and every anchor's hour."""
        known = self.correlator.known
        moments = [record.timestamp * 1000 for records in self.topics.values() for record in records]
        moments = [max(moments, default=0) + HOUR_MS * 1000]
        moments += [action.closes_us for ledger in known.ledgers.values() for action in ledger.kept.values()]
        self.pulse(max(moments) // 1000 + 1)


def verdicts_of(outputs: Outputs) -> list[dict[str, Any]]:
    """The last revision of each action, in the form of `replay --json`."""
    return [_verdict(rows[-1]) for rows in outputs.rows.values()]


def _verdict(row: dict[str, Any]) -> dict[str, Any]:
    nearest = json.loads(row["nearest_miss"]) if row["nearest_miss"] else None
    if nearest is not None:
        del nearest["sentence"]
    shown = {name: row[name] for name in ("tenant", "subject", "source", "action_id", "verdict", "reason", "policy")}
    return {**shown, "verification": row["verification"] or None, "nearest_miss": nearest}


def open_alerts_of(outputs: Outputs) -> list[dict[str, Any]]:
    """The alerts that are open, in the form of `replay --json`; silence of sources is left out."""
    names = (
        "alert_id",
        "tenant",
        "subject",
        "policy",
        "severity",
        "reason",
        "count",
        "actions",
        "first_time",
        "last_time",
    )
    return [
        {"alert": last["kind"], **{name: last[name] for name in names}}
        for last in (versions[-1] for versions in outputs.alerts.values())
        if last["state"] == "open" and last["kind"] != "source_silence"
    ]


class Pair:
    """Two partitions between which records are moved, each with its own reader."""

    def __init__(self, sets: PolicySets, topics: dict[str, list[Record]], rng: random.Random) -> None:
        self.sets = sets
        self.rng = rng
        self.readers = [Reader(sets, {topic: [] for topic in topics}, partition, 2) for partition in (0, 1)]
        arrivals = [record.timestamp * 1000 for records in topics.values() for record in records]
        # A move later than `accept_late` loses the first arrival: then the file would say something else.
        may_move = bool(arrivals) and max(arrivals) - min(arrivals) + HOUR_MS * 1000 < sets.accept_late_max_us
        for topic, records in topics.items():
            for record in records:
                self._place(topic, record, may_move)

    def _place(self, topic: str, record: Record, may_move: bool) -> None:
        outcome = decode(record.value or b"", record.timestamp * 1000)
        if not isinstance(outcome, Event):
            for reader in self.readers:
                reader.append(topic, record)
            return
        subject = self.sets.at(outcome.time_us).canonical(outcome.tenant, outcome.subject)
        home = partition_of(subject_key(outcome.tenant, subject), 2)
        wrong = may_move and self.rng.random() < 0.4
        self.readers[1 - home if wrong else home].append(topic, record)

    def read_somehow(self, restarts: float) -> None:
        """Read both to their ends in any order; what is moved is appended, and read in turn."""
        while choices := [(reader, topic) for reader in self.readers for topic in reader.left()]:
            reader, topic = self.rng.choice(choices)
            moves = reader.read(topic, self.rng.choice((1, 2, 1000)), commit=self.rng.random() >= restarts)
            for move in moves:
                target = self.readers[move.partition]
                delay_ms = self.rng.choice((0, 0, 1, 60_000))
                target.append(
                    move.topic, Record(0, reader.last_ms + delay_ms, move.value, move.key, tuple(move.headers))
                )

    def finish(self) -> Outputs:
        """Read on past every close; the outputs of both."""
        self.read_somehow(0.0)
        for reader in self.readers:
            reader.finish()
        outputs = Outputs()
        for reader in self.readers:
            outputs.rows.update(reader.outputs.rows)
            outputs.alerts.update(reader.outputs.alerts)
        return outputs
