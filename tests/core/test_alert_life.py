"""When an alert opens, resolves itself, reopens, expires and gets a new version (contract section 7)."""

from __future__ import annotations

import pytest

from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.given import MS, PAYOUT, D, H, M, S, policy

GRACE = 10 * S


def alerting(require: str = "", **more: str) -> Driver:
    return Driver(policy(require, **more))


def versions(driver: Driver, kind: str = "unverified_action") -> list[tuple[int, str, str, int]]:
    """(version, state, resolved_by, count) of every version of alerts of a kind."""
    rows = [row for row in driver.alerts if row["kind"] == kind]
    return [(row["version"], row["state"], row["resolved_by"], row["count"]) for row in rows]


# resolving by itself


def test_an_alert_whose_last_member_left_as_verified_resolves_by_late_verification() -> None:
    driver = alerting()
    driver.action("a")
    driver.action("b", session="s2")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.verified", "v1", time_us=T0_US - S)
    driver.evidence("stepup.verified", "v2", time_us=T0_US - S, session="s2")
    assert versions(driver) == [
        (1, "open", "", 2),
        (2, "open", "", 1),
        (3, "resolved", "late_verification", 0),
    ]


def test_a_blind_alert_whose_action_became_unverified_resolves_by_source_recovered() -> None:
    driver = alerting(sources="{name: /idp, silent_after: 5m}")
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.heartbeat("/idp", time_us=T0_US + 20 * M)
    driver.pulse(T0_US + 20 * M + GRACE)
    assert versions(driver, "blind") == [(1, "open", "", 1), (2, "resolved", "source_recovered", 0)]
    assert versions(driver) == [(1, "open", "", 1)]


def test_a_blind_alert_whose_action_turned_out_verified_resolves_by_late_verification() -> None:
    driver = alerting(sources="{name: /idp, silent_after: 5m}")
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.verified", "v", time_us=T0_US - S, at_us=T0_US + 20 * M)
    assert versions(driver, "blind") == [(1, "open", "", 1), (2, "resolved", "late_verification", 0)]


def test_a_pattern_that_turned_out_not_to_hold_resolves_by_revision() -> None:
    driver = alerting()
    for i in range(5):
        driver.evidence("stepup.challenged", f"c{i}", time_us=T0_US + i, challenge=f"c{i}")
    assert versions(driver, "mfa_fatigue") == [(1, "open", "", 1)]
    driver.evidence("stepup.verified", "v", time_us=T0_US + 1, challenge="c1")
    assert versions(driver, "mfa_fatigue")[-1] == (2, "resolved", "revision", 0)


def test_a_resolved_alert_still_shows_what_it_was_about() -> None:
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.verified", "v", time_us=T0_US - S)
    before, after = driver.alerts
    kept = ("severity", "reason", "title", "explanation", "first_time", "last_time", "closes_at")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert (after["count"], after["actions"]) == (0, [])


def test_an_alert_that_resolved_itself_reopens_when_its_member_comes_back_and_when_another_comes() -> None:
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.verified", "v", time_us=T0_US - M)
    driver.restart()
    driver.evidence("session.revoked", "r", time_us=T0_US - S)
    assert versions(driver)[-1] == (3, "open", "", 1)
    driver.evidence("stepup.verified", "w", time_us=T0_US)
    driver.restart()
    driver.action("b", session="s2", time_us=T0_US + S)
    driver.pulse(driver.log.now_us + GRACE)
    assert versions(driver)[3:] == [(4, "resolved", "late_verification", 0), (5, "open", "", 1)]
    assert driver.alerts[-1]["actions"] == ["b"]


# versions


def test_a_batch_writes_at_most_one_version_of_an_alert_whatever_happens_in_it() -> None:
    driver = alerting()
    for i in range(5):
        driver.log.append(
            TOPICS.actions, an_event("action.performed", f"a{i}", session=f"s{i}", action=PAYOUT), T0_US + i * MS
        )
    driver.read()
    driver.pulse(T0_US + M)
    assert versions(driver) == [(1, "open", "", 5)]
    for i in range(3):
        driver.log.append(TOPICS.authentications, an_event("stepup.verified", f"v{i}", source="/idp", session=f"s{i}"))
    driver.read()
    assert versions(driver) == [(1, "open", "", 5), (2, "open", "", 2)]


def test_an_alert_whose_members_came_and_went_within_one_batch_never_was() -> None:
    driver = alerting()
    for i in range(5):
        event = an_event("stepup.challenged", f"c{i}", time_us=T0_US + i, source="/idp", challenge=f"c{i}")
        driver.log.append(TOPICS.authentications, event)
    answered = an_event("stepup.verified", "v", time_us=T0_US + 1, source="/idp", challenge="c1")
    driver.log.append(TOPICS.authentications, answered)
    driver.read()
    driver.restart()
    driver.pulse(T0_US + H)
    assert driver.alerts == []


def test_a_batch_that_changes_nothing_of_an_alert_writes_no_version() -> None:
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    for restart in (False, True):
        if restart:
            driver.restart()
        driver.evidence("stepup.verified", "other", session="s7", subject="bob")
        driver.action("a", time_us=T0_US)
        driver.pulse(driver.log.now_us + M)
        assert versions(driver) == [(1, "open", "", 1)]


def test_a_new_reason_of_the_first_member_is_a_new_version_and_of_a_later_one_is_none() -> None:
    driver = alerting()
    driver.action("a")
    driver.action("b", session="s2")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.denied", "n2", time_us=T0_US - S, session="s2")
    assert driver.verdict("b")["reason"] == "denied"
    assert versions(driver) == [(1, "open", "", 2)]
    driver.evidence("stepup.denied", "n1", time_us=T0_US - S)
    assert versions(driver) == [(1, "open", "", 2), (2, "open", "", 2)]
    assert driver.alerts[-1]["reason"] == "denied"


def test_a_count_that_only_falls_is_a_new_version_that_stays_open() -> None:
    """Whom it is told to is for the notify role: a version that differs in nothing but a lower count, to nobody."""
    driver = alerting()
    driver.action("a")
    driver.action("b", session="s2", time_us=T0_US + M)
    driver.pulse(T0_US + M + GRACE)
    driver.evidence("stepup.verified", "v2", time_us=T0_US + 50 * S, session="s2")
    one, two = driver.alerts[-2:]
    changed = {name for name in one if one[name] != two[name]}
    wall_clock = {"updated_at", "detection_ms", "overdue_ms"}
    assert changed - wall_clock == {"version", "count", "actions", "title", "last_time"}
    assert (two["version"], two["state"], two["count"]) == (2, "open", 1)


# expiry and the tombstone


def test_an_alert_left_open_is_resolved_by_expired_when_both_inputs_are_30_days_past_its_last_change() -> None:
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    last_change = T0_US + GRACE
    driver.pulse(last_change + 30 * D)
    driver.pulse(last_change + 30 * D + MS, [TOPICS.actions])
    assert versions(driver) == [(1, "open", "", 1)]
    driver.pulse(last_change + 30 * D + MS, [TOPICS.authentications])
    assert versions(driver) == [(1, "open", "", 1), (2, "resolved", "expired", 1)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_change_begins_the_30_days_anew(restarts: bool) -> None:
    driver = alerting(defaults="revise_within: 2h")
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.denied", "n", time_us=T0_US - S, at_us=T0_US + H)
    if restarts:
        driver.restart()
    driver.pulse(T0_US + H + 30 * D)
    assert [row[1] for row in versions(driver)] == ["open", "open"]
    driver.pulse(T0_US + H + 30 * D + MS)
    assert versions(driver)[-1] == (3, "resolved", "expired", 1)


def test_an_alert_whose_moment_passes_while_a_later_member_changes_its_reason_still_expires() -> None:
    """The row says nothing new, so the batch writes no version: the moment must not be lost for that."""
    driver = alerting(defaults="revise_within: 40d")
    driver.action("a")
    driver.action("b", session="s2")
    driver.pulse(T0_US + GRACE)
    moment = T0_US + GRACE + 30 * D + MS
    driver.pulse(moment, [TOPICS.actions])
    driver.evidence("stepup.denied", "n", time_us=T0_US - S, at_us=moment, session="s2")
    assert driver.verdict("b")["reason"] == "denied"
    driver.pulse(moment + D)
    assert versions(driver)[-1] == (2, "resolved", "expired", 2)


@pytest.mark.timeout(20)
def test_an_alert_that_changes_in_the_batch_that_brings_its_moment_costs_no_more_than_a_step() -> None:
    """The log jumps by weeks, and the same batch brings a member: it is not asked again for each microsecond."""
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.action("b", session="s2")
    driver.pulse(T0_US + 40 * D)
    assert versions(driver) == [(1, "open", "", 1), (2, "open", "", 2)]
    driver.pulse(T0_US + 70 * D)
    assert len(versions(driver)) == 2
    driver.pulse(T0_US + 70 * D + MS)
    assert versions(driver)[-1] == (3, "resolved", "expired", 2)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_resolved_alert_goes_to_its_tombstone_no_earlier_than_7_days_after_its_last_change(restarts: bool) -> None:
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    driver.evidence("stepup.verified", "v", time_us=T0_US - S)
    # bucket end + accept_late + grace + revise_within + 1 h, and 7 days
    moment = T0_US + H + D + GRACE + H + H + 7 * D
    if restarts:
        driver.restart()
    driver.pulse(moment)
    assert len(driver.correlator.known.alerting.standing) == 1
    driver.pulse(moment + MS)
    assert driver.effects.alerts == [(f"default/{driver.alerts[0]['alert_id']}".encode(), None)]
    assert driver.correlator.known.alerting.standing == {}
    assert {key for key in driver.state if not key.startswith(b"\0")} == set()
