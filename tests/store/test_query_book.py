"""Each question of the book is asked of one small world (book_world.py), and its answer is written out in answers/.

An answer is one file of tab-separated values. To see what a changed query says, run it:
`stepwatch query run NAME --format tsv`; then judge it by the world, line by line, before it becomes the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.cli.formats import Format, written
from stepwatch.store.answers import Answer, ask
from stepwatch.store.querybook import PARTS, questions
from tests.servers import ClickHouseSettings
from tests.store import book_world
from tests.store.conftest import emptied

NOW = datetime(2026, 11, 26, tzinfo=UTC)
ANSWERS = Path(__file__).parent / "answers/"
BOOK = questions()
PERIOD = {"since": book_world.SINCE, "until": book_world.UNTIL}
GIVEN: dict[str, dict[str, str]] = {
    "policies_never_fired": {"known": "payout, never"},
    "trigger_drift_by_week": {"since": "2026-11-16"},
    "subject_timeline": {"tenant": "acme", "subject": "bob"},
    "what_subject_did": {"tenant": "acme", "subject": "alice"},
    "action_history": {"tenant": "acme", "source": "/app", "action_id": "a-22"},
    "proof_coverage": {"proof": "v-1"},
    "session_timeline": {"session": "s4"},
    "resource_history": {"resource_id": "po_1"},
    "first_time_actions": {"subject": "alice"},
}
"""What a question is told beside the period."""


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    with emptied(clickhouse) as client:
        book_world.build(client, clickhouse.database)
        yield client


def answer(client: Client, name: str, **given: str) -> Answer:
    """The answer about the world's two days, unless another period is given."""
    one = BOOK[name]
    told = {**PERIOD, **GIVEN.get(name, {}), **given}
    known = {parameter.name for parameter in one.parameters}
    return ask(client, one, one.bind({key: value for key, value in told.items() if key in known}, NOW))


@pytest.mark.live
@pytest.mark.parametrize("name", BOOK)
def test_every_question_is_answered_as_written_out(world: Client, name: str) -> None:
    got = answer(world, name)
    assert written(got, Format.TSV) == (ANSWERS / f"{name}.tsv").read_text(encoding="utf-8")


@pytest.mark.live
@pytest.mark.parametrize("name", BOOK)
def test_the_header_names_every_column_of_the_answer_in_its_order(world: Client, name: str) -> None:
    assert answer(world, name).names == tuple(column.name for column in BOOK[name].columns)


@pytest.mark.live
@pytest.mark.parametrize("name", BOOK)
def test_a_world_in_which_nothing_happened_is_answered_without_an_error(world: Client, name: str) -> None:
    given = {"since": "2020-01-01", "until": "2020-01-02", "tenant": "nobody", "subject": "nobody", "action_id": "no"}
    known = {parameter.name for parameter in BOOK[name].parameters}
    got = answer(world, name, **{key: value for key, value in given.items() if key in known})
    if name not in ("policies_never_fired", "alerts_open"):
        assert got.rows == []


@pytest.mark.live
@pytest.mark.parametrize("name", [name for name, one in BOOK.items() if "tenant" in {p.name for p in one.parameters}])
def test_a_question_about_one_tenant_shows_nothing_of_another(world: Client, name: str) -> None:
    def tenants(rows: Answer) -> set[object]:
        if "tenant" not in rows.names:
            return set()
        return {row[rows.names.index("tenant")] for row in rows.rows}

    # An alert about a feed has no tenant: it concerns all.
    assert tenants(answer(world, name, tenant="umbrella")) <= {"umbrella", ""}
    assert "umbrella" not in tenants(answer(world, name, tenant="acme"))


@pytest.mark.live
def test_the_auditors_numbers_agree_with_one_another(world: Client) -> None:
    def total(name: str, column: str) -> int:
        return sum(row[column] for row in answer(world, name).objects())

    by = ("bypass_rate_by_policy", "verified_by_resource", "verified_by_owner", "verified_by_day")
    for column in ("actions", "verified", "unverified", "blind", "exempted"):
        assert len({total(name, column) for name in by}) == 1, column
    assert total("verdicts_by_day", "actions") == total("actions_in_verdicts_out", "verdicts_out")
    exceptions = answer(world, "bypasses_newest_first").objects()
    assert len(exceptions) == total("bypasses_by_subject", "actions")
    assert sum(row["bypass"] == "unverified" for row in exceptions) == total("verified_by_day", "unverified")


@pytest.mark.live
def test_a_verdict_that_is_missing_is_found_by_the_count_check(world: Client, clickhouse: ClickHouseSettings) -> None:
    where = "tenant = 'acme' AND action_id = 'a-9'"
    copy = "INSERT INTO audit_latest SELECT * FROM audit WHERE " + where
    world.command(f"DELETE FROM audit_latest WHERE {where}")
    try:
        rows = {
            (row["tenant"], row["day"]): row["difference"] for row in answer(world, "actions_in_verdicts_out").objects()
        }
        assert rows[("acme", "2026-11-24")] == 1
        assert rows[("umbrella", "2026-11-24")] == 0
    finally:
        world.command(copy)


@pytest.mark.live
def test_a_reader_may_ask_every_question(world: Client, clickhouse: ClickHouseSettings) -> None:
    reader = clickhouse_connect.get_client(
        host=clickhouse.host, port=clickhouse.port, database=clickhouse.database,
        username=clickhouse.reader_user, password=clickhouse.reader_password,
    )  # fmt: skip
    for name in BOOK:
        assert answer(reader, name).rows == answer(world, name).rows, name
    reader.close()


@pytest.mark.live
def test_what_a_person_types_is_a_value_and_never_a_part_of_the_query(world: Client) -> None:
    hostile = "' OR 1=1 --\t\\'\n{x:String}"
    assert answer(world, "what_subject_did", subject=hostile).rows == []
    assert answer(world, "what_subject_did", subject="alice' --").rows == []


def test_every_answer_belongs_to_a_question() -> None:
    assert sorted(file.stem for file in ANSWERS.iterdir()) == sorted(BOOK)


def test_the_book_has_the_three_parts_of_the_auditor_first_and_at_least_25_questions() -> None:
    assert list(PARTS)[:3] == ["triggers", "verified", "people"]
    assert len(BOOK) >= 25
    assert {one.part for one in BOOK.values()} == set(PARTS)
