"""Children end with their parent, servers stop cleanly, and a second start finds its data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from stepwatch.embedded import ports
from stepwatch.embedded.children import Child, spawn
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.errors import EmbeddedError, FolderTaken
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.http import ask
from stepwatch.embedded.kafka import EmbeddedKafka, answers
from stepwatch.embedded.running import running

BOTH = """
import json, sys, time
from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
with DataFolder(sys.argv[1]).lock() as folder:
    kafka, clickhouse = EmbeddedKafka(folder), EmbeddedClickHouse(folder)
    kafka.start()
    clickhouse.start()
    print(json.dumps([kafka.pid, clickhouse.pid]), flush=True)
    time.sleep(120)
"""
PARENT = """
import sys, time
from pathlib import Path
from stepwatch.embedded.children import spawn
child = spawn(["sleep", "60"], log=Path(sys.argv[1]), by_kernel=sys.argv[2] == "True")
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int, within_s: float = 3.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def released(folder: DataFolder, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while folder.is_owned() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not folder.is_owned()


@pytest.mark.live
def test_both_servers_end_with_a_killed_parent_and_the_next_start_takes_over(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", BOTH, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())
        with pytest.raises(FolderTaken, match=f"process {parent.pid} "), DataFolder(tmp_path).lock():
            pass
        found = running(DataFolder(tmp_path))
        assert ask(int(found.url.split(":")[2]), "SELECT 3", (found.reader_user, found.reader_password)).text == "3\n"
        assert answers(ports.HOST, int(found.bootstrap.split(":")[1]))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert all(gone(pid) for pid in pids)
    # A zombie may still have threads that end, and with them the lock.
    assert released(DataFolder(tmp_path))
    with pytest.raises(EmbeddedError, match="nothing runs on"):
        running(DataFolder(tmp_path))
    with DataFolder(tmp_path).lock() as folder:
        # Both of last time's ports are taken meanwhile: it must not matter to the data.
        kept = json.loads((tmp_path / "ports.json").read_text())
        with (
            socket.create_server((ports.HOST, kept["kafka"])),
            socket.create_server((ports.HOST, kept["clickhouse"])),
        ):
            kafka, clickhouse = EmbeddedKafka(folder), EmbeddedClickHouse(folder)
            try:
                kafka.start()
                clickhouse.start()
                assert kafka.bootstrap != f"{ports.HOST}:{kept['kafka']}"
                assert clickhouse.port != kept["clickhouse"]
                kafka.stop()
                clickhouse.stop()
                assert kafka.ended() == 128 + signal.SIGTERM  # what Java says after an orderly stop
                assert clickhouse.ended() == 0
            finally:
                kafka.kill()
                clickhouse.kill()


@pytest.mark.live
def test_clickhouse_stops_cleanly_though_a_client_holds_its_connection(tmp_path: Path) -> None:
    with DataFolder(tmp_path).lock() as folder:
        server = EmbeddedClickHouse(folder, port=ports.any_free())
        server.start()
        try:
            with socket.create_connection((ports.HOST, server.port)) as idle:
                idle.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"200" in idle.recv(100)
                started = time.monotonic()
                server.stop()
            assert server.ended() == 0
            assert time.monotonic() - started < 8
        finally:
            server.kill()
        server.start()
        try:
            assert ask(server.port, "SELECT 2", (server.user, server.password)).text == "2\n"
        finally:
            server.kill()


def test_nothing_that_is_not_kafka_counts_as_an_answer() -> None:
    with socket.create_server((ports.HOST, 0)) as mute:
        assert not answers(ports.HOST, mute.getsockname()[1], timeout_s=0.2)
    assert not answers(ports.HOST, ports.any_free())


@pytest.mark.parametrize("by_kernel", [True, False] if sys.platform == "linux" else [False])
def test_a_child_ends_with_its_killed_parent(tmp_path: Path, by_kernel: bool) -> None:
    argv = [sys.executable, "-c", PARENT, str(tmp_path / "log"), str(by_kernel)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        group = [p.pid for p in psutil.process_iter() if _group(p.pid) == pid]
        parent.kill()
        parent.wait()
    assert all(gone(each) for each in [pid, *group])


@pytest.mark.parametrize("by_kernel", [True, False] if sys.platform == "linux" else [False])
def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path, by_kernel: bool) -> None:
    started: list[Child] = []

    def ask_for_it() -> None:
        started.append(spawn(["sleep", "60"], log=tmp_path / "log", by_kernel=by_kernel))

    thread = threading.Thread(target=ask_for_it)
    thread.start()
    thread.join()
    (child,) = started
    assert child.wait(0.5) is None
    assert child.stop(5) in {-signal.SIGTERM, 256 - signal.SIGTERM}


@pytest.mark.parametrize("by_kernel", [True, False] if sys.platform == "linux" else [False])
def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path, by_kernel: bool) -> None:
    child = spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
        log=tmp_path / "log",
        by_kernel=by_kernel,
        piped=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    assert child.stop(0.3) == -signal.SIGKILL
    child.stdout.close()


def test_a_command_that_does_not_exist_says_so_in_its_log(tmp_path: Path) -> None:
    assert spawn(["no-such-command"], log=tmp_path / "log").wait(10) == 127
    assert "no-such-command: No such file or directory" in (tmp_path / "log").read_text()


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
