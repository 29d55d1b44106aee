"""Records in a wrong partition are moved, and keep their first arrival (contract section 2)."""

from __future__ import annotations

import pytest

from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_time
from stepwatch.streams.routing import FIRST_ARRIVAL, MOVES, first_arrival, moves_of
from tests.core.driver import MS_US, T0_US, TOPICS, Driver, an_event

POLICY = """
defaults: {accept_late: 24h}
identities: [{subject: alice, aliases: [00u1abc]}]
policies: [{id: p, match: {action: ["payments.*"]}, require: {amr_any: [hwk]}}]
"""
HOME = partition_of(b"default/alice", 4)
PAYOUT = an_event("action.performed", "a-1", action="payments.payout.approve", session="s")


def moved(first_us: int, times: int = 1) -> list[tuple[str, bytes]]:
    return [(FIRST_ARRIVAL, format_time(first_us).encode()), (MOVES, str(times).encode())]


def test_a_record_in_the_wrong_partition_is_moved_with_its_first_arrival_and_judged_in_none() -> None:
    wrong = Driver(POLICY, (HOME + 1) % 4, 4)
    sent = wrong.log.append(TOPICS.actions, {**PAYOUT, "subject": "00u1abc"}, T0_US, headers=[("trace", b"x")])
    wrong.read()
    (move,) = wrong.effects.moves
    assert (move.topic, move.partition, move.key, move.value) == (TOPICS.actions, HOME, b"default/alice", sent.value)
    assert move.headers == [("trace", b"x"), *moved(T0_US)]
    assert wrong.rows == wrong.evidence_rows == wrong.dead_letters == []
    assert wrong.counts["moved"] == 1
    assert {key for key in wrong.state if not key.startswith(b"\0")} == set()


def test_a_move_of_a_moved_record_keeps_the_arrival_and_counts_on() -> None:
    wrong = Driver(POLICY, (HOME + 1) % 4, 4)
    wrong.send(TOPICS.actions, PAYOUT, T0_US + HOUR_US, headers=moved(T0_US, 2))
    assert wrong.effects.moves[0].headers == moved(T0_US, 3)


def test_a_record_that_was_moved_three_times_is_a_dead_letter() -> None:
    wrong = Driver(POLICY, (HOME + 1) % 4, 4)
    wrong.send(TOPICS.actions, PAYOUT, T0_US, headers=moved(T0_US, 3))
    assert wrong.effects.moves == []
    assert wrong.faults == [("misrouted", "subject")]
    right = Driver(POLICY, HOME, 4)
    right.send(TOPICS.actions, PAYOUT, T0_US, headers=moved(T0_US, 3))
    assert right.faults == [], "where it belongs, the number of its moves does not matter"


def test_a_moved_record_is_judged_by_its_first_arrival() -> None:
    driver = Driver(POLICY, HOME, 4)
    driver.send(TOPICS.actions, PAYOUT, T0_US + HOUR_US, headers=moved(T0_US))
    driver.pulse(T0_US + HOUR_US)
    row = driver.verdict("a-1")
    assert row["arrival"] == format_time(T0_US)
    assert (row["verdict"], row["reason"]) == ("unverified", "no_step_up")


ACCEPT_LATE_US = DAY_US


@pytest.mark.parametrize(
    ("first_us", "kept"),
    [
        (T0_US - ACCEPT_LATE_US, True),
        (T0_US - ACCEPT_LATE_US - 1, False),
        (T0_US, True),
        (T0_US + 1, False),
    ],
)
def test_a_first_arrival_counts_from_accept_late_before_the_record_up_to_it(first_us: int, kept: bool) -> None:
    assert first_arrival(moved(first_us), T0_US, ACCEPT_LATE_US) == (first_us if kept else T0_US)


@pytest.mark.parametrize("said", [b"", b"yesterday", b"\xff", b"2026-11-24T09:00:00"])
def test_a_first_arrival_that_cannot_be_read_is_ignored(said: bytes) -> None:
    assert first_arrival([(FIRST_ARRIVAL, said)], T0_US, ACCEPT_LATE_US) == T0_US


@pytest.mark.parametrize(
    ("said", "count"), [(b"0", 0), (b"3", 3), (b"-1", 0), (b"x", 0), (b"", 0), (b"9" * 400, 0), (None, 0)]
)
def test_a_number_of_moves_that_cannot_be_read_is_none(said: bytes | None, count: int) -> None:
    assert moves_of([(MOVES, said)]) == count


def a_closed_payout(driver: Driver) -> None:
    driver.send(TOPICS.actions, PAYOUT, T0_US)
    driver.pulse(T0_US + 3 * HOUR_US)
    assert [row["verdict"] for row in driver.revisions("a-1")] == ["unverified"]


@pytest.mark.parametrize(("late_us", "verdict"), [(0, "verified"), (MS_US, "unverified")])
def test_a_proof_that_first_arrived_before_the_close_counts_though_it_was_moved_long_after(
    late_us: int, verdict: str
) -> None:
    """grace 10 s and revise_within 1 h: the close is 1 h 10 s after the arrival."""
    close_us = T0_US + HOUR_US + 10 * SECOND_US
    driver = Driver(POLICY, HOME, 4)
    a_closed_payout(driver)
    proof = an_event("stepup.verified", "v-1", time_us=T0_US - MINUTE_US, source="/idp", amr=["hwk"], session="s")
    driver.send(TOPICS.authentications, proof, T0_US + 3 * HOUR_US, headers=moved(close_us + late_us))
    assert driver.verdict("a-1")["verdict"] == verdict
    assert [alert["state"] for alert in driver.alerts][-1] == ("resolved" if verdict == "verified" else "open")


def test_a_copy_that_first_arrived_earlier_elsewhere_gives_the_event_that_arrival() -> None:
    driver = Driver(POLICY, HOME, 4)
    driver.send(TOPICS.actions, PAYOUT, T0_US + HOUR_US)
    assert driver.rows == []
    driver.send(TOPICS.actions, PAYOUT, T0_US + HOUR_US + SECOND_US, headers=moved(T0_US))
    driver.pulse(T0_US + HOUR_US + 2 * SECOND_US)
    row = driver.verdict("a-1")
    assert (row["verdict"], row["arrival"]) == ("unverified", format_time(T0_US))
    assert driver.counts["copies"] == 1


def test_a_restart_after_a_close_still_lets_a_moved_proof_in() -> None:
    driver = Driver(POLICY, HOME, 4)
    a_closed_payout(driver)
    driver.restart()
    proof = an_event("stepup.verified", "v-1", time_us=T0_US - MINUTE_US, source="/idp", amr=["hwk"], session="s")
    driver.send(TOPICS.authentications, proof, T0_US + 3 * HOUR_US, headers=moved(T0_US))
    assert driver.verdict("a-1")["verdict"] == "verified"
    assert driver.verdict("a-1")["revision"] == 2
