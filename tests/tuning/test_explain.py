"""Why an action was judged so: what is told is what the stream's own judge says, filter by filter."""

from __future__ import annotations

import pytest

from stepwatch.streams.filters import FILTERS
from stepwatch.streams.replay import Gathered, gather, replay
from stepwatch.streams.tuning.explaining import FAILS, NOT_ASKED, PASSES, Explanation, explain, find_actions, of_subject
from tests.tuning.world import POLICY, Event, act, busy_days, event, lines, prove, sets_of

NAMES = [name for name, _ in FILTERS]


def gathered_of(events: list[Event], text: str = POLICY) -> Gathered:
    gathered = Gathered()
    assert list(gather(lines(events), sets_of(text), gathered)) == []
    return gathered


def explained(events: list[Event], text: str = POLICY, said: str = "a") -> Explanation:
    """The explanation of one action."""
    gathered = gathered_of(events, text)
    (key,) = find_actions(gathered, said)
    return explain(of_subject(gathered, key), sets_of(text), key)


def requiring(require: str, more: str = "") -> str:
    """A policy with other demands."""
    head = "version: 1\ndefaults: {max_age: 5m, grace: 10s, revise_within: 1h}\n"
    return f"{head}{more}\npolicies: [{{id: payout, match: {{action: ['payout.*']}}, require: {{{require}}}}}]\n"


def checks(said: Explanation, number: int = 0) -> dict[str, str]:
    return {check.filter: check.result for check in said.candidates[number].checks}


def test_every_filter_is_told_of_every_proof_in_the_contracts_order() -> None:
    said = explained([prove("v-1", -400), prove("v-2", -30, session="s-x"), act("a", 0)])
    assert [one.fact.id for one in said.candidates] == ["v-2", "v-1"]
    assert [[check.filter for check in one.checks] for one in said.candidates] == [NAMES, NAMES]
    assert [one.failed for one in said.candidates] == [["wrong_session"], ["stale"]]
    assert checks(said)["over_used"] == NOT_ASKED


@pytest.mark.parametrize(("age_s", "by_us", "result"), [(300, 0, PASSES), (300.000001, 1, FAILS)])
def test_a_proof_says_by_how_much_it_is_too_old(age_s: float, by_us: int, result: str) -> None:
    said = explained([prove("v", -age_s), act("a", 0)])
    (stale,) = (check for check in said.candidates[0].checks if check.filter == "stale")
    assert (stale.by_us, stale.result) == (by_us, result)


FAILINGS = {
    "untrusted_source": (requiring("", "sources: [{name: /other, proves: [step_up]}]"), [prove("v", -9), act("a", 0)]),
    "wrong_session": (requiring(""), [prove("v", -9, session="s-9"), act("a", 0)]),
    "voided": (requiring(""), [prove("v", -9), event("session.revoked", "x", -5, source="/idp"), act("a", 0)]),
    "weak_factor": (requiring("amr_any: [hwk]"), [prove("v", -9, amr=["sms"]), act("a", 0)]),
    "stale": (requiring(""), [prove("v", -301), act("a", 0)]),
    "wrong_binding": (requiring("binding: action"), [prove("v", -9, bound_action="payout.cancel"), act("a", 0)]),
    "context_mismatch": (requiring("same_device: true"), [prove("v", -9, client={"device": "d"}), act("a", 0)]),
    "over_used": (requiring("max_uses: 1"), [prove("v", -9), act("earlier", -5), act("a", 0)]),
}


def test_there_is_an_example_of_each_filter() -> None:
    assert list(FAILINGS) == NAMES


@pytest.mark.parametrize("name", FAILINGS)
def test_each_filter_that_strikes_a_proof_is_named_with_what_was_compared(name: str) -> None:
    text, events = FAILINGS[name]
    said = explained(events, text)
    (failing,) = (check for check in said.candidates[0].checks if check.result == FAILS)
    assert (failing.filter, failing.detail != "", said.decision.verdict) == (name, True, "unverified")


NO_CANDIDATES = {
    "a login, and only step_up counts": [event("session.started", "v", -9, source="/idp", amr=["hwk"]), act("a", 0)],
    "10 s too late, and would have done before": [prove("v", 15), act("a", 0)],
    "arrived 1 s after the verdict was final": [prove("v", -9, arrival_s=3611), act("a", 0)],
}


@pytest.mark.parametrize("why", NO_CANDIDATES)
def test_a_proof_that_was_not_looked_at_says_why(why: str) -> None:
    (one,) = explained(NO_CANDIDATES[why]).candidates
    assert (one.is_candidate, one.why_not) == (False, why)


def test_what_else_happened_is_told_in_its_order_and_what_others_did_is_not() -> None:
    events = [
        event("stepup.failed", "f", -5),
        event("stepup.challenged", "c", -9),
        event("stepup.failed", "g", -5, "bob"),
    ]
    assert [fact.id for fact in explained([*events, act("a", 0)]).others] == ["c", "f"]


@pytest.mark.parametrize("seed", range(4))
def test_an_explanation_says_what_a_replay_says_and_its_checks_add_up(seed: int) -> None:
    text = POLICY.replace("amr_any: [hwk]", "amr_any: [hwk], max_uses: 1")
    events = busy_days(seed, people=5)
    rows = {row["action_id"]: row for row in replay(lines(events), sets_of(text)) if row["kind"] == "verdict"}
    gathered = gathered_of(events, text)
    assert len(rows) > 20
    for action_id, row in rows.items():
        (key,) = find_actions(gathered, action_id)
        said = explain(of_subject(gathered, key), sets_of(text), key)
        chosen = [one.fact.shown_id for one in said.candidates if one.chosen]
        passing = [one.fact.shown_id for one in said.candidates if one.is_candidate and not one.failed]
        assert (said.decision.verdict, said.decision.reason) == (row["verdict"], row["reason"])
        assert (chosen[0] if chosen else None) == row["verification"] == (passing[0] if passing else None)


POLICIES = """\
version: 1
policies:
  - id: refunds
    match: {action: ["payout.*"], resource_type: [refund]}
  - id: large
    match:
      action: ["payout.*"]
      when: "resource.size > 3"
  - id: rest
    match: {action: ["*"]}
"""


def test_the_policies_are_told_line_by_line_up_to_the_one_that_applies() -> None:
    said = explained([act("a", 0, resource={"type": "card"})], POLICIES)
    told = [(one.policy, one.line, one.matches, one.applies) for one in said.policies]
    assert told == [("refunds", 3, False, False), ("large", 5, True, True), ("rest", 9, True, False)]
    holds = [[(line.field, line.line, line.holds) for line in one.conditions] for one in said.policies]
    assert holds[0] == [("match.action", 4, True), ("match.resource_type", 4, False)]
    assert holds[1] == [("match.action", 7, True), ("match.when", 8, True)]


def test_a_condition_that_cannot_be_answered_says_so_and_counts_as_a_match() -> None:
    said = explained([act("a", 0)], POLICIES)
    (when,) = (line for line in said.policies[1].conditions if line.field == "match.when")
    assert (when.holds, "no such key: size" in when.note) == (True, True)


@pytest.mark.parametrize(("who", "verdict"), [("svc-1", "exempt"), ("alice", "unverified")])
def test_an_exemption_is_a_line_of_its_own(who: str, verdict: str) -> None:
    text = POLICY + """    exempt: {when: "subject.startsWith('svc-')"}\n"""
    said = explained([act("a", 0, who)], text)
    (line,) = (line for line in said.policies[0].conditions if line.field == "exempt.when")
    assert (line.holds, said.decision.verdict) == (verdict == "exempt", verdict)


def test_an_action_of_no_policy_is_explained_too() -> None:
    said = explained([act("a", 0, action="report.view")])
    assert (said.decision.verdict, said.action, said.candidates) == ("not_required", None, [])
    assert [line.holds for line in said.policies[0].conditions] == [False]


def test_an_action_is_found_by_its_id_or_by_its_whole_name_and_two_of_one_id_are_both_named() -> None:
    gathered = gathered_of([act("a", 0), act("a", 0, "bob", source="/other"), act("b", 0)])
    assert [len(find_actions(gathered, said)) for said in ("a", "/other/a", "default//other/a", "x")] == [2, 1, 1, 0]
    assert [len(find_actions(gathered, "a", *only)) for only in (("x",), ("", "/app"))] == [0, 1]
