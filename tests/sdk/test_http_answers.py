"""What each answer of the server means for the events that were posted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest

from stepwatch.sdk.http_answers import RETRY_AFTER_MAX_S, Meaning, understand
from stepwatch.sdk.http_client import Answer

PROBLEM = {"content-type": "application/problem+json; charset=utf-8"}


def answer(status: int, headers: Mapping[str, str] | None = None, **problem: Any) -> Answer:
    return Answer(status, headers or {}, json.dumps(problem).encode())


def named(*indices: Any) -> list[dict[str, Any]]:
    return [{"index": index, "field": "data.action", "error": "missing"} for index in indices]


def test_only_202_is_an_acceptance() -> None:
    assert understand(answer(202), 3) == Meaning()
    for status in (200, 201, 204):
        meaning = understand(answer(status), 3)
        assert (meaning.passing, meaning.refused, meaning.split) == (False, {}, "")
        assert f"answered {status}" in meaning.away


def test_accepted_events_of_types_that_the_server_does_not_know_are_counted_and_named() -> None:
    types = [{"type": "stepwatch.a", "count": 1, "hint": "did you mean stepwatch.b?"}, {"type": "stepwatch.c"}]
    meaning = understand(answer(202, accepted=1, skipped=2, skipped_types=types), 3)
    assert meaning == Meaning(skipped=2, unknown="stepwatch.a (did you mean stepwatch.b?), stepwatch.c")
    assert understand(answer(202, accepted=3, skipped=0), 3) == Meaning()


@pytest.mark.parametrize("said", [{"skipped": "all"}, {"skipped_types": [7]}, {"skipped": -1}, {"other": 1}])
def test_accepted_is_accepted_whatever_else_is_said(said: dict[str, Any]) -> None:
    assert understand(answer(202, **said), 3) == Meaning()


def test_no_more_events_are_skipped_than_were_posted() -> None:
    assert understand(answer(202, skipped=9), 3).skipped == 3


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_passes_by_itself_is_tried_again_soon(status: int) -> None:
    meaning = understand(answer(status, PROBLEM, detail="Kafka is away"), 3)
    assert meaning.away == f"answered {status} (Kafka is away)"
    assert meaning.passing


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "token"), (403, "token"), (301, "redirect"), (308, "redirect"), (404, "address"), (405, "address")],
)
def test_what_somebody_must_change_says_what(status: int, words: str) -> None:
    meaning = understand(answer(status), 3)
    assert not meaning.passing
    assert words in meaning.away


def test_each_bad_event_is_named_by_its_index_with_its_field() -> None:
    meaning = understand(answer(400, PROBLEM, errors=named(0, 2)), 3)
    assert meaning == Meaning(refused={0: "data.action: missing", 2: "data.action: missing"})


@pytest.mark.parametrize("errors", [[], named(3), named(-1), named(None), [{}]])
def test_a_problem_that_names_none_of_the_events_splits_them(errors: list[Any]) -> None:
    meaning = understand(answer(400, PROBLEM, errors=errors), 3)
    assert (meaning.split, meaning.away, meaning.refused) == ("answered 400", "", {})


@pytest.mark.parametrize("errors", ["none", [7], [{"index": "first"}]])
def test_a_problem_of_another_shape_splits_them_too(errors: Any) -> None:
    assert understand(answer(400, PROBLEM, errors=errors), 3).split == "answered 400"


def test_a_400_of_who_does_not_speak_of_problems_costs_no_event() -> None:
    meaning = understand(answer(400, {"content-type": "text/html"}, errors=named(0)), 3)
    assert (meaning.refused, meaning.split, meaning.passing) == ({}, "", False)
    assert "stepwatch ingest" in meaning.away


def test_too_much_at_once_is_split() -> None:
    assert understand(answer(413), 3).split == "answered 413"


def test_events_that_the_token_may_not_send_are_given_up_only_once_that_is_final() -> None:
    said = answer(403, PROBLEM, errors=named(1))
    assert "token" in understand(said, 3).away
    assert understand(said, 3, denied_for_good=True) == Meaning(refused={1: "data.action: missing"})
    assert "token" in understand(answer(403, PROBLEM), 3, denied_for_good=True).away, "none is named"


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("60", 60.0),
        ("61", RETRY_AFTER_MAX_S),
        ("9" * 40, RETRY_AFTER_MAX_S),
        ("-1", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("٣", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.0),
    ],
)
def test_retry_after_is_obeyed_within_a_minute(value: str, expected_s: float) -> None:
    assert understand(answer(503, {"retry-after": value}), 1).retry_after_s == expected_s


def test_retry_after_may_be_a_date() -> None:
    value = formatdate(time.time() + 30, usegmt=True)
    assert 25 < understand(answer(503, {"retry-after": value}), 1).retry_after_s <= 30


def test_a_servers_words_cannot_write_lines_of_their_own_into_a_log() -> None:
    meaning = understand(answer(503, PROBLEM, detail="a\nERROR root: b\x1b[31m" + "x" * 1000), 1)
    assert "\n" not in meaning.away
    assert "\x1b" not in meaning.away
    assert len(meaning.away) <= 320
