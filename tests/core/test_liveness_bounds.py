"""What is kept of heartbeats stays small, however often they come: one state record is one Kafka message."""

import pytest

from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.given import H, M, S, policy

STATE_RECORD_BYTES_MAX = 64 * 1024


@pytest.mark.parametrize("every_s", [1, 5, 40])
def test_the_state_of_a_feed_stays_small_after_thirty_hours_of_heartbeats(every_s: int) -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 1m}"))
    largest = 0
    for minute in range(0, 30 * 60, 10):
        for second in range(0, 600, every_s):
            at_us = T0_US + minute * M + second * S
            beat = an_event("heartbeat", f"h{at_us}", time_us=at_us, subject=None, source="/idp")
            driver.log.append(TOPICS.authentications, beat, at_us)
        driver.pulse(T0_US + minute * M, [TOPICS.actions])
        effects = driver.read(TOPICS.authentications)
        largest = max(largest, *(len(value or b"") for _, value in effects.state))
    assert largest < STATE_RECORD_BYTES_MAX


def test_a_sign_that_an_open_action_needs_is_not_forgotten_for_that() -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 1h}", defaults="revise_within: 5h"))
    driver.heartbeat("/idp", time_us=T0_US)
    driver.action("a", time_us=T0_US + H - 10 * S, at_us=T0_US + H - 10 * S)
    # Later signs and the hours pass, but what counts for a is the sign at the very start of its window.
    for hour in range(7, 12):
        driver.heartbeat("/idp", f"h{hour}", time_us=T0_US + hour * H)
        driver.pulse(T0_US + hour * H)
        driver.restart()
    assert [row["verdict"] for row in driver.revisions("a")] == ["unverified"]
