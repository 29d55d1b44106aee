"""The long fault suite: `make faults`, or `python -m tests.faults [--seed N] [--only NAME ...] [--scale X] [--list]`.

One line for each scenario and one for all: how many kills, how many records, exact or not. Exit status 1 if any was
not exact, with the command that plays it again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fnmatch
import importlib.util
import logging
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.faults.stage import Outcome, Scenario, Stage, act
from tests.live.harness import ROOT

FAMILIES = ("workers", "broker", "clickhouse", "timing", "upgrade", "growth")
LIMIT_S = 39 * 60.0
"""The whole run; a scenario that is still playing then has failed, as has one that could not begin."""
LANES = 2
"""Scenarios at a time, beside those that wait for long: most wait for processes and sessions more than they work."""


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario's line."""

    name: str
    seconds: float
    outcome: Outcome | None
    failure: str = ""

    def line(self, seed: int) -> str:
        """The line, with the same columns for all."""
        kills, records = (self.outcome.kills, self.outcome.records) if self.outcome else ("-", "-")
        result = f"exact   {self.outcome.words}" if self.outcome else "FAILED"
        return f"{self.name:36} seed {seed}  kills {kills:>4}  records {records:>8}  {self.seconds:6.1f} s  {result}"


def scenarios() -> dict[str, Scenario]:
    """Every scenario by name, in the order of the families."""
    found: dict[str, Scenario] = {}
    for family in FAMILIES:
        if importlib.util.find_spec(f"tests.faults.{family}") is not None:
            found |= importlib.import_module(f"tests.faults.{family}").SCENARIOS
    return found


def main() -> int:
    """Play what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Plays faults on real servers.")
    parser.add_argument("--seed", type=int, default=None, help="of every random choice (default: a new one)")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="names, `*` is anything")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the long run (default: 1)")
    parser.add_argument("--list", action="store_true", help="say the names and play none")
    parser.add_argument("--in-turn", action="store_true", help="play them one after the other, on the same servers")
    args = parser.parse_args()
    known = scenarios()
    chosen = {name: play for name, play in known.items() if any(fnmatch.fnmatch(name, one) for one in args.only)}
    if not chosen:
        parser.error(f"no scenario is called {' or '.join(args.only)}; --list names them")
    if args.list:
        print("\n".join(f"{name:36} {_about(play)}" for name, play in chosen.items()))
        return 0
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"{len(chosen)} scenarios, seed {seed}, scale {args.scale:g}", flush=True)
    begun = time.monotonic()
    # What the clients of the scenarios say of a broker that was killed is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # So that whatever ends us, the processes that were started are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    play_all = _in_turn if args.in_turn or len(chosen) == 1 else _in_lanes
    played = []
    for one in play_all(chosen, seed, args.scale, begun + LIMIT_S):
        print(one.line(seed), flush=True)
        played.append(one)
    return _summary(played, seed, args.scale, time.monotonic() - begun)


def _in_lanes(chosen: dict[str, Scenario], seed: int, scale: float, give_up: float) -> Iterator[Played]:
    """Each in a process and on servers of its own: those that wait for long at once, of the others some at a time."""
    waiting = [name for name, play in chosen.items() if getattr(play, "beside", False)]
    others = [name for name in chosen if name not in waiting]
    companions: list[Companion] = []
    with tempfile.TemporaryDirectory(prefix="stepwatch-faults-logs-") as logs:

        def play(name: str) -> Played:
            if time.monotonic() > give_up:
                return Played(name, 0.0, None, "the time was up before it could begin")
            companion = Companion(name, seed, scale, Path(logs) / name)
            companions.append(companion)
            return companion.wait(give_up)

        with ThreadPoolExecutor(len(waiting) or 1) as aside, ThreadPoolExecutor(LANES) as lanes:
            try:
                playing = [aside.submit(play, name) for name in waiting] + [lanes.submit(play, name) for name in others]
                for done in as_completed(playing):
                    yield done.result()
            finally:
                for pool in (aside, lanes):
                    pool.shutdown(wait=False, cancel_futures=True)
                for companion in companions:
                    companion.close()


def _summary(played: list[Played], seed: int, scale: float, seconds: float) -> int:
    failed = [one for one in played if one.outcome is None]
    for one in failed:
        print(
            f"\n{one.name}:\n{one.failure}\nplay it again: python -m tests.faults --seed {seed} --only {one.name}",
            end="",
        )
        print(f" --scale {scale:g}" if scale != 1.0 else "")
    good = [one.outcome for one in played if one.outcome is not None]
    print(
        f"seed {seed}: {len(good)} of {len(played)} scenarios exact, {sum(o.kills for o in good)} kills, "
        f"{sum(o.records for o in good)} records, {seconds:.0f} s",
        flush=True,
    )
    return 1 if failed else 0


def _about(play: Scenario) -> str:
    return (play.__doc__ or "").split("\n")[0]


@contextlib.contextmanager
def _servers() -> Iterator[tuple[EmbeddedKafka, EmbeddedClickHouse, Path]]:
    """A broker and a ClickHouse of our own, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="stepwatch-faults-", ignore_cleanup_errors=True) as tmp:
        folder = DataFolder(Path(tmp) / "servers")
        with folder.lock():
            kafka: EmbeddedKafka = _started(lambda port: EmbeddedKafka(folder, port=port))
            try:
                clickhouse: EmbeddedClickHouse = _started(lambda port: EmbeddedClickHouse(folder, port=port))
                try:
                    yield kafka, clickhouse, Path(tmp)
                finally:
                    clickhouse.kill()
            finally:
                kafka.kill()


def _started(make: Callable[[int], Any]) -> Any:
    """A server on a free port; another run that starts at the same time may take the same one first."""
    for left in range(4, -1, -1):
        server = make(ports.any_free())
        try:
            server.start()
            return server
        except EmbeddedError:
            server.kill()
            if not left:
                raise
    raise AssertionError


def _in_turn(chosen: dict[str, Scenario], seed: int, scale: float, give_up: float) -> Iterator[Played]:
    with _servers() as (kafka, clickhouse, tmp):
        for name, play in chosen.items():
            # A scenario that failed may have left them dead.
            kafka.start()
            clickhouse.start()
            folder = tmp / name
            folder.mkdir()
            stage = Stage(name, folder, kafka, clickhouse, seed=seed, scale=scale)
            yield _play(name, play, stage, give_up)


def _play(name: str, play: Scenario, stage: Stage, give_up: float) -> Played:
    async def in_time() -> Outcome:
        async with asyncio.timeout(max(0.0, give_up - time.monotonic())):
            return await act(play, stage)

    begun = time.monotonic()
    try:
        outcome = asyncio.run(in_time())
    except Exception:
        return Played(name, time.monotonic() - begun, None, traceback.format_exc(limit=-6))
    return Played(name, time.monotonic() - begun, outcome)


class Companion:
    """A scenario in a process of its own, on servers of its own, beside the others."""

    def __init__(self, name: str, seed: int, scale: float, log: Path) -> None:
        self.name = name
        self._begun = time.monotonic()
        self._log = log
        command = [sys.executable, "-m", "tests.faults", "--in-turn", "--seed", str(seed), "--scale", str(scale)]
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [*command, "--only", name], cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def wait(self, give_up: float) -> Played:
        """What came of it, as it told in its line."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(1.0, give_up - time.monotonic()))
        if self._process.poll() is None:
            return Played(self.name, time.monotonic() - self._begun, None, "it was still playing when the time was up")
        seconds = time.monotonic() - self._begun
        said = self._log.read_text(errors="replace")
        line = re.search(r"kills +(\d+)  records +(\d+) +([\d.]+) s  exact   (.*)", said)
        if self._process.poll() != 0 or line is None:
            return Played(self.name, seconds, None, said)
        return Played(self.name, float(line[3]), Outcome(int(line[2]), int(line[1]), line[4]))

    def close(self) -> None:
        """End it, and by its own hand what it started."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


if __name__ == "__main__":
    sys.exit(main())
