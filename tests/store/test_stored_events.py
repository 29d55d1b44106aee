"""Stored events read back: they are judged as they were, whoever asks: `explain`, `policy diff`, `rejudge`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.store.runs import Filling
from stepwatch.store.stored_events import Period, stored_lines, stored_names
from stepwatch.streams.replay import Gathered, gather, replay
from stepwatch.streams.replay_rows import table_rows
from tests.cli.console import Finished, run, write_events, write_policy
from tests.servers import ClickHouseSettings
from tests.tuning.world import NINE_US, POLICY, Event, act, busy_days, event, lines, prove, sets_of

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)
BEGIN, END = NINE - timedelta(days=9), NINE + timedelta(days=9)
LONGER = POLICY.replace("max_age: 5m", "max_age: 10m")
WATCHING = POLICY.replace("policies:", "sources: [{name: /idp, silent_after: 5m}]\npolicies:")
ODD = [
    prove("v-odd", -20, "zoë/1", amr=["hwk"], verification='v "1"\n'),
    act('a"\\/\u2028', 0, "zoë/1", resource={"type": "pay\tout", "id": "é'"}, client={"ip": "::ffff:203.0.113.7"}),
    act("r-1", 5, "zoë/1", action="report.view"),
    act("r-2", 6, "zoë/1", action="report.view", resource={"sensitivity": "critical"}),
]


def store(db: Client, events: list[Event], text: str = POLICY) -> None:
    """Write events into the live tables, as their worker would have."""
    sets, gathered = sets_of(text), Gathered()
    assert list(gather(lines(events), sets, gathered)) == []
    filling = Filling(db)
    filling.take(table_rows(gathered, sets, NINE_US))
    assert (filling.refused, filling.rows > 0) == (0, True)


def rows_of(some_lines: list[bytes], text: str = POLICY) -> list[dict[str, Any]]:
    return sorted(replay(some_lines, sets_of(text)), key=lambda row: json.dumps(row, sort_keys=True))


@pytest.fixture
def env(db: Client, clickhouse: ClickHouseSettings) -> dict[str, str]:
    """Settings by which a command finds the tables, which are there."""
    return {
        "STEPWATCH_CLICKHOUSE_URL": clickhouse.url,
        "STEPWATCH_CLICKHOUSE_USER": clickhouse.user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.password,
        "STEPWATCH_CLICKHOUSE_DATABASE": clickhouse.database,
    }


@pytest.mark.parametrize("events", [busy_days(11), ODD], ids=["busy days", "odd texts"])
def test_what_was_stored_is_judged_as_it_was_when_it_came(db: Client, events: list[Event]) -> None:
    store(db, events)
    assert rows_of(list(stored_lines(db, BEGIN, END))) == rows_of(lines(events))


def test_a_row_stored_twice_is_read_once(db: Client) -> None:
    store(db, ODD)
    store(db, ODD)
    assert len(list(stored_lines(db, BEGIN, END))) == len(ODD)


def test_only_what_was_asked_for_is_read(db: Client) -> None:
    store(db, [*ODD, act("b", 0, "bob"), act("t", 0, "bob", tenant="acme")])
    assert len(list(stored_lines(db, BEGIN, END, "acme"))) == 1
    assert len(list(stored_lines(db, BEGIN, END, subject="bob"))) == 2
    assert len(list(stored_lines(db, NINE, NINE + timedelta(seconds=5)))) == 3, "from nine on, and before five past it"


def test_actions_of_other_names_stay_unless_they_may_be_a_gap_and_names_are_counted(db: Client) -> None:
    store(db, ODD)
    read = [json.loads(line) for line in stored_lines(db, BEGIN, END, names=[("default", "payout.approve")])]
    assert sorted(one["id"] for one in read) == sorted(one["id"] for one in ODD if one["id"] != "r-1")
    names = sorted(stored_names(db, Period(BEGIN, END)))
    assert names == [("default", "payout.approve", 1), ("default", "report.view", 2)]


EVENTS = [
    prove("v-0", -400),
    act("before", -100),
    prove("v-1", -350, "bob"),
    act("a-1", 0, "bob"),
    act("a-2", 60),
    prove("v-2", 20),
    act("a-3", 90, "bob"),
    event("action.performed", "r-1", 30, action="report.view"),
]
PERIOD = ("--since", "2026-11-24T09:00:00Z", "--until", "2026-11-24T09:02:00Z")


@pytest.mark.parametrize("text", [POLICY, WATCHING], ids=["", "a watched source"])
def test_a_stored_action_is_explained_as_that_of_a_file(
    db: Client, env: dict[str, str], tmp_path: Path, text: str
) -> None:
    store(db, EVENTS)
    file, policy = write_events(tmp_path / "events.jsonl", *EVENTS), write_policy(tmp_path, POLICY)
    of_file = run(tmp_path, "explain", "a-1", "--events", file, "--policy", policy, "--json").rows[0]
    policy = write_policy(tmp_path, text)
    stored = run(tmp_path, "explain", "a-1", "--policy", policy, "--json", **env).rows[0]
    for name in ("verdict", "reason", "nearest_miss", "candidates", "would_verify", "closes_at"):
        assert stored[name] == of_file[name]
    assert stored["on_record"] == {"verdict": "unverified", "reason": "stale"}
    assert len(stored["notes"]) == (text == WATCHING)


def test_an_action_that_is_not_stored_is_said_to_be_none(db: Client, env: dict[str, str], tmp_path: Path) -> None:
    done = run(tmp_path, "explain", "a-9", "--policy", write_policy(tmp_path, POLICY), **env)
    assert (done.status, "no action a-9 in the tables" in done.err) == (2, True)


def test_two_sets_differ_over_the_tables_as_over_a_file(db: Client, env: dict[str, str], tmp_path: Path) -> None:
    store(db, EVENTS)
    old, new = write_policy(tmp_path, POLICY, "old.yaml"), write_policy(tmp_path, LONGER, "new.yaml")
    (said,) = run(tmp_path, "policy", "diff", old, new, *PERIOD, "--json", **env).rows
    assert [one["new"]["action_id"] for one in said["changes"] if one["flips"]] == ["a-1", "a-3"]
    assert (said["actions"], said["judged"]) == (4, 3), "the one before the period only stands in for what it used up"


def rejudged(folder: Path, env: dict[str, str], *words: str, text: str = LONGER) -> Finished:
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    write_policy(policies, text)
    return run(folder, "rejudge", "--policies", policies, "--run", "anew", *PERIOD, *words, **env)


@pytest.fixture
def _no_run(env: dict[str, str], tmp_path: Path) -> Any:
    """Takes the run away again."""
    yield
    run(tmp_path, "runs", "drop", "anew", **env)


@pytest.mark.usefixtures("_no_run")
def test_history_is_judged_anew_into_a_run_and_the_record_stays(
    db: Client, settings: Settings, env: dict[str, str], tmp_path: Path
) -> None:
    store(db, EVENTS)
    everything = f"SELECT * FROM {settings.clickhouse_database}.audit ORDER BY ALL"
    before = db.query(everything).result_rows
    done = rejudged(tmp_path, env, "--json")
    assert done.status == 0, done.err
    (said,) = done.rows
    turn = {"was": "unverified", "becomes": "verified", "policy": "payout", "actions": 2}
    assert (said["flips"], said["turns"]) == (2, [turn])
    assert [one["action_id"] for one in said["examples"]] == ["a-3", "a-1"]
    assert said["alerts"] == [
        {"kind": "unverified_action", "policy": "payout", "both": 0, "record_only": 1, "run_only": 0}
    ]
    assert db.query(everything).result_rows == before
    answer = run(
        tmp_path, "sql", "--run", "anew", "--json", "select action_id, verdict from audit_current order by 1", **env
    )
    in_run = {row["action_id"]: row["verdict"] for row in answer.rows}
    assert in_run == {"a-1": "verified", "a-2": "verified", "a-3": "verified", "r-1": "not_required"}


@pytest.mark.usefixtures("_no_run")
def test_a_run_that_is_there_stays_unless_it_is_to_be_replaced(db: Client, env: dict[str, str], tmp_path: Path) -> None:
    store(db, EVENTS)
    assert rejudged(tmp_path, env, text=POLICY).status == 0
    refused = rejudged(tmp_path, env)
    assert (refused.status, "run anew is there already" in refused.err) == (2, True)
    replaced = rejudged(tmp_path, env, "--replace")
    assert (replaced.status, replaced.out.splitlines()[1]) == (0, "2 verdicts otherwise than on record")


@pytest.mark.usefixtures("_no_run")
def test_the_same_policies_say_what_is_on_record(db: Client, env: dict[str, str], tmp_path: Path) -> None:
    store(db, EVENTS)
    (said,) = rejudged(tmp_path, env, "--json", text=POLICY).rows
    assert (said["flips"], [(pile["record_only"], pile["run_only"]) for pile in said["alerts"]]) == (0, [(0, 0)])


def test_a_period_of_which_nothing_is_stored_makes_no_run(db: Client, env: dict[str, str], tmp_path: Path) -> None:
    done = rejudged(tmp_path, env)
    assert (done.status, "has stored no event" in done.err) == (2, True)
    assert run(tmp_path, "runs", "list", "--json", **env).rows == []
