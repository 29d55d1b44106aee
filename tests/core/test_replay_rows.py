"""A file judged into rows of the tables: what `replay` says of it, as a worker would have written it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.times import format_time
from stepwatch.streams.replay import Gathered, gather, replay
from stepwatch.streams.replay_rows import table_rows
from tests.core.driver import T0_US, Row, sets_of
from tests.core.given import D, H, M, S, action, heartbeat, lines, policy, step, verified

MODELS = {"audit": AuditRow, "authentications": EvidenceRow, "alerts": AlertRow}
IDP = "{name: /idp, silent_after: 5m}"
DECIDED_US = T0_US + 30 * D


def written(*events: Row, policies: str = "", events_at_once: int = 100_000) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows; each is one that its model takes."""
    sets, gathered = sets_of(policies or policy()), Gathered()
    assert list(gather(lines(*events), sets, gathered)) == []
    tables: dict[str, list[dict[str, Any]]] = {table: [] for table in MODELS}
    for table, value in table_rows(gathered, sets, DECIDED_US, events_at_once=events_at_once):
        row = json.loads(value)
        assert set(row) == {name.removesuffix("_") for name in MODELS[table].model_fields}
        tables[table].append(row)
    return tables


def crowd() -> list[Row]:
    """Six people who prove, forget to, are worn down, act alone, and a feed that goes silent."""
    return [
        heartbeat(0),
        *(verified(f"v{n}", subject=f"p{n}", session=f"s{n}") for n in range(3)),
        *(action(f"a{n}", n * S, subject=f"p{n}", session=f"s{n}") for n in range(5)),
        action("late", 10 * M, subject="p0", session="s0"),
        action("again", 10 * M, subject="p0", session="s0", arrival=11 * M),
        action("old", 0, subject="p1", session="s1", arrival=3 * D),
        action("none", subject="p1", action="x.y", resource={"sensitivity": "critical"}),
        action("plain", subject="p1", action="x.y"),
        *(step("denied", f"d{n}", n * S, subject="p5", challenge=f"c{n}") for n in range(6)),
    ]


@pytest.mark.parametrize("sources", ["", IDP], ids=["no source listed", "a source that goes silent"])
@pytest.mark.parametrize("events_at_once", [1, 3, 100_000])
def test_the_tables_say_what_replay_says(sources: str, events_at_once: int) -> None:
    policies = policy(sources=sources)
    tables = written(*crowd(), policies=policies, events_at_once=events_at_once)
    said = list(replay(lines(*crowd()), sets_of(policies)))
    compared = ("tenant", "subject", "source", "action_id", "verdict", "reason", "policy")
    verdicts = [tuple(row[name] for name in compared) for row in said if row["kind"] == "verdict"]
    assert sorted(tuple(row[name] for name in compared) for row in tables["audit"]) == sorted(verdicts)
    compared = ("alert_id", "severity", "reason", "count", "actions", "first_time", "last_time")
    alerts = [[row[name] for name in compared] for row in said if row["kind"] == "alert"]
    assert sorted([row[name] for name in compared] for row in tables["alerts"]) == sorted(alerts)
    assert len(alerts) == 6 + bool(sources)


def test_each_accepted_authentication_event_is_one_row() -> None:
    rows = written(verified(), verified(), step("denied"), heartbeat(0))["authentications"]
    assert sorted((row["event_id"], row["type"]) for row in rows) == [("c", "stepup.denied"), ("v", "stepup.verified")]


def test_an_old_log_is_not_too_late_because_its_time_is_its_arrival() -> None:
    (row,) = written(action())["audit"]
    assert (row["verdict"], row["arrival"]) == ("unverified", row["time"])


def test_an_arrival_that_the_file_says_holds() -> None:
    (row,) = written(action(arrival=D + 1))["audit"]
    assert (row["reason"], row["arrival"]) == ("too_late", format_time(T0_US + D + 1))


def test_a_proof_that_came_after_the_close_is_stored_as_late_whatever_the_order_of_lines() -> None:
    late = verified(arrival=2 * H)
    for events in ([late, action()], [action(), late]):
        (row,) = written(*events)["authentications"]
        assert row["late"] is True


def test_an_alert_opens_at_the_end_of_its_last_members_grace() -> None:
    (alert,) = written(action("a"), action("b", M), policies=policy(alert="grace: 10s"))["alerts"]
    assert alert["opened_at"] == alert["updated_at"] == format_time(T0_US + M + 10 * S)
    assert (alert["count"], alert["version"], alert["detection_ms"], alert["overdue_ms"]) == (2, 1, 10_000, 0)


def test_rows_show_when_they_were_decided() -> None:
    rows = written(action("policed"), action("free", action="x.y"))["audit"]
    assert {row["decided_at"] for row in rows} == {format_time(DECIDED_US)}


def test_a_file_without_any_event_makes_no_row() -> None:
    assert written() == {"audit": [], "authentications": [], "alerts": []}
