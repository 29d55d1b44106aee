"""What is lost is told: at once to the program, once in a while to the log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from stepwatch.sdk import Stats
from stepwatch.sdk.quiet import done, keep_quiet
from stepwatch.sdk.telling import Teller


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "stepwatch.sdk"]


class Second:
    """A clock that stands until it is moved, s."""

    now_s = 100.0

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Iterator[Second]:
    second = Second()
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: second.now_s)
        yield second


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="stepwatch.sdk")


def test_nothing_is_said_while_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller(0.0, None)
    teller.tell(Stats(reported=5, sent=5))
    assert lines(caplog) == []


def test_the_callback_hears_of_every_drop_once_and_of_one_reason_once_a_second(second: Second) -> None:
    heard: list[tuple[str, int]] = []
    teller = Teller(3600.0, lambda reason, count: heard.append((reason, count)))
    teller.tell(Stats(dropped={"backlog_full": 2}))
    teller.tell(Stats(dropped={"backlog_full": 2}))
    second.advance(0.999)
    teller.tell(Stats(dropped={"backlog_full": 4, "refused": 1}))
    assert heard == [("backlog_full", 2), ("refused", 1)]
    second.advance(0.001)
    teller.tell(Stats(dropped={"backlog_full": 5, "refused": 1}))
    assert heard[2:] == [("backlog_full", 3)]
    teller.tell(Stats(dropped={"backlog_full": 5, "refused": 2}), at_once=True)
    assert heard[3:] == [("refused", 1)]


def test_a_callback_that_reports_to_a_closed_reporter_is_called_once_and_not_for_its_own(second: Second) -> None:
    dropped, depth = {"closed": 0}, [0]

    def report(*_: object) -> None:
        depth[0] += 1
        assert depth[0] < 10, "it goes round"
        dropped["closed"] += 1
        teller.tell(Stats(dropped=dropped))

    teller = Teller(3600.0, report)
    dropped["closed"] += 1
    teller.tell(Stats(dropped=dropped))
    assert (depth, dropped) == ([1], {"closed": 2})


def test_drops_told_from_many_threads_at_once_are_told_once(second: Second) -> None:
    heard: list[int] = []
    teller = Teller(3600.0, lambda reason, count: heard.append(count))
    barrier = threading.Barrier(8)

    def tell() -> None:
        barrier.wait()
        teller.tell(Stats(dropped={"closed": 5}))

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [5]


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


def test_the_line_names_the_other_side_the_last_refusal_and_what_lies_on_disk(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller(0.0, None, "Stepwatch")
    teller.tell(Stats(dropped={"refused": 2}, refusal="event 'e-1': data.action: missing", spooled=5, away="gone"))
    teller.tell(Stats(dropped={"refused": 2, "torn": 1}, refusal="event 'e-1': data.action: missing"))
    assert lines(caplog) == [
        "events are lost: 2 refused (event 'e-1': data.action: missing); Stepwatch is away: gone"
        " (0 events wait, 0 KiB; 5 lie on disk)",
        "events are lost: 1 torn (0 events wait, 0 KiB)",
    ]
    teller.tell(Stats(dropped={"refused": 2, "torn": 1}, away="gone"))
    teller.tell(Stats(dropped={"refused": 2, "torn": 1}))
    assert lines(caplog)[-1] == "Stepwatch is back (0 events wait, 0 KiB)"


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
