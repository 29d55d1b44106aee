"""`python -m tests.bench`: how fast one worker is beside a bare loop in the same run, and where the time goes."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.bench.check import check
from tests.bench.fill import drop, fill, new_settings
from tests.bench.loop import run_loop
from tests.bench.report import Round, print_report
from tests.bench.stages import Stages, measure_stages
from tests.bench.worker import run_worker

PARTITIONS = 4
_STAGE_EVENTS = 200_000


def main() -> int:
    """Measure and print; returns 0, or 1 where a verdict was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events before copies (default 1,000,000)")
    parser.add_argument("--quick", action="store_true", help="100,000 events: too few to quote")
    parser.add_argument("--rounds", type=int, default=2, help="fillings of Kafka, a worker between two loops in each")
    parser.add_argument("--folder", type=Path, help="where Kafka's data goes (default: a temporary folder)")
    options = parser.parse_args()
    count = 100_000 if options.quick else options.events
    _say("stages, without Kafka")
    stages = measure_stages(min(count, _STAGE_EVENTS))
    with tempfile.TemporaryDirectory(prefix="stepwatch-bench-", dir=options.folder) as folder:
        data = DataFolder(Path(folder) / "servers")
        with data.lock():
            kafka = EmbeddedKafka(data, port=ports.any_free())
            _say("starting Kafka")
            kafka.start()
            try:
                rounds = asyncio.run(run_rounds(kafka.bootstrap, Path(folder), count, options.rounds, stages))
            finally:
                kafka.kill()
    print_report(count, stages, rounds)
    return 1 if any(each.checked.faults for each in rounds) else 0


async def run_rounds(bootstrap: str, folder: Path, count: int, rounds: int, stages: Stages) -> list[Round]:
    """Fill, then loop, worker, loop, then check; again with new topics."""
    done = []
    for number in range(1, rounds + 1):
        settings = new_settings(bootstrap, folder, f"bench{number}.", PARTITIONS)
        _say(f"round {number}: writing {count:,} events")
        filled = await fill(settings, count)
        _say(f"round {number}: loop, worker, loop")
        before = await run_loop(filled, stages.row_bytes, folder, "before")
        worker = await run_worker(filled, folder / f"worker{number}.log")
        after = await run_loop(filled, stages.row_bytes, folder, "after")
        done.append(Round(worker, (before, after), await check(filled)))
        _say(f"round {number}: {done[-1].ratio:.2f} times the loop; faults: {done[-1].checked.faults or 'none'}")
        await drop(settings)
    return done


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
