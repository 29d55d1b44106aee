"""The auditor's views over a small world that is counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.store.migrate import migrate
from tests.servers import ClickHouseSettings
from tests.store.conftest import emptied
from tests.store.rows import DAY, alert, at, audit, evidence, load, select

TODAY = date.fromisoformat(DAY)
NONE: dict[str, Any] = {"policy": "", "trigger_reason": "", "verdict": "not_required", "reason": "no_policy"}
PROVED: dict[str, Any] = {"verdict": "verified", "reason": "step_up", "acr": "phr", "verification": "v-7"}


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """Two people, one policy; only read."""
    with emptied(clickhouse) as db:
        migrate(db, clickhouse.database)
        fill(db)
        yield db


def fill(db: Client) -> None:
    """What each row is there for is beside it."""
    load(
        db,
        "audit",
        # Verified, by two methods in either order, 10 s and 30 s old; one that was unverified at first.
        audit("ok1", verification_age_ms=10_000, amr=["hwk", "user"], **PROVED),
        audit("ok2", 1, decided_at=at("09:15:02")),
        audit("ok2", 2, verification_age_ms=30_000, amr=["user", "hwk"], decided_at=at("09:15:12"), **PROVED),
        # Not verified: by two reasons, one of bob; one that took no effect.
        audit("no1", nearest_miss='{"sentence":"key tap 42 s too old"}', reason="stale", failed=["stale"]),
        audit("no2", subject="bob", time=at("09:20:00"), session="s-b"),
        audit("denied", outcome="denied"),
        # Nobody can tell; and what became of it is not known, so it counts as done.
        audit("blind", verdict="blind", reason="source_silent", outcome="unknown"),
        # Exempt, with a condition that failed and an application that sees it otherwise.
        audit("exempt", verdict="exempt", reason="exemption", notes=["no key"], decision_result="exempt"),
        # No policy: harmless, sensitive, and one that the application itself asked a proof for.
        audit("free", action="report.view", sensitivity="low", **NONE),
        audit("gap", action="keys.export", sensitivity="critical", **NONE),
        audit("asked", action="role.grant", sensitivity="", decision_result="required", **NONE),
        # Another tenant's, and a policy without a reason.
        audit("other", tenant="umbrella", trigger_reason=""),
    )  # fmt: skip
    load(
        db,
        "authentications",
        evidence("c1", type="stepup.challenged", time=at("09:13:00"), reason="new_payee"),
        evidence("v1", time=at("09:14:00"), amr=["hwk", "user"], credential="cred-1"),
        evidence("r1", type="stepup.required", time=at("09:12:00"), reason="unknown", bound_action="role.grant"),
        evidence("f1", type="stepup.failed", time=at("09:19:00"), subject="bob", failure="wrong_code"),
    )
    load(
        db,
        "alerts",
        alert(1, alert_id="al_b", subject="bob", overdue_ms=40, updated_at=at("09:20:10")),
        alert(1, alert_id="al_a", overdue_ms=20),
        alert(2, alert_id="al_a", state="resolved", resolved_by="late_verification", updated_at=at("09:30:00")),
    )
    # And all of it comes twice.
    for table in ("audit", "authentications", "alerts"):
        db.command(f"INSERT INTO {table} SELECT * FROM {table}")


def test_trigger_quality_says_how_often_each_policy_asked_and_where_it_has_holes(world: Client) -> None:
    rows = select(
        world,
        "SELECT action, policy, trigger_reason, actions, triggered, exempted, not_required, without_reason, "
        "gap_sensitive, gap_application_required, application_disagrees, with_condition_errors, "
        "triggered_percent "
        "FROM trigger_quality WHERE tenant = 'acme' AND day = {day:Date} ORDER BY action",
        day=TODAY,
    )
    approve = (
        "payments.payout.approve",
        "payout-approve",
        "money_movement",
        7,
        6,
        1,
        0,
        0,
        0,
        0,
        1,
        1,
        85.714,
    )
    assert rows == [
        ("keys.export", "", "", 1, 0, 0, 1, 0, 1, 0, 0, 0, 0.0),
        approve,
        ("report.view", "", "", 1, 0, 0, 1, 0, 0, 0, 0, 0, 0.0),
        ("role.grant", "", "", 1, 0, 0, 1, 0, 0, 1, 0, 0, 0.0),
    ]
    assert select(world, "SELECT actions, without_reason FROM trigger_quality WHERE tenant = 'umbrella'") == [(1, 1)]


def test_bypasses_shows_what_took_effect_without_a_proof_and_why(world: Client) -> None:
    rows = select(
        world,
        "SELECT action_id, bypass, subject, reason, failed FROM bypasses WHERE tenant = 'acme' ORDER BY action_id",
    )
    assert rows == [
        ("asked", "policy_gap", "alice", "no_policy", []),
        ("blind", "blind", "alice", "source_silent", []),
        ("gap", "policy_gap", "alice", "no_policy", []),
        ("no1", "unverified", "alice", "stale", ["stale"]),
        ("no2", "unverified", "bob", "no_step_up", []),
    ]


def test_verification_quality_says_how_people_proved_it_and_how_fresh_that_was(world: Client) -> None:
    rows = select(
        world,
        "SELECT verdict, reason, methods, acr, actions, subjects, age_median_ms, age_max_ms "
        "FROM verification_quality WHERE tenant = 'acme' AND day = {day:Date} AND policy != '' "
        "ORDER BY verdict, reason",
        day=TODAY,
    )
    unproved: tuple[Any, ...] = ([], "", 1, 1)
    assert [(*row[:6], row[7]) for row in rows] == [
        ("blind", "source_silent", *unproved, None),
        ("unverified", "no_step_up", [], "", 2, 2, None),
        ("unverified", "stale", *unproved, None),
        ("verified", "step_up", ["hwk", "user"], "phr", 2, 1, 30_000),
    ]
    assert rows[-1][6] in (10_000, 20_000, 30_000)


def test_subject_timeline_tells_what_happened_around_one_person_in_order(world: Client) -> None:
    rows = select(
        world,
        "SELECT time, kind, what, result, id, detail FROM subject_timeline "
        "WHERE tenant = 'acme' AND subject = 'bob' ORDER BY time",
    )

    def when(clock: str) -> datetime:
        return datetime.fromisoformat(at(clock)).astimezone(UTC).replace(tzinfo=None)

    assert [(row[0].replace(tzinfo=None), *row[1:]) for row in rows] == [
        (when("09:19:00"), "authentication", "stepup.failed", "wrong_code", "f1", ""),
        (when("09:20:00"), "action", "payments.payout.approve", "unverified (no_step_up)", "no2", ""),
        (
            when("09:20:10"),
            "alert",
            "unverified_action",
            "critical open",
            "al_b",
            "payout approved without proof",
        ),
    ]
    alice = select(
        world,
        "SELECT id, result FROM subject_timeline WHERE subject = 'alice' AND tenant = 'acme' AND id = 'ok2'",
    )
    assert alice == [("ok2", "verified (step_up)")]


def test_a_reader_may_ask_all_of_it_and_change_nothing(world: Client, clickhouse: ClickHouseSettings) -> None:
    reader = clickhouse_connect.get_client(
        host=clickhouse.host, port=clickhouse.port, database=clickhouse.database,
        username=clickhouse.reader_user, password=clickhouse.reader_password,
    )  # fmt: skip
    for view in ("trigger_quality", "bypasses", "verification_quality", "subject_timeline", "alerts_current"):
        assert select(reader, f"SELECT count() > 0 FROM {view}") == [(1,)]
    with pytest.raises(Exception, match=r"ACCESS_DENIED|READONLY|not enough privileges"):
        reader.command("TRUNCATE TABLE audit")
    reader.close()
