"""Heartbeats: what they say and for whom they count (contract sections 2, 3 and 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US, format_time
from stepwatch.streams.replay import replay
from tests.core.driver import T0_US, TOPICS, Driver, an_event, sets_of
from tests.core.raw_events import GONE, event, heard, raw

POLICY = """
sources: [{name: /idp, silent_after: 5m}]
policies: [{id: p, match: {action: ["payments.*"]}}]
"""
GRACE_US = 10 * SECOND_US
SILENT_US = 5 * MINUTE_US


def reason(driver: Driver, action_id: str = "a-1") -> str:
    """What is said of an action made at T0, once its grace is over."""
    driver.pulse(T0_US + GRACE_US)
    return str(driver.verdict(action_id)["reason"])


@pytest.mark.parametrize("value", [GONE, None, "", 5, "yesterday", [], {"a": 1}])
def test_complete_to_is_the_heartbeats_own_time_where_it_is_missing_or_no_time(value: Any) -> None:
    beat = event("heartbeat", {"complete_to": value}, time=format_time(T0_US - 7))
    assert heard(beat).lag_us == 7


def test_complete_to_says_up_to_when_the_feed_is_whole() -> None:
    assert heard(event("heartbeat", {"complete_to": format_time(T0_US - 9)})).lag_us == 9
    assert heard(event("heartbeat", {"complete_to": "2026-11-24T14:30:00+05:30"})).lag_us == 0
    assert heard(event("heartbeat", {"complete_to": format_time(T0_US + HOUR_US)})).lag_us == -HOUR_US


@pytest.mark.parametrize(("past_us", "expected"), [(0, "no_step_up"), (1, "source_silent")])
def test_a_heartbeat_counts_where_its_feed_is_no_further_behind_than_silent_after(past_us: int, expected: str) -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    driver.heartbeat("/idp", complete_to=format_time(T0_US - SILENT_US - past_us))
    assert reason(driver) == expected


@pytest.mark.parametrize(("past_us", "expected"), [(0, "no_step_up"), (1, "source_silent")])
def test_complete_to_of_any_other_event_is_its_time_whatever_its_data_says(past_us: int, expected: str) -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    said = {"complete_to": format_time(T0_US)}
    driver.evidence("session.started", "l-1", time_us=T0_US - SILENT_US - past_us, at_us=T0_US, **said)
    assert reason(driver) == expected


@pytest.mark.parametrize("before_ms", [0, 1])
def test_a_heartbeat_counts_from_the_begin_of_the_window_on(before_ms: int) -> None:
    driver = Driver(POLICY)
    first_us = T0_US + GRACE_US - SILENT_US - before_ms * 1_000
    driver.log.now_us = first_us
    driver.heartbeat("/idp", time_us=first_us)
    driver.action("a-1", time_us=T0_US)
    assert reason(driver) == ("source_silent" if before_ms else "no_step_up")


def test_heartbeats_have_no_key_so_every_record_of_one_counts() -> None:
    driver = Driver(POLICY)
    driver.heartbeat("/idp", "same", time_us=T0_US)
    later_us = T0_US + HOUR_US
    driver.pulse(later_us)
    driver.action("a-1", time_us=later_us)
    driver.heartbeat("/idp", "same", time_us=later_us)
    driver.pulse(later_us + GRACE_US)
    assert driver.verdict("a-1")["reason"] == "no_step_up"
    assert driver.counts["heartbeats"] == 2 + 4
    assert driver.counts["copies"] == 0
    assert driver.faults == []


@pytest.mark.parametrize("data", [{}, {"tenant": "globex"}, {"tenant": 5}])
def test_a_heartbeat_counts_for_every_tenant(data: dict[str, Any]) -> None:
    driver = Driver(POLICY)
    driver.action("a-1", tenant="acme")
    driver.action("a-2", tenant="initech", subject="bob")
    driver.heartbeat("/idp", **data)
    assert reason(driver, "a-1") == reason(driver, "a-2") == "no_step_up"


def test_a_heartbeat_counts_for_the_subjects_of_the_partition_it_lies_in_and_for_no_other() -> None:
    alices = partition_of(b"default/alice", 2)
    bobs = next(name for name in "bcdefgh" if partition_of(f"default/{name}".encode(), 2) != alices)
    with_alice, with_bob = Driver(POLICY, alices, 2), Driver(POLICY, 1 - alices, 2)
    with_alice.action("a-1")
    with_bob.action("a-1", subject=bobs)
    with_alice.heartbeat("/idp")
    assert reason(with_alice) == "no_step_up"
    assert reason(with_bob) == "source_silent"
    assert with_alice.faults == with_bob.faults == []


def test_a_heartbeat_in_a_file_counts_for_all_subjects() -> None:
    lines = [
        an_event("action.performed", "a-1", subject="alice", action="payments.a"),
        an_event("action.performed", "a-2", subject="bob", action="payments.a", tenant="acme"),
        an_event("heartbeat", "hb", subject=None, source="/idp"),
    ]
    rows = [row for row in replay([raw(line) for line in lines], sets_of(POLICY)) if row["kind"] == "verdict"]
    assert {row["reason"] for row in rows} == {"no_step_up"}
    alone = [row for row in replay([raw(line) for line in lines[:2]], sets_of(POLICY)) if row["kind"] == "verdict"]
    assert {row["reason"] for row in alone} == {"source_silent"}


def test_a_heartbeat_on_authentications_is_taken_in_every_partition_whatever_its_key() -> None:
    for partition in range(3):
        driver = Driver(POLICY, partition, 3)
        driver.log.append(TOPICS.authentications, an_event("heartbeat", "hb", source="/idp"), key=b"acme/alice")
        driver.log.append(TOPICS.authentications, an_event("heartbeat", "hb", subject=None, source="/idp"))
        driver.read()
        assert driver.counts["heartbeats"] == 2
        assert driver.faults == []


@pytest.mark.parametrize("time_us", [T0_US - HOUR_US, T0_US])
def test_a_heartbeat_leaves_no_row_and_no_dead_letter(time_us: int) -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.authentications, json.dumps(event("heartbeat", time=format_time(time_us))).encode())
    assert driver.rows == driver.evidence_rows == []
    assert driver.dead_letters == []


def test_a_copy_of_an_event_is_no_sign_of_life() -> None:
    driver = Driver(POLICY)
    first_us = T0_US - HOUR_US
    driver.log.now_us = first_us
    driver.evidence("session.started", "l-1", time_us=first_us, at_us=first_us)
    driver.action("a-1", time_us=T0_US)
    driver.evidence("session.started", "l-1", time_us=first_us, at_us=T0_US)
    assert driver.counts["copies"] == 1
    assert reason(driver) == "source_silent"
