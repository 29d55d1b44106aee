"""The server is away and the disk holds what waits: it arrives, after kill -9, a restart, a fork, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwatch.sdk import HttpReporter, backlog, held, http_sending
from stepwatch.sdk import spool as spools
from stepwatch.sdk.held import CHUNK_EVENTS
from tests.sdk.reported import BANK, report, until
from tests.sdk.stand import ACCEPTED, Said, Stand, refusing

MODULE = [sys.executable, "-m", "tests.sdk.spooling"]


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sending, "_RETRY_S", (0.01, 0.05))
    monkeypatch.setattr(http_sending, "_LOOK_S", 0.01)


@pytest.fixture
def stand() -> Iterator[Stand]:
    """It is away until a test starts it."""
    stand = Stand()
    yield stand
    stand.stop()


def new_reporter(stand: Stand, folder: Path, **said: Any) -> HttpReporter:
    return HttpReporter(stand.url, **{"token": "tok-1", "spool": folder, "close_timeout_s": 0, **said})


def accounted(reporter: HttpReporter) -> bool:
    stats = reporter.stats
    return stats.reported + stats.recovered == stats.sent + stats.waiting + stats.spooled + sum(stats.dropped.values())


def test_what_waits_goes_to_the_disk_and_from_there_to_the_server_in_its_order(stand: Stand, tmp_path: Path) -> None:
    reporter = new_reporter(stand, tmp_path)
    ids = report(reporter, 3)
    until(lambda: reporter.stats.spooled == 3, "that they are spooled")
    ids += report(reporter, 2500, first=3)
    until(lambda: reporter.stats.spooled == 2503, "that all are spooled")
    assert (reporter.stats.waiting, reporter.stats.waiting_bytes) == (0, 0)
    assert not reporter.flush(0.05), "on disk is not acknowledged"
    stand.start()
    ids += report(reporter, 5, first=2503)
    assert reporter.flush(20)
    assert (reporter.stats.sent, reporter.stats.spooled, reporter.stats.dropped) == (2508, 0, {})
    assert accounted(reporter)
    assert reporter.close()
    assert stand.ids == ids
    assert list(tmp_path.glob("*/*.events")) == []


def test_more_than_memory_holds_is_kept_on_disk(stand: Stand, tmp_path: Path) -> None:
    reporter = new_reporter(stand, tmp_path, events_max=10)
    ids = []
    for first in range(0, 40, 5):
        ids += report(reporter, 5, first=first)
        until(lambda: reporter.stats.waiting == 0, "that they are spooled")
    assert (reporter.stats.spooled, reporter.stats.dropped) == (40, {})
    stand.start()
    assert reporter.close(10)
    assert stand.ids == ids


@pytest.mark.parametrize(("waiting", "spooled"), [(4, 0), (5, 6)], ids=["half-full", "fuller"])
def test_a_server_that_is_only_slow_has_a_backlog_moved_to_the_disk_once_it_is_more_than_half_full(
    stand: Stand, tmp_path: Path, waiting: int, spooled: int
) -> None:
    seen: list[int] = []

    def looks(events: list[dict[str, Any]]) -> Said:
        seen.append(reporter.stats.spooled)
        return ACCEPTED

    stand.hold = threading.Event()
    stand.answers.extend([lambda events: ACCEPTED, looks])
    stand.start()
    reporter = new_reporter(stand, tmp_path, events_max=10)
    ids = report(reporter, 1)
    until(lambda: stand.requests, "the first request")
    ids += report(reporter, waiting, first=1)
    until(lambda: reporter.stats.spooled == spooled, "that it is moved, the one under way too")
    stand.hold.set()
    assert reporter.flush(10)
    assert reporter.close(10)
    assert (stand.ids, reporter.stats.dropped, seen) == (ids, {}, [spooled])


def test_while_one_request_hangs_more_than_memory_holds_goes_to_the_disk_in_its_order(
    stand: Stand, tmp_path: Path
) -> None:
    stand.hold = threading.Event()
    reporter = new_reporter(stand.start(), tmp_path, events_max=10)
    ids = report(reporter, 3)
    until(lambda: stand.requests, "the first request")
    for first in range(3, 48, 5):
        ids += report(reporter, 5, first=first)
        until(lambda: reporter.stats.waiting <= 5, "room in memory")
    assert (len(stand.requests), reporter.stats.dropped) == (1, {})
    assert reporter.stats.spooled >= 43
    assert accounted(reporter)
    stand.hold.set()
    assert reporter.flush(10)
    assert reporter.close(10)
    assert (stand.ids, reporter.stats.sent, reporter.stats.dropped) == (ids, 48, {})


def test_a_request_under_way_from_the_disk_is_not_moved_there_again(stand: Stand, tmp_path: Path) -> None:
    reporter = new_reporter(stand, tmp_path, events_max=10)
    ids = report(reporter, 5)
    until(lambda: reporter.stats.spooled == 5, "that they are spooled")
    stand.hold = threading.Event()
    stand.start()
    until(lambda: stand.requests, "a request")
    ids += report(reporter, 6, first=5)
    until(lambda: reporter.stats.spooled == 11, "that the newer ones are spooled")
    stand.hold.set()
    assert reporter.close(10)
    assert [len(request.events) for request in stand.requests] == [5, 6]
    assert stand.ids == ids


def test_a_server_that_hangs_is_said_to_be_away_though_all_is_sent_from_the_disk(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "_SLOW_S", 0.05)
    first = new_reporter(stand, tmp_path)
    report(first, 5)
    first.close(0)
    stand.hold = threading.Event()
    reporter = new_reporter(stand.start(), tmp_path)
    reporter.start()
    until(lambda: "no acknowledgement for" in reporter.stats.away, "that it is said")
    stand.hold.set()
    assert reporter.flush(10)
    assert reporter.stats.away == ""
    assert reporter.close(10)


def test_what_neither_disk_nor_memory_has_room_for_is_dropped_and_counted(stand: Stand, tmp_path: Path) -> None:
    reporter = new_reporter(stand, tmp_path, events_max=10, spool_bytes_max=3000)
    report(reporter, 1)
    until(lambda: reporter.stats.spooled, "a first one on disk")
    size = next(tmp_path.glob("*/*.events")).stat().st_size
    for number in range(1, 40):
        report(reporter, 1, first=number)
        until(lambda: reporter.stats.waiting == 0 or reporter.stats.spooled * size > 3000 - 2 * size, "room in memory")
    until(lambda: reporter.stats.waiting == 10, "that memory is full")
    stats = reporter.stats
    assert 3000 - 2 * size < stats.spooled * size <= 3000 + size
    assert stats.dropped == {"backlog_full": 40 - stats.spooled - 10}
    assert accounted(reporter)
    stand.start()
    assert reporter.flush(20)
    assert reporter.close(10)
    kept = stats.spooled + 10
    assert stand.ids == [str(number) for number in range(kept)], "the first ones, without a hole"


def test_what_is_left_at_the_close_waits_on_disk_for_the_next_process(stand: Stand, tmp_path: Path) -> None:
    first = new_reporter(stand, tmp_path)
    ids = report(first, 5)
    assert not first.close(0)
    began = time.monotonic()
    assert not first.close(60), "it is not acknowledged, and nobody waits for that any more"
    assert time.monotonic() - began < 30
    assert (first.stats.spooled, first.stats.waiting, first.stats.dropped) == (5, 0, {})
    second = new_reporter(stand.start(), tmp_path)
    ids += report(second, 2, first=5)
    assert second.flush(10)
    assert (second.stats.recovered, second.stats.sent, second.stats.reported) == (5, 7, 2)
    assert accounted(second)
    assert second.close(10)
    assert stand.ids == ids


def test_a_restart_sends_what_is_on_disk_without_a_new_event(stand: Stand, tmp_path: Path) -> None:
    first = new_reporter(stand, tmp_path)
    ids = report(first, 5)
    first.close(0)
    second = new_reporter(stand.start(), tmp_path)
    second.start()
    until(lambda: second.stats.sent == 5, "that they are sent")
    assert second.close(10)
    assert stand.ids == ids


def test_a_torn_tail_is_said_and_costs_nothing_else(
    stand: Stand, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, int]] = []
    # Nobody will ever be there: a request of it that is still under way must not reach the server below.
    first = new_reporter(Stand(), tmp_path)
    report(first, 5)
    first.close(0)
    (segment,) = tmp_path.glob("*/*.events")
    os.truncate(segment, segment.stat().st_size - 1)
    second = new_reporter(stand.start(), tmp_path, on_drop=lambda reason, count: heard.append((reason, count)))
    second.start()
    until(lambda: second.stats.sent == 4, "that the others are sent")
    assert second.stats.dropped == {"torn": 1}
    assert accounted(second)
    second.close(10)
    assert heard == [("torn", 1)]
    assert "events are lost: 1 torn" in caplog.text
    assert stand.ids == ["0", "1", "2", "3"]


def test_bad_events_are_refused_from_the_disk_too(stand: Stand, tmp_path: Path) -> None:
    reporter = new_reporter(stand, tmp_path)
    report(reporter, 5)
    until(lambda: reporter.stats.spooled == 5, "that they are spooled")
    stand.answers.append(refusing(400, {"1": "data.x: wrong"}))
    stand.start()
    until(lambda: reporter.stats.sent == 4, "that the others are sent")
    assert (reporter.stats.dropped, reporter.stats.spooled) == ({"refused": 1}, 0)
    assert accounted(reporter)
    reporter.close(10)
    assert stand.ids == ["0", "2", "3", "4"]


def test_a_heartbeat_says_nothing_while_events_lie_on_disk(stand: Stand, tmp_path: Path) -> None:
    reporter = new_reporter(stand, tmp_path, heartbeat=BANK, heartbeat_every_s=0.02)
    ids = report(reporter, 3)
    until(lambda: reporter.stats.spooled == 3, "that they are spooled")
    stand.start()
    until(lambda: reporter.stats.heartbeats >= 2, "heartbeats")
    reporter.close(10)
    types = [event["type"] for event in stand.taken]
    second = types.index("stepwatch.heartbeat", types.index("stepwatch.heartbeat") + 1)
    assert set(ids) <= {event["id"] for event in stand.taken[:second]}


def test_a_disk_that_refuses_leaves_events_in_memory_and_says_so(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spools, "_write_all", full)
    reporter = new_reporter(stand, tmp_path)
    ids = report(reporter, 3)
    until(lambda: "No space left on device" in reporter.stats.away, "that it is said")
    assert (reporter.stats.waiting, reporter.stats.spooled) == (3, 0)
    assert "the spool cannot be written" in caplog.text
    stand.start()
    assert reporter.close(10)
    assert stand.ids == ids


def test_a_folder_that_cannot_be_made_is_an_error_at_once(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        new_reporter(stand, tmp_path / "file" / "spool")


def run(stand: Stand, folder: Path, first: int, count: int, end: str) -> subprocess.CompletedProcess[str]:
    command = [*MODULE, stand.url, str(folder), str(first), str(count), end]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_process_that_is_killed_loses_nothing_that_lies_on_disk(stand: Stand, tmp_path: Path) -> None:
    killed = run(stand, tmp_path, 0, 3000, "spooled")
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "3000\n")
    stand.start()
    ended = run(stand, tmp_path, 3000, 10, "exit")
    assert (ended.returncode, ended.stdout) == (0, "")
    until(lambda: len(stand.ids) == 3010, "all events")
    assert stand.ids == [str(number) for number in range(3010)]


def test_a_process_that_is_killed_while_it_sends_repeats_one_request_at_most(stand: Stand, tmp_path: Path) -> None:
    assert run(stand, tmp_path, 0, 5000, "spooled").stdout == "5000\n"
    stand.start()
    hold = threading.Event()
    stand.answers.extend([lambda events: ACCEPTED] * 2)
    stand.answers.append(lambda events: ACCEPTED if hold.wait(30) else None)
    with subprocess.Popen(
        [*MODULE, stand.url, str(tmp_path), "5000", "0", "wait"], stdout=subprocess.PIPE, text=True
    ) as sending:
        until(lambda: len(stand.requests) == 3, "the third request")
        sending.kill()
    hold.set()
    reporter = new_reporter(stand, tmp_path)
    report(reporter, 1, first=5000)
    until(lambda: reporter.stats.recovered and reporter.stats.spooled == 0, "the rest")
    assert reporter.close(30)
    times = Counter(int(event["id"]) for event in stand.taken)
    assert sorted(times) == list(range(5001))
    assert times.total() - len(times) <= CHUNK_EVENTS


def test_the_event_of_a_program_that_ends_at_once_is_sent_or_spooled(stand: Stand, tmp_path: Path) -> None:
    away = run(stand, tmp_path, 0, 1, "leave")
    assert (away.returncode, away.stdout) == (0, "")
    assert "Traceback" not in away.stderr
    stand.start()
    assert run(stand, tmp_path, 1, 1, "exit").stderr == ""
    assert stand.ids == ["0", "1"]


def test_a_forked_process_has_a_lane_of_its_own_and_each_event_arrives_once(stand: Stand, tmp_path: Path) -> None:
    ended = run(stand, tmp_path, 0, 5, "fork")
    assert ended.returncode == 0, ended.stderr
    assert len({path.parent for path in tmp_path.glob("*/*.events")}) == 3
    reporter = new_reporter(stand.start(), tmp_path)
    reporter.start()
    until(lambda: reporter.stats.sent == 15, "all events of all processes")
    assert accounted(reporter)
    reporter.close(10)
    assert sorted(event["id"] for event in stand.taken) == sorted(str(number) for number in range(15))


def test_a_child_that_outlives_its_parent_does_not_keep_the_parents_lane(stand: Stand, tmp_path: Path) -> None:
    command = [*MODULE, stand.url, str(tmp_path), "0", "3", "orphan"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "3\n"
        assert parent.wait(30) == -signal.SIGKILL
        reporter = new_reporter(stand.start(), tmp_path)
        reporter.start()
        until(lambda: reporter.stats.sent == 3, "the parent's events, while the child lives")
        reporter.close(10)


def test_a_process_that_lives_takes_over_what_one_left_behind_that_is_gone(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "LOOK_EVERY_S", 0.05)
    lives = new_reporter(stand, tmp_path)
    ids = report(lives, 1)
    until(lambda: lives.stats.spooled == 1, "that it has a lane")
    assert run(stand, tmp_path, 1, 4, "spooled").stdout == "4\n"
    stand.start()
    until(lambda: lives.stats.sent == 5, "the other's events")
    assert (lives.stats.reported, lives.stats.recovered) == (1, 4)
    lives.close(10)
    assert stand.ids == [*ids, "1", "2", "3", "4"]
