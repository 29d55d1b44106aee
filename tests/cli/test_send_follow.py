"""`stepwatch send --dry-run --follow`: a growing log across rotation, and the heartbeats of its feeds."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import COMMAND, environment, event, payout, write_events

LOGIN = {
    "uuid": "u-1",
    "eventType": "user.session.start",
    "published": "2026-11-24T10:00:00.000Z",
    "actor": {"id": "00u1", "type": "User", "alternateId": "alice@acme.example"},
    "outcome": {"result": "SUCCESS"},
}
"""A row of Okta's System Log."""


class Follower:
    """A running `send --dry-run --follow`."""

    def __init__(self, folder: Path, *args: str) -> None:
        self._out, self._err = folder.parent / "out", folder.parent / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "send", "--dry-run", "--follow", *args],
                cwd=folder,
                env=environment(folder),
                stdout=out,
                stderr=err,
            )

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it printed, but heartbeats."""
        return [row for row in self._rows() if row["type"] != "stepwatch.heartbeat"]

    @property
    def beats(self) -> list[dict[str, Any]]:
        """The heartbeats that it printed."""
        return [row for row in self._rows() if row["type"] == "stepwatch.heartbeat"]

    @property
    def said(self) -> str:
        """What it told."""
        return self._err.read_text()

    def until(self, ids: list[str]) -> None:
        """Wait until exactly these events are printed, in this order."""
        until(
            lambda: [row["id"] for row in self.rows] == ids, lambda: f"{[row['id'] for row in self.rows]} {self.said}"
        )

    def stop(self, number: signal.Signals) -> int:
        """End it by a signal; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def _rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]


def until(what: Callable[[], bool], words: Callable[[], str], seconds: float = 20) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, words()
        time.sleep(0.05)


def text(id: str) -> str:
    """A line of an event."""
    return json.dumps(payout(id, "10:00:00")) + "\n"


def append(path: Path, words: str) -> None:
    """Write to the end of a file, as a logger does."""
    with path.open("a") as file:
        file.write(words)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder for a log."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def follow(logs: Path) -> Iterator[Callable[..., Follower]]:
    """Start followers; none outlives its test."""
    started: list[Follower] = []

    def start(*args: str) -> Follower:
        started.append(Follower(logs, *args))
        return started[-1]

    yield start
    for follower in started:
        follower.process.kill()
        follower.process.wait()


def test_a_growing_file_is_followed_across_every_kind_of_rotation(logs: Path, follow: Callable[..., Follower]) -> None:
    log = logs / "app.log"
    append(log, text("a-1"))
    follower = follow("app.log", "--heartbeat", "0s")
    follower.until(["a-1"])
    half = text("a-2")
    append(log, half[:40])
    time.sleep(1.5)
    follower.until(["a-1"])
    append(log, half[40:])
    follower.until(["a-1", "a-2"])
    # Renamed, written to once more by whoever has it open, and made anew.
    append(log, text("a-3"))
    log.rename(logs / "app.log.1")
    append(logs / "app.log.1", text("a-4"))
    append(log, text("a-5"))
    follower.until(["a-1", "a-2", "a-3", "a-4", "a-5"])
    # Copied and truncated in place; the older one packed.
    (logs / "app.log.2.gz").write_bytes(gzip.compress((logs / "app.log.1").read_bytes()))
    append(log, text("a-6"))
    shutil.copy(log, logs / "app.log.1")
    os.truncate(log, 0)
    append(log, text("a-7"))
    follower.until([f"a-{number}" for number in range(1, 8)])
    time.sleep(1.2)
    follower.until([f"a-{number}" for number in range(1, 8)])
    assert follower.stop(signal.SIGINT) == 130
    assert "would send 7 actions" in follower.said


def test_new_files_of_a_folder_are_taken_once_they_are_whole(logs: Path, follow: Callable[..., Follower]) -> None:
    append(logs / "1.jsonl", text("a-1"))
    follower = follow(".")
    follower.until(["a-1"])
    packed = gzip.compress(json.dumps({"Records": [payout("a-2", "10:00:00")]}).encode())
    (logs / "2.json.gz").write_bytes(packed[:30])
    time.sleep(1.2)
    (logs / "2.json.gz").write_bytes(packed)
    follower.until(["a-1", "a-2"])
    document = json.dumps([payout("a-3", "10:00:00"), payout("a-4", "10:00:00")], indent=1)
    append(logs / "3.json", document[:-20])
    time.sleep(1.2)
    follower.until(["a-1", "a-2"])
    append(logs / "3.json", document[-20:])
    follower.until(["a-1", "a-2", "a-3", "a-4"])
    assert follower.stop(signal.SIGTERM) == 0


def test_heartbeats_follow_the_backlog_and_stop_while_something_is_held_back(
    logs: Path, follow: Callable[..., Follower]
) -> None:
    log = write_events(logs / "okta.log", LOGIN)
    follower = follow("--from", "okta", "--heartbeat", "1s", "--lag", "2m", "okta.log")
    until(lambda: len(follower.beats) >= 2, lambda: follower.said)
    beat = follower.beats[0]
    assert beat["source"] == "/okta"
    behind = datetime.fromisoformat(beat["time"]) - datetime.fromisoformat(beat["data"]["complete_to"])
    assert timedelta(minutes=2) <= behind < timedelta(minutes=2, seconds=5)
    append(log, '{"uuid": "u-2"')
    time.sleep(1)
    count = len(follower.beats)
    time.sleep(2)
    assert len(follower.beats) == count


def test_each_source_of_a_file_of_events_has_its_heartbeat_unless_it_sends_its_own(
    logs: Path, follow: Callable[..., Follower]
) -> None:
    write_events(
        logs / "log",
        payout("a-1", "10:00:00", source="/app"),
        event("session.started", "l-1", "10:00:00", source="/idp"),
        event("heartbeat", "h-1", "10:00:00", source="/idp"),
    )
    follower = follow("log", "--heartbeat", "1s")
    until(lambda: len(follower.beats) >= 3, lambda: follower.said)
    assert [beat["id"] for beat in follower.beats if beat["source"] == "/idp"] == ["h-1"]
    assert {beat["source"] for beat in follower.beats} == {"/idp", "/app"}


def test_a_folder_that_is_away_for_a_moment_does_not_end_it(logs: Path, follow: Callable[..., Follower]) -> None:
    folder = logs / "in"
    folder.mkdir()
    append(folder / "1", text("a-1"))
    follower = follow("in", "--heartbeat", "0s")
    follower.until(["a-1"])
    folder.rename(logs / "away")
    time.sleep(1.2)
    (logs / "away").rename(folder)
    append(folder / "1", text("a-2"))
    follower.until(["a-1", "a-2"])


def test_a_log_that_is_gone_unread_is_told_once_and_ends_the_heartbeats(
    logs: Path, follow: Callable[..., Follower]
) -> None:
    log = logs / "app.log"
    append(log, text("a-1"))
    follower = follow("app.log", "--heartbeat", "1s")
    until(lambda: len(follower.beats) >= 1, lambda: follower.said)
    append(logs / "new", text("a-2"))
    (logs / "new").rename(log)
    follower.until(["a-1", "a-2"])
    until(lambda: "its last lines may be missing" in follower.said, lambda: follower.said)
    count = len(follower.beats)
    time.sleep(2)
    assert len(follower.beats) == count
    assert follower.said.count("no heartbeats meanwhile") == 1
