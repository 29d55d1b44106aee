"""`python -m tests.bench.replay`: events a second, and CPU an event, of `stepwatch replay` on a file of the data.

The command runs as a process, as a person would start it; its rows go nowhere. It runs on an empty file as well, and
what that costs, the start, is told apart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from stepwatch.schemas.times import SECOND_US, format_time
from tests.bench.data import POLICY, events, heartbeat
from tests.bench.ground import heading, say
from tests.live.harness import ROOT

_BEGIN_US = 1_795_511_702_000_000
_BEAT_EVERY_S = 600


class Took(NamedTuple):
    """What one process took.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: user and system time of all its threads.
        peak_mb: the most memory.
        rows: lines that it wrote.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    rows: int


def write_events(path: Path, count: int) -> int:
    """Write `count` events of the data, copies and the source's heartbeats too, each with its arrival.

    Returns:
        The number of lines.
    """
    lines = 0
    with path.open("wb") as file:
        for second in range(0, count // 1000 + _BEAT_EVERY_S, _BEAT_EVERY_S):
            file.write(heartbeat(f"h-{second}", _BEGIN_US + second * SECOND_US) + b"\n")
            lines += 1
        for sent in events(count, _BEGIN_US):
            arrival = format_time(_BEGIN_US + sent.at_ms * 1000).encode()
            file.write(sent.body[:-1] + b',"arrival":"' + arrival + b'"}\n')
            lines += 1
    return lines


def run_replay(policy: Path, lines: Path) -> Took:
    """Run the command on a file.

    Raises:
        RuntimeError: it ended with another status than 0.
    """
    command = [sys.executable, "-m", "stepwatch.cli.main", "replay", "--json", "--policy", str(policy), str(lines)]
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        rows = sum(1 for _ in process.stdout)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"replay ended with status {process.returncode}")
    kilo = 1e6 if sys.platform == "darwin" else 1e3
    return Took(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / kilo, rows)


def measure(count: int, folder: Path) -> tuple[int, Took, Took]:
    """(lines of the file, what it took, what an empty file takes)."""
    policy, lines, nothing = folder / "policy.yaml", folder / "events.jsonl", folder / "empty.jsonl"
    policy.write_text(POLICY)
    nothing.write_bytes(b"")
    say(f"writing {count:,} events")
    number = write_events(lines, count)
    say("replaying them")
    return number, run_replay(policy, lines), run_replay(policy, nothing)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replay", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events before copies (default 200,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwatch-bench-") as folder:
        lines, took, start = measure(options.events, Path(folder))
    print(heading())
    print()
    print("| replay of a file | events/s | us CPU/event | the same, start left out | start, s CPU | peak MB | rows |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {lines:,} lines | {lines / took.wall_s:,.0f} | {took.cpu_s / lines * 1e6:.1f} "
        f"| {(took.cpu_s - start.cpu_s) / lines * 1e6:.1f} | {start.cpu_s:.2f} | {took.peak_mb:,.0f} | {took.rows:,} |"
    )


if __name__ == "__main__":
    main()
