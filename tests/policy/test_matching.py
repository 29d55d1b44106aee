"""Which policy an action meets: patterns, missing values, the shortcut for most actions (contract 4)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.streams import matching
from stepwatch.streams.matching import Patterns
from tests.policy.given import Action, a_policy, a_set


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a.b", "a.b", True),
        ("a.b", "aXb", False),
        ("a.b", "A.b", False),
        ("a.b", "a.b.c", False),
        ("a.b", "x.a.b", False),
        ("a.*", "a.b.c.d", True),
        ("a.*", "a.", True),
        ("a.*", "a", False),
        ("*", "", True),
        ("*", "any thing\nat all", True),
        ("**", "", True),
        ("*.approve", "payments.payout.approve", True),
        ("*.approve", "payments.payout.approved", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("a*b*c", "aXbYbZc", True),
        ("*ab*ab*", "ab", False),
        ("*ab*ab*", "abab", True),
        ("a?c", "abc", False),
        ("a?c", "a?c", True),
        ("[ab]", "a", False),
        ("[ab]*", "[ab]c", True),
        ("a\\*", "a\\b", True),
        ("ä*", "äö", True),
        ("e\u0301", "\u00e9", False),
    ],
)
def test_a_star_is_any_run_of_characters_and_nothing_else_is_special(pattern: str, text: str, matches: bool) -> None:
    assert Patterns([pattern]).matches(text) is matches


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_patterns_agree_with_the_plainest_way_to_say_it(pattern: str, text: str) -> None:
    def plain(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(plain(pattern[1:], text[i:]) for i in range(len(text) + 1))
        return text[:1] == pattern[0] and plain(pattern[1:], text[1:])

    assert Patterns([pattern]).matches(text) is plain(pattern, text)


def test_a_hostile_name_costs_no_more_than_its_length() -> None:
    begun = time.perf_counter()
    assert not Patterns(["*a*a*a*a*a*a*a*b"]).matches("a" * 200_000)
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(
    ("said", "there", "matches"),
    [
        ("sensitivity: [high, critical]", "high", True),
        ("sensitivity: [high, critical]", "moderate", False),
        ("sensitivity: [low]", "", True),
        ("sensitivity: []", "low", True),
    ],
)
def test_a_missing_sensitivity_matches_every_list(said: str, there: str, matches: bool) -> None:
    found = a_policy(f"{{id: p, match: {{{said}}}}}").match(Action(sensitivity=there))
    assert (found.requirement is not None) is matches


@pytest.mark.parametrize(
    ("said", "there", "matches"),
    [
        ("resource_type: [payout]", "payout", True),
        ("resource_type: [payout]", "", False),
        ("resource_type: ['pay*', '*out']", "", False),
        ("resource_type: ['*']", "", True),
        ("resource_type: [payout, '*']", "", True),
        ("resource_type: []", "", True),
        ("action: []", "", True),
    ],
)
def test_a_missing_resource_type_matches_only_no_condition_or_a_star(said: str, there: str, matches: bool) -> None:
    found = a_policy(f"{{id: p, match: {{{said}}}}}").match(Action(resource_type=there))
    assert (found.requirement is not None) is matches


def test_every_list_of_a_policy_must_hold() -> None:
    made = a_policy("{id: p, match: {action: [a, 'b.*'], resource_type: [t], sensitivity: [high], tenant: ['ac*']}}")
    fits = {"action": "b.c", "resource_type": "t", "sensitivity": "high", "tenant": "acme"}
    assert made.match(Action(**fits)).requirement
    for name, other in {"action": "b", "resource_type": "u", "sensitivity": "low", "tenant": "beta"}.items():
        assert made.match(Action(**fits | {name: other})).requirement is None


def test_an_absent_match_is_about_every_action() -> None:
    assert a_policy("{id: p}").match(Action(action="", resource_type="", sensitivity="")).requirement


def test_an_action_that_no_policy_names_may_not_match_and_the_others_may() -> None:
    made = a_set("policies: [{id: p, match: {action: ['a.*'], tenant: [acme], sensitivity: [low]}}]\n")
    for _ in range(2):
        assert made.may_match("acme", "a.b")
        assert not made.may_match("acme", "b")
        assert not made.may_match("beta", "a.b")
    assert not a_set().may_match("acme", "a.b")


def test_what_is_remembered_of_action_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "CANDIDATES_MAX", 10)
    matcher = matching.Matcher([])
    for number in range(1000):
        matcher.may_match("acme", f"a.{number}")
    matcher.may_match("acme", "x" * 100_000)
    assert len(matcher._candidates) <= 10
    assert not any(len(action) > 256 for _, action in matcher._candidates)


def test_a_policy_without_conditions_never_asks_for_the_maps_of_an_action() -> None:
    class Closed(Action):
        def maps(self) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
            raise AssertionError("read for nothing")

    assert a_policy("{id: p}").match(Closed()).requirement
    other = a_policy("{id: p, match: {action: [x], when: 'true'}}")
    assert other.match(Closed()).requirement is None
