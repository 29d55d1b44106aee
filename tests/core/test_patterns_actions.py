"""`denied_then_acted`, `fresh_credential`, `policy_gap`, `self_approval` (contract section 6)."""

from typing import Any

import pytest

from tests.core.driver import T0_US
from tests.core.given import US, D, H, M, Row, S, action, alerted, event, policy, replayed, step, verified

POLICY = policy("max_age: 5m")


def found(kind: str, *events: Row, policies: str = POLICY) -> Row | None:
    return alerted(policies, *events).get(kind)


# denied_then_acted


def test_an_action_after_a_denial_of_any_session_was_denied_and_done() -> None:
    alert = found("denied_then_acted", step("denied", session="s9"), action())
    assert alert is not None
    assert (alert["severity"], alert["reason"], alert["policy"], alert["actions"]) == (
        "high",
        "denied_then_acted",
        "",
        ["a"],
    )


def test_a_verified_action_was_denied_and_done_all_the_same() -> None:
    assert found("denied_then_acted", step("denied"), verified(at=-S), action()) is not None


@pytest.mark.parametrize(
    ("at", "holds"),
    [(-5 * M, True), (-5 * M - US, False), (0, True), (US, False)],
    ids=["max_age", "older", "at once", "later"],
)
def test_the_denial_lies_from_max_age_before_to_the_action(at: int, holds: bool) -> None:
    assert (found("denied_then_acted", step("denied", at=at), action()) is not None) == holds


@pytest.mark.parametrize("end", ["failed", "expired", "cancelled", "challenged", "bypassed"])
def test_no_other_end_of_a_challenge_is_a_denial(end: str) -> None:
    assert found("denied_then_acted", step(end), action()) is None


def test_a_denial_of_somebody_else_is_none() -> None:
    assert found("denied_then_acted", step("denied", subject="bob"), action()) is None


def test_a_denial_counts_until_the_close_of_the_action() -> None:
    close = 10 * S + H
    assert found("denied_then_acted", step("denied", arrival=close), action()) is not None
    assert found("denied_then_acted", step("denied", arrival=close + US), action()) is None


@pytest.mark.parametrize(
    "wrong",
    [{"action": "x.y"}, {"session": "batch"}, {"outcome": "failure"}, {"outcome": "denied"}, {"arrival": D + US}],
    ids=["unmatched", "exempt", "failed", "denied", "too late"],
)
def test_unmatched_exempt_failed_or_too_late_actions_anchor_nothing(wrong: Row) -> None:
    exempting = POLICY.replace("alert: {}", "alert: {}, exempt: {when: \"session == 'batch'\"}")
    created = event("credential.changed", "c", -M, credential="k", change="created")
    events = [step("denied"), created, verified(session=None, root_session="s1", credential="k")]
    kinds = alerted(exempting, *events, action(root_session="s1", **wrong))
    assert not {"denied_then_acted", "fresh_credential"} & set(kinds)


@pytest.mark.parametrize("outcome", ["success", "unknown", "perhaps"])
def test_actions_that_happened_or_may_have_anchor(outcome: str) -> None:
    assert found("denied_then_acted", step("denied"), action(outcome=outcome)) is not None


# fresh_credential


def created(at: int, **fields: Any) -> Row:
    return event("credential.changed", "c", at, **{"credential": "k", "change": "created", **fields})


def fresh(*events: Row) -> Row | None:
    return found("fresh_credential", *events, policies=policy("max_age: 24h"))


def test_a_proof_by_a_credential_of_today_is_fresh() -> None:
    alert = fresh(created(-H), verified(credential="k"), action())
    assert alert is not None
    assert (alert["severity"], alert["reason"], alert["actions"]) == ("medium", "fresh_credential", ["a"])


@pytest.mark.parametrize(
    ("at", "holds"),
    [(-D + US, True), (-D, False), (0, True), (US, False)],
    ids=["just under 24 h", "24 h", "at once", "after"],
)
def test_the_credential_was_created_in_the_24_hours_before_the_action(at: int, holds: bool) -> None:
    assert (fresh(created(at), verified(at=-S, credential="k"), action()) is not None) == holds


@pytest.mark.parametrize("other", [{"change": "updated"}, {"credential": "other"}, {"subject": "bob"}])
def test_only_the_creation_of_the_chosen_credential_counts(other: Row) -> None:
    assert fresh(created(-H, **other), verified(credential="k"), action()) is None


def test_the_credential_of_a_proof_that_was_not_chosen_does_not_count() -> None:
    assert fresh(created(-H), verified("v", -2 * M, credential="k"), verified("w", credential="old"), action()) is None


def test_a_proof_that_names_no_credential_is_not_fresh() -> None:
    assert fresh(created(-H), verified(), action()) is None


def test_only_a_verified_action_anchors_it() -> None:
    assert fresh(created(-H), verified(credential="k", session="s2"), action()) is None


def test_the_creation_counts_until_the_close_of_the_action() -> None:
    close = 10 * S + H
    assert fresh(created(-H, arrival=close), verified(credential="k"), action()) is not None
    assert fresh(created(-H, arrival=close + US), verified(credential="k"), action()) is None


# policy_gap


def gap(**fields: Any) -> Row | None:
    return found("policy_gap", action(**{"action": "keys.export", **fields}))


@pytest.mark.parametrize("sensitivity", ["high", "critical"])
def test_an_unmatched_action_on_a_high_or_critical_resource_is_a_gap(sensitivity: str) -> None:
    alert = gap(resource={"type": "key", "sensitivity": sensitivity})
    assert alert is not None
    assert (alert["severity"], alert["reason"], alert["policy"], alert["actions"]) == ("low", "policy_gap", "", ["a"])


@pytest.mark.parametrize("sensitivity", ["low", "moderate", "HIGH", "", None])
def test_any_other_sensitivity_is_no_gap(sensitivity: str) -> None:
    assert gap(resource={"type": "key", "sensitivity": sensitivity}) is None


def test_an_action_decided_required_is_a_gap_whatever_its_resource() -> None:
    assert gap(decision={"result": "required"}) is not None
    for result in ("previously_satisfied", "not_required", "exempt"):
        assert gap(decision={"result": result}) is None


@pytest.mark.parametrize(
    ("outcome", "holds"), [("success", True), ("odd", True), ("failure", False), ("denied", False)]
)
def test_a_gap_asks_for_the_outcome_only(outcome: str, holds: bool) -> None:
    high = {"sensitivity": "high"}
    assert (gap(resource=high, outcome=outcome) is not None) == holds
    assert (gap(resource=high, outcome=outcome, arrival=9 * D) is not None) == holds


def test_a_matched_or_exempt_action_is_no_gap() -> None:
    assert gap(action="payments.x", resource={"sensitivity": "high"}) is None


def test_gaps_are_bucketed_by_the_day_and_other_patterns_by_the_hour() -> None:
    risky: Row = {"action": "keys.export", "resource": {"sensitivity": "high"}}
    at = D - T0_US % D  # the next midnight
    gaps = [action("g1", at, **risky), action("g2", at + D - US, **risky), action("g3", at + D, **risky)]
    rows = [row for row in replayed(POLICY, *gaps) if row["kind"] == "alert"]
    assert sorted(row["actions"] for row in rows) == [["g1", "g2"], ["g3"]]
    acts = [action("a1", H - US), action("a2", H), action("a3", 2 * H - US)]
    denials = [step("denied", f"d{i}", i * H - S) for i in (1, 2)]
    rows = [row for row in replayed(POLICY, *denials, *acts) if row.get("alert") == "denied_then_acted"]
    assert sorted(row["actions"] for row in rows) == [["a1"], ["a2", "a3"]]


# self_approval


def approval(approver: str, **fields: Any) -> Row:
    return event("approval.granted", "ok", 0, approver=approver, **fields)


def test_an_approval_by_the_subject_is_self_approval() -> None:
    alert = found("self_approval", approval("alice"))
    assert alert is not None
    assert (alert["severity"], alert["reason"], alert["actions"]) == ("high", "self_approval", ["ok"])


def test_an_approval_by_somebody_else_is_none() -> None:
    assert found("self_approval", approval("bob")) is None
    assert found("self_approval", approval("Alice")) is None


def test_the_approver_is_compared_after_aliases() -> None:
    aliased = policy(more='identities: [{subject: alice, aliases: ["00u1"]}]')
    assert found("self_approval", approval("00u1"), policies=aliased) is not None
    assert found("self_approval", approval("alice", subject="00u1"), policies=aliased) is not None


def test_a_revoked_approval_is_no_approval() -> None:
    assert found("self_approval", event("approval.revoked", "no", 0, approver="alice")) is None


def test_an_approval_reported_later_than_accept_late_anchors_nothing() -> None:
    assert found("self_approval", approval("alice", arrival=D)) is not None
    assert found("self_approval", approval("alice", arrival=D + US)) is None
