"""What another set would have said: each change is one that two replays show, and no other."""

from __future__ import annotations

import pytest

from stepwatch.streams.replay import END_US, replay
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.tuning.differing import Both, Difference
from tests.tuning.world import NINE_US, POLICY, Event, act, busy_days, event, lines, prove, sets_of

LONGER = POLICY.replace("max_age: 5m", "max_age: 10m")
Verdicts = dict[tuple[str, str], tuple[str, str, str]]


def differing(
    events: list[Event], old: str | PolicySets, new: str | PolicySets, since_us: int = 0, until_us: int = END_US
) -> Difference:
    was, is_now = (sets_of(said) if isinstance(said, str) else said for said in (old, new))
    both = Both(was, is_now)
    assert list(both.gather(lines(events))) == []
    return both.compare(was, is_now, since_us, until_us)


def flips(difference: Difference) -> list[tuple[str, str, str]]:
    return [(one.name[3], one.old.row["reason"], one.new.row["reason"]) for one in difference.flips]


def verdicts(events: list[Event], text: str) -> Verdicts:
    rows = (row for row in replay(lines(events), sets_of(text)) if row["kind"] == "verdict")
    return {(row["source"], row["action_id"]): (row["verdict"], row["reason"], row["policy"]) for row in rows}


VARIANTS = {
    "an age": ("max_age: 5m", "max_age: 40s"),
    "a factor": ("amr_any: [hwk]", "amr_any: [otp]"),
    "uses": ("amr_any: [hwk]", "amr_any: [hwk], max_uses: 1"),
    "a session": ("same_session: true", "same_session: false"),
    "a pattern": ("payout.*", "payout.cancel"),
    "a grace": ("grace: 10s", "grace: 0s"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_told_is_the_difference_of_two_replays(name: str) -> None:
    new, events = POLICY.replace(*VARIANTS[name]), busy_days(5)
    was, is_now = verdicts(events, POLICY), verdicts(events, new)
    difference = differing(events, POLICY, new)
    told = {one.name[2:]: (one.old.row["verdict"], one.new.row["verdict"]) for one in difference.flips}
    assert told == {key: (was[key][0], is_now[key][0]) for key in was if was[key][0] != is_now[key][0]}
    assert (difference.actions, difference.judged) == (len(was), len(was))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_alerts_that_are_told_turn_those_of_the_one_set_into_those_of_the_other(name: str) -> None:
    new, events = POLICY.replace(*VARIANTS[name]), busy_days(6)
    old_rows, new_rows = (
        {row["alert_id"]: row for row in replay(lines(events), sets_of(text)) if row["kind"] == "alert"}
        for text in (POLICY, new)
    )
    for one in differing(events, POLICY, new).alerts:
        if one.old is not None:
            assert old_rows.pop(one.old["alert_id"]) == one.old
        if one.new is not None:
            old_rows[one.new["alert_id"]] = one.new
    assert old_rows == new_rows


def test_the_same_set_with_another_comment_changes_nothing() -> None:
    difference = differing(busy_days(7), POLICY, POLICY + "# said otherwise\n")
    assert (difference.changes, difference.alerts) == ([], [])


def test_flips_are_counted_by_policy_reason_owner_and_subject() -> None:
    events = [prove("v", -400), act("a", 0), prove("w", -500, "bob"), act("b", 0, "bob"), act("c", 9, "bob")]
    difference = differing(events, POLICY, LONGER)
    turn = "unverified -> verified"
    assert difference.counted("policy") == {("payout", turn): 3}
    assert difference.counted("owner") == {("payments", turn): 3}
    assert difference.counted("reason") == {("stale -> step_up", turn): 3}
    assert difference.counted("subject") == {("default/alice", turn): 1, ("default/bob", turn): 2}
    assert [(one.old is None, one.new is None) for one in difference.alerts] == [(False, True), (False, True)]


def test_another_nearest_miss_is_a_change_and_no_flip() -> None:
    difference = differing([prove("v", -400, amr=["sms"]), act("a", 0)], POLICY, LONGER)
    (change,) = difference.changes
    failed = [said.row["nearest_miss"]["failed"] for said in (change.old, change.new)]
    assert (change.flips, failed) == (False, [["weak_factor", "stale"], ["weak_factor"]])


def test_an_action_that_only_the_new_set_matches_flips_from_no_policy() -> None:
    wider = POLICY.replace("payout.*", "*")
    difference = differing([act("a", 0, action="report.view"), act("b", 0)], POLICY, wider)
    assert flips(difference) == [("a", "no_policy", "no_step_up")]
    assert (difference.changes[0].old.owner, difference.changes[0].new.owner) == ("", "payments")


def test_what_concerns_neither_set_is_counted_and_not_judged() -> None:
    difference = differing([act(f"r{n}", n, action="report.view") for n in range(5)], POLICY, LONGER)
    assert (difference.actions, difference.judged, difference.changes) == (5, 0, [])


def test_the_first_of_two_bodies_of_one_action_is_compared_though_it_concerns_nobody() -> None:
    events = [act("a", 0, action="report.view"), act("a", 1)]
    assert flips(differing(events, POLICY, POLICY.replace("hwk", "otp"))) == []
    assert differing(events, POLICY, LONGER).actions == 1


def test_an_action_whose_subject_the_new_set_knows_by_another_name_is_still_the_same_action() -> None:
    events = [prove("v", -9, "00u1", session="s"), act("a", 0, "alice@acme", session="s")]
    aliases = 'identities: [{subject: alice, aliases: ["alice@acme", "00u1"]}]\n'
    difference = differing(events, POLICY, POLICY.replace("version: 1\n", "version: 1\n" + aliases))
    assert flips(difference) == [("a", "no_step_up", "step_up")]
    assert difference.changes[0].subject == "default/alice"


def test_what_lies_before_the_period_is_what_later_actions_stand_on_and_is_not_compared() -> None:
    events = [prove("v", -400), act("before", -1), act("a", 0)]
    assert flips(differing(events, POLICY, LONGER, NINE_US)) == [("a", "stale", "step_up")]


def test_what_lies_after_the_period_is_what_its_actions_stand_on_and_is_not_compared() -> None:
    events = [act("a", 0), prove("v", 8), act("after", 300)]
    skewed = POLICY.replace("clock_skew: 5s", "clock_skew: 10s")
    until_us = NINE_US + 1_000_000
    assert flips(differing(events, POLICY, skewed, until_us=until_us)) == [("a", "after_the_fact", "step_up")]


def test_a_silent_source_under_one_set_only_is_a_flip_to_blind() -> None:
    watching = POLICY.replace("policies:", "sources: [{name: /idp, silent_after: 5m}]\npolicies:")
    beat = event("heartbeat", "h", -3600, source="/idp")
    assert flips(differing([beat, act("a", 0)], POLICY, watching)) == [("a", "no_step_up", "source_silent")]
