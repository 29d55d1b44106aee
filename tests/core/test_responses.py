"""What a person decides about an alert, and what becomes of it (contract section 7)."""

from __future__ import annotations

import pytest

from stepwatch.schemas.times import format_time
from tests.core.driver import T0_US, TOPICS, Driver
from tests.core.given import H, M, S, policy

GRACE = 10 * S
RESTARTS = pytest.mark.parametrize("restarts", [False, True])


def alarmed() -> Driver:
    """One open alert, version 1, with action `a` of session s1."""
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    return driver


def unproved(driver: Driver, action_id: str, session: str) -> None:
    """One more member."""
    driver.action(action_id, session=session, time_us=T0_US + M)
    driver.pulse(driver.log.now_us + GRACE)


def decide(driver: Driver, decision: str, version: int = 1) -> None:
    driver.respond(driver.alerts[0]["alert_id"], decision, version=version)


def prove(driver: Driver, proof: str, session: str = "s1") -> None:
    driver.evidence("stepup.verified", proof, time_us=T0_US - M, session=session)


def withdraw(driver: Driver, revocation: str, session: str = "s1") -> None:
    driver.evidence("session.revoked", revocation, time_us=T0_US - S, session=session)


def story(driver: Driver) -> list[tuple[int, str, str, int]]:
    """(version, state, resolved_by, count) of every version."""
    return [(row["version"], row["state"], row["resolved_by"], row["count"]) for row in driver.alerts]


OPENED = (1, "open", "", 1)


# what a decision does


def test_a_person_acknowledges_and_then_resolves() -> None:
    driver = alarmed()
    decide(driver, "acknowledge")
    decide(driver, "resolve", 2)
    assert story(driver) == [OPENED, (2, "acknowledged", "", 1), (3, "resolved", "person", 1)]
    assert driver.counts["responses.applied"] == 2


def test_a_person_may_resolve_without_acknowledging() -> None:
    driver = alarmed()
    decide(driver, "resolve")
    assert story(driver) == [OPENED, (2, "resolved", "person", 1)]


def test_a_note_changes_no_state_and_makes_no_version() -> None:
    driver = alarmed()
    decide(driver, "note")
    assert story(driver) == [OPENED]
    assert driver.counts["responses.without_effect"] == 1


def test_a_decision_that_comes_twice_is_one() -> None:
    driver = alarmed()
    for _ in range(2):
        decide(driver, "acknowledge")
    for _ in range(2):
        decide(driver, "resolve", 2)
    assert len(story(driver)) == 3


def test_two_decisions_in_one_batch_make_one_version() -> None:
    driver = alarmed()
    alert_id = driver.alerts[0]["alert_id"]
    for decision in ("acknowledge", "resolve"):
        response = {"id": decision, "alert_id": alert_id, "seen_version": 1, "decision": decision}
        driver.log.append(TOPICS.responses, {**response, "by": "olga", "at": format_time(T0_US)}, key=b"default/alice")
    driver.read()
    assert story(driver) == [OPENED, (2, "resolved", "person", 1)]


def test_an_acknowledged_alert_stays_so_while_members_come_and_resolves_itself_when_all_left() -> None:
    driver = alarmed()
    decide(driver, "acknowledge")
    unproved(driver, "b", "s2")
    prove(driver, "v1")
    prove(driver, "v2", "s2")
    assert [(state, by, count) for _, state, by, count in story(driver)[2:]] == [
        ("acknowledged", "", 2),
        ("acknowledged", "", 1),
        ("resolved", "late_verification", 0),
    ]


def test_a_decision_about_an_alert_that_is_not_known_here_has_no_effect() -> None:
    driver = alarmed()
    driver.respond("al_0", "resolve")
    assert story(driver) == [OPENED]
    assert driver.counts["responses.without_effect"] == 1


def test_an_alert_that_resolved_itself_is_nobodys_to_resolve() -> None:
    driver = alarmed()
    prove(driver, "v")
    decide(driver, "resolve", 2)
    assert story(driver)[-1] == (2, "resolved", "late_verification", 0)
    withdraw(driver, "r")
    assert story(driver)[-1] == (3, "open", "", 1)


# what the person had seen


def test_a_decision_covers_the_members_of_the_version_that_the_person_saw() -> None:
    driver = alarmed()
    unproved(driver, "b", "s2")
    decide(driver, "resolve", 1)
    assert story(driver) == [OPENED, (2, "open", "", 2)]
    decide(driver, "resolve", 2)
    assert story(driver)[-1] == (3, "resolved", "person", 2)


def test_an_older_version_is_enough_where_no_member_came_since() -> None:
    driver = alarmed()
    unproved(driver, "b", "s2")
    prove(driver, "v2", "s2")
    assert story(driver)[-1] == (3, "open", "", 1)
    decide(driver, "resolve", 1)
    assert story(driver)[-1] == (4, "resolved", "person", 1)


@pytest.mark.parametrize(("version", "done"), [(1, True), (2, False)])
def test_nobody_can_have_seen_a_version_that_was_never_written(version: int, done: bool) -> None:
    driver = alarmed()
    decide(driver, "resolve", version)
    assert (story(driver)[-1][1] == "resolved") is done


# reopening


@RESTARTS
def test_one_resolved_by_a_person_reopens_for_a_member_that_it_did_not_have(restarts: bool) -> None:
    driver = alarmed()
    decide(driver, "resolve")
    if restarts:
        driver.restart()
    unproved(driver, "b", "s2")
    assert story(driver)[-1] == (3, "open", "", 2)


@RESTARTS
def test_one_resolved_by_a_person_stays_so_for_a_member_that_left_and_comes_back(restarts: bool) -> None:
    driver = alarmed()
    decide(driver, "resolve")
    for step in (prove, withdraw):
        if restarts:
            driver.restart()
        step(driver, step.__name__)
    assert story(driver)[2:] == [(3, "resolved", "person", 0), (4, "resolved", "person", 1)]


@RESTARTS
def test_a_member_that_had_left_before_the_person_resolved_was_one_that_it_had(restarts: bool) -> None:
    driver = alarmed()
    unproved(driver, "b", "s2")
    prove(driver, "v2", "s2")
    decide(driver, "resolve", 3)
    if restarts:
        driver.restart()
    withdraw(driver, "r2", "s2")
    assert driver.verdict("b")["verdict"] == "unverified"
    assert story(driver)[-1][1:] == ("resolved", "person", 2)


@RESTARTS
def test_one_resolved_by_a_person_stays_so_for_another_reason_of_a_member(restarts: bool) -> None:
    driver = alarmed()
    decide(driver, "resolve")
    if restarts:
        driver.restart()
    driver.evidence("stepup.denied", "n", time_us=T0_US - S)
    (_, _, last) = [row for row in driver.alerts if row["kind"] == "unverified_action"]
    assert (last["state"], last["resolved_by"], last["reason"]) == ("resolved", "person", "denied")


@RESTARTS
def test_one_that_reopened_can_be_resolved_by_a_person_again(restarts: bool) -> None:
    driver = alarmed()
    decide(driver, "resolve")
    unproved(driver, "b", "s2")
    if restarts:
        driver.restart()
    decide(driver, "resolve", 3)
    unproved(driver, "c", "s3")
    assert [state for _, state, _, _ in story(driver)] == ["open", "resolved", "open", "resolved", "open"]


@RESTARTS
def test_a_decision_and_what_was_seen_survive_a_restart_before_the_next_one(restarts: bool) -> None:
    driver = alarmed()
    decide(driver, "acknowledge")
    unproved(driver, "b", "s2")
    if restarts:
        driver.restart()
    decide(driver, "resolve", 2)
    assert story(driver)[-1] == (3, "acknowledged", "", 2)
    decide(driver, "resolve", 3)
    assert story(driver)[-1] == (4, "resolved", "person", 2)


@RESTARTS
def test_an_expired_alert_reopens_for_a_new_member_only(restarts: bool) -> None:
    driver = Driver(policy(defaults="revise_within: 40d, accept_late: 40d"))
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.pulse(T0_US + 31 * 24 * H)
    assert story(driver)[-1] == (2, "resolved", "expired", 1)
    if restarts:
        driver.restart()
    driver.evidence("stepup.denied", "n", time_us=T0_US - S, session="s2")
    prove(driver, "v")
    withdraw(driver, "r")
    assert {state for _, state, _, _ in story(driver)[1:] if state != "open"} == {"resolved"}
    unproved(driver, "b", "s2")
    last = [row for row in driver.alerts if row["kind"] == "unverified_action"][-1]
    assert (last["state"], last["resolved_by"], last["count"]) == ("open", "", 2)


@RESTARTS
def test_a_silence_that_a_person_resolved_is_raised_again_when_the_source_falls_silent_anew(restarts: bool) -> None:
    """All heartbeats of the feed have one id, so both silences have one alert: each is a member of its own."""
    driver = Driver(policy(sources="{name: /idp, silent_after: 5m}"))
    driver.heartbeat("/idp", "always the same")
    driver.pulse(T0_US + 6 * M)
    decide(driver, "resolve")
    driver.heartbeat("/idp", "always the same")
    if restarts:
        driver.restart()
    driver.pulse(driver.log.now_us + 6 * M)
    assert story(driver)[-1][1:] == ("open", "", 1)
    assert len({row["alert_id"] for row in driver.alerts}) == 1


@RESTARTS
def test_a_silence_that_a_person_resolved_stays_resolved_while_it_lasts(restarts: bool) -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 5m}"))
    driver.heartbeat("/idp", "h")
    driver.pulse(T0_US + 6 * M)
    decide(driver, "resolve")
    if restarts:
        driver.restart()
    driver.pulse(driver.log.now_us + 6 * H)
    assert story(driver) == [OPENED, (2, "resolved", "person", 1)]
