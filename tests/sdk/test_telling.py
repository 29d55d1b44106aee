"""What is lost is told: at once to the program, once in a while to the log."""

from __future__ import annotations

import logging
import threading

import pytest

from stepwatch.sdk import Stats
from stepwatch.sdk.quiet import done, keep_quiet
from stepwatch.sdk.telling import Teller


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "stepwatch.sdk"]


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="stepwatch.sdk")


def test_nothing_is_said_while_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller(0.0, None)
    teller.tell(Stats(reported=5, sent=5))
    assert lines(caplog) == []


def test_the_callback_hears_of_every_drop_once(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, int]] = []
    teller = Teller(3600.0, lambda reason, count: heard.append((reason, count)))
    teller.tell(Stats(dropped={"backlog_full": 2}))
    teller.tell(Stats(dropped={"backlog_full": 2}))
    teller.tell(Stats(dropped={"backlog_full": 5, "refused": 1}))
    assert heard == [("backlog_full", 2), ("backlog_full", 3), ("refused", 1)]


def test_the_log_has_one_line_in_its_time_and_the_last_one_always(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller(3600.0, None)
    for count in (1, 2, 3):
        teller.tell(Stats(dropped={"backlog_full": count}, away="k:9092: gone"))
    teller.tell(Stats(dropped={"backlog_full": 3, "unsent": 4}), at_once=True)
    assert lines(caplog) == [
        "events are lost: 1 backlog_full; Kafka is away: k:9092: gone (0 events wait, 0 KiB)",
        "events are lost: 2 backlog_full, 4 unsent (0 events wait, 0 KiB)",
    ]


def test_kafka_away_and_back_again_is_said(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller(0.0, None)
    teller.tell(Stats(waiting=7, waiting_bytes=4096, away="k:9092: gone"))
    teller.tell(Stats())
    teller.tell(Stats())
    assert lines(caplog) == [
        "Kafka is away: k:9092: gone (7 events wait, 4 KiB)",
        "Kafka is back (0 events wait, 0 KiB)",
    ]


def test_a_callback_that_raises_hurts_nobody_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    def broken(reason: str, count: int) -> None:
        raise RuntimeError("theirs")

    Teller(0.0, broken).tell(Stats(dropped={"refused": 1}))
    assert "on_drop raised" in lines(caplog)


def test_the_clients_lines_are_kept_out_of_the_log_in_our_threads_only(caplog: pytest.LogCaptureFixture) -> None:
    client = logging.getLogger("aiokafka.conn")

    def ours() -> None:
        keep_quiet()
        client.error("of ours")
        done()

    thread = threading.Thread(target=ours)
    thread.start()
    thread.join()
    client.error("of the application's")
    assert [record.getMessage() for record in caplog.records] == ["of the application's"]
