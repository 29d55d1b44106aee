"""The reason of `unverified`: the filter that strikes the last, or what happened instead (contract section 5)."""

from typing import Any

import pytest

from tests.core.driver import T0_US
from tests.core.given import (
    US,
    VERIFIED,
    H,
    M,
    Row,
    S,
    action,
    event,
    judged,
    policy,
    reason,
    says,
    step,
    unverified,
    verified,
)

BOUND = policy("amr_any: [hwk], binding: action, max_age: 5m")
STALE_AT = -5 * M - US
STRUCK = ("untrusted_source", "wrong_session", "voided", "weak_factor", "stale", "wrong_binding", "context_mismatch")


def test_without_any_event_there_was_no_step_up() -> None:
    assert says(policy(), action()) == unverified("no_step_up")


# A candidate within max_age: strike filter by filter.


def failing(name: str, event_id: str, **fields: Any) -> Row:
    """A proof within max_age that fails one filter of `STRICT` only."""
    fine: Row = {"bound_action": "payments.payout.approve", "client": {"device": "d"}}
    wrong: dict[str, Row] = {
        "untrusted_source": {"source": "/feed"},
        "wrong_session": {"session": "s2"},
        "voided": {"credential": "lost"},
        "weak_factor": {"amr": ["pwd"]},
        "wrong_binding": {"bound_action": "x.y"},
        "context_mismatch": {"client": {"device": "e"}},
    }
    return verified(event_id, -M, **{**fine, **wrong[name], **fields})


STRICT = policy(
    "amr_any: [hwk], binding: action, same_device: true, max_age: 5m", sources="{name: /idp, proves: [step_up]}"
)
LOST = event("credential.changed", "lost", -10 * S, credential="lost", change="revoked")


def struck(*events: Row) -> str:
    return reason(judged(STRICT, LOST, *events, action(client={"device": "d"})))


@pytest.mark.parametrize("name", [name for name in STRUCK if name != "stale"])
def test_of_one_candidate_the_filter_that_it_fails_is_the_reason(name: str) -> None:
    assert struck(failing(name, "v")) == name


@pytest.mark.parametrize("late", range(1, 6))
def test_of_two_candidates_the_one_that_is_struck_later_gives_the_reason(late: int) -> None:
    names = [name for name in STRUCK if name != "stale"]
    for early in range(late):
        assert struck(failing(names[early], "v1"), failing(names[late], "v2")) == names[late]


def test_a_candidate_falls_to_the_first_filter_that_it_fails() -> None:
    both = failing("weak_factor", "v", bound_action="x.y")
    assert struck(both) == "weak_factor"


def test_an_over_used_candidate_is_struck_last_of_all() -> None:
    once = policy("max_uses: 1, max_age: 5m")
    rows = judged(once, verified("v"), verified("w", session="s2"), action("b", -S), action())
    assert reason(rows) == "over_used"


def test_stale_is_the_reason_where_a_fresh_candidate_fell_before_it() -> None:
    assert says(BOUND, verified("old", STALE_AT), verified("fresh", session="s2"), action()) == unverified("stale")


def test_a_candidate_within_max_age_hides_what_happened_to_the_last_challenge() -> None:
    denied = step("denied", at=-30 * S)
    assert says(policy(), verified(session="s2"), denied, action()) == unverified("wrong_session")


def test_a_candidate_exactly_max_age_old_is_within_and_a_microsecond_older_is_not() -> None:
    denied = step("denied", at=-30 * S)
    assert says(policy(), verified(at=-5 * M, session="s2"), denied, action()) == unverified("wrong_session")
    assert says(policy(), verified(at=STALE_AT, session="s2"), denied, action()) == unverified("denied")


# after_the_fact


def test_a_proof_exactly_revise_within_after_the_action_came_after_the_fact() -> None:
    assert says(policy(), verified(at=H), action()) == unverified("after_the_fact")


def test_a_proof_a_microsecond_later_than_revise_within_is_none_of_it() -> None:
    assert says(policy(), verified(at=H + US, arrival=H + 5 * S), action()) == unverified("no_step_up")


def test_a_proof_after_the_fact_is_of_an_accepted_kind() -> None:
    login = event("session.started", "l", M, session="s1", amr=["pwd"])
    assert says(policy(), login, action()) == unverified("no_step_up")
    assert says(policy("accept: [login]"), login, action()) == unverified("after_the_fact")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"source": "/feed"}, "no_step_up"),
        ({"session": "s2"}, "no_step_up"),
        ({"amr": ["pwd"]}, "no_step_up"),
        ({"bound_action": "x.y"}, "no_step_up"),
        ({"client": {"device": "e"}}, "after_the_fact"),
        ({"credential": "lost"}, "after_the_fact"),
        ({"auth_time": T0_US // S - 86_400}, "after_the_fact"),
    ],
    ids=["source", "session", "factor", "binding", "device", "voided", "stale"],
)
def test_a_proof_after_the_fact_passes_filters_1_2_4_and_6_only(wrong: Row, why: str) -> None:
    fine: Row = {"bound_action": "payments.payout.approve", "client": {"device": "d"}}
    proof = verified("v", M, **{**fine, **wrong})
    assert struck(proof) == why


def test_after_the_fact_goes_before_what_happened_to_the_last_challenge() -> None:
    assert says(policy(), step("denied"), verified(at=M), action()) == unverified("after_the_fact")


def test_after_the_fact_goes_before_a_stale_candidate() -> None:
    assert says(policy(), verified("old", STALE_AT), verified("new", M), action()) == unverified("after_the_fact")


# the last step


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("denied", "denied"),
        ("failed", "failed"),
        ("bypassed", "bypassed"),
        ("challenged", "abandoned"),
        ("expired", "abandoned"),
        ("cancelled", "abandoned"),
        ("required", "no_step_up"),
    ],
)
def test_the_last_step_says_what_became_of_the_challenge(end: str, why: str) -> None:
    assert says(policy(), step(end), action()) == unverified(why)


def test_a_required_step_is_looked_through() -> None:
    assert says(policy(), step("failed", "c1", -M), step("required", "c2", -S), action()) == unverified("failed")


def test_the_last_step_is_the_last_by_time_then_source_then_id() -> None:
    assert says(policy(), step("denied", "c1", -S), step("failed", "c2", -M), action()) == unverified("denied")
    same = [step("denied", "c-10", -S), step("failed", "c-9", -S), step("expired", "a", -S, source="/idq")]
    assert says(policy(), *same[:2], action()) == unverified("failed")
    assert says(policy(), *same, action()) == unverified("abandoned")


@pytest.mark.parametrize(
    ("at", "why"),
    [(-5 * M, "denied"), (-5 * M - US, "no_step_up"), (5 * S, "denied"), (5 * S + US, "no_step_up")],
    ids=["max_age", "older", "skew", "beyond the skew"],
)
def test_a_step_counts_from_max_age_before_to_the_skew_after(at: int, why: str) -> None:
    assert says(policy(), step("denied", at=at), action()) == unverified(why)


def test_with_same_session_only_steps_of_the_session_or_its_root_count() -> None:
    assert says(policy(), step("denied", session="s2"), action()) == unverified("no_step_up")
    assert says(policy("same_session: false"), step("denied", session="s2"), action()) == unverified("denied")
    rooted = step("denied", session="s2", root_session="s1")
    assert says(policy(), rooted, action()) == unverified("denied")


def test_a_step_of_another_subject_is_not_asked() -> None:
    assert says(policy(), step("denied", subject="bob"), action()) == unverified("no_step_up")


def test_a_verified_last_step_says_nothing_and_the_filter_that_struck_the_last_speaks() -> None:
    # The verification is no candidate of an accepted kind here, so nothing was struck.
    logins = policy("accept: [login]")
    assert says(logins, step("denied", "c1", -M), verified("v", -S), action()) == unverified("no_step_up")
    # Reported lately, proved long ago: a stale candidate whose event is the last step.
    seconds = T0_US // S
    reported = verified("v", -S, auth_time=seconds - 3600)
    assert says(policy(), step("denied", "c1", -M), reported, action()) == unverified("stale")


def test_without_a_step_the_filter_that_struck_the_last_stale_candidate_is_the_reason() -> None:
    assert says(policy(), verified(at=STALE_AT), action()) == unverified("stale")
    assert says(policy(), verified(at=STALE_AT, session="s2"), action()) == unverified("wrong_session")


def test_a_step_that_arrives_after_the_close_changes_no_reason() -> None:
    close = 10 * S + H
    assert says(policy(), step("denied", arrival=close), action()) == unverified("denied")
    assert says(policy(), step("denied", arrival=close + US), action()) == unverified("no_step_up")


def test_a_covered_action_has_no_reason_but_the_kind_of_its_proof() -> None:
    assert says(policy(), step("denied", at=-S), verified(), action()) == VERIFIED
