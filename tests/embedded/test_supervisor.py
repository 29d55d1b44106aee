"""Processes are kept running, with patience, and stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stepwatch.embedded import supervisor as module
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.supervisor import Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
UP = """
import sys
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.supervisor import Supervisor
with DataFolder(sys.argv[1]).lock() as folder:
    keeper = Supervisor(folder)
    keeper.add("one", ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"],
               lines=lambda line: print(line, flush=True))
    print("ended by", keeper.run(), flush=True)
"""


def wait_for(what: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(DataFolder(tmp_path), say=said.append)
    yield made
    made.stop()


def test_a_role_that_is_killed_is_started_again_and_said_to_be(keeper: Supervisor, said: list[str]) -> None:
    keeper.add("worker", SLEEP)
    keeper.start()
    first = keeper.pids()["worker"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: keeper.starts() == {"worker": 2})
    wait_for(lambda: len(said) == 2)
    assert said[0].startswith("worker was ended by SIGKILL; starts again in 0.5 s (its log: ")
    assert said[1].startswith("worker runs again (process ")
    assert keeper.pids()["worker"] != first


def test_a_role_that_keeps_ending_waits_twice_as_long_each_time_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(module, "BACKOFF_MAX_S", 1.0)
    keeper = Supervisor(DataFolder(tmp_path), say=said.append)
    keeper.add("worker", [sys.executable, "-S", "-c", "raise SystemExit(7)"])
    keeper.start()
    wait_for(lambda: len([line for line in said if "starts again" in line]) == 3)
    keeper.stop()
    waits = [line.split("again in ")[1].split(" s")[0] for line in said if "starts again" in line]
    assert waits == ["0.5", "1", "1"]
    assert "worker ended with status 7" in said[0]


def test_a_role_that_was_healthy_for_long_starts_over_with_the_shortest_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(module, "HEALTHY_S", 0.0)
    keeper = Supervisor(DataFolder(tmp_path), say=said.append)
    keeper.add("worker", [sys.executable, "-S", "-c", "raise SystemExit(1)"])
    keeper.start()
    wait_for(lambda: len([line for line in said if "starts again" in line]) == 2)
    keeper.stop()
    assert all("again in 0.5 s" in line for line in said if "starts again" in line)


class Server:
    """A server that notes what is done to it; its second start fails."""

    name = "server"
    pid = 0
    log = Path("server.log")

    def __init__(self, others: Callable[[], dict[str, int]]) -> None:
        self.others = others
        self.running = True
        self.notes: list[str] = []

    def start(self) -> None:
        self.notes.append("start")
        if len(self.notes) == 1:
            raise EmbeddedError("kafka_failed", "no room on the disk")
        self.running = True

    def ended(self) -> int | None:
        return None if self.running else 1

    def stop(self) -> None:
        self.notes.append(f"stop, beside {[name for name in self.others() if name != self.name]}")

    def kill(self) -> None:
        raise AssertionError


def test_a_server_is_started_again_until_it_comes_up_and_stopped_after_the_roles(
    tmp_path: Path, said: list[str]
) -> None:
    keeper = Supervisor(DataFolder(tmp_path), say=said.append)
    server = Server(keeper.pids)
    keeper.watch(server)
    keeper.add("worker", SLEEP)
    keeper.start()
    server.running = False
    wait_for(lambda: server.running)
    keeper.stop()
    assert server.notes == ["start", "start", "stop, beside []"]
    assert "server could not be started: no room on the disk; starts again in 1 s" in said[1]


def test_the_output_of_a_role_lies_in_its_own_log(keeper: Supervisor, tmp_path: Path) -> None:
    lines: list[str] = []
    keeper.add("loud", [sys.executable, "-c", "print('out'); import time; time.sleep(60)"], {"PYTHONUNBUFFERED": "1"})
    keeper.add("told", ["sh", "-c", "echo $GREETING; exec sleep 60"], {"GREETING": "hello"}, lines=lines.append)
    keeper.start()
    wait_for(lambda: (tmp_path / "logs" / "loud.log").read_text() == "out\n")
    wait_for(lambda: lines == ["hello"])
    assert (tmp_path / "logs" / "told.log").read_text() == "hello\n"


def test_the_memory_of_all_processes_is_counted_at_its_peak(keeper: Supervisor) -> None:
    alone = psutil.Process().memory_info().rss
    keeper.add("heavy", [sys.executable, "-c", "x = b'x' * 50_000_000; import time; time.sleep(60)"])
    keeper.start()
    wait_for(lambda: keeper.rss_bytes() > alone + 50_000_000)
    peak = keeper.rss_bytes()
    keeper.stop()
    assert keeper.rss_bytes() >= peak


def test_a_terminal_that_is_gone_does_not_end_the_supervision(tmp_path: Path) -> None:
    def closed(line: str) -> None:
        raise BrokenPipeError

    keeper = Supervisor(DataFolder(tmp_path), say=closed)
    keeper.add("worker", [sys.executable, "-S", "-c", "raise SystemExit(1)"])
    keeper.start()
    wait_for(lambda: keeper.starts()["worker"] >= 2)
    keeper.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", UP, str(tmp_path)], stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == "up\n"
        os.kill(up.pid, number)
        assert up.stdout.read().splitlines() == ["bye", f"ended by {int(number)}"]
        assert up.wait(10) == 0
