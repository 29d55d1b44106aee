"""What is measured of one process, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_WARM_FROM = 0.1


class Sample(NamedTuple):
    """One look at a process.

    Attributes:
        wall_s: since it was started.
        cpu_s: user and system time of all its threads.
        records: input records whose effects are committed.
        rss_mb: its memory at that moment.
    """

    wall_s: float
    cpu_s: float
    records: int
    rss_mb: float


class Figures(NamedTuple):
    """One run.

    Attributes:
        events_per_s: while warm: between a tenth of the records and all of them.
        us_per_event: CPU microseconds per record while warm.
        whole_us_per_event: CPU of the whole process, its start included.
        peak_mb: the most memory at any look.
        first_s: from the start of the process to the first committed row; None where nobody looked.
    """

    events_per_s: float
    us_per_event: float
    whole_us_per_event: float
    peak_mb: float
    first_s: float | None


class Run(NamedTuple):
    """One process from its start to its last committed record.

    Attributes:
        name: what ran.
        figures: what it cost.
        records_per_transaction: committed together, on the average.
    """

    name: str
    figures: Figures
    records_per_transaction: int


def figures_of(samples: Sequence[Sample], first_s: float | None = None) -> Figures:
    """The figures of one run.

    Args:
        samples: in order; the last one has all records.
        first_s: start to first committed row, seconds; None: nobody looked.
    """
    last = samples[-1]
    warm = next((s for s in samples if s.records >= _WARM_FROM * last.records), last)
    if warm is last:
        # So short a run that nobody looked in between: all of it, start included.
        warm = Sample(0.0, 0.0, 0, 0.0)
    records = last.records - warm.records
    return Figures(
        records / (last.wall_s - warm.wall_s),
        (last.cpu_s - warm.cpu_s) / records * 1e6,
        last.cpu_s / last.records * 1e6,
        max(sample.rss_mb for sample in samples),
        first_s,
    )
