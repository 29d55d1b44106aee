"""Runs: each a database of its own with all our tables; the live one stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.store.client import open_client
from stepwatch.store.runs import (
    About,
    Filling,
    RunRefused,
    begin_run,
    database_of,
    drop_run,
    end_run,
    is_taken,
    list_runs,
)
from tests.store.rows import alert, audit, evidence, select

ABOUT = About("okta", "okta.jsonl", ["payments.yaml"])


@pytest.fixture
def live(settings: Settings) -> str:
    return settings.clickhouse_database


@pytest.fixture
def runs(db: Client, live: str, settings: Settings) -> Iterator[Client]:
    """A client; every run is dropped at the end."""
    client = open_client(settings, with_database=False)
    yield client
    for name in [run.name for run in list_runs(client, live)]:
        drop_run(client, live, name)
    client.close()


def fill(client: Client, live: str, run: str, *, replace: bool = False) -> Filling:
    """A finished run with two actions, one proof and one alert."""
    begin_run(client, live, run, ABOUT, replace=replace)
    filling = Filling(client)
    filling.take(
        [("audit", audit("a1")), ("audit", audit("a2")), ("authentications", evidence("e1")), ("alerts", alert())]
    )
    end_run(client, ABOUT)
    return filling


def test_a_run_has_all_tables_and_views_of_the_live_database(runs: Client, db: Client, live: str) -> None:
    fill(runs, live, "may")
    tables = "SELECT name FROM system.tables WHERE database = {name:String} AND name != 'replay_run' ORDER BY name"
    ours = runs.query(tables, {"name": database_of(live, "may")}).result_rows
    assert ours == runs.query(tables, {"name": live}).result_rows
    assert runs.query("SELECT count() FROM audit_current").result_rows == [(2,)]


def test_the_live_tables_are_not_touched(runs: Client, db: Client, live: str) -> None:
    fill(runs, live, "may")
    fill(runs, live, "may", replace=True)
    drop_run(runs, live, "may")
    assert [select(db, f"SELECT count() FROM {table}") for table in ("audit", "authentications", "alerts")] == [
        [(0,)]
    ] * 3


def test_a_listed_run_says_what_is_in_it_and_of_what_it_was_made(runs: Client, live: str) -> None:
    fill(runs, live, "may")
    (run,) = list_runs(runs, live)
    assert (run.name, run.about, run.actions, run.authentications, run.alerts) == ("may", ABOUT, 2, 1, 1)
    assert run.ended is not None
    assert run.begun <= run.ended
    assert run.first_time is not None
    assert run.first_time <= (run.last_time or run.first_time)


def test_a_run_that_was_broken_off_is_listed_as_unfinished_and_can_be_replaced(runs: Client, live: str) -> None:
    begin_run(runs, live, "may", ABOUT)
    (run,) = list_runs(runs, live)
    assert (run.ended, run.actions, run.first_time) == (None, 0, None)
    fill(runs, live, "may", replace=True)
    assert list_runs(runs, live)[0].ended is not None


def test_a_run_that_was_broken_off_before_its_tables_is_listed_too(runs: Client, live: str) -> None:
    begin_run(runs, live, "may", ABOUT)
    for view in ("audit_current", "authentications_current", "alerts_current"):
        runs.command(f"DROP VIEW {view}")
    assert [(run.name, run.actions) for run in list_runs(runs, live)] == [("may", 0)]


@pytest.mark.parametrize("replace", [False, True])
def test_a_run_that_was_broken_off_before_it_said_what_it_is_can_be_dropped_and_replaced(
    runs: Client, live: str, replace: bool
) -> None:
    begin_run(runs, live, "may", ABOUT)
    runs.command("DROP TABLE replay_run SYNC")
    assert [(run.name, run.about, run.begun, run.ended) for run in list_runs(runs, live)] == [("may", None, None, None)]
    assert is_taken(runs, live, "may")
    if replace:
        fill(runs, live, "may", replace=True)
        assert [run.ended is not None for run in list_runs(runs, live)] == [True]
    drop_run(runs, live, "may")
    assert list_runs(runs, live) == []


def test_a_run_that_is_there_is_refused(runs: Client, live: str) -> None:
    fill(runs, live, "may")
    assert is_taken(runs, live, "may")
    with pytest.raises(RunRefused, match="run may is there already"):
        begin_run(runs, live, "may", ABOUT)


@pytest.mark.parametrize("replace", [False, True])
def test_a_database_of_that_name_that_is_no_run_is_left_alone(runs: Client, live: str, replace: bool) -> None:
    runs.command(f"CREATE DATABASE {live}_run_mine")
    try:
        with pytest.raises(RunRefused, match=r"run_mine is no run of ours|run mine is there already"):
            begin_run(runs, live, "mine", ABOUT, replace=replace)
        with pytest.raises(RunRefused, match="there is no run mine"):
            drop_run(runs, live, "mine")
        assert list_runs(runs, live) == []
    finally:
        runs.command(f"DROP DATABASE {live}_run_mine SYNC")


def test_a_run_that_is_not_there_cannot_be_dropped(runs: Client, live: str) -> None:
    with pytest.raises(RunRefused, match="there is no run may"):
        drop_run(runs, live, "may")


@pytest.mark.parametrize("name", ["2026-11", "a", "A_b-9", "x" * 64])
def test_a_name_of_letters_digits_and_dashes_is_one_of_a_run(name: str) -> None:
    assert database_of("stepwatch", name) == f"stepwatch_run_{name}"


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a`b", "a.b", "é", "x" * 65, "a\n"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(RunRefused, match="is no name for a run"):
        database_of("stepwatch", name)


def test_rows_go_in_by_large_inserts_and_the_last_few_with_them(runs: Client, live: str) -> None:
    begin_run(runs, live, "may", ABOUT)
    filling = Filling(runs, rows_at_once=3)
    filling.take(("audit", audit(f"a{n}")) for n in range(7))
    assert (filling.rows, filling.refused) == (7, 0)
    assert runs.query("SELECT count() FROM audit_current").result_rows == [(7,)]


def test_a_row_that_clickhouse_refuses_is_counted_and_the_others_are_stored(runs: Client, live: str) -> None:
    begin_run(runs, live, "may", ABOUT)
    filling = Filling(runs)
    filling.take([("audit", audit("a1")), ("audit", audit("bad", time="")), ("audit", audit("a2"))])
    assert (filling.rows, filling.refused, filling.refusals[0][0]) == (2, 1, "audit")
