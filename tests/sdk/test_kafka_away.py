"""Kafka is away: the application notices nothing, memory is bounded, and whatever is lost is said."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stepwatch.embedded import ports
from stepwatch.sdk import EventError, KafkaReporter, Source
from stepwatch.sdk.kafka import _open

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
