"""`stepwatch demo` from its command to its exit status, small, with its own servers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder

pytestmark = pytest.mark.live
_LISTENERS = ("kafka", "kafka_controller", "clickhouse", "correlate_web", "store_web", "notify_web")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose demo uses ports of its own; nothing may run on it in the end."""
    own = tmp_path / "demo"
    own.mkdir()
    # Not the usual ones: whatever else runs on this machine may have them.
    (own / "ports.json").write_text(json.dumps({name: ports.any_free() for name in _LISTENERS}))
    yield tmp_path
    assert not DataFolder(own).is_owned(), "a server outlived the demo"


def start(data: Path, *more: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STEPWATCH_")}
    command = [sys.executable, "-m", "stepwatch.cli.main", "demo", "--data", str(data), "--seconds", "14", *more]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_small_day_ends_as_its_script_says_and_stops_by_itself_without_a_terminal(data: Path) -> None:
    # What a former run left must not be seen again.
    stale = data / "demo" / "kafka" / "data"
    stale.mkdir(parents=True)
    (stale / "meta.properties").write_text("not a broker's\n")
    said = start(data, "--people", "30").communicate(timeout=240)[0]
    assert "NOT " not in said, said
    assert re.search(r"audit_current = replay of the same events: \d+ verdicts", said), said
    for words in (
        "OPENED critical   jonas.weber: payments.payout.release on payout po-2302",
        "not verified: security key tap 6 min 40 s too old · do: call payments-oncall",
        "RESOLVED          sofia.rossi: payments.payout.approve on payout po-2305",
        "OPENED high       /idp: source is silent",
        "RESOLVED          /idp: source is silent",
        "ok  a silent identity provider that comes back (Marek Nowak, Ines Costa, Viktor Hansen)",
        "The day is over",
        "beyond the grace",
        "GB at the peak",
        "stepwatch sql --data",
    ):
        assert words in said, said
    assert "\x1b" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_can_be_interrupted_in_the_middle_and_leaves_nothing_behind(data: Path, number: signal.Signals) -> None:
    running = start(data, "--people", "20")
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("OPENED"):
            break
    running.send_signal(number)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert "stopped" in said


def test_it_can_be_interrupted_while_the_servers_start(data: Path) -> None:
    running = start(data)
    log = data / "demo" / "logs" / "kafka.log"
    give_up = time.monotonic() + 60
    while not log.exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130, said
    assert "Traceback" not in said


def test_a_second_demo_on_the_same_folder_is_told_who_has_it(data: Path) -> None:
    with DataFolder(data / "demo").lock():
        second = start(data)
        said = second.communicate(timeout=60)[0]
    assert second.returncode == 3
    assert f"is in use by process {os.getpid()}" in said
