"""What could not be used is kept with its bytes, and nothing about it can fail again."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from clickhouse_connect.driver.client import Client

from stepwatch.store.dead_letters import build_dead_letter, build_refused
from tests.store.rows import load, select

HEADERS = {
    "error": "json",
    "field": "data.client.ip",
    "topic": "stepwatch.actions",
    "partition": "3",
    "offset": "1207",
    "time": "2026-11-24T09:15:00.000123Z",
}


def record(
    value: bytes | None = b"{",
    key: bytes | None = b"acme/alice",
    topic: str = "stepwatch.dead-letters",
    **headers: str,
) -> ConsumerRecord:
    """A record of the topic of dead letters, at partition 1, offset 9."""
    pairs = [(name, text.encode()) for name, text in {**HEADERS, **headers}.items()]
    return ConsumerRecord(topic, 1, 9, 1_795_511_000_123, 1, key, value, None, 0, 0, pairs)


def row_of(record: ConsumerRecord) -> dict[str, Any]:
    row = json.loads(build_dead_letter(record))
    assert isinstance(row, dict)
    return row


def test_headers_key_and_value_become_the_columns() -> None:
    assert row_of(record()) == {
        "tenant": "acme",
        "subject": "alice",
        "error": "json",
        "field": "data.client.ip",
        "kafka_topic": "stepwatch.actions",
        "kafka_partition": 3,
        "kafka_offset": 1207,
        "time": "2026-11-24T09:15:00.000123Z",
        "dead_letter_partition": 1,
        "dead_letter_offset": 9,
        "key": "acme/alice",
        "value": "{",
        "encoding": "utf-8",
    }


def test_bytes_that_are_not_utf_8_are_kept_as_base64() -> None:
    row = row_of(record(b"\xff\x00", b"acme/alice"))
    assert row["encoding"] == "base64"
    assert base64.b64decode(row["value"]) == b"\xff\x00"
    assert base64.b64decode(row["key"]) == b"acme/alice"
    assert (row["tenant"], row["subject"]) == ("acme", "alice")


@pytest.mark.parametrize(
    ("key", "tenant", "subject"),
    [
        (None, "", ""),
        (b"", "", ""),
        (b"acme", "", ""),
        (b"acme/", "", ""),
        (b"bad tenant/alice", "", ""),
        (b"a" * 65 + b"/alice", "", ""),
        (b"\xff/alice", "", ""),
        (b"acme/arn:aws:iam::1:role/x", "acme", "arn:aws:iam::1:role/x"),
        (b"acme/two\nlines", "acme", "two\nlines"),
    ],
)
def test_tenant_and_subject_come_from_the_key_where_it_is_one(key: bytes | None, tenant: str, subject: str) -> None:
    row = row_of(record(key=key))
    assert (row["tenant"], row["subject"]) == (tenant, subject)


@pytest.mark.parametrize("text", ["", "-1", "x", "9" * 30, str(2**63), "1.5", "١"])
def test_a_garbled_number_in_a_header_is_no_reason_to_fail(text: str) -> None:
    assert row_of(record(offset=text))["kafka_offset"] == -1


@pytest.mark.parametrize("text", ["", "yesterday", "10000-01-01T00:00:00Z"])
def test_a_garbled_time_in_a_header_is_replaced_by_the_records_own(text: str) -> None:
    assert row_of(record(time=text))["time"] == "2026-11-24T09:03:20.123000Z"


def test_a_refused_row_names_where_it_lies_and_what_the_server_said() -> None:
    row = json.loads(build_refused(record(b"{}", topic="stepwatch.audit"), "Cannot read DateTime"))
    assert (row["error"], row["field"]) == ("refused_by_clickhouse", "Cannot read DateTime")
    assert (row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]) == ("stepwatch.audit", 1, 9)
    assert (row["dead_letter_partition"], row["dead_letter_offset"]) == (-1, -1)
    assert (row["tenant"], row["subject"], row["value"]) == ("acme", "alice", "{}")


def test_a_refused_alert_names_no_subject_since_its_key_has_none() -> None:
    row = json.loads(build_refused(record(key=b"acme/al_1"), "no", keyed_by_alert=True))
    assert (row["tenant"], row["subject"]) == ("acme", "")


@pytest.mark.live
def test_original_bytes_of_any_kind_come_back_from_the_table(db: Client) -> None:
    values = [b"", b"{", bytes(range(256)), "\x00\x1b ‮'); --\\\"".encode(), b"x" * 300_000]
    rows = [build_dead_letter(record(value, offset=str(n))) for n, value in enumerate(values)]
    load(db, "dead_letters", *rows)
    load(db, "dead_letters", *rows)
    found = select(db, "SELECT value, encoding FROM dead_letters_current ORDER BY kafka_offset")
    assert [base64.b64decode(v) if e == "base64" else v.encode() for v, e in found] == values
