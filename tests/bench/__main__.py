"""`python -m tests.bench`: one worker beside a bare loop in the same run, two workers, latency, where the time goes."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path

import psutil

from tests.bench.check import check
from tests.bench.figures import Run
from tests.bench.fill import Filled, drop, fill, new_settings
from tests.bench.ground import Ground, say, servers
from tests.bench.latency import loop_latency, worker_latency
from tests.bench.loop import run_loop
from tests.bench.report import Measured, Round, print_report
from tests.bench.stages import measure_stages, row_bytes_of
from tests.bench.watch import cpu_s
from tests.bench.worker import run_workers

PARTITIONS = 4
PARTS = ("stages", "job", "two", "latency")
RATES = (200, 2000)
TOGETHER = {"group.initial.rebalance.delay.ms": "5000"}
"""Of the broker of two workers: else the first would have read half before the second has started."""
_STAGE_EVENTS = 200_000
_ROW_EVENTS = 20_000


def main() -> int:
    """Measure and print; returns 0, or 1 where a verdict was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; give several (default: all)")
    parser.add_argument("--events", type=int, default=1_000_000, help="events before copies (default 1,000,000)")
    parser.add_argument("--quick", action="store_true", help="100,000 events: too few to quote")
    parser.add_argument("--rounds", type=int, default=2, help="fillings of Kafka, a worker between two loops in each")
    parser.add_argument("--seconds", type=float, default=30, help="at each rate, for the latency")
    parser.add_argument("--folder", type=Path, help="where Kafka's data goes (default: a temporary folder)")
    options = parser.parse_args()
    parts = options.only or PARTS
    count = 100_000 if options.quick else options.events
    measured = Measured(count, row_bytes_of(min(count, _ROW_EVENTS)))
    if "stages" in parts:
        say("stages, without Kafka")
        measured.stages = measure_stages(min(count, _STAGE_EVENTS))
    if {"job", "latency"} & set(parts):
        with servers(options.folder) as ground:
            asyncio.run(Bench(ground, measured).run(parts, options.rounds, options.seconds))
    if "two" in parts:
        with servers(options.folder, properties=TOGETHER) as ground:
            asyncio.run(Bench(ground, measured).two())
    print_report(measured)
    return 1 if measured.faults else 0


class Bench:
    """Measures on one broker.

    Args:
        ground: the broker, and a folder for logs and policies.
        measured: what it adds to.
    """

    def __init__(self, ground: Ground, measured: Measured) -> None:
        self._bootstrap = ground.kafka.bootstrap
        self._broker = [psutil.Process(ground.kafka.pid)]
        self._folder = ground.folder
        self._measured = measured

    async def run(self, parts: Sequence[str], rounds: int, seconds: float) -> None:
        """Measure the job and the latency, as far as they are among the parts."""
        if "job" in parts:
            for number in range(1, rounds + 1):
                await self._job(number)
        if "latency" in parts:
            for rate in RATES:
                await self._latency(rate, seconds)

    async def two(self) -> None:
        """Measure two workers; the broker waits for both before it shares the partitions out."""
        settings = new_settings(self._bootstrap, self._folder, "two.", PARTITIONS)
        say(f"two workers: writing {self._measured.count:,} events")
        filled = await fill(settings, self._measured.count)
        say("two workers: reading them")
        run = await self._beside_broker(filled, run_workers(filled, self._folder, "two workers", 2))
        self._measured.two = run, await check(filled)
        await drop(settings)

    async def _job(self, number: int) -> None:
        """Fill, then loop, worker, loop, then check; each time with new topics."""
        settings = new_settings(self._bootstrap, self._folder, f"bench{number}.", PARTITIONS)
        say(f"round {number}: writing {self._measured.count:,} events")
        filled = await fill(settings, self._measured.count)
        say(f"round {number}: loop, worker, loop")
        rows = self._measured.row_bytes
        before = await self._beside_broker(filled, run_loop(filled, rows, self._folder, "before"))
        worker = await self._beside_broker(filled, run_workers(filled, self._folder, f"worker {number}"))
        after = await self._beside_broker(filled, run_loop(filled, rows, self._folder, "after"))
        done = Round(worker, (before, after), await check(filled))
        self._measured.rounds.append(done)
        say(f"round {number}: {done.ratio:.2f} times the loop; faults: {done.checked.faults or 'none'}")
        await drop(settings)

    async def _beside_broker(self, filled: Filled, running: Awaitable[Run]) -> Run:
        before_s = cpu_s(self._broker)
        run = await running
        return run._replace(broker_us=(cpu_s(self._broker) - before_s) / filled.records * 1e6)

    async def _latency(self, rate: int, seconds: float) -> None:
        say(f"latency at {rate} events/s: worker, then loop, {seconds:g} s each")
        worker = new_settings(self._bootstrap, self._folder, f"late{rate}.", PARTITIONS)
        loop = new_settings(self._bootstrap, self._folder, f"bare{rate}.", PARTITIONS)
        self._measured.latency[rate] = (
            await worker_latency(worker, rate, seconds, self._folder),
            await loop_latency(loop, self._measured.row_bytes, rate, seconds, self._folder),
        )
        for settings in (worker, loop):
            await drop(settings)


if __name__ == "__main__":
    sys.exit(main())
