"""Watching processes from outside: how far they are, what they have cost, how much memory they hold."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psutil

from tests.bench.figures import Sample

_EVERY_S = 0.1
_GIVE_UP_S = 900.0

Progress = Callable[[], Awaitable[int]]
"""Records that the processes have read and committed."""


async def watch(
    processes: Sequence[subprocess.Popen[bytes]], logs: Sequence[Path], progress: Progress, records: int
) -> list[Sample]:
    """Look at processes ten times a second until together they have done so many records.

    Args:
        processes: just started.
        logs: files of what they say, for the error.
        progress: asked at each look.
        records: of the whole run; the last sample has exactly these.

    Raises:
        RuntimeError: one ended before, or they were not done after 15 minutes; the message holds their last words.
    """
    started = time.monotonic()
    seen = [psutil.Process(process.pid) for process in processes]
    samples: list[Sample] = []
    while not samples or samples[-1].records < records:
        await asyncio.sleep(_EVERY_S)
        done = await progress()
        wall_s = time.monotonic() - started
        ended = [process.poll() for process in processes]
        if any(status is not None for status in ended) or wall_s > _GIVE_UP_S:
            words = "\n".join(log.read_text(errors="replace")[-2000:] for log in logs)
            raise RuntimeError(f"{done} of {records} records after {wall_s:.0f} s, status {ended}: {words}")
        samples.append(Sample(wall_s, cpu_s(seen), min(done, records), rss_mb(seen)))
    return samples


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """User and system time of all their threads until now, seconds."""
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))


def rss_mb(processes: Sequence[psutil.Process]) -> float:
    """Their resident memory now, together."""
    return float(sum(process.memory_info().rss for process in processes)) / 1e6
