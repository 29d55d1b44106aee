"""`stepwatch query list|show|run`, as a person types it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.console import NOBODY, Finished, on_terminal, run
from tests.servers import ClickHouseSettings
from tests.store import book_world
from tests.store.conftest import emptied

PERIOD = ("--since", book_world.SINCE, "--until", book_world.UNTIL)


@pytest.fixture(scope="module")
def env(clickhouse: ClickHouseSettings) -> Iterator[dict[str, str]]:
    """The settings of somebody who may only read the world."""
    with emptied(clickhouse) as client:
        book_world.build(client, clickhouse.database)
        yield {
            "STEPWATCH_CLICKHOUSE_URL": clickhouse.url,
            "STEPWATCH_CLICKHOUSE_USER": clickhouse.reader_user,
            "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.reader_password,
            "STEPWATCH_CLICKHOUSE_DATABASE": clickhouse.database,
        }


def asked(folder: Path, env: dict[str, str], *words: str) -> Finished:
    return run(folder, "query", "run", *words, **env)


@pytest.mark.live
def test_an_answer_is_a_table_for_a_person_and_says_how_many_rows(tmp_path: Path, env: dict[str, str]) -> None:
    done = asked(tmp_path, env, "exemptions", *PERIOD, "--stats")
    assert done.status == 0
    head, *rows = done.out.splitlines()
    assert head.split() == ["policy", "tenant", "subject", "actions", "kinds", "first", "last"]
    assert rows[0].split() == ["payout", "acme", "svc-1", "1", "1", *["2026-11-24", "12:30:00"] * 2]
    assert done.err.splitlines()[0] == "2 rows"
    assert "MB scanned in" in done.err


@pytest.mark.live
def test_an_answer_for_machines_has_names_and_types(tmp_path: Path, env: dict[str, str]) -> None:
    words = ("replayed_codes", *PERIOD, "--format")
    wanted = {"tenant": "acme", "credential": "cred-b", "otp_step": 7, "proofs": 2, "subjects": ["bob", "dave"]}
    (of_lines,) = asked(tmp_path, env, *words, "jsonl").rows
    (of_json,) = json.loads(asked(tmp_path, env, *words, "json").out)
    assert of_lines == of_json
    assert {name: of_json[name] for name in wanted} == wanted
    for fmt, between in (("csv", ","), ("tsv", "\t")):
        (of_text,) = csv.DictReader(io.StringIO(asked(tmp_path, env, *words, fmt).out), delimiter=between)
        assert (of_text["subjects"], of_text["otp_step"]) == ("bob, dave", "7")


@pytest.mark.live
def test_parameters_and_the_tenant_choose_what_is_shown(tmp_path: Path, env: dict[str, str]) -> None:
    words = ("resource_history", *PERIOD, "--param", "resource_id=po_1", "--format", "jsonl")
    assert [row["action_id"] for row in asked(tmp_path, env, *words).rows] == ["a-1", "a-6", "a-21"]
    assert [row["action_id"] for row in asked(tmp_path, env, *words, "--tenant", "umbrella").rows] == ["a-21"]


@pytest.mark.live
def test_a_terminal_shows_an_answer_in_its_width(tmp_path: Path, env: dict[str, str]) -> None:
    shown = on_terminal(tmp_path, "query", "run", "bypass_rate_by_policy", *PERIOD, columns=110, NO_COLOR="1", **env)
    assert "payout" in shown
    assert max(map(len, shown.splitlines())) <= 110


@pytest.mark.live
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["what_subject_did"], "--param subject=VALUE is needed"),
        (["what_subject_dit"], "is it what_subject_did"),
        (["exemptions", "--param", "subject=x"], "has no parameter subject"),
        (["exemptions", "--param", "subject"], "expected NAME=VALUE"),
        (["exemptions", "--param", "tenant=a", "--tenant", "b"], "leave one out"),
        (["exemptions", "--param", "tenant=a", "--param", "tenant=b"], "is given twice"),
        (["exemptions", "--since", "yesterday"], "or a duration like 7d"),
        (["exemptions", "--since", "1d", "--until", "2d"], "is after until"),
        (["action_history", "--since", "1d", "--param", "source=a", "--param", "action_id=b"], "no parameter since"),
        (["bypasses_newest_first", "--param", "rows=many"], "ClickHouse refuses the query"),
        (["exemptions", "--run", "nope"], "`stepwatch runs list`"),
        (["exemptions", "--run", "a b"], "is no name for a run"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(
    tmp_path: Path, env: dict[str, str], words: list[str], said: str
) -> None:
    done = asked(tmp_path, env, *words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize("words", [["query", "run", "exemptions"], ["report", "--json"], ["export", "out"]])
def test_a_server_that_is_away_ends_with_status_3_and_words(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words, STEPWATCH_CLICKHOUSE_URL=f"http://{NOBODY}")
    assert (done.status, done.out) == (3, "")
    assert "no answer from ClickHouse" in done.err


def test_the_book_is_listed_and_a_question_explained_without_any_server(tmp_path: Path) -> None:
    listed = run(tmp_path, "query", "list")
    assert listed.out.startswith("Were triggers appropriately defined?\n  ")
    objects = run(tmp_path, "query", "list", "--json").rows
    assert len(objects) == len([line for line in listed.out.splitlines() if line.startswith("  ")])
    shown = run(tmp_path, "query", "show", "exemptions")
    assert "READ IT SO" in shown.out
    assert "--tenant  whose" in shown.out
    sql = run(tmp_path, "query", "show", "exemptions", "--sql").out
    assert sql.startswith("SELECT")
    assert json.loads(run(tmp_path, "query", "show", "exemptions", "--json").out)["sql"] == sql.rstrip("\n")
