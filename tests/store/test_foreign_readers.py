"""A person's own tools ask the query book as `analyst`, who reads, and cannot do more nor take too much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.store.querybook import questions
from tests.servers import ClickHouseSettings
from tests.store import book_world
from tests.store.conftest import emptied
from tests.store.foreign_readers import READERS, Asked, Refused
from tests.store.test_query_book import BOOK, GIVEN, NOW, PERIOD, answer

pytestmark = pytest.mark.live
TOOLS = [pytest.param(name, marks=pytest.mark.index if name == "jdbc" else ()) for name in READERS]
LIMITS = {
    "time": (
        "SELECT max(sipHash64(number)) FROM numbers(1000000000000) SETTINGS max_execution_time = 1",
        "TIMEOUT_EXCEEDED",
    ),
    "rows": ("SELECT number FROM numbers(1000001) SETTINGS max_block_size = 2000000", "TOO_MANY_ROWS_OR_BYTES"),
    "memory": ("SELECT length(groupArray(number)) FROM numbers(200000000)", "MEMORY_LIMIT_EXCEEDED"),
}
"""What a limit refuses, and by which of ClickHouse's names. Of time less than 10 s is asked for; the rows come at once,
since of an answer that is under way some tools show the beginning."""
NOT_HIS = {
    "more time": "SELECT 1 SETTINGS max_execution_time = 3600",
    "no limit of time": "SELECT 1 SETTINGS max_execution_time = 0",
    "more rows": "SELECT 1 SETTINGS max_result_rows = 10000000",
    "more memory": "SELECT 1 SETTINGS max_memory_usage = 10000000000",
    "to write, by a setting": "SELECT 1 SETTINGS readonly = 0",
    "to insert": "INSERT INTO alerts (alert_id) VALUES ('al_1')",
    "to delete": "ALTER TABLE audit DELETE WHERE 1",
    "a table of his own": "CREATE TABLE mine (a UInt8) ENGINE = Memory",
    "what others ask": "SELECT * FROM system.processes",
}


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    with emptied(clickhouse) as client:
        book_world.build(client, clickhouse.database)
        yield client


def asked(name: str) -> Asked:
    """A question of the book about the world's two days."""
    question = questions()[name]
    known = {parameter.name for parameter in question.parameters}
    given = {key: value for key, value in {**PERIOD, **GIVEN.get(name, {})}.items() if key in known}
    return Asked(name, question.sql, question.bind(given, NOW))


def plain(value: Any) -> Any:
    """A value whatever types a tool made of it: times without zeros at their end, lists as texts."""
    if isinstance(value, datetime):
        return plain(value.strftime("%Y-%m-%d %H:%M:%S.%f"))
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    if value is None:
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if re.fullmatch(r"\[.*\]", text, re.DOTALL):
        return [plain(one.strip("' ")) for one in text[1:-1].split(",") if one]
    if re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", text):
        return text.replace("T", " ").partition(".")[0] + "." + text.partition(".")[2].rstrip("0")
    if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text):
        return float(text)
    return text


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_gets_the_answer_to_every_question_of_the_book(
    world: Client, clickhouse: ClickHouseSettings, tool: str
) -> None:
    read = READERS[tool](clickhouse, [asked(name) for name in BOOK])
    assert len(read) == len(BOOK)
    for name, got in zip(BOOK, read, strict=True):
        wanted = answer(world, name)
        assert got.names == wanted.names, name
        assert plain(got.rows) == plain(wanted.rows), name


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_person_gives_a_tool_is_a_value_and_never_a_part_of_the_query(
    world: Client, clickhouse: ClickHouseSettings, tool: str
) -> None:
    one = asked("what_subject_did")
    for hostile in ("alice' OR 1=1 --", "{x:String}", "\\'; DROP TABLE audit"):
        (got,) = READERS[tool](clickhouse, [one._replace(values={**one.values, "subject": hostile})])
        assert got.rows == []


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_of_the_analyst_refuses_what_exceeds_it(
    world: Client, clickhouse: ClickHouseSettings, tool: str, limit: str
) -> None:
    sql, named = LIMITS[limit]
    with pytest.raises(Refused, match=named):
        READERS[tool](clickhouse, [Asked(limit, sql, {})])


@pytest.mark.parametrize("wish", NOT_HIS)
def test_the_analyst_can_neither_lift_a_limit_nor_change_anything(
    world: Client, clickhouse: ClickHouseSettings, wish: str
) -> None:
    with pytest.raises(Refused, match=r"SETTING_CONSTRAINT_VIOLATION|READONLY|ACCESS_DENIED"):
        READERS["curl"](clickhouse, [Asked(wish, NOT_HIS[wish], {})])


def test_a_query_of_the_analyst_has_ten_seconds_where_nobody_says_fewer(
    world: Client, clickhouse: ClickHouseSettings
) -> None:
    sql = "SELECT getSetting('max_execution_time') AS s, getSetting('max_result_rows'), getSetting('max_memory_usage')"
    (got,) = READERS["clickhouse-connect"](clickhouse, [Asked("limits", sql, {})])
    assert plain(got.rows) == [[10.0, 1_000_000.0, 600_000_000.0]]
