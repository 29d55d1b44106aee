"""The single changes that would have made an action verified: each holds, and no smaller one does."""

from __future__ import annotations

import pytest

from stepwatch.streams.replay import Gathered, gather, replay
from stepwatch.streams.tuning.explaining import explain, find_actions, of_subject
from stepwatch.streams.tuning.remedies import IN_EVENTS, IN_POLICY, Remedy, remedies
from tests.tuning.test_explain import FAILINGS, requiring
from tests.tuning.world import POLICY, Event, act, event, lines, prove, sets_of


def found(events: list[Event], text: str = POLICY) -> list[Remedy]:
    sets, gathered = sets_of(text), Gathered()
    assert list(gather(lines(events), sets, gathered)) == []
    (key,) = find_actions(gathered, "a")
    mine = of_subject(gathered, key)
    return remedies(mine, sets, explain(mine, sets, key))


def changes(events: list[Event], text: str = POLICY, where: str = IN_POLICY) -> list[str]:
    return [remedy.change for remedy in found(events, text) if remedy.where == where]


def verdict(events: list[Event], text: str) -> str:
    return str(next(row["verdict"] for row in replay(lines(events), sets_of(text)) if row.get("action_id") == "a"))


def test_the_age_that_is_told_verifies_and_a_second_less_does_not() -> None:
    events = [prove("older", -900), prove("v", -311.5), act("a", 0)]
    assert changes(events) == ["max_age 5m -> 312s"]
    assert verdict(events, POLICY.replace("max_age: 5m", "max_age: 312s")) == "verified"
    assert verdict(events, POLICY.replace("max_age: 5m", "max_age: 311s")) == "unverified"


NUMBERS = {
    "clock_skew 5s -> 9s": [prove("v", 8.2), act("a", 0)],
    "revise_within 1h -> 3611s": [prove("v", -9, arrival_s=3620.5), act("a", 0)],
    "accept_late 1d -> 86401s": [prove("v", -9), act("a", 0, arrival_s=86400.000001)],
}


@pytest.mark.parametrize("change", NUMBERS)
def test_each_window_is_told_with_the_smallest_whole_seconds_that_do(change: str) -> None:
    assert changes(NUMBERS[change]) == [change]


SWITCHES = {
    "wrong_session": "same_session true -> false",
    "weak_factor": "amr_any + sms",
    "stale": "max_age 5m -> 301s",
    "wrong_binding": "binding action -> none",
    "context_mismatch": "same_device true -> false",
    "over_used": "max_uses 1 -> 2",
}


@pytest.mark.parametrize("name", SWITCHES)
def test_the_switch_that_a_filter_stands_on_is_told(name: str) -> None:
    text, events = FAILINGS[name]
    assert changes(events, text) == [SWITCHES[name]]


def test_a_proof_used_by_two_needs_one_use_more_than_both() -> None:
    events = [prove("v", -9), act("one", -5), act("two", -4), act("a", 0)]
    assert changes(events, requiring("max_uses: 1")) == ["max_uses 1 -> 3"]


IN_THE_EVENTS = {
    "untrusted_source": "v: source /other",
    "wrong_session": "v: session s-alice",
    "voided": "without x",
    "weak_factor": "v: amr hwk",
    "stale": "v: later",
    "wrong_binding": "v: bound_action payout.approve",
    "over_used": "one more verification",
}


@pytest.mark.parametrize("name", IN_THE_EVENTS)
def test_what_somebody_would_have_had_to_do_comes_first_and_the_nearest_proof_before_a_new_one(name: str) -> None:
    text, events = FAILINGS[name]
    told = changes(events, text, IN_EVENTS)
    assert (told[0], told[-1]) == (IN_THE_EVENTS[name], "one more verification")


def test_without_any_proof_a_new_one_is_told_as_the_policy_wants_it() -> None:
    (only,) = found([act("a", 0)])
    assert only.meaning == "a verification by hwk in the same session, at most 5 min before the action"
    assert (only.where, only.age_us) == (IN_EVENTS, 0)


def test_an_action_without_a_session_is_told_to_be_reported_with_the_one_of_the_proof() -> None:
    told = changes([prove("v", -9), act("a", 0, session="")], POLICY, IN_EVENTS)
    assert told == ["session s-alice of the action"]


def test_a_login_is_offered_where_only_logins_count_and_as_another_kind_where_one_was_there() -> None:
    login = event("session.started", "v", -9, source="/idp", amr=["hwk"])
    assert changes([login, act("a", 0)]) == ["accept + login"]
    assert changes([act("a", 0)], requiring("accept: [login]"), IN_EVENTS) == ["one more login"]


def test_two_faults_of_the_only_proof_have_no_single_change_of_the_policy() -> None:
    assert changes([prove("v", -400, session="s-9"), act("a", 0)]) == []


@pytest.mark.parametrize("events", [[prove("v", -9), act("a", 0)], [act("a", 0, action="report.view")]])
def test_what_needs_no_change_is_told_none(events: list[Event]) -> None:
    assert found(events) == []


def test_what_a_busy_subject_did_besides_changes_no_remedy_and_with_limited_uses_it_does() -> None:
    mine, others = [prove("v", -311.5), act("a", 0)], [act(f"b{n}", -300 + n) for n in range(5)]
    assert found([*mine, *others]) == found(mine) != []
    limited = POLICY.replace("amr_any: [hwk]", "amr_any: [hwk], max_uses: 1")
    assert "max_age 5m -> 312s" in changes(mine, limited)
    assert "max_age 5m -> 312s" not in changes([*mine, *others], limited)
