"""A record that cannot be read stays whole, says why, and stops nobody (contract sections 2 and 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US, format_time
from stepwatch.schemas.topics import EVENT_BYTES_MAX
from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.json_texts import any_event
from tests.core.raw_events import GONE, event, raw

POLICY = 'policies: [{id: p, match: {action: ["payments.*"]}}]'
ROOM_BYTES = 64 * 1024
"""How much larger than an input's a message of `dead-letters` may be."""


@pytest.mark.parametrize("topic", TOPICS.inputs)
@pytest.mark.parametrize("value", [b"", None, b"{", b"\xff\xfe\x00", b"x" * (EVENT_BYTES_MAX + 1)])
@pytest.mark.parametrize("key", [None, b"", b"acme/alice", b"\xff\x00"])
def test_a_dead_letter_has_the_bytes_and_the_key_that_were_received(
    topic: str, value: bytes | None, key: bytes | None
) -> None:
    driver = Driver(POLICY)
    driver.send(topic, value, key=key)
    [letter] = driver.dead_letters
    assert (letter.key, letter.value) == (key, value)
    assert driver.faults == [("invalid", "json")]


def test_its_headers_say_error_field_topic_partition_offset_and_time() -> None:
    partition = partition_of(b"default/alice", 5)
    driver = Driver(POLICY, partition, 5)
    driver.action("a-1", action="reports.view")
    driver.log.append(TOPICS.actions, an_event("action.performed", "a-2", action=12), T0_US + SECOND_US)
    driver.read()
    [letter] = driver.dead_letters
    assert [name for name, _ in letter.headers] == ["error", "field", "topic", "partition", "offset", "time"]
    headers = {name: value.decode() for name, value in letter.headers}
    assert headers["error"].startswith("data.action: "), "it names the field"
    assert "string" in headers["error"], "it says what was expected"
    assert headers["field"] == "data.action"
    assert headers["topic"] == "stepwatch.actions"
    assert headers["partition"] == str(partition)
    assert headers["offset"] == "1"
    assert headers["time"] == format_time(T0_US + SECOND_US)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (event(id=GONE), "id"),
        (event(source=5), "source"),
        (event(type="order.placed"), "type"),
        (event(time="yesterday"), "time"),
        (event(time=format_time(T0_US + 10 * MINUTE_US + 1)), "time"),
        (event(subject=""), "subject"),
        (event(data={"tenant": "a b"}), "data.tenant"),
        (event(data={"client": {"ip": 5}}), "data.client.ip"),
        (event(data={"action": None}), "data.action"),
        (event("stepup.verified"), "type"),
    ],
)
def test_every_fault_names_its_field_while_the_stream_goes_on(made: dict[str, Any], field: str) -> None:
    driver = Driver(POLICY)
    log = driver.log
    log.append(TOPICS.actions, an_event("action.performed", "a-1", action="reports.view"))
    log.append(TOPICS.actions, raw(made))
    log.append(TOPICS.actions, an_event("action.performed", "a-2", action="payments.payout"))
    driver.read()
    driver.pulse(T0_US + 10 * SECOND_US)
    assert driver.faults == [("invalid", field)]
    assert [row["action_id"] for row in driver.rows] == ["a-1", "a-2"]
    assert driver.counts["dead_letters.invalid"] == 1
    assert driver.correlator.positions[TOPICS.actions] == 4


def test_an_unknown_type_of_ours_is_counted_and_leaves_neither_a_row_nor_a_dead_letter() -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, event(type="stepwatch.device.seen"))
    assert sum(by for name, by in driver.counts.items() if name.startswith("skipped.")) == 1
    assert driver.rows == []
    assert driver.dead_letters == []
    assert driver.correlator.positions[TOPICS.actions] == 1


@pytest.mark.parametrize(
    ("kind", "topic"),
    [("action.performed", TOPICS.authentications), ("stepup.verified", TOPICS.actions)],
)
def test_an_event_in_the_topic_of_the_other_family_is_a_dead_letter_with_field_type(kind: str, topic: str) -> None:
    driver = Driver(POLICY)
    driver.send(topic, event(kind))
    assert driver.faults == [("invalid", "type")]
    assert driver.rows == driver.evidence_rows == []


@pytest.mark.parametrize("offset_us", [0, 1])
def test_a_time_is_ahead_of_the_arrival_in_its_partition(offset_us: int) -> None:
    driver = Driver(POLICY)
    driver.pulse(T0_US + SECOND_US)
    ahead_us = T0_US + SECOND_US + 10 * MINUTE_US + offset_us
    made = an_event("action.performed", "a-1", time_us=ahead_us, action="reports.view")
    driver.send(TOPICS.actions, made, T0_US)  # appended before, arrived with the log time
    assert driver.faults == ([("invalid", "time")] if offset_us else [])


def test_a_dead_letter_moves_the_clock_of_its_partition_like_any_record() -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    driver.send(TOPICS.authentications, b"{", T0_US + 10 * SECOND_US)
    assert driver.verdict("a-1")["verdict"] == "unverified"


@pytest.mark.parametrize("filler", ["x", "\x7f", "é", "😀"])
@pytest.mark.parametrize("error", ["conflict", "misrouted", "invalid"])
def test_what_its_headers_say_fits_into_the_room_that_the_topic_has_whatever_the_event_holds(
    error: str, filler: str
) -> None:
    long = filler * 40_000
    driver = Driver(POLICY)
    if error == "conflict":
        driver.action(long)
        driver.action(long, session="s2")
    elif error == "misrouted":
        home = partition_of(f"default/{long}".encode(), 2)
        driver = Driver(POLICY, 1 - home, 2)
        body = event(id="a-1", type="stepwatch.action.performed", subject=long, data={"action": "x.y"})
        driver.send(TOPICS.actions, body, T0_US, headers=[("stepwatch-moves", b"3")])
    else:
        driver.action("a-1", tenant=long)
        driver.send(TOPICS.actions, event(type=long))
        driver.send(TOPICS.actions, event(time=long))
    assert {code for code, _ in driver.faults} == {error}
    for letter in driver.dead_letters:
        assert sum(len(name) + len(value) for name, value in letter.headers) < ROOM_BYTES


def test_the_same_dead_letter_follows_after_a_restart() -> None:
    driver = Driver(POLICY)
    driver.log.append(TOPICS.actions, b"{")
    first = driver.read().dead_letters
    again = Driver(POLICY)
    again.log = driver.log
    again.restart()
    assert again.read().dead_letters == first
    driver.restart()
    driver.read()
    assert len(driver.dead_letters) == 1, "its position is past it"


def test_a_response_that_is_no_json_is_a_dead_letter() -> None:
    for value in (b"[" * 100_000, b'{"id":"\\ud800"}', b"null", json.dumps([1]).encode()):
        driver = Driver(POLICY)
        driver.send(TOPICS.responses, value)
        assert driver.faults == [("invalid", "json")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_event(), st.sampled_from(TOPICS.inputs))
def test_no_event_brings_a_correlator_down_and_each_is_accounted_for(value: bytes, topic: str) -> None:
    driver = Driver('policies: [{id: p, match: {action: ["*"], when: "token.a == 1"}}]')
    driver.send(topic, value)
    driver.send(topic, value)
    driver.pulse(T0_US + 30 * SECOND_US)
    driver.restart()
    driver.pulse(T0_US + 2 * HOUR_US)
    rows = driver.rows + driver.evidence_rows
    assert (
        rows
        or driver.dead_letters
        or driver.counts["heartbeats"] > 4
        or sum(by for name, by in driver.counts.items() if name.startswith("skipped."))
    )
    for row in rows:
        assert row["event_data"] == "" or json.loads(row["event_data"], parse_constant=int) is not None
