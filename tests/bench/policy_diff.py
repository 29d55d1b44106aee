"""`python -m tests.bench.policy_diff`: events a second of a core that `policy diff` takes over a file of the data.

Three rows: the command as a person starts it, on all of the data; the same on the actions that no policy concerns; and
of these what the comparison itself costs, without reading the file. Each is CPU time, the start of Python left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stepwatch.streams.sets import PolicySets, build_set
from stepwatch.streams.skimming import plain_lines
from stepwatch.streams.tuning.differing import Both
from tests.bench.data import POLICY
from tests.bench.ground import heading, say
from tests.bench.replay import write_events
from tests.live.harness import ROOT

OTHER = POLICY.replace("max_age: 5m", "max_age: 10m")


class Measured(NamedTuple):
    """Seconds of CPU for so many events; of what, in words."""

    words: str
    events: int
    cpu_s: float


def sets_of(text: str) -> PolicySets:
    """One set of one file."""
    return PolicySets([build_set([("policy.yaml", text)], None)])


def cpu_of(old: Path, new: Path, events: Path) -> float:
    """Seconds of CPU that the command takes."""
    command = [sys.executable, "-m", "stepwatch.cli.main", "policy", "diff", old, new, "--events", events, "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"policy diff ended with status {process.returncode}")
    return used.ru_utime + used.ru_stime


def comparing_cpu(lines: Sequence[bytes]) -> float:
    """Seconds of CPU to compare two sets over lines in memory."""
    old, new = sets_of(POLICY), sets_of(OTHER)
    both, begun = Both(old, new), time.process_time()
    if list(both.gather(lines)) or both.compare(old, new).judged:
        raise RuntimeError("a line that concerns no policy was rejected or judged")
    return time.process_time() - begun


def measure(count: int, folder: Path) -> list[Measured]:
    """The three rows, for so many events of the data."""
    old, new, everything = folder / "old.yaml", folder / "new.yaml", folder / "events.jsonl"
    plain, one = folder / "plain.jsonl", folder / "one.jsonl"
    old.write_text(POLICY)
    new.write_text(OTHER)
    say(f"writing {count:,} events")
    total = write_events(everything, count)
    is_plain = plain_lines(sets_of(POLICY))
    lines = [line for line in everything.read_bytes().splitlines() if is_plain(line) is not None]
    plain.write_bytes(b"\n".join(lines) + b"\n")
    one.write_bytes(lines[0] + b"\n")
    say("comparing")
    start_s = cpu_of(old, new, one)
    return [
        Measured("all of them, the command", total, cpu_of(old, new, everything) - start_s),
        Measured("those of no policy, the command", len(lines), cpu_of(old, new, plain) - start_s),
        Measured("those of no policy, without reading the file", len(lines), comparing_cpu(lines)),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.policy_diff", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events before copies (default 200,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwatch-bench-") as name:
        rows = measure(options.events, Path(name))
    print(heading())
    print()
    print("| policy diff | events | us CPU/event | events/s a core |")
    print("|---|---|---|---|")
    for words, events, cpu_s in rows:
        print(f"| {words} | {events:,} | {cpu_s / events * 1e6:.2f} | {events / cpu_s:,.0f} |")


if __name__ == "__main__":
    main()
