"""`source_silence` (contract section 6): by heartbeats, by the log time, by the owner of partition 0."""

import pytest

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US, TOPICS, Driver
from tests.core.given import MS, US, H, M, Row, S, action, alerted, event, heartbeat, policy

SILENT = policy(sources="{name: /idp, silent_after: 5m}")
PULSED = heartbeat(0, source="stepwatch", event_id="pulse")


def ends_at(at: int) -> Row:
    """A record that brings the greatest arrival of a file to a time."""
    return heartbeat(at, source="stepwatch", event_id="end")


def silence(*events: Row, policies: str = SILENT) -> Row | None:
    return alerted(policies, *events).get("source_silence")


def states(driver: Driver) -> list[tuple[str, str]]:
    return [(row["state"], row["resolved_by"]) for row in driver.alerts if row["kind"] == "source_silence"]


# when it holds


def test_a_source_is_silent_more_than_silent_after_its_last_sign() -> None:
    assert silence(heartbeat(0), ends_at(5 * M)) is None
    found = silence(heartbeat(0), ends_at(5 * M + US))
    assert found is not None
    assert (found["severity"], found["reason"], found["subject"], found["tenant"], found["policy"]) == (
        "high",
        "/idp",
        "",
        "",
        "",
    )


def test_the_last_sign_counts_and_not_the_first() -> None:
    assert silence(heartbeat(0), heartbeat(4 * M), ends_at(9 * M)) is None
    assert silence(heartbeat(0), heartbeat(4 * M), ends_at(9 * M + US)) is not None


def test_a_source_never_seen_counts_from_the_first_log_time() -> None:
    assert silence(PULSED, ends_at(5 * M)) is None
    assert silence(PULSED, ends_at(5 * M + US)) is not None


@pytest.mark.parametrize(("lag", "silent"), [(5 * M, False), (5 * M + US, True)])
def test_a_heartbeat_that_is_further_behind_is_no_sign(lag: int, silent: bool) -> None:
    behind = heartbeat(6 * M, complete_to=6 * M - lag)
    assert (silence(heartbeat(0), behind, ends_at(7 * M)) is not None) == silent


def test_only_heartbeats_count_and_no_other_event_of_the_source() -> None:
    other = event("session.revoked", "r", 4 * M, session="s1")
    assert silence(heartbeat(0), other, ends_at(6 * M)) is not None


def test_a_source_that_is_not_listed_or_has_no_silent_after_is_never_silent() -> None:
    assert silence(heartbeat(0), ends_at(H), policies=policy()) is None
    assert silence(heartbeat(0), ends_at(H), policies=policy(sources="{name: /idp, proves: [step_up]}")) is None


def test_it_goes_by_the_set_in_force_at_the_log_time() -> None:
    listed, unlisted = SILENT, policy()
    sets = PolicySets([build_set([("p.yaml", unlisted)], None), build_set([("p.yaml", listed)], T0_US + H)])
    assert "source_silence" not in alerted(sets, heartbeat(0), ends_at(H - US))
    assert "source_silence" in alerted(sets, heartbeat(0), ends_at(H))


def test_each_silent_source_is_an_alert_of_its_own() -> None:
    two = policy(sources="{name: /idp, silent_after: 5m}, {name: /feed, silent_after: 5m}")
    driver = Driver(two)
    driver.pulse(T0_US)
    driver.pulse(T0_US + 5 * M + MS)
    assert sorted(row["reason"] for row in driver.alerts) == ["/feed", "/idp"]


# in the stream


def test_a_pulse_is_due_just_past_silent_after() -> None:
    driver = Driver(SILENT)
    driver.heartbeat("/idp")
    assert driver.correlator.due_us() == T0_US + 5 * M + US


def test_it_is_reported_when_the_log_time_passes_and_resolved_by_the_next_sign() -> None:
    driver = Driver(SILENT)
    driver.heartbeat("/idp")
    driver.pulse(T0_US + 5 * M, [TOPICS.authentications])
    assert states(driver) == []
    driver.pulse(T0_US + 5 * M + MS, [TOPICS.authentications])
    assert states(driver) == [("open", "")]
    driver.heartbeat("/idp", "back", time_us=T0_US + H)
    assert states(driver) == [("open", ""), ("resolved", "source_recovered")]


def test_the_log_time_of_actions_does_not_make_a_source_silent() -> None:
    driver = Driver(SILENT)
    driver.heartbeat("/idp")
    driver.pulse(T0_US + H, [TOPICS.actions])
    assert states(driver) == []


def test_only_the_owner_of_partition_0_reports_it() -> None:
    for partition, count in ((0, 1), (1, 0)):
        driver = Driver(SILENT, partition=partition, partitions=2)
        driver.heartbeat("/idp")
        driver.pulse(T0_US + H)
        assert len(driver.alerts) == count
        assert driver.correlator.due_us() is None


def test_a_new_silence_is_a_new_alert() -> None:
    driver = Driver(SILENT)
    driver.heartbeat("/idp", "h1")
    driver.pulse(T0_US + H)
    driver.heartbeat("/idp", "h2", time_us=T0_US + H + S)
    driver.pulse(T0_US + 2 * H)
    opened = [row["alert_id"] for row in driver.alerts if row["state"] == "open"]
    assert len(set(opened)) == 2


@pytest.mark.parametrize("restarts", [False, True])
def test_a_restart_neither_repeats_nor_forgets_a_silence(restarts: bool) -> None:
    driver = Driver(SILENT)
    driver.heartbeat("/idp", "h1")
    driver.heartbeat("/idp", "late", at_us=T0_US + 4 * M, time_us=T0_US + 4 * M, complete_to="2026-11-24T08:00:00Z")
    for moment in (4 * M + MS, 6 * M, 7 * M, 8 * M):
        if restarts:
            driver.restart()
        driver.pulse(T0_US + moment)
    driver.heartbeat("/idp", "back", time_us=T0_US + 9 * M)
    assert states(driver) == [("open", ""), ("resolved", "source_recovered")]
    plain = Driver(SILENT)
    plain.heartbeat("/idp", "h1")
    plain.heartbeat("/idp", "late", at_us=T0_US + 4 * M, time_us=T0_US + 4 * M, complete_to="2026-11-24T08:00:00Z")
    plain.pulse(T0_US + 6 * M)
    assert driver.alerts[0]["alert_id"] == plain.alerts[0]["alert_id"]


def test_a_source_that_a_later_set_lists_was_heard_before() -> None:
    first, second = policy(), policy(sources="{name: /idp, silent_after: 30m}")
    sets = [build_set([("p.yaml", first)], None), build_set([("p.yaml", second)], T0_US + 70 * M)]
    driver = Driver(PolicySets(sets[:1]))
    for minute in range(0, 60, 5):
        driver.heartbeat("/idp", f"h{minute}", time_us=T0_US + minute * M)
    driver.correlator.use(PolicySets(sets))
    driver.pulse(T0_US + 71 * M)
    assert states(driver) == []
    driver.action("a", time_us=T0_US + 71 * M)
    driver.pulse(T0_US + 71 * M + 10 * S)
    assert driver.verdict("a")["verdict"] == "unverified"


def test_silence_makes_actions_blind_in_every_partition_by_their_own_log() -> None:
    driver = Driver(SILENT, partition=1, partitions=2)
    subject = next(name for name in ("alice", "bob", "carol", "dave") if _owned(driver, name))
    driver.heartbeat("/idp")
    driver.action("a", time_us=T0_US + H, subject=subject)
    driver.pulse(T0_US + H + 10 * S)
    assert driver.verdict("a")["reason"] == "source_silent"


def _owned(driver: Driver, subject: str) -> bool:
    return partition_of(subject_key("default", subject), driver.partitions) == driver.partition


def test_an_action_of_a_file_counts_for_its_end_as_well() -> None:
    assert silence(heartbeat(0), action(at=6 * M)) is not None
