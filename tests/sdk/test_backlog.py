"""The backlog: its bounds, its order, and an account in which every event is exactly one thing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.sdk import Stats
from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import Checked


def an_event(number: int = 0, size: int = 100) -> Checked:
    return Checked("stepwatch.action.performed", b"t/alice", f"{number:{size}d}".encode())


def a_backlog(events_max: int = 10, bytes_max: int = 10**9) -> Backlog:
    return Backlog(events_max, bytes_max, wake=lambda: None)


BEAT = Checked("stepwatch.heartbeat", b"", b"{}")


def test_as_many_events_as_the_bound_are_held_and_the_next_is_dropped_and_counted() -> None:
    backlog = a_backlog(events_max=3)
    for number in range(3):
        backlog.put(an_event(number))
    assert backlog.stats().dropped == {}
    backlog.put(an_event(3))
    assert backlog.stats().dropped == {"backlog_full": 1}
    assert backlog.take(100, 10**9) == [an_event(number) for number in range(3)]


def test_what_was_taken_counts_against_the_bounds_until_it_is_acknowledged() -> None:
    backlog = a_backlog(events_max=1)
    backlog.put(an_event())
    backlog.take(1, 10**9)
    backlog.put(an_event())
    assert backlog.stats().dropped == {"backlog_full": 1}
    backlog.settle()
    backlog.put(an_event())
    assert backlog.stats().waiting == 1


def test_bytes_are_bounded_with_what_python_needs_beside_them() -> None:
    size = len(an_event().value) + len(an_event().key) + 400
    held, dropped = a_backlog(bytes_max=2 * size), a_backlog(bytes_max=2 * size - 1)
    for backlog in (held, dropped):
        backlog.put(an_event())
        backlog.put(an_event())
    assert held.stats().waiting_bytes == 2 * size
    assert dropped.stats().dropped == {"backlog_full": 1}


def test_a_heartbeat_waits_for_all_that_was_reported_before_it_and_for_nothing_after() -> None:
    backlog = a_backlog()
    backlog.put(an_event(1))
    assert backlog.put_heartbeat(BEAT)
    assert not backlog.put_heartbeat(BEAT), "one that waits is enough"
    backlog.put(an_event(2))
    assert backlog.due_heartbeat() is None
    assert backlog.take(10, 10**9) == [an_event(1)]
    assert backlog.due_heartbeat() is None
    backlog.settle()
    assert backlog.take(10, 10**9) == []
    assert backlog.due_heartbeat() == BEAT
    backlog.beaten()
    assert backlog.take(10, 10**9) == [an_event(2)]
    assert backlog.stats().heartbeats == 1


def test_events_dropped_after_it_do_not_let_a_heartbeat_pass_those_that_wait() -> None:
    backlog = a_backlog(events_max=1)
    backlog.put(an_event())
    backlog.put_heartbeat(BEAT)
    for _ in range(5):
        backlog.put(an_event())
    assert backlog.due_heartbeat() is None


def test_a_flush_waits_for_what_was_reported_before_it_only() -> None:
    backlog = a_backlog()
    assert backlog.wait_settled(0)
    backlog.put(an_event())
    assert not backlog.wait_settled(0.01)
    backlog.take(1, 10**9)
    threading.Timer(0.05, backlog.settle).start()
    assert backlog.wait_settled(5)


@pytest.mark.parametrize(
    ("become", "whole"),
    [
        (lambda backlog: backlog.settle(), True),
        (lambda backlog: backlog.settle(1), False),
        (lambda backlog: backlog.drop_all("unsent"), False),
        (lambda backlog: (backlog.put(an_event()), backlog.settle()), False),
    ],
    ids=["sent", "refused", "dropped", "another-dropped"],
)
def test_a_flush_is_true_only_where_nothing_was_dropped_meanwhile(
    become: Callable[[Backlog], object], whole: bool
) -> None:
    backlog = a_backlog(events_max=1)
    backlog.put(an_event())
    backlog.put(an_event())
    backlog.take(1, 10**9)
    threading.Timer(0.05, become, [backlog]).start()
    assert backlog.wait_settled(5) is whole


def test_a_closed_backlog_lets_nothing_in_and_counts_it() -> None:
    backlog = a_backlog()
    backlog.put(an_event())
    backlog.close()
    backlog.put(an_event())
    backlog.drop_all("unsent")
    assert backlog.stats() == Stats(reported=2, dropped={"closed": 1, "unsent": 1})
    assert backlog.wait_settled(0)


def test_the_sender_is_woken_once_for_a_first_event_and_not_for_those_behind_it() -> None:
    woken: list[int] = []
    backlog = Backlog(10, 10**9, wake=lambda: woken.append(1))
    backlog.put(an_event())
    assert not woken, "nobody waits yet"
    backlog.take(10, 10**9)
    backlog.settle()
    assert backlog.take(10, 10**9) == []
    backlog.put(an_event())
    backlog.put(an_event())
    assert len(woken) == 1


def test_without_an_acknowledgement_for_some_seconds_kafka_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    backlog = a_backlog()
    backlog.put(an_event())
    backlog.take(1, 10**9)
    now_s = 105.0
    assert backlog.stats().away == ""
    now_s = 105.5
    assert backlog.stats().away == "no acknowledgement for 6 s"
    backlog.settle()
    assert backlog.stats().away == ""
    backlog.asked_at_s = 100.0
    assert backlog.stats().away == "no acknowledgement for 6 s", "of what is sent from elsewhere"
    backlog.asked_at_s = None
    assert backlog.stats().away == ""


def test_what_lies_on_disk_is_neither_in_memory_nor_acknowledged() -> None:
    backlog = a_backlog(events_max=2)
    backlog.put(an_event(1))
    backlog.put(an_event(2))
    assert backlog.put_heartbeat(BEAT)
    backlog.take(10, 10**9)
    backlog.spooled(2)
    stats = backlog.stats()
    assert (stats.reported, stats.waiting, stats.waiting_bytes, stats.spooled) == (2, 0, 0, 2)
    assert backlog.due_heartbeat() is None, "they were reported before it"
    assert not backlog.wait_settled(0)
    backlog.unspooled(2, refused=1)
    assert backlog.due_heartbeat() == BEAT
    assert backlog.stats() == Stats(reported=2, sent=1, dropped={"refused": 1})
    assert backlog.wait_settled(0)


def test_what_did_not_fit_on_disk_waits_again_before_all_others_and_what_was_found_there_is_no_report() -> None:
    backlog = a_backlog()
    for number in range(4):
        backlog.put(an_event(number))
    backlog.take(3, 10**9)
    backlog.spooled(1)
    assert backlog.take(10, 10**9) == [an_event(1), an_event(2), an_event(3)]
    backlog.settle()
    backlog.recovered(5, torn=1)
    backlog.unspooled(6, torn=2)
    stats = backlog.stats()
    assert (stats.reported, stats.recovered, stats.sent, stats.spooled) == (4, 6, 7, 0)
    assert stats.dropped == {"torn": 3}


def test_a_heartbeat_is_passed_only_by_what_is_moved() -> None:
    backlog = a_backlog()
    assert backlog.put_heartbeat(BEAT)
    backlog.put(an_event(1))
    assert backlog.take(10, 10**9) == []
    assert backlog.take(10, 10**9, past_heartbeat=True) == [an_event(1)]


@pytest.mark.parametrize(("count", "half"), [(5, False), (6, True)])
def test_more_than_half_of_a_bound_is_half_full(count: int, half: bool) -> None:
    size = len(an_event().value) + len(an_event().key) + 400
    for backlog in (a_backlog(events_max=10), a_backlog(events_max=100, bytes_max=10 * size)):
        for number in range(count):
            backlog.put(an_event(number))
        assert backlog.is_half_full is half


STEPS = st.lists(
    st.sampled_from(["put", "put", "put", "take", "settle", "refuse", "beat", "beaten", "spool", "half", "unspool"]),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(1, 6), st.integers(1, 4))
def test_every_event_is_sent_waiting_spooled_or_dropped_and_in_order(
    steps: list[str], events_max: int, chunk: int
) -> None:
    backlog, put = a_backlog(events_max), 0
    taken: list[Checked] = []
    order: list[Checked] = []
    on_disk = 0
    for step in steps:
        if step == "put":
            put += 1
            backlog.put(an_event(put))
        elif step == "take" and not taken:
            taken = list(backlog.take(chunk, 10**9))
        elif step in ("settle", "refuse"):
            backlog.settle(min(len(taken), step == "refuse"))
            order, taken = order + taken, []
        elif step in ("spool", "half") and taken:
            moved = len(taken) if step == "spool" else len(taken) // 2
            backlog.spooled(moved)
            order, taken = order + taken[:moved], []
            on_disk += moved
        elif step == "unspool":
            backlog.unspooled(on_disk)
            on_disk = 0
        elif step == "beat":
            backlog.put_heartbeat(BEAT)
        elif step == "beaten" and not taken and backlog.due_heartbeat():
            assert not on_disk
            backlog.beaten()
        stats = backlog.stats()
        assert stats.reported == put == stats.sent + stats.waiting + stats.spooled + sum(stats.dropped.values())
        assert (stats.spooled, backlog.taken) == (on_disk, taken)
        assert stats.waiting <= events_max
    assert order == sorted(order)
    backlog.drop_all("unsent")
    assert backlog.stats().waiting_bytes == 0
