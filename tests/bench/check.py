"""The verdicts against what a dictionary pass over the events says, which shares no code with the core."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from tests.bench import data

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SKEW_US = 5_000_000
_MAX_AGE_US = 300_000_000
_METHODS = {"hwk", "otp"}
_SHOWN = 3


class Due(NamedTuple):
    """What an action must come out as; `verification` and `age_ms` where it is verified."""

    verdict: str
    verification: str = ""
    age_ms: int | None = None


class Row(msgspec.Struct, gc=False):
    """What of an audit row is compared."""

    action_id: str
    revision: int
    verdict: str
    verification: str
    verification_age_ms: int | None


class Result(NamedTuple):
    """What was found.

    Attributes:
        problems: one line for each kind of difference, with the first ids; empty: none.
        verdicts: current verdicts by kind.
        audit_rows, audit_bytes: of topic `audit`.
        revised: actions of more than one revision.
    """

    problems: list[str]
    verdicts: Counter[str]
    audit_rows: int
    audit_bytes: int
    revised: int


class Truth:
    """Every event of the stream, as far as a verdict depends on it."""

    def __init__(self) -> None:
        self.plain: Counter[str] = Counter()
        self.events = 0
        self._policed: dict[str, tuple[int, str, str]] = {}
        self._proofs: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self.proofs: set[str] = set()

    def see(self, body: bytes) -> None:
        """Take one event in; copies change nothing."""
        self.events += 1
        event = msgspec.json.decode(body)
        said = event["data"]
        if event["type"] != "stepwatch.action.performed":
            self.proofs.add(event["id"])
            if _METHODS & set(said["amr"]):
                self._proofs[event["subject"], said["session"]][event["id"]] = _moment_us(event["time"])
        elif said["action"] in data.POLICED:
            self._policed[event["id"]] = (_moment_us(event["time"]), event["subject"], said["session"])
        else:
            self.plain[event["id"]] += 1

    def policed(self) -> dict[str, Due]:
        """What every policed action must come out as."""
        return {event_id: self._judge(*action) for event_id, action in self._policed.items()}

    def _judge(self, time_us: int, subject: str, session: str) -> Due:
        proofs = self._proofs.get((subject, session), {})
        covering = [
            (at_us, event_id)
            for event_id, at_us in proofs.items()
            if time_us - _MAX_AGE_US <= at_us <= time_us + _SKEW_US
        ]
        if not covering:
            return Due("unverified")
        at_us, event_id = max(covering)
        return Due("verified", event_id, (time_us - at_us) // 1000)


async def check(settings: Settings, truth: Truth) -> Result:
    """Read what a worker committed, and compare.

    Args:
        settings: of the worker.
        truth: of the stream that it read.
    """
    decode = msgspec.json.Decoder(Row).decode
    last: dict[str, Row] = {}
    plain: Counter[str] = Counter()
    wrong: dict[str, list[str]] = defaultdict(list)
    audit_bytes = audit_rows = 0
    async for record in _committed(settings, settings.topics.audit):
        row = decode(record.value)
        audit_rows += 1
        audit_bytes += len(record.value)
        if row.verdict == "not_required":
            plain[row.action_id] += 1
            continue
        before = last.get(row.action_id)
        if row.revision != (before.revision + 1 if before is not None else 1):
            wrong["a revision is missing or comes twice"].append(row.action_id)
        last[row.action_id] = row
    _compare(truth, last, plain, wrong)
    wrong["not each step-up has one evidence row"] += await _unlike_evidence(settings, truth)
    wrong["a dead letter"] += [f"{r.partition}@{r.offset}" async for r in _committed(settings, settings.topics.dead_letters)]
    return Result(
        [f"{len(ids)} times {what}: {', '.join(ids[:_SHOWN])}" for what, ids in wrong.items() if ids],
        Counter(row.verdict for row in last.values()) + Counter(not_required=len(plain)),
        audit_rows,
        audit_bytes,
        sum(row.revision > 1 for row in last.values()),
    )


def _compare(truth: Truth, last: dict[str, Row], plain: Counter[str], wrong: dict[str, list[str]]) -> None:
    due = truth.policed()
    wrong["no verdict"] += [*(due.keys() - last.keys()), *(truth.plain.keys() - plain.keys())]
    wrong["a verdict on what is no policed action"] += last.keys() - due.keys()
    # The stream does not remember what no policy matches: a copy repeats its row (contract section 3).
    wrong["not one row for each record of a plain action"] += [
        event_id for event_id, count in plain.items() if count != truth.plain[event_id]
    ]
    for event_id in due.keys() & last.keys():
        row = last[event_id]
        if due[event_id] != Due(row.verdict, row.verification, row.verification_age_ms):
            wrong["another verdict than by the dictionaries"].append(event_id)


async def _unlike_evidence(settings: Settings, truth: Truth) -> list[str]:
    rows: Counter[str] = Counter()
    async for record in _committed(settings, settings.topics.evidence):
        rows[msgspec.json.decode(record.value)["event_id"]] += 1
    return [event_id for event_id in truth.proofs | rows.keys() if rows[event_id] != (event_id in truth.proofs)]


async def _committed(settings: Settings, topic: str) -> AsyncIterator[Any]:
    """All records of a topic that a `read_committed` reader sees, in the order of their offsets in each partition."""
    tps = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
    consumer = AIOKafkaConsumer(
        **settings.kafka_client_options(), isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        for tp in tps:
            await consumer.seek_to_beginning(tp)
        while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    yield record
    finally:
        await consumer.stop()


def _moment_us(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
