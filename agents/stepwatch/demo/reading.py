"""Reading the day back: the inputs from Kafka with their append times, what was made of them from ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.settings import Settings
from stepwatch.demo.checking import InputRecord, Row
from stepwatch.store.client import open_client

_POLL_MS = 500

_VERDICTS = """
SELECT tenant, subject, source, action_id, verdict, reason, policy, verification, outcome FROM audit_current
"""
_REVISIONS = """
SELECT subject, action_id, verdict, reason FROM audit FINAL
WHERE policy != '' ORDER BY subject, source, action_id, revision
"""
_ALERTS = """
SELECT alert_id, version, kind, severity, state, resolved_by, subject, policy, reason, title, count, actions,
       toUnixTimestamp64Micro(first_time) AS first_time, toUnixTimestamp64Micro(last_time) AS last_time
FROM alerts_current ORDER BY opened_at
"""
# What was blind first waited for a source: its delay says nothing of ours.
_DETECTIONS = """
SELECT policy, toUnixTimestamp64Micro(time) AS time_us,
       toUnixTimestamp64Micro(decided_at) - toUnixTimestamp64Micro(arrival) AS waited_us
FROM audit FINAL WHERE revision = 1 AND verdict = 'unverified'
"""
_DEAD_LETTERS = "SELECT error, field, kafka_topic, kafka_partition, kafka_offset FROM dead_letters_current"


class Stored(NamedTuple):
    """What ClickHouse holds of the day, as rows by their columns' names."""

    verdicts: list[Row]
    revisions: dict[tuple[str, str], list[tuple[str, str]]]
    """(subject, action id) -> (verdict, reason) of each revision of a policed action, in order."""
    alerts: list[Row]
    detections: list[Row]
    dead_letters: list[Row]


def read_stored(settings: Settings) -> Stored:
    """Ask ClickHouse; for errors see `store.client.open_client`. Blocks."""
    client = open_client(settings)
    try:
        revisions: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in _rows(client, _REVISIONS):
            of_action = revisions.setdefault((row["subject"], row["action_id"]), [])
            of_action.append((row["verdict"], row["reason"]))
        return Stored(
            verdicts=_rows(client, _VERDICTS),
            revisions=revisions,
            alerts=_rows(client, _ALERTS),
            detections=_rows(client, _DETECTIONS),
            dead_letters=_rows(client, _DEAD_LETTERS),
        )
    finally:
        client.close()


async def read_inputs(settings: Settings) -> list[InputRecord]:
    """All records of the two inputs that are in Kafka now, in the order of their offsets within each partition."""
    topics = (settings.topics.actions, settings.topics.authentications)
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(settings.partitions)]
    reader = await open_reader(settings, partitions)
    try:
        ends = await reader.end_offsets(partitions)
        return [record for tp in partitions for record in await _read(reader, tp, ends[tp])]
    finally:
        await close_client(reader)


async def _read(reader: Any, tp: TopicPartition, end: int) -> Sequence[InputRecord]:
    records: list[InputRecord] = []
    reader.resume(tp)
    while await reader.position(tp) < end:
        for record in (await reader.getmany(tp, timeout_ms=_POLL_MS)).get(tp, ()):
            if record.offset < end:
                records.append(
                    InputRecord(tp.topic, tp.partition, record.offset, record.timestamp, record.value or b"")
                )
    reader.pause(tp)
    return records


def _rows(client: Any, query: str) -> list[Row]:
    return list(client.query(query).named_results())
