"""`python -m tests.bench.guard`: has the core become slower? It counts instructions: a busy machine changes nothing.

A fixed input (`counted`) runs under valgrind, and what each part costs an event is compared with `instructions.json`;
two runs of the same code differ by a tenth of a percent. `--accept` writes the file anew: for a change that is worth
its price, or to keep a gain. Counts hold for one kind of machine and one build of Python; elsewhere, and without
valgrind, nothing is compared.

Why cachegrind without its caches: it counts the same instructions as callgrind in half the time. To see where they go:
    PYTHONHASHSEED=0 valgrind --tool=callgrind python -m tests.bench.counted
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

BASELINE = Path(__file__).with_name("instructions.json")
MORE_MAX_PERCENT = 10
"""So much more is a failure: below it is noise of builds and libraries."""
_ROOT = Path(__file__).resolve().parents[2]
_GIVE_UP_S = 900
_SUMMARY = re.compile(r"^summary: (\d+)", re.MULTILINE)


class Change(NamedTuple):
    """One part: instructions an event before and now; None where it was not counted."""

    part: str
    before: float | None
    now: float | None

    @property
    def percent(self) -> float | None:
        """By how much it moved; None where there is nothing to compare."""
        if not self.before or self.now is None:
            return None
        return (self.now / self.before - 1) * 100

    @property
    def too_much(self) -> bool:
        """More than is let through."""
        if self.before is None or self.now is None:
            return False
        return self.now * 100 > self.before * (100 + MORE_MAX_PERCENT)


def changes(before: Mapping[str, float], now: Mapping[str, float]) -> list[Change]:
    """Every part of either, in the order of the new count."""
    return [Change(part, before.get(part), now.get(part)) for part in [*now, *(before.keys() - now.keys())]]


def table(found: list[Change]) -> str:
    """The changes for a reader."""
    lines = [f"{'instructions an event':54} {'baseline':>10} {'now':>10} {'moved':>8}"]
    for change in found:
        moved = "" if change.percent is None else f"{change.percent:+.1f} %"
        before, now = (f"{count:,.0f}" if count is not None else "-" for count in (change.before, change.now))
        lines.append(f"{change.part:54} {before:>10} {now:>10} {moved:>8}{'  TOO MUCH' * change.too_much}")
    return "\n".join(lines)


def here() -> dict[str, str]:
    """What counts depend on: interpreter and its build, kind of machine."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    flags = [flag for flag in ("--enable-optimizations", "--with-lto", "--enable-shared") if flag in arguments]
    return {
        "python": f"{platform.python_implementation()} {platform.python_version().rpartition('.')[0]}",
        "build": " ".join([platform.python_compiler().replace("[", "").replace("]", ""), *flags]),
        "machine": platform.machine(),
    }


def count() -> dict[str, float]:
    """Part -> instructions an event.

    Raises:
        RuntimeError: the counted process failed; the message holds its last words.
    """
    with tempfile.TemporaryDirectory(prefix="stepwatch-guard-") as folder:
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/%p"]
        done = subprocess.run(
            [*tool, sys.executable, "-m", "tests.bench.counted"],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=_GIVE_UP_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the counted process ended with {done.returncode}: {done.stderr[-2000:]}")
        return {
            part: round((_instructions(folder, busy) - _instructions(folder, idle)) / events)
            for part, events, idle, busy in map(json.loads, done.stdout.splitlines())
        }


def _instructions(folder: str, pid: int) -> int:
    found = _SUMMARY.search(Path(folder, str(pid)).read_text())
    assert found is not None, f"valgrind wrote no summary for process {pid}"
    return int(found[1])


def main() -> int:
    """Compare, or accept; 1 where a part needs more than 10 % more instructions."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.guard", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write the baseline anew")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("guard: not compared: there is no valgrind here (apt install valgrind)")
        return 0
    known: dict[str, Any] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    made_with, before = known.get("made_with", {}), known.get("instructions_an_event", {})
    if not options.accept and made_with != here():
        print(f"guard: not compared: the baseline holds for {_words(made_with)}, and this is {_words(here())}")
        return 0
    found = changes(before, count())
    print(table(found))
    if (was := known.get("msgspec")) not in (None, msgspec.__version__):
        print(f"msgspec was {was} and is {msgspec.__version__}: part of what moved may be its doing")
    if options.accept:
        _accept(found)
        return 0
    slower = [change.part for change in found if change.too_much]
    if slower:
        print(
            f"guard: more than {MORE_MAX_PERCENT} % more instructions: {', '.join(slower)}. Make it cheaper; or, "
            "where it is worth the price, say why in the commit and accept it: python -m tests.bench.guard --accept"
        )
    return 1 if slower else 0


def _accept(found: list[Change]) -> None:
    counts = {change.part: change.now if change.now is not None else change.before for change in found}
    text = {"made_with": here(), "msgspec": msgspec.__version__, "instructions_an_event": counts}
    BASELINE.write_text(json.dumps(text, indent=2) + "\n")
    print(f"guard: written to {BASELINE.name}")


def _words(made_with: Mapping[str, str]) -> str:
    return ", ".join(made_with.values()) or "nothing yet (--accept writes it)"


if __name__ == "__main__":
    sys.exit(main())
