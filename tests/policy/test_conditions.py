"""Conditions: what they see, and that every error demands proof (contract section 4)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.policy.given import Action, a_policy


def outcome(part: str, when: str, **said: Any) -> str:
    """none, match or exempt, with `!` where the condition ended in an error that was noted."""
    made = a_policy(f'{{id: p, {part}: {{when: "{when}"}}}}').match(Action(**said))
    word = "none" if made.requirement is None else "exempt" if made.exempt else "match"
    return word + "!" * len(made.notes)


@pytest.mark.parametrize(
    ("when", "in_match", "in_exempt"),
    [
        ("true", "match", "exempt"),
        ("false", "none", "match"),
        ("client.country == 'NO'", "match!", "match!"),
        ("client.country == 'NO' || true", "match", "exempt"),
        ("true || client.country == 'NO'", "match", "exempt"),
        ("client.country == 'NO' && false", "none", "match"),
        ("false && client.country == 'NO'", "none", "match"),
        ("client.country == 'NO' || false", "match!", "match!"),
        ("has(client.country) && client.country == 'NO'", "none", "match"),
        ("!has(client.country)", "match", "exempt"),
        ("resource.no_such_member == 'x'", "match!", "match!"),
        ("subject.no_such_member == 'x'", "match!", "match!"),
        ("subject < 5", "match!", "match!"),
        ("subject == 5", "none", "match"),
        ("subject.startsWith(5)", "match!", "match!"),
        ("time > 5", "match!", "match!"),
        ("1 / 0 == 1", "match!", "match!"),
        ("[1][3] == 1", "match!", "match!"),
        ("subject.matches('(')", "match!", "match!"),
        ("subject ? true : false", "match!", "match!"),
        ("subject", "match!", "match!"),
        ("1", "match!", "match!"),
        ("null", "match!", "match!"),
        ("[true]", "match!", "match!"),
        ("string", "match!", "match!"),
    ],
)
def test_an_error_or_a_result_that_is_no_bool_demands_proof_and_is_noted(
    when: str, in_match: str, in_exempt: str
) -> None:
    assert outcome("match", when) == in_match
    assert outcome("exempt", when) == in_exempt


def test_a_note_says_the_policy_the_place_the_error_and_what_it_counts_as() -> None:
    made = a_policy("{id: p, match: {when: client.country == 'NO'}, exempt: {when: subject}}").match(Action())
    assert made.notes == (
        "policy p: match.when: no such key: country (counts as a match)",
        "policy p: exempt.when: the result is of type string, not a bool (counts as not exempt)",
    )


@pytest.mark.parametrize(
    "when",
    [
        "tenant == 'acme' && subject == 'alice' && source == '/app' && session == 's1' && root_session == ''",
        "action == 'payments.payout.approve' && outcome == 'success' && transaction == ''",
        "resource.type == 'payout' && resource.id == 'po_1' && resource.sensitivity == 'high'",
        "client == {} && token == {} && decision == {}",
        "time == timestamp('2026-11-24T09:00:00Z')",
        "time.getHours() == 9 && time.getDayOfWeek('Europe/Oslo') == 2",
        "time - timestamp('2026-11-24T08:00:00Z') == duration('1h')",
    ],
)
def test_a_condition_sees_the_strings_the_resource_the_maps_and_the_time(when: str) -> None:
    assert outcome("match", when) == "match"
    assert outcome("match", f"!({when})") == "none"


def test_the_time_of_a_condition_is_exact_to_the_microsecond() -> None:
    assert outcome("match", "time == timestamp('1970-01-01T00:00:00.000001Z')", time_us=1) == "match"
    last_us = 9_214_646_399_999_999
    assert outcome("match", "time == timestamp('2261-12-31T23:59:59.999999Z')", time_us=last_us) == "match"


def test_strings_that_are_missing_are_empty_and_no_error() -> None:
    missing = dict.fromkeys(["session", "transaction", "resource_type", "resource_id", "sensitivity"], "")
    names = ["session", "transaction", "resource.type", "resource.id", "resource.sensitivity"]
    assert outcome("match", " && ".join(f"{name} == ''" for name in names), **missing) == "match"


def test_members_of_the_maps_that_are_null_are_absent() -> None:
    assert outcome("match", "has(client.country)", client={"country": None}) == "none"
    assert outcome("match", "client.country == null", client={"country": None}) == "match!"
    assert outcome("match", "client.country == ''", client={"country": ""}) == "match"


@pytest.mark.parametrize(
    ("when", "token", "wanted"),
    [
        ("token.acr == '2'", {"acr": "2"}, "exempt"),
        ("token.acr == '2'", {"acr": 2}, "match"),
        ("token.acr == 2", {"acr": 2.0}, "exempt"),
        ("token.amr.exists(x, x == 'hwk')", {"amr": ["pwd", "hwk"]}, "exempt"),
        ("token.amr.exists(x, x == 'hwk')", {"amr": "hwk"}, "match!"),
        ("token.a.b < 10", {"a": {"b": 3}}, "exempt"),
        ("token.a.b < 10", {"a": {}}, "match!"),
        ("token.a.b < 10", {"a": {"b": "3"}}, "match!"),
        ("token.n == 9223372036854775807", {"n": 2**63 - 1}, "exempt"),
    ],
)
def test_the_maps_are_seen_as_they_were_sent(when: str, token: dict[str, Any], wanted: str) -> None:
    assert outcome("exempt", when, token=token) == wanted


def test_a_number_that_no_cel_number_holds_makes_its_map_an_error_and_no_other() -> None:
    for number in (2**64, -(2**63) - 1, 10**400):
        assert outcome("exempt", "token.other == 'x'", token={"n": number, "other": "x"}) == "match!"
        assert outcome("exempt", "subject == 'alice'", token={"n": number}) == "exempt"


@pytest.mark.parametrize(
    ("when", "token"),
    [
        ("token.v.all(x, token.v.all(y, token.v.all(z, true)))", {"v": list(range(500))}),
        ("token.v.exists(x, x < 0)", {"v": list(range(130_000))}),
        ("token.v.all(x, (token.s + token.s).size() > 1)", {"v": list(range(9000)), "s": "a" * 200_000}),
        ("token.s.matches('(a|a)*(a|a)*b') || token.x", {"s": "a" * 250_000}),
    ],
)
def test_no_event_makes_a_condition_cost_more_than_a_moment(when: str, token: dict[str, Any]) -> None:
    begun = time.perf_counter()
    assert outcome("match", when, token=token) == "match!"
    assert outcome("exempt", when, token=token) == "match!"
    assert time.perf_counter() - begun < 3


def test_a_long_list_is_read_without_a_macro_however_long_it_is() -> None:
    assert outcome("match", "129999 in token.v", token={"v": list(range(130_000))}) == "match"
