"""What may be forgotten, when, and that it changes no verdict (contract section 5, the last sentence of the law)."""

import pytest

from stepwatch.streams.moments import forget_from
from tests.core.driver import T0_US, TOPICS, Driver, an_event, sets_of
from tests.core.given import MS, US, D, H, M, S, policy

# With the defaults a fact stays for max(24 h lookback, 24 h) + 24 h accept_late + max(1 h 10 s, 1 h).
STAYS = 2 * D + H + 10 * S


def kept(driver: Driver) -> list[tuple[str, str]]:
    """(kind, id) of what the state topic holds of events."""
    known = driver.correlator.known
    return sorted(
        [("fact", event_id) for ledger in known.ledgers.values() for _, event_id in ledger.facts]
        + [("action", event_id) for ledger in known.ledgers.values() for _, event_id in ledger.kept]
        + [("remembered", event_id) for ledger in known.ledgers.values() for _, event_id in ledger.remembered]
    )


# the moment


@pytest.mark.parametrize(
    ("policies", "time", "arrival", "moment"),
    [
        (policy(), 0, 0, STAYS),
        (policy(), 0, H, STAYS),
        (policy(), 0, 9 * D, 9 * D + H + 10 * S),
        (policy(defaults="lookback: 1h"), 0, 0, STAYS),
        (policy(defaults="lookback: 48h"), 0, 0, STAYS + D),
        (policy(defaults="accept_late: 1h"), 0, 0, D + H + H + 10 * S),
        (policy(defaults="revise_within: 5m"), 0, 0, 2 * D + H),
        (policy(defaults="revise_within: 3h", alert="grace: 1m"), 0, 0, 2 * D + 3 * H + M),
        (policy(sources="{name: /idp, silent_after: 60h}"), 0, 0, 60 * H + H + 10 * S),
        (policy(sources="{name: /idp, silent_after: 60h}"), 0, H, 61 * H + H + 10 * S),
    ],
)
def test_the_moment_is_made_of_the_largest_values(policies: str, time: int, arrival: int, moment: int) -> None:
    assert forget_from(sets_of(policies), T0_US + time, T0_US + arrival) == T0_US + moment


@pytest.mark.parametrize("topic", [TOPICS.actions, TOPICS.authentications])
def test_a_fact_stays_until_both_log_times_are_past_the_moment(topic: str) -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v")
    other = TOPICS.actions if topic == TOPICS.authentications else TOPICS.authentications
    driver.pulse(T0_US + 9 * D, [other])
    driver.pulse(T0_US + STAYS, [topic])
    assert kept(driver) == [("fact", "v")]
    driver.pulse(T0_US + STAYS + MS, [topic])
    assert kept(driver) == []


def test_a_closed_action_and_a_remembered_one_go_at_the_same_moment() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.action("gap", action="x.y", resource={"sensitivity": "high"})
    driver.pulse(T0_US + STAYS)
    assert kept(driver) == [("action", "a"), ("remembered", "gap")]
    driver.pulse(T0_US + STAYS + MS)
    assert kept(driver) == []


def test_an_action_that_has_not_closed_is_never_forgotten() -> None:
    driver = Driver(policy(defaults="accept_late: 1h, revise_within: 5d, lookback: 1h"))
    driver.action("a")
    driver.pulse(T0_US + 5 * D)
    assert kept(driver) == [("action", "a")]


def test_what_is_forgotten_leaves_nothing_in_the_state_but_positions() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v", time_us=T0_US - M)
    driver.action("a", time_us=T0_US)
    driver.pulse(T0_US + STAYS + M)
    assert [key for key in driver.state if not key.startswith(b"\0")] == []


def test_a_restart_forgets_no_later_and_no_earlier() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v")
    driver.restart()
    driver.pulse(T0_US + STAYS)
    driver.restart()
    assert kept(driver) == [("fact", "v")]
    driver.pulse(T0_US + STAYS + MS)
    assert kept(driver) == []


# it changes no verdict


def test_the_last_action_that_a_proof_may_still_cover_finds_it() -> None:
    # The action happens a full lookback after the proof and is reported as late as is accepted.
    driver = Driver(policy("max_age: 24h"))
    driver.evidence("stepup.verified", "v", time_us=T0_US, at_us=T0_US)
    driver.pulse(T0_US + 2 * D - MS)
    driver.action("a", time_us=T0_US + D, at_us=T0_US + 2 * D)
    assert driver.verdict("a")["verdict"] == "verified"
    driver.pulse(T0_US + 4 * D)
    assert [row["verdict"] for row in driver.revisions("a")] == ["verified"]


def test_an_action_reported_as_late_as_is_accepted_still_takes_the_proof_from_a_later_one() -> None:
    driver = Driver(policy("max_age: 24h, max_uses: 1"))
    driver.evidence("stepup.verified", "v", time_us=T0_US, at_us=T0_US)
    driver.action("later", time_us=T0_US + D, at_us=T0_US + 2 * D - M)
    driver.pulse(T0_US + 2 * D - 2 * S)
    driver.action("earlier", time_us=T0_US + D - S, at_us=T0_US + 2 * D - S)
    driver.pulse(T0_US + 4 * D)
    assert driver.verdict("earlier")["verdict"] == "verified"
    assert driver.verdict("later")["reason"] == "over_used"


def test_an_earlier_action_is_remembered_for_as_long_as_it_can_use_a_proof_up() -> None:
    driver = Driver(policy("max_age: 24h, max_uses: 1"))
    driver.evidence("stepup.verified", "v", time_us=T0_US, at_us=T0_US)
    driver.action("early", time_us=T0_US + MS, at_us=T0_US + MS)
    driver.pulse(T0_US + 2 * D - MS)
    driver.action("late", time_us=T0_US + D, at_us=T0_US + 2 * D)
    driver.pulse(T0_US + 2 * D + 10 * S)
    assert driver.verdict("late")["reason"] == "over_used"


def test_a_copy_within_that_time_is_still_known_as_a_copy() -> None:
    driver = Driver(policy())
    driver.action("a", time_us=T0_US)
    driver.pulse(T0_US + STAYS - MS)
    driver.action("a", time_us=T0_US)
    assert driver.counts["copies"] == 1
    driver.pulse(T0_US + 5 * D)
    assert len(driver.revisions("a")) == 1


def test_a_late_proof_stays_as_long_after_its_arrival_as_a_close_may_take() -> None:
    driver = Driver(policy("max_age: 24h"))
    driver.evidence("stepup.verified", "v", time_us=T0_US, at_us=T0_US + 9 * D)
    driver.pulse(T0_US + 9 * D + H + 10 * S)
    assert kept(driver) == [("fact", "v")]
    driver.pulse(T0_US + 9 * D + H + 10 * S + MS)
    assert kept(driver) == []


def test_signs_of_life_stay_for_as_long_as_a_window_may_reach_back() -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 2h}"))
    driver.heartbeat("/idp", time_us=T0_US)
    driver.pulse(T0_US + 30 * M)
    # Kept by others, so that the sign is not the last of its window.
    driver.heartbeat("/idp", "later", time_us=T0_US + 3 * H, at_us=T0_US + 3 * H)
    action = an_event("action.performed", "a", time_us=T0_US, session="s1", action="payments.x")
    driver.log.append(TOPICS.actions, action, T0_US + H)
    driver.read()
    driver.pulse(T0_US + 3 * H)
    assert driver.verdict("a")["verdict"] == "unverified"


def test_the_ledger_of_a_subject_goes_with_its_last_fact() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v")
    driver.evidence("stepup.verified", "w", subject="bob", time_us=T0_US + H)
    driver.pulse(T0_US + STAYS + M)
    assert list(driver.correlator.known.ledgers) == [("default", "bob")]
    assert driver.correlator.tidy_due_us() == T0_US + H + STAYS + US
