"""Kafka is away: the application notices nothing, memory is bounded, and whatever is lost is said."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stepwatch.embedded import ports
from stepwatch.sdk import EventError, KafkaReporter, Source
from stepwatch.sdk.background import _open
from tests.tidy.walk import TOP

BANK = Source("/payments/api", tenant="acme")


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    return f"{ports.HOST}:{ports.any_free()}"


def report_some(reporter: KafkaReporter, count: int) -> None:
    for number in range(count):
        reporter.report(BANK.action_performed("a.b", subject=f"user-{number}"))


def test_a_report_neither_waits_nor_raises(nowhere: str) -> None:
    reporter = KafkaReporter(nowhere, events_max=100)
    slowest_s = 0.0
    for number in range(500):
        event = BANK.action_performed("a.b", subject=f"user-{number}")
        began = time.perf_counter()
        reporter.report(event)
        slowest_s = max(slowest_s, time.perf_counter() - began)
    # Once the thread of this test is put aside for another process it takes as long as that does: far from a timeout.
    assert slowest_s < 1
    assert not reporter.flush(0.01)
    reporter.close(0)


def test_what_is_beyond_the_bounds_is_counted_told_and_logged_and_the_rest_is_unsent_at_the_close(
    nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, int]] = []
    reporter = KafkaReporter(nowhere, events_max=10, on_drop=lambda reason, count: heard.append((reason, count)))
    report_some(reporter, 25)
    stats = reporter.stats
    assert (stats.reported, stats.sent, stats.waiting, stats.dropped) == (25, 0, 10, {"backlog_full": 15})
    deadline = time.monotonic() + 10
    while not (heard and reporter.stats.away) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert nowhere in reporter.stats.away
    assert not reporter.close(0)
    report_some(reporter, 1)
    stats = reporter.stats
    assert (stats.reported, stats.waiting, stats.waiting_bytes) == (26, 0, 0)
    assert stats.dropped == {"backlog_full": 15, "unsent": 10, "closed": 1}
    assert sorted(heard) == [("backlog_full", 15), ("closed", 1), ("unsent", 10)]
    said = [record for record in caplog.records if record.name.startswith(("stepwatch", "aiokafka"))]
    assert [record.levelno for record in said] == [logging.ERROR, logging.ERROR], [r.getMessage() for r in said]
    assert "15 backlog_full" in said[0].getMessage()
    assert "10 unsent" in said[1].getMessage()


def test_many_threads_report_at_once_and_each_event_is_counted_once(nowhere: str) -> None:
    reporter = KafkaReporter(nowhere, events_max=1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: report_some(reporter, 200), range(8)))
    stats = reporter.stats
    assert (stats.reported, stats.waiting, stats.dropped) == (1600, 1000, {"backlog_full": 600})
    reporter.close(0)


def test_the_same_inside_an_event_loop(nowhere: str) -> None:
    async def story() -> None:
        async with KafkaReporter(nowhere, close_timeout_s=0.2) as reporter:
            report_some(reporter, 3)
            ticks = asyncio.create_task(asyncio.sleep(0.05))
            assert not await reporter.aflush(0.1)
            assert ticks.done(), "the loop goes on during a flush"
        assert reporter.stats.dropped == {"unsent": 3}

    asyncio.run(story())


def test_a_wrong_event_is_said_at_once_and_takes_no_room(nowhere: str) -> None:
    with KafkaReporter(nowhere, close_timeout_s=0) as reporter:
        with pytest.raises(EventError, match="subject: missing"):
            reporter.report({**BANK.stepup_denied(subject="alice"), "subject": ""})
        assert reporter.stats.reported == 0


WRONG: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, "bootstrap", {"bootstrap": "localhost"}),
    (ValueError, "bootstrap", {"bootstrap": "localhost:9092,:1"}),
    (ValueError, "events_max", {"events_max": 0}),
    (ValueError, "bytes_max", {"bytes_max": -1}),
    (ValueError, "heartbeat_every_s", {"heartbeat_every_s": 0}),
    (TypeError, "acks", {"options": {"acks": 0}}),
    (TypeError, "security_protocl", {"options": {"security_protocl": "SSL"}}),
]


@pytest.mark.parametrize(("kind", "name", "wrong"), WRONG, ids=[f"{n}-{row[1]}" for n, row in enumerate(WRONG)])
def test_a_wrong_setting_is_an_error_that_names_it(kind: type[Exception], name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(kind, match=f"^{name}: "):
        KafkaReporter(**{"bootstrap": "localhost:9092", **wrong})
    assert not _open


def test_while_the_system_gives_no_file_descriptor_events_are_held_and_a_later_report_sends_them(
    nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KafkaReporter(nowhere, close_timeout_s=0) as reporter:
        events = [BANK.action_performed("a.b", subject="alice") for _ in range(3)]
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            reporter.report(events[0])
            reporter.report(events[1])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        stats = reporter.stats
        assert (stats.waiting, stats.dropped, reporter._thread) == (2, {}, None)
        assert stats.away.startswith("no thread to send from: ")
        assert caplog.text.count("no thread to send from") == 1, "one line in its time"
        reporter.report(events[2])
        assert reporter._thread is not None
        assert (reporter.stats.waiting, reporter.stats.dropped) == (3, {})


def test_while_the_system_gives_no_thread_the_same_and_nothing_is_left_open(
    nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with KafkaReporter(nowhere, close_timeout_s=0) as reporter:
        with monkeypatch.context() as patched, warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            patched.setattr(threading.Thread, "start", none_left)
            report_some(reporter, 2)
            gc.collect()
        assert (reporter.stats.waiting, reporter.stats.dropped, reporter._thread) == (2, {}, None)
        assert "can't start new thread" in reporter.stats.away
        report_some(reporter, 1)
        assert reporter._thread is not None
        assert (reporter.stats.waiting, reporter.stats.dropped) == (3, {})


def test_what_was_held_for_want_of_a_thread_is_tried_at_the_close(
    nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def none_left(thread: threading.Thread) -> None:
        started.append(thread.name)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    reporter = KafkaReporter(nowhere, close_timeout_s=0)
    reporter.close()
    assert started == [], "nothing waits"
    reporter = KafkaReporter(nowhere, close_timeout_s=0)
    report_some(reporter, 1)
    assert not reporter.close()
    assert started == ["stepwatch-sdk"] * 2
    assert reporter.stats.dropped == {"unsent": 1}


def test_an_on_drop_that_reports_to_the_closed_reporter_does_not_go_round(nowhere: str) -> None:
    heard: list[str] = []

    def on_drop(reason: str, count: int) -> None:
        heard.append(reason)
        report_some(reporter, 1)

    reporter = KafkaReporter(nowhere, close_timeout_s=0, on_drop=on_drop)
    reporter.close()
    report_some(reporter, 100)
    assert heard == ["closed"]
    assert reporter.stats.dropped == {"closed": 101}


TERMINATED = """
import signal, sys, time
from stepwatch.sdk import KafkaReporter, Source
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
reporter = KafkaReporter(sys.argv[1], close_timeout_s=0.1)
reporter.report(Source("/cron").action_performed("a.b", subject="alice"))
print("reported", flush=True)
time.sleep(60)
"""


def test_a_program_with_the_handler_of_the_page_flushes_when_it_is_terminated(nowhere: str) -> None:
    page = (TOP / "schemas" / "README.md").read_text(encoding="utf-8")
    assert "signal.signal(signal.SIGTERM, lambda *_: sys.exit())" in page
    command = [sys.executable, "-c", TERMINATED, nowhere]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "reported\n"
        program.terminate()
        _, said = program.communicate(timeout=60)
    assert program.returncode == 0
    assert "events are lost: 1 unsent" in said


ENDS = """
import sys
from stepwatch.sdk import KafkaReporter, Source
reporter = KafkaReporter(sys.argv[1], close_timeout_s=0.5)
reporter.report(Source("/cron").action_performed("a.b", subject="alice"))
"""


def test_a_program_that_ends_waits_its_time_and_says_what_it_could_not_send(nowhere: str) -> None:
    command = [sys.executable, "-c", ENDS, nowhere]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "events are lost: 1 unsent" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
