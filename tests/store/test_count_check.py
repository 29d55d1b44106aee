"""The count check of the query book finds what is missing in either table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from stepwatch.store.answers import ask
from stepwatch.store.querybook import questions
from tests.store.rows import audit, load

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def counted(db: Client) -> dict[str, Any]:
    """What the check says of the day of the rows, tenant and day left out."""
    question = questions()["actions_in_verdicts_out"]
    (row,) = ask(db, question, question.bind({"since": "2026-11-24", "until": "2026-11-25"}, NOW)).objects()
    return {key: value for key, value in row.items() if key not in ("tenant", "day")}


def test_what_is_there_whole_has_no_difference_however_often_it_was_delivered(db: Client) -> None:
    for _ in range(2):
        load(db, "audit", audit("a"), audit("b"), audit("b", 2))
    zero = {"difference": 0, "without_event": 0, "missing_revisions": 0}
    assert counted(db) == {"actions_in": 2, "verdicts_out": 2, **zero}


def test_actions_whose_first_rows_are_missing_are_counted_and_so_are_the_rows(db: Client) -> None:
    # Of b the first is missing, of c the first of three, of d the middle one.
    rows = (audit("a"), audit("b", 2), audit("c", 2), audit("c", 3), audit("d"), audit("d", 3))
    load(db, "audit", *rows)
    load(db, "audit", *rows[:3])
    assert counted(db) == {
        "actions_in": 4, "verdicts_out": 4, "difference": 0, "without_event": 2, "missing_revisions": 3,
    }  # fmt: skip


def test_actions_that_only_one_of_the_tables_has_are_a_difference(db: Client) -> None:
    load(db, "audit", audit("a"), audit("b"), audit("c"))
    db.command("DELETE FROM audit_latest WHERE action_id IN ('a', 'b')")
    assert counted(db)["difference"] == 2
