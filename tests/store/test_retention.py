"""What the settings say is kept that long, and no longer; what they do not speak of stays."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from pydantic import ValidationError

from stepwatch.agents.settings import Settings
from stepwatch.agents.store import Store
from stepwatch.store.retention import CLIENT_COLUMNS, apply_retention
from tests.store.rows import alert, audit, evidence, load, select

NONE = dict.fromkeys(name for name in Settings.model_fields if name.startswith("retention_"))
TABLES = {
    "audit": "audit",
    "audit_latest": "audit",
    "authentications": "authentications",
    "alerts": "alerts",
    "responses": "responses",
    "dead_letters": "dead_letters",
}
"""Table -> whose setting it follows."""
CLIENT = {"client_ip": "203.0.113.7", "client_device": "d-1", "client_country": "DE", "user_agent": "curl"}


def kept(settings: Settings, **days: int | None) -> Settings:
    return settings.model_copy(update={**NONE, **{f"retention_{name}_days": value for name, value in days.items()}})


def days_ago(days: int) -> str:
    """A time; whole days before now, which the server's clock decides in the end."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def merged(db: Client, *tables: str) -> None:
    """Let the server do now what it would do within some hours."""
    for table in tables:
        db.command(f"ALTER TABLE {table} MATERIALIZE TTL SETTINGS mutations_sync = 2")
        db.command(f"OPTIMIZE TABLE {table} FINAL")


def ids(db: Client, table: str = "audit_current") -> set[str]:
    return {row[0] for row in select(db, f"SELECT action_id FROM {table}")}


def definitions(db: Client) -> dict[str, Any]:
    return dict(select(db, "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"))


def test_rows_older_than_their_days_go_by_whole_months_and_others_stay(db: Client, settings: Settings) -> None:
    old = {"old": days_ago(200), "young": days_ago(60), "new": days_ago(0)}
    load(db, "audit", *(audit(name, time=time) for name, time in old.items()))
    assert len(apply_retention(db, kept(settings, audit=100))) == 2
    merged(db, "audit", "audit_latest")
    assert ids(db) == ids(db, "audit") == {"young", "new"}


def test_a_row_is_never_dropped_before_its_days_are_over(db: Client, settings: Settings) -> None:
    # Every day of the last months, so that the edge is among them whatever day it is.
    load(db, "audit", *(audit(str(day), time=days_ago(day)) for day in range(150)))
    apply_retention(db, kept(settings, audit=90))
    merged(db, "audit", "audit_latest")
    left = {int(name) for name in ids(db, "audit")}
    assert set(range(90)) <= left
    assert max(left) <= 90 + 31


def test_who_the_initiator_was_is_emptied_and_the_verdict_stays(db: Client, settings: Settings) -> None:
    data: dict[str, Any] = {**CLIENT, "event_data": '{"client":{"ip":"203.0.113.7"}}'}
    for name, time in {"old": days_ago(40), "new": days_ago(0)}.items():
        load(db, "audit", audit(name, time=time, **data))
        load(db, "authentications", evidence(name, time=time, **data))
    apply_retention(db, kept(settings, client=30))
    merged(db, "audit", "audit_latest", "authentications")
    columns = ", ".join(CLIENT_COLUMNS)
    for table, key in {"audit": "action_id", "audit_current": "action_id", "authentications": "event_id"}.items():
        rows = dict(select(db, f"SELECT {key}, ({columns}) FROM {table}"))
        assert rows == {"old": ("",) * 5, "new": tuple(data[column] for column in CLIENT_COLUMNS)}, table
    verdicts = set(select(db, "SELECT verdict, reason, subject FROM audit_current"))
    assert verdicts == {("unverified", "no_step_up", "alice")}


def test_no_other_column_speaks_of_the_initiator(db: Client) -> None:
    """A column that is added later and begins like these belongs to them."""
    found = select(
        db,
        "SELECT DISTINCT name FROM system.columns WHERE database = currentDatabase() AND table IN"
        " (SELECT name FROM system.tables WHERE engine LIKE '%MergeTree') AND comment LIKE '%initiator%'",
    )
    assert {name for (name,) in found} == set(CLIENT_COLUMNS) - {"event_data"}


@pytest.mark.parametrize("table", TABLES)
def test_each_table_follows_its_own_setting_and_no_other(db: Client, settings: Settings, table: str) -> None:
    before = definitions(db)
    apply_retention(db, kept(settings, **{TABLES[table]: 400}))
    changed = {name for name, sql in definitions(db).items() if sql != before[name]}
    assert changed == {name for name, setting in TABLES.items() if setting == TABLES[table]}
    assert "toIntervalDay(401)" in definitions(db)[table]


def test_a_second_start_changes_nothing(db: Client, settings: Settings) -> None:
    wanted = kept(settings, audit=400, authentications=400, alerts=90, responses=90, dead_letters=30, client=30)
    # Six tables, and five columns in each of three of them.
    assert len(apply_retention(db, wanted)) == 6 + 3 * 5
    before = definitions(db)
    assert apply_retention(db, wanted) == []
    assert definitions(db) == before


def test_the_role_sets_what_its_settings_say_before_it_reads(db: Client, settings: Settings) -> None:
    async def opened() -> None:
        store = Store(kept(settings, audit=400))
        await store.open()
        await store.close()

    asyncio.run(opened())
    assert {name for name, sql in definitions(db).items() if "toIntervalDay(401)" in sql} == {"audit", "audit_latest"}


def test_a_setting_that_changes_or_goes_takes_its_limit_along(db: Client, settings: Settings) -> None:
    before = definitions(db)
    apply_retention(db, kept(settings, alerts=90, client=30))
    assert "alerts: rows kept 60 days" in apply_retention(db, kept(settings, alerts=60, client=30))
    assert "audit.client_ip: kept for ever" in apply_retention(db, kept(settings))
    assert definitions(db) == before


def test_a_limit_set_by_hand_stays_unless_a_setting_says_something(db: Client, settings: Settings) -> None:
    db.command("ALTER TABLE alerts MODIFY TTL toDateTime(updated_at) + INTERVAL 7 YEAR")
    by_hand = definitions(db)
    assert apply_retention(db, kept(settings)) == []
    assert definitions(db) == by_hand
    assert apply_retention(db, kept(settings, alerts=90)) == ["alerts: rows kept 90 days"]


def test_a_resolved_alert_goes_when_its_last_change_is_old_enough(db: Client, settings: Settings) -> None:
    load(db, "alerts", alert(1, alert_id="al_old", updated_at=days_ago(200)))
    load(db, "alerts", alert(1, alert_id="al_new", updated_at=days_ago(200)))
    load(db, "alerts", alert(2, alert_id="al_new", updated_at=days_ago(1), state="resolved"))
    apply_retention(db, kept(settings, alerts=90))
    merged(db, "alerts")
    assert select(db, "SELECT alert_id, version FROM alerts_current") == [("al_new", 2)]


@pytest.mark.parametrize("name", NONE)
def test_no_days_and_fewer_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"STEPWATCH_{name.upper()}", "0")
    with pytest.raises(ValidationError, match=name):
        Settings(_env_file=None)  # type: ignore[call-arg]
