"""Rows as the worker writes them, for tests that say only what matters to them."""

from __future__ import annotations

import json
from typing import Any

from clickhouse_connect.driver.client import Client

from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.store.loader import Loader, Loading

DAY = "2026-11-24"


def at(clock: str) -> str:
    """A time of the day that the tests live in."""
    return f"{DAY}T{clock}{'' if '.' in clock else '.000000'}Z"


def bytes_of(row: AuditRow | EvidenceRow | AlertRow) -> bytes:
    """A row as it lies in its topic."""
    columns = row.model_dump()
    columns["schema"] = columns.pop("schema_")
    return json.dumps(columns, ensure_ascii=False).encode()


def audit(action_id: str = "a1", revision: int = 1, **columns: Any) -> bytes:
    """A revision: an approved payout of alice that nobody proved, unless said otherwise."""
    row: dict[str, Any] = {
        "tenant": "acme",
        "subject": "alice",
        "source": "/payments",
        "time": at("09:15:00"),
        "arrival": at("09:15:01"),
        "decided_at": at("09:15:02"),
        "closes_at": at("10:15:11"),
        "action": "payments.payout.approve",
        "sensitivity": "high",
        "outcome": "success",
        "policy": "payout-approve",
        "trigger_reason": "money_movement",
        "verdict": "unverified",
        "reason": "no_step_up",
    }
    return bytes_of(AuditRow(action_id=action_id, revision=revision, **{**row, **columns}))


def evidence(event_id: str = "e1", **columns: Any) -> bytes:
    """An authentication event: alice tapped her key, unless said otherwise."""
    row: dict[str, Any] = {
        "tenant": "acme",
        "subject": "alice",
        "source": "/idp",
        "type": "stepup.verified",
        "time": at("09:14:00"),
        "arrival": at("09:14:01"),
    }
    return bytes_of(EvidenceRow(event_id=event_id, **{**row, **columns}))


def alert(version: int = 1, **columns: Any) -> bytes:
    """A version of an alert: one unverified payout of alice, open, unless said otherwise."""
    row: dict[str, Any] = {
        "alert_id": "al_1",
        "tenant": "acme",
        "kind": "unverified_action",
        "severity": "critical",
        "state": "open",
        "subject": "alice",
        "policy": "payout-approve",
        "reason": "no_step_up",
        "title": "payout approved without proof",
        "explanation": "no proof of identity was seen",
        "count": 1,
        "actions": ["a1"],
        "first_time": at("09:15:00"),
        "last_time": at("09:15:00"),
        "opened_at": at("09:15:02"),
        "updated_at": at("09:15:02"),
        "closes_at": at("10:15:11"),
        "detection_ms": 1000,
        "overdue_ms": 0,
    }
    return bytes_of(AlertRow(version=version, **{**row, **columns}))


def load(db: Client, table: str, *rows: bytes) -> Loading:
    """Load rows in one batch, all of which must be taken."""
    loaded = Loader(db).load(table, rows)
    assert loaded.refusals == []
    return loaded


def select(db: Client, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, as tuples."""
    return [tuple(row) for row in db.query(sql, parameters=parameters).result_rows]
