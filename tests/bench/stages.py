"""Where the time goes, in this process and without Kafka: CPU microseconds an event, stage by stage."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.producer.message_accumulator import BatchBuilder

from stepwatch.schemas.compiled import decode_data, decode_envelope, encode_json
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.times import format_time, parse_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams import state
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Event, body_hash, decode
from stepwatch.streams.effects import Effects
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.routing import Router
from stepwatch.streams.rows import (
    Coordinates,
    action_row,
    evidence_row,
    outcome_of,
    plain_rest,
    plain_row,
    sensitivity_of,
)
from stepwatch.streams.sets import PolicySets, build_set
from stepwatch.streams.waiting import SubjectKey
from tests.bench.data import POLICY, TENANT, events, subject_of

_BATCH_RECORDS = 4000
_ROUNDS = 3
_BEGIN_US = 1_795_511_702_000_000
_TOPICS = Topics("bench.")
_WHERE = Coordinates(_TOPICS.actions, 0, 123_456)


class Stage(NamedTuple):
    """One line of the table: `us` is the least of several rounds."""

    what: str
    us: float


class _Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[()] = ()


@dataclass(frozen=True, slots=True)
class Stages:
    """The tables by kind of event, and how long the rows are.

    Attributes:
        tables: kind of event -> its stages; the first is the whole `take`, of which the others are parts.
        row_bytes: mean bytes of an audit row for an action record, and of an evidence row.
    """

    tables: dict[str, list[Stage]]
    row_bytes: tuple[int, int]


class _Sample:
    """Records of one kind, in batches and decoded."""

    def __init__(self, bodies: Sequence[tuple[int, bytes]], family: str, now_ms: int) -> None:
        keys = [subject_key(TENANT, subject_of(who)) for who, _ in bodies]
        self.records = [_Record(n, now_ms, keys[n], body) for n, (_, body) in enumerate(bodies)]
        self.values = [body for _, body in bodies]
        self.family = family
        self.arrival_us = now_ms * 1000
        decoded = [decode(value, self.arrival_us, family) for value in self.values]
        self.events = [event for event in decoded if isinstance(event, Event)]
        assert len(self.events) == len(self.values), "an event of the benchmark is refused"

    @property
    def topic(self) -> str:
        """Of its input."""
        return _TOPICS.actions if self.family == ACTION else _TOPICS.authentications

    def taken_by(self, correlator: Correlator) -> list[Effects]:
        """The effects of taking all records, batch by batch."""
        starts = range(0, len(self.records), _BATCH_RECORDS)
        return [correlator.take(self.topic, self.records[at : at + _BATCH_RECORDS], self.arrival_us) for at in starts]


def measure_stages(count: int) -> Stages:
    """Measure on the first `count` events of the benchmark's data."""
    sets = PolicySets([build_set([("high-risk.yaml", POLICY)], None)])
    plain, policed, step_ups = _samples(count)
    gc.collect()
    gc.freeze()
    tables = {
        "unmatched action": _plain_stages(plain, sets),
        "policed action": _policed_stages(policed, step_ups, sets),
        "step-up": _step_up_stages(step_ups, sets),
    }
    gc.unfreeze()
    return Stages(tables, _row_bytes(sets, plain, policed, step_ups))


def row_bytes_of(count: int) -> tuple[int, int]:
    """Mean bytes of an audit row for an action record, and of an evidence row, of the first `count` events."""
    sets = PolicySets([build_set([("high-risk.yaml", POLICY)], None)])
    return _row_bytes(sets, *_samples(count))


def _row_bytes(sets: PolicySets, plain: _Sample, policed: _Sample, step_ups: _Sample) -> tuple[int, int]:
    effects = [effect for sample in (step_ups, plain, policed) for effect in sample.taken_by(_correlator(sets))]
    audit = [len(row or b"") for effect in effects for _, row in effect.audit_rows()]
    evidence = [len(row) for effect in effects for _, row in effect.evidence]
    return sum(audit) // len(audit), sum(evidence) // len(evidence)


def _samples(count: int) -> tuple[_Sample, _Sample, _Sample]:
    bodies: dict[str, list[tuple[int, bytes]]] = {"plain": [], "policed": [], "step-up": []}
    for sent in events(count, _BEGIN_US):
        policed = b'"sensitivity":"critical"' in sent.body
        kind = "step-up" if sent.family == AUTHENTICATION else ("policed" if policed else "plain")
        bodies[kind].append((sent.who, sent.body))
    now_ms = _BEGIN_US // 1000 + count + 60_000
    return (
        _Sample(bodies["plain"], ACTION, now_ms),
        _Sample(bodies["policed"], ACTION, now_ms),
        _Sample(bodies["step-up"], AUTHENTICATION, now_ms),
    )


def _correlator(sets: PolicySets, *before: _Sample) -> Correlator:
    correlator = Correlator(partition=0, partitions=1, topics=_TOPICS, sets=sets)
    for sample in before:
        sample.taken_by(correlator)
    return correlator


def _cost(count: int, do: Callable[[], object]) -> float:
    """CPU us an item: the least of several rounds."""
    least = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time_ns()
        do()
        least = min(least, time.process_time_ns() - started)
    return least / count / 1000


def _each(do: Callable[[Any], object], items: Sequence[Any]) -> float:
    """The same, of calling `do` with each item, without what the loop itself costs."""

    def calls() -> None:
        for item in items:
            do(item)

    def nothing() -> None:
        for _ in items:
            pass

    return max(0.0, _cost(len(items), calls) - _cost(len(items), nothing))


def _take_cost(sample: _Sample, build: Callable[[], Correlator]) -> float:
    least = float("inf")
    for _ in range(_ROUNDS):
        correlator = build()
        started = time.process_time_ns()
        sample.taken_by(correlator)
        least = min(least, time.process_time_ns() - started)
    return least / len(sample.records) / 1000


def _with_rest(whole: float, parts: Iterable[Stage], rest: str) -> list[Stage]:
    parts = list(parts)
    return [Stage("take(), whole", whole), *parts, Stage(rest, whole - sum(part.us for part in parts))]


def _decode_stages(sample: _Sample) -> list[Stage]:
    times = [format_time(event.time_us) for event in sample.events]
    raw = [event.raw_data for event in sample.events]
    parts = [
        Stage("decode: envelope", _each(decode_envelope, sample.values)),
        Stage("decode: data", _each(decode_data, raw)),
        Stage("decode: time", _each(parse_time, times)),
    ]
    whole = _each(lambda value: decode(value, sample.arrival_us, sample.family), sample.values)
    return [*parts, Stage("decode: checks, the event", whole - sum(part.us for part in parts))]


def _match_stage(sample: _Sample, sets: PolicySets) -> Stage:
    router = Router(1)

    def match(event: Event) -> None:
        policy_set = sets.at(event.time_us)
        router.partition_of((event.tenant, policy_set.canonical(event.tenant, event.subject)))
        policy_set.may_match(event.tenant, event.data.action or "")

    return Stage("subject, partition, may_match", _each(match, sample.events))


def _append_stage(rows: Sequence[tuple[bytes, bytes]]) -> Stage:
    def append() -> None:
        batch = _produce_batch()
        for key, value in rows:
            if batch.append(key=key, value=value, timestamp=1) is None:
                batch = _produce_batch()
                batch.append(key=key, value=value, timestamp=1)

    return Stage("(after take: append to a produce batch)", _cost(len(rows), append))


def _produce_batch() -> BatchBuilder:
    return BatchBuilder(900_000, 0, is_transactional=1)


def _plain_stages(sample: _Sample, sets: PolicySets) -> list[Stage]:
    rest = plain_rest("", _TOPICS.actions, 0)

    def row(event: Event) -> bytes:
        return plain_row(event, event.subject, sensitivity_of(event), outcome_of(event), 123_456, rest)

    parts = [
        *_decode_stages(sample),
        _match_stage(sample, sets),
        Stage("row: build and encode", _each(row, sample.events)),
    ]
    rows = [pair for effects in sample.taken_by(_correlator(sets)) for pair in effects.audit]
    whole = _take_cost(sample, lambda: _correlator(sets))
    return [*_with_rest(whole, parts, "rest: calls, counts, offsets"), _append_stage(rows)]


def _policed_stages(sample: _Sample, step_ups: _Sample, sets: PolicySets) -> list[Stage]:
    correlator = _correlator(sets, step_ups, sample)
    kept = [
        (subject, ledger, action) for subject, ledger in correlator.known.ledgers.items() for action in ledger.actions
    ]

    def decide(item: Any) -> None:
        correlator.known.judge.forget_choices()
        correlator.known.judge.decide(item[2], item[1])

    parts = [
        *_decode_stages(sample),
        Stage("body hash", _each(body_hash, sample.values)),
        Stage("judge", _each(decide, kept)),
        Stage("row: build", _each(lambda event: action_row(event, event.subject, _WHERE), sample.events)),
        Stage("row: encode", _each(lambda item: encode_json(item[2].row), kept)),
        Stage("state: encode once", _each(lambda item: _encode_state(item[0], item[2]), kept)),
    ]
    whole = _take_cost(sample, lambda: _correlator(sets, step_ups))
    return _with_rest(whole, parts, "rest: ledger, waiting, patterns, alerts, state again")


def _encode_state(subject: SubjectKey, action: Action) -> None:
    writes: state.Writes = {}
    state.save(writes, subject, action)
    state.encoded(writes)


def _step_up_stages(sample: _Sample, sets: PolicySets) -> list[Stage]:
    correlator = _correlator(sets, sample)
    facts: list[tuple[Any, Fact]] = [
        (subject, fact) for subject, ledger in correlator.known.ledgers.items() for fact in ledger.facts.values()
    ]
    fact = facts[0][1]
    parts = [
        *_decode_stages(sample),
        Stage("body hash", _each(body_hash, sample.values)),
        Stage(
            "row: build and encode",
            _each(lambda event: evidence_row(event, event.subject, fact, _WHERE, False), sample.events),
        ),
        Stage("state: encode", _each(lambda item: state.save({}, item[0], item[1]), facts)),
    ]
    whole = _take_cost(sample, lambda: _correlator(sets))
    return _with_rest(whole, parts, "rest: ledger, whom it touches, patterns")
