"""Where the time goes: the core over one partition's records, in a process without Kafka, stage by stage."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams import intake, state
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Event, decode
from stepwatch.streams.effects import Effects
from stepwatch.streams.facts import Action, Fact, fact_of
from stepwatch.streams.forgetting import forget_alerts, forget_items
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.partition import Partition
from stepwatch.streams.publishing import published_form
from stepwatch.streams.routing import Router
from stepwatch.streams.rows import (
    Coordinates,
    action_row,
    evidence_row,
    judged_row,
    outcome_of,
    plain_rest,
    plain_row,
    sensitivity_of,
)
from stepwatch.streams.sets import PolicySets, build_set
from stepwatch.streams.settling import settle, settle_alerts
from tests.bench import data

PARTITIONS = 4
_BATCH = 4000
_EVENTS_PER_MS = 50
"""How densely they arrive: as `fill` appends them, so that a grace ends some batches later, as there."""
_TIMES = 3
_BEGIN_US = 1_767_225_600_000_000

Batch = tuple[str, list["Record"]]


class Record(NamedTuple):
    """A record as the Kafka client would give it; it lies in partition 0."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Stages(msgspec.Struct):
    """Microseconds of CPU per event by stage, in the order of an event's road, and what its rows weigh."""

    us: dict[str, float]
    total_us: float
    events: int
    audit_bytes: int
    evidence_bytes: int


def stages(events: int, seed: int) -> Stages:
    """Measure; of each figure the least of three runs counts.

    Args:
        events: of the stream; a quarter of them belongs to the partition that is looked at.
        seed: of the stream.
    """
    sets = PolicySets([build_set([("bench.yaml", data.POLICY)], None)])
    batches = _batches(events, seed)
    count = sum(len(records) for _, records in batches)
    total = min(_whole(sets, batches) for _ in range(_TIMES))
    runs = [_Walk(sets, batches).us(count) for _ in range(_TIMES)]
    us = {stage: min(run[stage] for run in runs) for stage in runs[0]}
    us["reading, counting, collecting"] = max(0.0, total / count * 1e6 - sum(us.values()))
    effects = _effects(sets, batches)
    return Stages(us, total / count * 1e6, count, _mean(effects.audit), _mean(effects.evidence))


def _batches(events: int, seed: int) -> list[Batch]:
    """Partition 0's records, in the order in which the feeder of a worker with a backlog would hand them over."""
    topics = Topics()
    whole: dict[str, list[Record]] = {topics.actions: [], topics.authentications: []}
    begin_ms = (_BEGIN_US + data.span_us(events)) // 1000
    for number, made in enumerate(data.make(events, seed, _BEGIN_US)):
        key = subject_key(data.TENANT, made.subject)
        if partition_of(key, PARTITIONS) == 0:
            lane = whole[topics.actions if made.is_action else topics.authentications]
            lane.append(Record(len(lane), begin_ms + number // _EVENTS_PER_MS, key, made.body))
    end_ms = begin_ms + events // _EVENTS_PER_MS + 2000
    for lane in whole.values():
        lane.append(Record(len(lane), end_ms, b"hb", data.heartbeat(1, end_ms * 1000)))
    batches = [
        (topic, lane[begin : begin + _BATCH])
        for topic, lane in whole.items()
        for begin in range(0, len(lane), _BATCH)
    ]
    return sorted(batches, key=lambda batch: batch[1][0].timestamp)


def _whole(sets: PolicySets, batches: Sequence[Batch]) -> float:
    correlator = Correlator(partition=0, partitions=PARTITIONS, topics=Topics(), sets=sets)
    return _cpu_s(lambda: [correlator.take(topic, records, _BEGIN_US) for topic, records in batches])


def _effects(sets: PolicySets, batches: Sequence[Batch]) -> Effects:
    all_effects = Effects()
    correlator = Correlator(partition=0, partitions=PARTITIONS, topics=Topics(), sets=sets)
    for topic, records in batches:
        effects = correlator.take(topic, records, _BEGIN_US)
        all_effects.audit += effects.audit
        all_effects.evidence += effects.evidence
    return all_effects


def _cpu_s(do: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    do()
    return time.process_time() - began


def _mean(rows: Sequence[tuple[bytes, bytes]]) -> int:
    return sum(len(row) for _, row in rows) // len(rows)


class _Walk:
    """`Correlator.take` taken apart: stage after stage over all events of a batch instead of event after event.

    What lies inside another stage (rows and state records) is done once more alone, and taken off there.
    """

    def __init__(self, sets: PolicySets, batches: Sequence[Batch]) -> None:
        self._sets = sets
        self._batches = batches
        self._partition = Partition(sets)
        self._router = Router(PARTITIONS)
        self._topics = Topics()
        self._s: dict[str, float] = {}

    def us(self, count: int) -> dict[str, float]:
        """Stage -> microseconds per event."""
        decoded = [(topic, records, self._decode(topic, records)) for topic, records in self._batches]
        for topic, records, events in decoded:
            self._take(topic, records, events)
        events = [event for _, _, batch in decoded for event in batch if isinstance(event, Event)]
        rows_in, rows_judged = self._rows(events), self._judged_rows()
        saves_in, saves_judged = self._saves(Fact, Action), self._saves(Action)
        s = self._s
        stages = {
            "decode": s["decode"],
            "partition, copies, matching, facts": s["accept"] - rows_in - saves_in,
            "rows of plain actions and evidence": rows_in,
            "judging, publishing": s["settle"] - rows_judged - saves_judged,
            "rows of verdicts": rows_judged,
            "alerts, forgetting": s["rest"],
            "state records": saves_in + saves_judged,
        }
        return {stage: max(0.0, seconds) / count * 1e6 for stage, seconds in stages.items()}

    def _timed(self, stage: str, do: Callable[[], object]) -> None:
        began = time.process_time()
        do()
        self._s[stage] = self._s.get(stage, 0.0) + time.process_time() - began

    def _decode(self, topic: str, records: Sequence[Record]) -> list[object]:
        family = ACTION if topic == self._topics.actions else AUTHENTICATION
        events: list[object] = []
        self._timed("decode", lambda: events.extend(decode(r.value, r.timestamp * 1000, family) for r in records))
        return events

    def _take(self, topic: str, records: Sequence[Record], events: Sequence[object]) -> None:
        known, log_us = self._partition, records[-1].timestamp * 1000
        known.effects, known.decided_at, known.writes = Effects(), format_time(_BEGIN_US), {}
        known.plain_rest = plain_rest(known.decided_at, topic, 0)
        self._timed("accept", lambda: self._accept(topic, records, events))
        if topic == self._topics.actions:
            known.actions_us = log_us
        else:
            known.evidence_us = log_us
        self._timed("settle", lambda: settle(known))
        self._timed("rest", lambda: (forget_alerts(known), settle_alerts(known, _BEGIN_US), forget_items(known)))

    def _accept(self, topic: str, records: Sequence[Record], events: Sequence[object]) -> None:
        known, router = self._partition, self._router
        for record, event in zip(records, events, strict=True):
            if isinstance(event, Event):
                subject = (event.tenant, self._sets.at(event.time_us).canonical(event.tenant, event.subject))
                assert router.partition_of(subject) == 0
                intake.accept(known, event, subject, Coordinates(topic, 0, record.offset))

    def _rows(self, events: Sequence[Event]) -> float:
        """Every row that is made when its event comes in."""
        where, rest = Coordinates("t", 0, 0), plain_rest("", "t", 0)
        plain = [e for e in events if e.family == ACTION and e.data.action not in data.POLICED]
        policed = [e for e in events if e.family == ACTION and e.data.action in data.POLICED]
        facts = [(e, fact_of(e, "")) for e in events if e.family == AUTHENTICATION]
        return _cpu_s(
            lambda: (
                [plain_row(e, e.subject, sensitivity_of(e), outcome_of(e), 0, rest) for e in plain],
                [action_row(e, e.subject, where) for e in policed],
                [evidence_row(e, e.subject, fact, where, False) for e, fact in facts],
            )
        )

    def _judged_rows(self) -> float:
        """One more revision of every policed action."""
        judged = [
            (action, self._partition.judge.decide(action, ledger))
            for ledger in self._ledgers()
            for action in ledger.actions
        ]
        forms = [(action, decision, published_form(decision)) for action, decision in judged]
        return _cpu_s(lambda: [judged_row(action, decision, form, "") for action, decision, form in forms])

    def _saves(self, *kinds: type) -> float:
        kept = [
            ((ledger.tenant, ledger.subject), item)
            for ledger in self._ledgers()
            for item in [*ledger.facts.values(), *ledger.actions]
            if isinstance(item, kinds)
        ]
        return _cpu_s(lambda: [state.save({}, subject, item) for subject, item in kept])

    def _ledgers(self) -> Sequence[Ledger]:
        return list(self._partition.ledgers.values())


if __name__ == "__main__":
    # As the role does, and in a process of its own: nothing else fills its memory and its caches.
    gc.set_threshold(200_000, 50, 100)
    print(msgspec.json.encode(stages(int(sys.argv[1]), int(sys.argv[2]))).decode())
