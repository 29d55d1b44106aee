"""Watching one process from outside: how far it is, what it has cost, how much memory it holds."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_EVERY_S = 0.1
_WARM_FROM = 0.1
"""The part of all records after which a process counts as warm: its start is told apart."""
_GIVE_UP_S = 900.0

Progress = Callable[[], Awaitable[int]]
"""Records that the process has read and committed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds since the start, CPU seconds (user + system, all threads), records done."""

    at_s: float
    cpu_s: float
    records: int


@dataclass(slots=True)
class Run:
    """One process from its start to its last committed record.

    Attributes:
        name: what ran.
        samples: at least two.
        peak_bytes: the largest resident set seen.
        first_s: from the start to the first committed row; None where nobody looked.
        transactions: committed; 0 where nobody counted.
    """

    name: str
    samples: list[Sample] = field(default_factory=list)
    peak_bytes: int = 0
    first_s: float | None = None
    transactions: int = 0

    @property
    def _warm(self) -> tuple[Sample, Sample]:
        last = self.samples[-1]
        first = next(sample for sample in self.samples if sample.records >= last.records * _WARM_FROM)
        # A run that is over between two looks has no warm part: take it whole.
        return (first if first.records < last.records else self.samples[0]), last

    @property
    def events_per_s(self) -> float:
        """Once warm."""
        first, last = self._warm
        return (last.records - first.records) / (last.at_s - first.at_s)

    @property
    def cpu_us(self) -> float:
        """CPU microseconds an event, once warm."""
        first, last = self._warm
        return (last.cpu_s - first.cpu_s) / (last.records - first.records) * 1e6

    @property
    def cpu_us_whole(self) -> float:
        """The same over the whole life of the process, its start too."""
        last = self.samples[-1]
        return last.cpu_s / last.records * 1e6


async def watch(run: Run, process: subprocess.Popen[bytes], log: Path, progress: Progress, records: int) -> None:
    """Look at a process ten times a second until it has done so many records.

    Raises:
        RuntimeError: it ended before, or did not get on; the message holds its last words.
    """
    started = time.monotonic()
    seen = psutil.Process(process.pid)
    while not run.samples or run.samples[-1].records < records:
        await asyncio.sleep(_EVERY_S)
        done = await progress()
        if process.poll() is not None or time.monotonic() - started > _GIVE_UP_S:
            raise RuntimeError(
                f"{run.name} had {done} of {records} records, status {process.poll()}: {log.read_text()[-2000:]}"
            )
        times = seen.cpu_times()
        run.peak_bytes = max(run.peak_bytes, seen.memory_info().rss)
        run.samples.append(Sample(time.monotonic() - started, times.user + times.system, min(done, records)))
