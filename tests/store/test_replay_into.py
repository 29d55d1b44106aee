"""`replay --into RUN`, `sql --run RUN`, `runs list|drop`: a log judged into tables, as a person would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from tests.cli.console import NOBODY, POLICY, Finished, event, payout, run, write_events, write_policy
from tests.servers import ClickHouseSettings
from tests.sources.rows import enrolment, okta, user

EVENTS: list[dict[str, Any] | str] = [
    event("stepup.verified", "e-1", "10:00:00", source="/idp", amr=["hwk"], verification="v-1"),
    payout("a-1", "10:01:00"),
    payout("a-2", "10:05:00.000001"),
    payout("a-3", "11:00:00", subject="bob"),
    payout("a-4", "11:00:00", subject="svc-1"),
    event("action.performed", "a-5", "12:00:00", action="report.view"),
    '{"id": "x"}',
    "{",
]


@dataclass(frozen=True)
class Desk:
    """A folder, and the settings of somebody who works in it."""

    folder: Path
    env: dict[str, str]

    def run(self, *words: str | Path, **env: str) -> Finished:
        return run(self.folder, *words, **(self.env | env))

    def into(self, name: str, *words: str | Path, events: list[dict[str, Any] | str] = EVENTS) -> Finished:
        """Judge events into a run."""
        file = write_events(self.folder / "events.jsonl", *events)
        return self.run("replay", "--policy", write_policy(self.folder), file, "--into", name, *words)


@pytest.fixture
def desk(db: Client, settings: Settings, clickhouse: ClickHouseSettings, tmp_path: Path) -> Iterator[Desk]:
    env = {
        "STEPWATCH_CLICKHOUSE_URL": clickhouse.url,
        "STEPWATCH_CLICKHOUSE_USER": clickhouse.user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.password,
        "STEPWATCH_CLICKHOUSE_DATABASE": clickhouse.database,
    }
    made = Desk(tmp_path, env)
    yield made
    if names := [row["run"] for row in made.run("runs", "list", "--json").rows]:
        made.run("runs", "drop", *names)


def reader_of(clickhouse: ClickHouseSettings) -> dict[str, str]:
    """The user who may only read."""
    return {
        "STEPWATCH_CLICKHOUSE_USER": clickhouse.reader_user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.reader_password,
    }


def test_a_file_is_judged_into_tables_and_says_what_would_have_been_alerted(desk: Desk) -> None:
    done = desk.into("nov-24")
    assert done.status == 0
    said = done.out
    assert "5 actions and 1 authentication event" in said
    assert (
        "        2  unverified    1 stale, 1 no_step_up" in said
        or "        2  unverified    1 no_step_up, 1 stale" in said
    )
    assert "WOULD HAVE BEEN ALERTED (2)" in said
    assert "        2  high      unverified_action [payout]" in said
    assert "bob" in said
    assert "2 events rejected:\n" in done.err
    assert 'stepwatch sql --run nov-24 "select time, subject, action, reason' in said


def test_the_command_that_it_shows_next_answers(desk: Desk, clickhouse: ClickHouseSettings) -> None:
    asked = json.loads(desk.into("nov", "--json").out)["next"][0]
    assert asked.startswith('stepwatch sql --run nov "')
    query = asked.partition('"')[2].rstrip('"')
    done = desk.run("sql", "--json", "--run", "nov", query, **reader_of(clickhouse))
    assert [row["subject"] for row in done.rows] == ["bob", "alice"]


def test_every_view_answers_on_a_run(desk: Desk) -> None:
    desk.into("nov")
    for view in ("trigger_quality", "bypasses", "verification_quality", "subject_timeline", "alerts_current"):
        assert desk.run("sql", "--json", "--run", "nov", f"select * from {view}").status == 0


def test_for_machines_the_summary_is_one_object(desk: Desk) -> None:
    (said,) = desk.into("nov", "--json").rows
    assert {verdict: sum(reasons.values()) for verdict, reasons in said["verdicts"].items()} == {
        "verified": 1,
        "unverified": 2,
        "exempt": 1,
        "not_required": 1,
    }
    assert said["alerts"] == [
        {"kind": "unverified_action", "policy": "payout", "severity": "high", "alerts": 2, "members": 2}
    ]
    assert (said["rejected"], said["refused"], said["first_time"]) == (
        {"source": 1, "json": 1},
        0,
        "2026-11-24T10:01:00.000000Z",
    )


def test_the_live_tables_stay_empty(desk: Desk) -> None:
    desk.into("nov")
    assert desk.run("sql", "--json", "select count() as n from audit").rows[0]["n"] in (0, "0")


def test_a_run_that_is_there_is_refused_unless_it_is_to_be_replaced(desk: Desk) -> None:
    desk.into("nov")
    again = desk.into("nov")
    assert again.status == 2
    assert "run nov is there already" in again.err
    assert desk.into("nov", "--replace", events=EVENTS[:2]).status == 0
    assert desk.run("runs", "list", "--json").rows[0]["actions"] == 1


def test_runs_are_listed_with_their_counts_and_dropped(desk: Desk) -> None:
    desk.into("nov")
    listed = desk.run("runs", "list")
    assert listed.out.splitlines()[1].split()[0] == "nov"
    assert "2026-11-24" in listed.out
    dropped = desk.run("runs", "drop", "nov")
    assert (dropped.status, dropped.out) == (0, "dropped run nov\n")
    assert desk.run("runs", "list").err.startswith("no run yet")
    assert desk.run("runs", "drop", "nov").status == 2


def test_who_may_only_read_sees_the_runs_and_drops_none(desk: Desk, clickhouse: ClickHouseSettings) -> None:
    desk.into("nov")
    assert [row["actions"] for row in desk.run("runs", "list", "--json", **reader_of(clickhouse)).rows] == [5]
    dropped = desk.run("runs", "drop", "nov", **reader_of(clickhouse))
    assert dropped.status == 2
    assert "refuses user analyst" in dropped.err


def test_another_products_log_counts_what_is_no_event_by_reason(desk: Desk) -> None:
    proof = okta("user.authentication.auth_via_mfa", target=[enrolment("fido_webauthn")])
    reset = okta("user.mfa.factor.reset_all", uuid="u-2", target=[user("00u9bob")])
    file = write_events(
        desk.folder / "okta.jsonl", proof, reset, okta("system.email.x"), okta("user.session.start", "FAILURE")
    )
    policy = write_policy(desk.folder, POLICY.replace("payments.payout.*", "idp.*").replace("[hwk]", "[swk]"))
    done = desk.run("replay", "--from", "okta", "--policy", policy, file, "--into", "o")
    assert done.status == 0
    assert "2 records are no event of ours:" in done.err
    assert "a notice of the product, no deed (type): line 3" in done.err


def test_a_log_without_proofs_says_so_and_what_to_look_for(desk: Desk) -> None:
    reset = okta("user.mfa.factor.reset_all", target=[user("00u9bob")])
    file = write_events(desk.folder / "okta.jsonl", reset)
    policy = write_policy(desk.folder, POLICY.replace("payments.payout.*", "idp.*"))
    done = desk.run("replay", "--from", "okta", "--policy", policy, file, "--into", "o")
    assert "This file holds no proof at all" in done.out
    assert f"stepwatch identities unmatched --policy {policy} --from okta {file}" in done.out


def test_a_listed_source_that_a_log_cannot_show_alive_is_explained(desk: Desk) -> None:
    file = write_events(desk.folder / "events.jsonl", payout("a-1", "10:00:00"))
    policy = write_policy(desk.folder, POLICY + "sources: [{name: /idp, silent_after: 5m}]\n")
    done = desk.run("replay", "--policy", policy, file, "--into", "o")
    assert "blind         1 source_silent" in done.out
    assert "A log has no heartbeats" in done.out


def test_no_policy_that_matches_is_said_and_not_taken_for_safety(desk: Desk) -> None:
    done = desk.into("nov", events=[event("action.performed", "a-5", "12:00:00", action="report.view")])
    assert "No policy matches any of these actions" in done.out
    assert "NOTHING WOULD HAVE BEEN ALERTED" in done.out


def test_a_file_without_an_event_makes_an_empty_run(desk: Desk) -> None:
    done = desk.into("nov", events=[])
    assert done.status == 0
    assert "no action in this file" in done.out


@pytest.mark.parametrize("words", [["--replace"], ["--data", "x"]])
def test_what_means_nothing_without_a_run_is_refused(tmp_path: Path, words: list[str]) -> None:
    file = write_events(tmp_path / "events.jsonl", *EVENTS)
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), file, *words)
    assert (done.status, "with --into RUN only" in done.err) == (2, True)


def test_a_server_that_is_away_is_said_before_the_file_is_read(tmp_path: Path) -> None:
    words = ["replay", "--policy", str(write_policy(tmp_path)), "-", "--into", "x"]
    done = run(tmp_path, *words, STEPWATCH_CLICKHOUSE_URL=f"http://{NOBODY}")
    assert (done.status, "no answer from ClickHouse" in done.err) == (3, True)


@pytest.mark.parametrize("command", [["runs", "list"], ["runs", "drop", "x"]])
def test_runs_of_a_server_that_is_away_end_with_status_3(tmp_path: Path, command: list[str]) -> None:
    assert run(tmp_path, *command, STEPWATCH_CLICKHOUSE_URL=f"http://{NOBODY}").status == 3


@pytest.mark.parametrize(
    "words", [["replay", "--policy", "p.yaml", "-", "--into", "a b"], ["sql", "--run", "a b", "select 1"]]
)
def test_a_name_that_is_none_is_refused(desk: Desk, words: list[str]) -> None:
    write_policy(desk.folder, name="p.yaml")
    done = desk.run(*words)
    assert (done.status, "is no name for a run" in done.err) == (2, True)


def test_a_run_that_is_not_there_is_said_by_sql(desk: Desk) -> None:
    done = desk.run("sql", "--run", "nope", "select 1 from audit")
    assert done.status == 2
    assert "`stepwatch runs list`" in done.err
