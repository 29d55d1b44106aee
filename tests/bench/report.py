"""The one table that a run prints."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import mean

from tests.bench.check import Checked
from tests.bench.figures import Run
from tests.bench.stages import Stages


@dataclass(frozen=True, slots=True)
class Round:
    """One filling of Kafka: the bare loop before and after the worker, and whether the worker was right."""

    worker: Run
    loops: Sequence[Run]
    checked: Checked

    @property
    def ratio(self) -> float:
        """CPU an event of the worker over that of the loop in the same round."""
        return self.worker.figures.us_per_event / mean(loop.figures.us_per_event for loop in self.loops)


def print_report(count: int, stages: Stages, rounds: Sequence[Round]) -> None:
    """Print what was measured, on what, by which command."""
    print("\n".join(_lines(count, stages, rounds)))


def _lines(count: int, stages: Stages, rounds: Sequence[Round]) -> Iterator[str]:
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_machine()}"
    yield f"command: {' '.join(['python -m tests.bench', *sys.argv[1:]])}"
    yield (
        f"{count:,} events in 4 partitions, rows of {stages.row_bytes[0]:,} bytes (audit) and "
        f"{stages.row_bytes[1]:,} bytes (evidence); Kafka on the same cores"
    )
    yield ""
    yield (
        "| round | process | events/s | us CPU/event, warm | whole life | worker : loop | peak MB "
        "| start to first verdict s | records a transaction |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for number, each in enumerate(rounds, 1):
        yield from (_run_line(number, loop, "") for loop in each.loops[:1])
        yield _run_line(number, each.worker, f"**{each.ratio:.2f}**")
        yield from (_run_line(number, loop, "") for loop in each.loops[1:])
    yield ""
    for number, each in enumerate(rounds, 1):
        verdicts = ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(each.checked.verdicts.items()))
        yield (
            f"round {number}: {each.checked.actions:,} actions have exactly one current verdict ({verdicts}); "
            f"{each.checked.replayed:,} of them compared with `replay`: "
            + ("all equal" if not each.checked.faults else "; ".join(each.checked.faults[:10]))
        )
    yield ""
    yield "| where the time goes, without Kafka | us CPU |"
    yield "|---|---|"
    for kind, table in stages.tables.items():
        yield from (
            f"| **{kind}: {stage.what}** | **{stage.us:.2f}** |" if not n else f"| {stage.what} | {stage.us:.2f} |"
            for n, stage in enumerate(table)
        )


def _run_line(number: int, run: Run, ratio: str) -> str:
    figures = run.figures
    first = "" if figures.first_s is None else f"{figures.first_s:.2f}"
    return (
        f"| {number} | {run.name} | {figures.events_per_s:,.0f} | {figures.us_per_event:.2f} "
        f"| {figures.whole_us_per_event:.2f} | {ratio} | {figures.peak_mb:.0f} | {first} "
        f"| {run.records_per_transaction:,} |"
    )


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{cores} shared cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}{load}"
