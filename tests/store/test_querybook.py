"""The form of a question's header, and the values that its parameters take."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stepwatch.store.querybook import BookError, parse_question, question, questions

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
GOOD = """\
-- Who did it?
--
-- Part: people
-- Purpose: a test of the form
--     that goes on.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose
--   since | DateTime64(6, 'UTC') | 30d before until | from
--   until | DateTime64(6, 'UTC') | now | before
--   names | Array(String) | [] | which
--   rows | UInt32 | required | how many
-- Columns (name | meaning):
--   n | a number
--       that goes on
-- Read it so: as it is.
SELECT 1 AS n
WHERE '' = {tenant:String} AND now64() >= {since:DateTime64(6, 'UTC')} AND now64() < {until:DateTime64(6, 'UTC')}
  AND has({names:Array(String)}, 'a')
LIMIT {rows:UInt32}
"""


def test_a_header_says_what_the_question_is_for_what_it_takes_and_what_it_gives() -> None:
    one = parse_question("good", GOOD)
    assert (one.title, one.part, one.purpose) == ("Who did it?", "people", "a test of the form that goes on.")
    assert [parameter.name for parameter in one.parameters] == ["tenant", "since", "until", "names", "rows"]
    assert [(column.name, column.meaning) for column in one.columns] == [("n", "a number that goes on")]
    assert one.read_so == "as it is."
    assert one.sql.startswith("SELECT 1 AS n")


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("Who did it?", "This is it.", "expected a question"),
        ("-- Who did it?\n--\n", "-- Who did it?\n", "expected a question and an empty comment line"),
        ("-- Part: people", "-- Part: party", "expected one of triggers"),
        ("-- Read it so: as it is.", "", "Read it so is missing"),
        ("-- Purpose: a test of the form\n--     that goes on.\n", "", "Purpose is missing"),
        ("-- Part: people", "-- Hello\n-- Part: people", "expected a section"),
        (" | whose", "", "expected 4 cells"),
        ("--   n | a number\n--       that goes on", "--   n", "expected 2 cells"),
        ("'' = {tenant:String} AND", "", "the header says"),
        ("{rows:UInt32}", "{rows:UInt64}", "the query uses"),
        ("LIMIT {rows:UInt32}", "LIMIT {rows:UInt32} OFFSET {more:UInt32}", "the query uses"),
    ],
)
def test_a_header_in_another_form_is_refused_in_words(was: str, becomes: str, said: str) -> None:
    assert was in GOOD
    with pytest.raises(BookError, match=said):
        parse_question("bad", GOOD.replace(was, becomes))


def test_what_is_not_given_has_its_default_and_the_period_ends_now() -> None:
    values = parse_question("good", GOOD).bind({"rows": "5"}, NOW)
    assert values == {
        "tenant": "",
        "since": "2026-10-27 12:30:00.000000",
        "until": "2026-11-26 12:30:00.000000",
        "names": [],
        "rows": "5",
    }


def test_a_period_without_a_beginning_begins_so_long_before_its_end() -> None:
    values = parse_question("good", GOOD).bind({"rows": "5", "until": "2026-03-31"}, NOW)
    assert values["since"] == "2026-03-01 00:00:00.000000"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-24", "2026-11-24 00:00:00.000000"),
        ("2026-11-24T09:00:00Z", "2026-11-24 09:00:00.000000"),
        ("2026-11-24T09:00:00.123456+02:00", "2026-11-24 07:00:00.123456"),
    ],
)
def test_a_time_is_a_day_or_has_its_zone(text: str, value: str) -> None:
    assert parse_question("good", GOOD).bind({"rows": "5", "since": text}, NOW)["since"] == value


@pytest.mark.parametrize(("text", "value"), [("a, b", ["a", "b"]), ('["a,b", "c"]', ["a,b", "c"]), ("", [])])
def test_a_list_has_commas_between_or_is_a_json_array(text: str, value: list[str]) -> None:
    assert parse_question("good", GOOD).bind({"rows": "5", "names": text}, NOW)["names"] == value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "--param rows=VALUE is needed: how many"),
        ({"rows": "5", "subject": "alice"}, "has no parameter subject; it has tenant, since"),
        ({"rows": "5", "since": "soon"}, "since: expected a time like .*, got 'soon'"),
        ({"rows": "5", "since": "2026-11-24T09:00:00"}, "has no time zone: write 2026-11-24T09:00:00Z"),
        ({"rows": "5", "since": "1969-12-31"}, "a year from 1970"),
        ({"rows": "5", "since": "9999-12-31T23:59:59-14:00"}, "a year from 1970"),
        ({"rows": "5", "since": "2026-11-25", "until": "2026-11-24"}, "is after until"),
        ({"rows": "5", "names": "[1]"}, "names: expected a,b or a JSON array"),
        ({"rows": "5", "names": "[a"}, "names: expected a,b or a JSON array"),
    ],
)
def test_a_value_that_is_none_is_refused_in_words(given: dict[str, str], said: str) -> None:
    with pytest.raises(BookError, match=said):
        parse_question("good", GOOD).bind(given, NOW)


def test_a_question_that_is_not_in_the_book_is_refused_with_those_that_look_like_it() -> None:
    with pytest.raises(BookError, match="no query bypases_by_subject; is it bypasses_by_subject"):
        question("bypases_by_subject")


def test_no_two_questions_have_one_title_and_each_ends_its_sentences() -> None:
    book = questions().values()
    assert len({one.title for one in book}) == len(book)
    assert [one.name for one in book if not (one.purpose.endswith(".") and one.read_so.endswith("."))] == []


def test_questions_about_one_thing_call_their_parameters_alike() -> None:
    """One word for one thing: a name has one type in the whole book."""
    types: dict[str, set[str]] = {}
    for one in questions().values():
        for parameter in one.parameters:
            types.setdefault(parameter.name, set()).add(parameter.type)
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}
