"""Watching one process from outside: how far it is, what it has cost, how much memory it holds."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from tests.bench.figures import Sample

_EVERY_S = 0.1
_GIVE_UP_S = 900.0

Progress = Callable[[], Awaitable[int]]
"""Records that the process has read and committed."""


async def watch(process: subprocess.Popen[bytes], log: Path, progress: Progress, records: int) -> list[Sample]:
    """Look at a process ten times a second until it has done so many records.

    Args:
        process: just started.
        log: file of what it says, for the error.
        progress: asked at each look.
        records: of the whole run; the last sample has exactly these.

    Raises:
        RuntimeError: it ended before, or was not done after 15 minutes; the message holds its last words.
    """
    started = time.monotonic()
    seen = psutil.Process(process.pid)
    samples: list[Sample] = []
    while not samples or samples[-1].records < records:
        await asyncio.sleep(_EVERY_S)
        done = await progress()
        wall_s = time.monotonic() - started
        if process.poll() is not None or wall_s > _GIVE_UP_S:
            raise RuntimeError(f"{done} of {records} records, status {process.poll()}: {log.read_text()[-2000:]}")
        times = seen.cpu_times()
        samples.append(Sample(wall_s, times.user + times.system, min(done, records), seen.memory_info().rss / 1e6))
    return samples
