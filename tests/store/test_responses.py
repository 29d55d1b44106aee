"""What people decided about alerts is on record: who, when and why, each decision once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from clickhouse_connect.driver.client import Client

from stepwatch.store.responses import build_response_row
from tests.store.rows import alert, at, load, select

SAID = {
    "id": "rs_1",
    "alert_id": "al_1",
    "seen_version": 1,
    "decision": "acknowledge",
    "by": "rosa",
    "at": at("09:16:00"),
    "note": "calling alice",
}
ARRIVAL_MS = 1_795_511_000_123


def record(value: bytes | None, key: bytes | None = b"acme/alice", offset: int = 9) -> ConsumerRecord:
    """A record of topic responses, at partition 1."""
    return ConsumerRecord("stepwatch.responses", 1, offset, ARRIVAL_MS, 1, key, value, None, 0, 0, ())


def row_of(offset: int = 9, key: bytes | None = b"acme/alice", **changes: Any) -> bytes:
    row = build_response_row(record(json.dumps({**SAID, **changes}).encode(), key, offset))
    assert row is not None
    return row


def test_the_record_and_its_key_become_the_columns() -> None:
    assert json.loads(row_of()) == {
        "tenant": "acme",
        "alert_id": "al_1",
        "subject": "alice",
        "response_id": "rs_1",
        "seen_version": 1,
        "decision": "acknowledge",
        "by": "rosa",
        "at": at("09:16:00"),
        "note": "calling alice",
        "arrival": "2026-11-24T09:03:20.123000Z",
        "kafka_partition": 1,
        "kafka_offset": 9,
    }


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", json.dumps({**SAID, "decision": "shrug"}).encode()])
def test_what_says_no_decision_has_no_row(value: bytes | None) -> None:
    assert build_response_row(record(value)) is None


def test_a_time_that_is_none_is_that_of_its_arrival_and_an_alert_of_nobody_has_no_subject() -> None:
    row = json.loads(row_of(at="yesterday", key=b"/"))
    assert row["at"] == row["arrival"]
    assert (row["tenant"], row["subject"]) == ("", "")


@pytest.mark.live
def test_the_history_of_an_alert_has_its_changes_and_who_decided_what_when_and_why(db: Client) -> None:
    load(db, "alerts", alert(1), alert(2, state="acknowledged", updated_at=at("09:16:01")))
    load(db, "alerts", alert(1, alert_id="al_2"))
    # The same command typed twice, and its record delivered twice.
    load(db, "responses", row_of(9), row_of(9), row_of(12))
    load(db, "responses", row_of(13, id="rs_2", decision="note", note="it was her", at=at("09:20:00"), seen_version=2))
    asked = "SELECT what, version, result, by, note FROM alert_history WHERE tenant = 'acme' AND alert_id = {id:String}"
    rows = select(db, f"{asked} ORDER BY at", id="al_1")
    title = "payout approved without proof"
    assert rows == [
        ("change", 1, "critical open", "", title),
        ("decision", 1, "acknowledge", "rosa", "calling alice"),
        ("change", 2, "critical acknowledged", "", title),
        ("decision", 2, "note", "rosa", "it was her"),
    ]
    assert select(db, "SELECT count() FROM responses_current") == [(2,)]
