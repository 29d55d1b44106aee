"""`mfa_fatigue` and `mfa_fatigue_success` (contract section 6)."""

from typing import Any

import pytest

from tests.core.given import (
    US,
    D,
    M,
    Row,
    S,
    action,
    alerted,
    event,
    policy,
    step,
    verified,
)

POLICY = policy("max_age: 5m")
PROMPTS = ["challenged", "failed", "denied", "expired", "cancelled"]


def flood(count: int = 5, first: int = -5 * M, end: str = "denied", **fields: Any) -> list[Row]:
    """Prompts a minute apart, each with a challenge of its own; the last of five at -1 min."""
    return [step(end, f"p{i}", first + i * M, challenge=f"ch{i}", **fields) for i in range(count)]


def fatigue(*events: Row) -> Row | None:
    return alerted(POLICY, *events).get("mfa_fatigue")


def success(*events: Row) -> Row | None:
    return alerted(POLICY, *events).get("mfa_fatigue_success")


# mfa_fatigue


def test_five_challenges_in_ten_minutes_are_fatigue_and_four_are_not() -> None:
    found = fatigue(*flood(5))
    assert found is not None
    assert (found["severity"], found["reason"], found["count"], found["actions"]) == ("high", "mfa_fatigue", 1, ["p4"])
    assert fatigue(*flood(4)) is None


@pytest.mark.parametrize("end", PROMPTS)
def test_each_end_of_a_prompt_counts_and_anchors(end: str) -> None:
    assert fatigue(*flood(5, end=end)) is not None


@pytest.mark.parametrize("end", ["required", "bypassed", "verified"])
def test_no_other_step_counts_or_anchors(end: str) -> None:
    assert fatigue(*flood(4), step(end, "p9", -30 * S, challenge="ch9")) is None


def test_each_anchor_at_which_it_holds_is_a_member() -> None:
    found = fatigue(*flood(7, first=0))
    assert found is not None
    assert found["actions"] == ["p4", "p5", "p6"]


def test_events_of_one_challenge_count_once() -> None:
    same = [step(end, f"q{i}", -M + i, challenge="ch0") for i, end in enumerate(PROMPTS)]
    assert fatigue(*flood(4), *same) is None


def test_an_event_stands_for_its_challenge_where_it_has_none() -> None:
    assert fatigue(*(step("denied", f"p{i}", -M + i) for i in range(5))) is not None
    assert fatigue(*(step("denied", "p", -M + i, source=f"/idp{i}") for i in range(5))) is not None


def test_the_window_is_open_ten_minutes_before_and_closed_at_the_anchor() -> None:
    rest = flood(3, -3 * M)
    anchor = step("denied", "last", 0, challenge="last")
    assert fatigue(step("denied", "first", -10 * M + US, challenge="first"), *rest, anchor) is not None
    assert fatigue(step("denied", "first", -10 * M, challenge="first"), *rest, anchor) is None


def test_prompts_of_the_anchor_s_own_moment_count() -> None:
    assert fatigue(*(step("denied", f"p{i}", 0, challenge=f"ch{i}") for i in range(5))) is not None


@pytest.mark.parametrize(
    ("answered", "holds"),
    [(-10 * M, False), (-90 * S, False), (-M, False), (-M + US, True)],
    ids=["long before", "before", "at the anchor", "after"],
)
def test_a_challenge_that_was_verified_by_then_does_not_count(answered: int, holds: bool) -> None:
    assert (fatigue(*flood(5), verified(at=answered, challenge="ch2")) is not None) == holds


def test_a_login_that_answers_a_challenge_takes_it_out_as_well() -> None:
    login = event("session.started", "l", -90 * S, session="s1", amr=["hwk"], challenge="ch2")
    assert fatigue(*flood(5), login) is None


def test_the_session_does_not_matter_and_the_subject_does() -> None:
    assert fatigue(*(step("denied", f"p{i}", i, session=f"s{i}") for i in range(5))) is not None
    assert fatigue(*flood(4), step("denied", "p4", -M, subject="bob")) is None


def test_an_event_counts_until_an_hour_after_the_anchor_s_arrival() -> None:
    late, *others = flood(4)
    anchor = step("denied", "anchor", 0, challenge="anchor")
    assert fatigue(*others, anchor, {**late, "arrival": "2026-11-24T10:00:00Z"}) is not None
    assert fatigue(*others, anchor, {**late, "arrival": "2026-11-24T10:00:00.000001Z"}) is None


def test_an_anchor_later_than_accept_late_is_none() -> None:
    *before, last = flood(5)
    assert fatigue(*before, {**last, "arrival": "2026-11-25T08:59:00Z"}) is not None
    assert fatigue(*before, {**last, "arrival": "2026-11-25T08:59:00.000001Z"}) is None


# mfa_fatigue_success


def test_a_verification_after_fatigue_is_its_success() -> None:
    found = success(*flood(5), verified(at=-30 * S))
    assert found is not None
    assert (found["severity"], found["actions"], found["policy"]) == ("high", ["v"], "")


def test_without_fatigue_there_is_no_success() -> None:
    assert success(*flood(4), verified(at=-30 * S)) is None


def test_only_a_step_up_is_a_success() -> None:
    login = event("session.started", "l", -30 * S, session="s1", amr=["hwk"])
    assert success(*flood(5), login) is None


@pytest.mark.parametrize(
    ("after", "holds"),
    [(0, False), (US, True), (10 * M, True), (10 * M + US, False)],
    ids=["at", "past", "10m", "more"],
)
def test_it_comes_later_than_the_anchor_and_at_most_ten_minutes(after: int, holds: bool) -> None:
    assert (success(*flood(5), verified(at=-M + after)) is not None) == holds


def test_the_fatigue_counts_though_the_success_answered_its_last_challenge() -> None:
    assert success(*flood(5, end="challenged"), verified(at=-30 * S, challenge="ch4")) is not None


def test_an_anchor_that_arrived_an_hour_after_the_success_counts_and_a_microsecond_later_not() -> None:
    *before, last = flood(5)
    proof = verified(at=0)
    assert success(*before, {**last, "arrival": "2026-11-24T10:00:00Z"}, proof) is not None
    assert success(*before, {**last, "arrival": "2026-11-24T10:00:00.000001Z"}, proof) is None


def test_the_fatigue_is_judged_on_what_arrived_by_the_earlier_limit() -> None:
    # The missing prompt comes 61 min after the anchor: in time for the verification, too late for the anchor.
    before = flood(5)
    missing = {**before[0], "arrival": "2026-11-24T10:00:00Z"}
    assert fatigue(missing, *before[1:]) is None
    assert success(missing, *before[1:], verified(at=30 * S)) is None
    # Here in time for the anchor, which is late itself, and too late for the verification.
    late_anchor = {**before[4], "arrival": "2026-11-24T09:30:00Z"}
    later = {**before[0], "arrival": "2026-11-24T10:15:00Z"}
    assert fatigue(later, *before[1:4], late_anchor) is not None
    assert success(later, *before[1:4], late_anchor, verified(at=0)) is None


@pytest.mark.parametrize(
    ("at", "severity"),
    [(-30 * S - US, "high"), (-30 * S, "critical"), (4 * M + 30 * S, "critical"), (4 * M + 30 * S + US, "high")],
    ids=["before", "at once", "max_age", "more"],
)
def test_it_is_critical_if_a_policed_action_follows_within_its_max_age(at: int, severity: str) -> None:
    found = success(*flood(5), verified(at=-30 * S), action(at=at))
    assert found is not None
    assert found["severity"] == severity


@pytest.mark.parametrize("wrong", [{"action": "x.y"}, {"outcome": "failure"}, {"outcome": "denied"}])
def test_an_action_that_is_no_anchor_does_not_make_it_critical(wrong: Row) -> None:
    found = success(*flood(5), verified(at=-30 * S), action(**wrong))
    assert found is not None
    assert found["severity"] == "high"


def test_an_action_that_came_too_late_does_not_make_it_critical() -> None:
    lax = policy("max_age: 5m", defaults="accept_late: 30m")
    punctual = [*flood(5), verified(at=-30 * S)]
    assert alerted(lax, *punctual, action(arrival=30 * M))["mfa_fatigue_success"]["severity"] == "critical"
    assert alerted(lax, *punctual, action(arrival=30 * M + US))["mfa_fatigue_success"]["severity"] == "high"


def test_an_action_in_any_session_makes_it_critical() -> None:
    found = success(*flood(5), verified(at=-30 * S), action(session="s9"))
    assert found is not None
    assert found["severity"] == "critical"


def test_a_success_reported_later_than_accept_late_anchors_nothing() -> None:
    assert success(*flood(5), verified(at=0, arrival=D)) is not None
    assert success(*flood(5), verified(at=0, arrival=D + US)) is None
