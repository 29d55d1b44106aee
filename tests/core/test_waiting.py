"""When a verdict is published: waiting by log time, withdrawing, and the close (contract section 5)."""

from typing import Any

import pytest

from stepwatch.schemas.times import parse_time
from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.given import MS, US, D, H, M, S, policy

GRACE_END = T0_US + 10 * S
CLOSE = GRACE_END + H
SILENT = policy(sources="{name: /idp, silent_after: 5m}")


def said(driver: Driver, action_id: str = "a") -> list[str]:
    """What was published of an action, in order."""
    return [f"{row['verdict']} {row['reason']}" for row in driver.revisions(action_id)]


def verify(driver: Driver, event_id: str = "v", at: int = -M, **fields: Any) -> None:
    driver.evidence("stepup.verified", event_id, time_us=T0_US + at, **fields)


# at once


def test_verified_is_published_at_once_where_the_proof_came_first() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    assert said(driver) == ["verified step_up"]


def test_verified_is_published_at_once_where_the_proof_comes_during_grace() -> None:
    driver = Driver(policy())
    driver.action("a")
    assert said(driver) == []
    verify(driver, at_us=T0_US + 9 * S)
    assert said(driver) == ["verified step_up"]


def test_exempt_and_not_required_are_published_at_once() -> None:
    exempting = """version: 1
policies: [{id: p, match: {action: ["payments.*"]}, require: {}, exempt: {when: "subject == 'alice'"}}]"""
    driver = Driver(exempting)
    driver.action("a")
    driver.action("b", action="x.y")
    assert (said(driver, "a"), said(driver, "b")) == (["exempt exemption"], ["not_required no_policy"])


# at the end of grace


def test_unverified_is_published_when_the_log_time_of_authentications_reaches_the_end_of_grace() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(GRACE_END - MS, [TOPICS.authentications])
    assert said(driver) == []
    driver.pulse(GRACE_END, [TOPICS.authentications])
    assert said(driver) == ["unverified no_step_up"]


def test_the_log_time_of_actions_does_not_end_the_waiting() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(T0_US + D, [TOPICS.actions])
    assert said(driver) == []


def test_grace_goes_by_the_arrival_of_the_action_and_not_by_its_time() -> None:
    driver = Driver(policy())
    driver.action("a", time_us=T0_US - H, at_us=T0_US)
    driver.pulse(GRACE_END - MS)
    assert said(driver) == []
    driver.pulse(GRACE_END)
    assert said(driver) == ["unverified no_step_up"]


def test_the_arrival_is_the_greatest_append_time_up_to_the_record() -> None:
    driver = Driver(policy())
    driver.pulse(T0_US + 5 * S)
    driver.action("a", time_us=T0_US, at_us=T0_US)
    driver.pulse(T0_US + 15 * S - MS)
    assert said(driver) == []
    driver.pulse(T0_US + 15 * S)
    assert parse_time(driver.verdict("a")["arrival"]) == T0_US + 5 * S


def test_where_authentications_are_read_far_ahead_unverified_is_said_as_soon_as_the_action_is_read() -> None:
    driver = Driver(policy())
    driver.pulse(T0_US + 2 * H, [TOPICS.authentications])
    driver.action("a", time_us=T0_US, at_us=T0_US)
    assert said(driver) == ["unverified no_step_up"]


def test_blind_waits_for_the_end_of_grace_too() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END - MS)
    assert said(driver) == []
    driver.pulse(GRACE_END)
    assert said(driver) == ["blind source_silent"]


def test_too_late_waits_for_the_end_of_grace_and_no_proof_changes_it() -> None:
    driver = Driver(policy())
    driver.action("a", time_us=T0_US - D - MS, at_us=T0_US)
    assert said(driver) == []
    driver.evidence("stepup.verified", "v", time_us=T0_US - D - M, at_us=T0_US + S)
    driver.pulse(GRACE_END)
    assert said(driver) == ["blind too_late"]


def test_a_grace_of_nothing_is_over_when_authentications_reach_the_arrival() -> None:
    driver = Driver(policy(alert="grace: 0s"))
    driver.pulse(T0_US - MS, [TOPICS.authentications])
    driver.action("a", at_us=T0_US)
    assert said(driver) == []
    driver.pulse(T0_US, [TOPICS.authentications])
    assert said(driver) == ["unverified no_step_up"]


def test_a_proof_in_the_record_that_ends_the_grace_is_still_in_time() -> None:
    driver = Driver(policy())
    driver.action("a")
    verify(driver, at_us=GRACE_END)
    assert said(driver) == ["verified step_up"]


# what waits


def test_due_names_the_end_of_the_earliest_grace_and_nothing_where_nothing_waits() -> None:
    driver = Driver(policy())
    assert driver.correlator.due_us() is None
    driver.action("a")
    driver.action("b", time_us=T0_US + S)
    assert driver.correlator.due_us() == GRACE_END
    driver.pulse(GRACE_END)
    assert driver.correlator.due_us() == GRACE_END + S
    driver.pulse(GRACE_END + S)
    assert driver.correlator.due_us() is None
    assert driver.correlator.waiting_count == 0


def test_a_verified_action_waits_for_nothing() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    assert driver.correlator.due_us() is None


def test_tidy_due_names_the_moment_past_the_close() -> None:
    driver = Driver(policy())
    driver.action("a")
    assert driver.correlator.tidy_due_us() == CLOSE + US


@pytest.mark.parametrize("restarts", [False, True])
def test_a_restart_forgets_neither_what_waits_nor_until_when(restarts: bool) -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(GRACE_END - MS)
    if restarts:
        driver.restart()
    # After a restart it may ask for a record at once, to judge again what is open; never later than what is due.
    due_us = driver.correlator.due_us()
    assert due_us is not None
    assert due_us <= GRACE_END
    driver.pulse(GRACE_END - MS)
    assert (said(driver), driver.correlator.due_us()) == ([], GRACE_END)
    driver.pulse(GRACE_END)
    assert said(driver) == ["unverified no_step_up"]


# withdrawing


def test_a_published_verified_is_withdrawn_at_the_end_of_grace_at_the_earliest() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    driver.evidence("session.revoked", "r", time_us=T0_US - S, at_us=T0_US + 2 * S)
    assert said(driver) == ["verified step_up"]
    driver.pulse(GRACE_END - MS)
    assert said(driver) == ["verified step_up"]
    driver.pulse(GRACE_END)
    assert said(driver) == ["verified step_up", "unverified voided"]


def test_a_verified_that_fell_and_stood_again_during_grace_is_never_withdrawn() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    driver.evidence("session.revoked", "r", time_us=T0_US - 10 * S, at_us=T0_US + 2 * S)
    verify(driver, "w", at=-5 * S, at_us=T0_US + 3 * S)
    driver.pulse(GRACE_END)
    assert [row["verification"] for row in driver.revisions("a")] == ["v", "w"]


def test_after_the_end_of_grace_a_verified_is_withdrawn_at_once() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    driver.pulse(GRACE_END)
    driver.evidence("session.revoked", "r", time_us=T0_US - S, at_us=GRACE_END + MS)
    assert said(driver) == ["verified step_up", "unverified voided"]


def test_an_earlier_action_that_comes_late_takes_the_proof_from_a_later_one() -> None:
    driver = Driver(policy("max_uses: 1"))
    verify(driver)
    driver.action("late", time_us=T0_US)
    driver.pulse(GRACE_END)
    driver.action("early", time_us=T0_US - S)
    assert said(driver, "early") == ["verified step_up"]
    assert said(driver, "late") == ["verified step_up", "unverified over_used"]


# until the close


def test_until_the_close_every_change_is_published_at_once() -> None:
    driver = Driver(policy("amr_any: [hwk]"))
    driver.action("a")
    driver.pulse(GRACE_END)
    driver.evidence("stepup.denied", "d", time_us=T0_US - S)
    verify(driver, "weak", amr=["pwd"])
    verify(driver, "v", amr=["hwk"])
    driver.evidence("session.revoked", "r", time_us=T0_US - S)
    assert said(driver) == [
        "unverified no_step_up",
        "unverified denied",
        "unverified weak_factor",
        "verified step_up",
        "unverified voided",
    ]


@pytest.mark.parametrize(("arrival", "last"), [(CLOSE, "verified step_up"), (CLOSE + MS, "unverified no_step_up")])
def test_a_proof_counts_until_the_close_whenever_it_is_read(arrival: int, last: str) -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(GRACE_END)
    driver.pulse(CLOSE + D, [TOPICS.actions])
    driver.evidence("stepup.verified", "v", time_us=T0_US - M, at_us=arrival)
    driver.pulse(CLOSE + D)
    assert said(driver)[-1] == last


def test_after_the_close_the_verdict_is_final() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    driver.pulse(CLOSE + MS)
    driver.evidence("session.revoked", "r", time_us=T0_US - S, at_us=CLOSE + S)
    driver.pulse(CLOSE + D)
    assert said(driver) == ["verified step_up"]


def test_an_action_stays_open_until_both_inputs_are_past_its_close() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(CLOSE + H, [TOPICS.authentications])
    driver.pulse(CLOSE, [TOPICS.actions])
    assert driver.correlator.open_count == 1
    driver.pulse(CLOSE + MS, [TOPICS.actions])
    assert driver.correlator.open_count == 0


def test_what_arrived_in_time_and_is_read_after_the_other_input_passed_the_close_still_counts() -> None:
    driver = Driver(policy("max_uses: 1"))
    verify(driver)
    driver.action("late", time_us=T0_US, at_us=T0_US)
    early = an_event("action.performed", "early", time_us=T0_US - S, session="s1", action="payments.x")
    driver.log.append(TOPICS.actions, early, CLOSE)
    driver.pulse(CLOSE + D, [TOPICS.authentications])
    driver.read(TOPICS.actions)
    driver.pulse(CLOSE + D)
    assert said(driver, "late")[-1] == "unverified over_used"


# late evidence


def test_evidence_that_arrives_after_the_close_is_stored_counted_and_shown() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(CLOSE + MS)
    driver.evidence("stepup.verified", "v", time_us=T0_US - M, at_us=CLOSE + S)
    driver.pulse(CLOSE + D)
    assert said(driver) == ["unverified no_step_up"]
    assert driver.counts["late_evidence"] == 1
    assert [(row["event_id"], row["late"]) for row in driver.evidence_rows] == [("v", True)]


def test_evidence_in_time_is_not_counted_as_late() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.evidence("stepup.verified", "v", time_us=T0_US - M, at_us=CLOSE)
    assert driver.counts["late_evidence"] == 0
    assert [row["late"] for row in driver.evidence_rows] == [False]


def test_evidence_of_another_action_is_not_late_for_one_that_it_cannot_cover() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(CLOSE + MS)
    driver.evidence("stepup.verified", "v", time_us=CLOSE + S, at_us=CLOSE + S)
    assert driver.counts["late_evidence"] == 0
