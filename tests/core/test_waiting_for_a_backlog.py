"""A feed that comes back brings its backlog first, so nobody is accused before (contract section 5)."""

import pytest

from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.given import MS, D, H, M, S, policy

GRACE_END = T0_US + 10 * S
CLOSE = GRACE_END + H
SILENT = policy(sources="{name: /idp, silent_after: 5m}")


def said(driver: Driver) -> list[str]:
    """What was published of action `a`, in order."""
    return [f"{row['verdict']} {row['reason']}" for row in driver.revisions("a")]


def test_a_blind_action_becomes_unverified_only_grace_past_the_sign_of_life() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END)
    back = T0_US + 20 * M
    driver.heartbeat("/idp", time_us=back)
    assert said(driver) == ["blind source_silent"]
    assert driver.correlator.due_us() == back + 10 * S
    driver.pulse(back + 10 * S - MS)
    assert said(driver) == ["blind source_silent"]
    driver.pulse(back + 10 * S)
    assert said(driver) == ["blind source_silent", "unverified no_step_up"]


def test_a_feed_that_comes_back_brings_its_backlog_before_anybody_is_accused() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END)
    back = T0_US + 20 * M
    driver.heartbeat("/idp", time_us=back)
    driver.evidence("stepup.verified", "v", time_us=T0_US - M, at_us=back + 3 * S)
    driver.pulse(back + M)
    assert said(driver) == ["blind source_silent", "verified step_up"]


def test_an_event_of_the_subject_as_sign_of_life_starts_the_same_wait() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END)
    back = T0_US + 20 * M
    driver.evidence("session.revoked", "r", time_us=back, session="s9")
    driver.pulse(back + 10 * S - MS)
    assert said(driver) == ["blind source_silent"]
    driver.pulse(back + 10 * S)
    assert said(driver) == ["blind source_silent", "unverified no_step_up"]


def test_later_signs_of_life_do_not_prolong_the_wait() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END)
    back = T0_US + 20 * M
    for i in range(5):
        driver.heartbeat("/idp", f"h{i}", time_us=back + i * 2 * S)
    driver.heartbeat("/idp", "h9", time_us=back + 10 * S)
    assert said(driver) == ["blind source_silent", "unverified no_step_up"]


def test_of_several_sources_the_one_that_comes_back_last_starts_the_wait() -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 5m}, {name: /feed, silent_after: 5m}"))
    driver.action("a")
    driver.pulse(GRACE_END)
    driver.heartbeat("/feed", "h1", time_us=T0_US + 20 * M)
    driver.heartbeat("/idp", "h2", time_us=T0_US + 30 * M)
    assert driver.correlator.due_us() == T0_US + 30 * M + 10 * S


def test_a_sign_during_grace_makes_it_unverified_at_the_end_of_grace() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.heartbeat("/idp", time_us=T0_US + 9 * S)
    driver.pulse(GRACE_END)
    assert said(driver) == ["unverified no_step_up"]


def test_the_close_ends_the_wait_for_a_backlog() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END)
    driver.heartbeat("/idp", time_us=CLOSE - S)
    driver.pulse(CLOSE)
    assert said(driver) == ["blind source_silent"]
    driver.pulse(CLOSE + MS)
    assert said(driver) == ["blind source_silent", "unverified no_step_up"]


def test_a_sign_after_the_close_leaves_it_blind_for_good() -> None:
    driver = Driver(SILENT)
    driver.action("a")
    driver.pulse(GRACE_END)
    driver.heartbeat("/idp", time_us=CLOSE + MS)
    driver.pulse(CLOSE + D)
    assert said(driver) == ["blind source_silent"]


@pytest.mark.parametrize("limit", [1, 2, None])
def test_the_wait_for_a_backlog_does_not_depend_on_how_the_records_were_batched(limit: int | None) -> None:
    driver = Driver(SILENT)
    driver.action("a")
    back = T0_US + 20 * M
    for moment, source in ((GRACE_END, "stepwatch"), (back, "stepwatch"), (back, "/idp")):
        beat = an_event("heartbeat", "h", time_us=moment, subject=None, source=source)
        driver.log.append(TOPICS.authentications, beat, moment)
    while driver.correlator.positions.get(TOPICS.authentications, 0) < 3:
        driver.read(TOPICS.authentications, limit)
    assert "unverified no_step_up" not in said(driver)
    driver.evidence("stepup.verified", "v", time_us=T0_US - M, at_us=back + 3 * S)
    driver.pulse(back + M)
    assert said(driver)[-1] == "verified step_up"
    assert "unverified no_step_up" not in said(driver)
