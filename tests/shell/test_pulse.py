"""Pulses: when one is wanted, and what it says (contract section 2)."""

from __future__ import annotations

import json

from stepwatch.agents.pulse import Pulse
from stepwatch.schemas.times import parse_time
from stepwatch.schemas.topics import Topics

TOPICS = Topics()
LOG_US = 1_795_000_000_000_000


class Waiting:
    """A correlator that only waits."""

    def __init__(self, due_us: int | None = None, tidy_us: int | None = None) -> None:
        self.due = due_us
        self.tidy = tidy_us
        self.positions = {TOPICS.actions: 5, TOPICS.authentications: 7}
        self.log_times = {TOPICS.actions: LOG_US, TOPICS.authentications: LOG_US}

    def due_us(self) -> int | None:
        return self.due

    def tidy_due_us(self) -> int | None:
        return self.tidy


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def pulse_of(waits: Waiting) -> tuple[Pulse, Clock]:
    clock = Clock()
    return Pulse(0, TOPICS, waits, every_s=0.25, clock=clock), clock


def test_nothing_that_waits_needs_no_pulse() -> None:
    pulse, clock = pulse_of(Waiting())
    clock.now_s += 3600
    assert pulse.wanted() == ()


def test_a_pulse_is_wanted_when_the_moment_has_passed_since_the_last_record_and_not_before() -> None:
    pulse, clock = pulse_of(Waiting(due_us=LOG_US + 2_000_000))
    clock.now_s += 1.999
    assert pulse.wanted() == ()
    clock.now_s += 0.001
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_record_that_was_read_starts_the_waiting_anew() -> None:
    waits = Waiting(due_us=LOG_US + 2_000_000)
    pulse, clock = pulse_of(waits)
    clock.now_s += 1.5
    for topic in waits.log_times:
        waits.log_times[topic] = LOG_US + 1_000_000
        pulse.read(topic, at_end=True)
    clock.now_s += 0.999
    assert pulse.wanted() == ()
    clock.now_s += 0.001
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_restart_does_not_wait_again_for_what_another_input_has_seen_pass() -> None:
    waits = Waiting(due_us=LOG_US + 2_000_000)
    waits.log_times[TOPICS.actions] = LOG_US + 1_500_000
    pulse, clock = pulse_of(waits)
    clock.now_s += 0.5
    assert pulse.wanted() == (TOPICS.authentications,)


def test_an_input_with_a_backlog_needs_no_pulse() -> None:
    pulse, _ = pulse_of(Waiting(due_us=LOG_US))
    pulse.read(TOPICS.authentications, at_end=False)
    assert pulse.wanted() == ()
    pulse.read(TOPICS.authentications, at_end=True)
    assert pulse.wanted() == (TOPICS.authentications,)


def test_no_second_pulse_is_written_until_the_first_was_read_back() -> None:
    waits = Waiting(due_us=LOG_US)
    pulse, clock = pulse_of(waits)
    assert pulse.wanted() == (TOPICS.authentications,)
    pulse.written(TOPICS.authentications, 7)
    clock.now_s += 4.9
    assert pulse.wanted() == ()
    waits.positions[TOPICS.authentications] = 8
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_pulse_that_was_never_read_back_is_followed_by_another_after_five_seconds() -> None:
    pulse, clock = pulse_of(Waiting(due_us=LOG_US))
    pulse.written(TOPICS.authentications, 7)
    clock.now_s += 5.0
    assert pulse.wanted() == (TOPICS.authentications,)


def test_pulses_that_are_read_back_at_once_come_no_more_often_than_the_setting_says() -> None:
    waits = Waiting(due_us=LOG_US)
    pulse, clock = pulse_of(waits)
    pulse.written(TOPICS.authentications, 7)
    waits.positions[TOPICS.authentications] = 8
    clock.now_s += 0.249
    assert pulse.wanted() == ()
    clock.now_s += 0.001
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_close_is_pulsed_into_both_inputs_a_minute_after_the_last_at_the_earliest() -> None:
    waits = Waiting(tidy_us=LOG_US + 1)
    pulse, clock = pulse_of(waits)
    clock.now_s += 59.9
    assert pulse.wanted() == ()
    clock.now_s += 0.1
    assert set(pulse.wanted()) == {TOPICS.actions, TOPICS.authentications}
    waits.positions = {TOPICS.actions: 6, TOPICS.authentications: 8}
    clock.now_s += 59.9
    assert pulse.wanted() == ()


def test_a_close_is_pulsed_only_into_the_input_that_lags_behind_it() -> None:
    waits = Waiting(tidy_us=LOG_US + 1)
    waits.log_times[TOPICS.actions] = LOG_US + 1
    pulse, clock = pulse_of(waits)
    clock.now_s += 60
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_close_that_lies_ahead_of_an_inputs_clock_is_not_pulsed_yet() -> None:
    pulse, clock = pulse_of(Waiting(tidy_us=LOG_US + 3_600_000_000))
    clock.now_s += 120
    assert pulse.wanted() == ()


def test_a_close_is_pulsed_into_an_input_that_was_never_read() -> None:
    waits = Waiting(tidy_us=LOG_US)
    del waits.log_times[TOPICS.authentications]
    pulse, clock = pulse_of(waits)
    clock.now_s += 60
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_wait_for_authentications_that_were_never_read_follows_the_clock_of_the_actions() -> None:
    waits = Waiting(due_us=LOG_US + 2_000_000)
    del waits.log_times[TOPICS.authentications]
    pulse, clock = pulse_of(waits)
    clock.now_s += 1.9
    assert pulse.wanted() == ()
    clock.now_s += 0.1
    assert pulse.wanted() == (TOPICS.authentications,)


def test_a_pulse_is_a_heartbeat_of_the_reserved_source_whose_time_follows_the_log() -> None:
    pulse, clock = pulse_of(Waiting(due_us=LOG_US))
    clock.now_s += 1.5
    event = json.loads(pulse.value())
    assert event["type"] == "stepwatch.heartbeat"
    assert event["source"] == "stepwatch"
    assert event["specversion"] == "1.0"
    assert event["data"] == {}
    assert parse_time(event["time"]) == LOG_US + 1_500_000


def test_two_pulses_never_share_an_id() -> None:
    pulse, _ = pulse_of(Waiting(due_us=LOG_US))
    ids = {json.loads(pulse.value())["id"] for _ in range(100)}
    assert len(ids) == 100


def test_a_decision_is_overdue_from_its_moment_on_until_a_record_says_so() -> None:
    waits = Waiting(due_us=LOG_US + 2_000_000)
    pulse, clock = pulse_of(waits)
    clock.now_s += 2
    assert pulse.overdue_s() == 0
    clock.now_s += 40
    assert pulse.overdue_s() == 40
    waits.due = None
    assert pulse.overdue_s() == 0


def test_while_there_is_more_to_read_no_decision_is_called_overdue() -> None:
    pulse, clock = pulse_of(Waiting(due_us=LOG_US))
    pulse.read(TOPICS.actions, at_end=False)
    clock.now_s += 40
    assert pulse.overdue_s() == 0
