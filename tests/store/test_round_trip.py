"""Every column of every row comes back from ClickHouse as the worker wrote it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from pydantic import BaseModel

from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from tests.store.rows import alert, audit, bytes_of, evidence, load, select

TABLES: list[tuple[type[BaseModel], str, str]] = [
    (AuditRow, "audit", "audit_current"),
    (EvidenceRow, "authentications", "authentications_current"),
    (AlertRow, "alerts", "alerts_current"),
]
HOSTILE = "'); DROP TABLE audit; --\\ \"{}[]\n\t\x00\x1b[2J ‮ ﷽ 🔑 \u2028 \ufeff"


def full(model: type[BaseModel], number: int = 7) -> dict[str, Any]:
    """A value of its own for every field of a row."""
    row: dict[str, Any] = {}
    for place, (name, field) in enumerate(model.model_fields.items()):
        kind = str(field.annotation)
        if name in _TIMES:
            row[name] = f"2026-11-24T09:{place:02}:{number:02}.000{place:03}Z"
        elif "bool" in kind:
            row[name] = True
        elif "int" in kind:
            row[name] = number * 1000 + place
        elif "list" in kind:
            row[name] = [f"{name} {number}", HOSTILE]
        else:
            row[name] = f"{name} {number} {HOSTILE}"
    return row


_TIMES = {
    "time", "arrival", "decided_at", "closes_at", "verification_time", "proved_at", "first_time", "last_time",
    "opened_at", "updated_at",
}  # fmt: skip


def read_back(db: Client, view: str, model: type[BaseModel]) -> dict[str, Any]:
    """The one row of a view, in the form of the model."""
    result = db.query(f"SELECT * FROM {view}")
    assert len(result.result_rows) == 1
    row = dict(zip(result.column_names, result.result_rows[0], strict=True))
    row["schema_"] = row.pop("schema")
    assert set(row) == set(model.model_fields)
    shown = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            value = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        shown[name] = value
    return shown


@pytest.mark.parametrize(("model", "table", "view"), TABLES, ids=[table for _, table, _ in TABLES])
def test_every_column_comes_back_as_it_was_written(db: Client, model: type[BaseModel], table: str, view: str) -> None:
    row = full(model)
    load(db, table, bytes_of(model(**row)))  # type: ignore[arg-type]
    assert read_back(db, view, model) == row


@pytest.mark.parametrize(("model", "table", "view"), TABLES, ids=[table for _, table, _ in TABLES])
def test_a_row_with_nothing_but_what_it_must_have_comes_back(
    db: Client, model: type[BaseModel], table: str, view: str
) -> None:
    row = {name: value for name, value in full(model).items() if model.model_fields[name].is_required()}
    whole = model(**row)
    load(db, table, bytes_of(whole))  # type: ignore[arg-type]
    assert read_back(db, view, model) == whole.model_dump()


def test_a_field_that_this_version_does_not_know_is_passed_over(db: Client) -> None:
    load(db, "audit", audit()[:-1] + b',"from_a_newer_worker":{"a":[1]}}')
    assert select(db, "SELECT action_id FROM audit_current") == [("a1",)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0001-01-01T00:00:00.000000Z", "0001-01-01 00:00:00.000000"),
        ("1899-12-31T23:59:59.999999Z", "1899-12-31 23:59:59.999999"),
        ("1970-01-01T00:00:00.000000Z", "1970-01-01 00:00:00.000000"),
        ("2261-12-31T23:59:59.999999Z", "2261-12-31 23:59:59.999999"),
        ("2300-01-01T00:00:00.000001Z", "2300-01-01 00:00:00.000001"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999"),
    ],
)
def test_no_time_that_a_row_can_carry_stops_the_batch(db: Client, written: str, read: str) -> None:
    load(db, "audit", audit("odd", time=written, closes_at=written, verification_time=written), audit("even"))
    load(db, "authentications", evidence(proved_at=written))
    # Older servers show the ends of their own range instead; what counts everywhere is that the row is there.
    wanted = [(read, read, read)]
    sql = "SELECT toString(time), toString(closes_at), toString(verification_time) FROM audit_current"
    assert select(db, f"{sql} WHERE action_id = 'odd'") == wanted
    assert select(db, "SELECT toString(proved_at) FROM authentications_current") == [(read,)]


def test_a_batch_over_more_months_than_the_server_likes_is_stored_whole(db: Client) -> None:
    months = [f"{1970 + n // 12}-{n % 12 + 1:02}" for n in range(150)]
    rows = [audit(month, time=f"{month}-01T00:00:00.000000Z", verdict="blind") for month in months]
    assert load(db, "audit", *rows).inserts == 1
    assert select(db, "SELECT count() FROM audit_current") == [(150,)]


def test_numbers_past_64_bits_from_a_producer_are_not_wrapped(db: Client) -> None:
    load(db, "authentications", evidence(otp_step=10**30))
    assert select(db, "SELECT otp_step FROM authentications_current") == [(10**30,)]


def test_a_lone_surrogate_in_a_text_does_not_refuse_the_row(db: Client) -> None:
    load(db, "audit", audit().replace(b'"no_step_up"', b'"no \\ud800 step"'), audit("a2"))
    assert select(db, "SELECT count() FROM audit_current") == [(2,)]


def test_an_alert_of_no_tenant_and_no_subject_is_stored(db: Client) -> None:
    load(db, "alerts", alert(tenant="", subject="", kind="source_silence", reason="/idp", actions=[]))
    assert select(db, "SELECT tenant, kind, reason FROM alerts_current") == [("", "source_silence", "/idp")]
