"""What is measured, and what follows from it: figures of a run, percentiles, how a cost grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_WARM_FROM = 0.1


class Sample(NamedTuple):
    """One look at a process, or at several that share the work.

    Attributes:
        wall_s: since the start.
        cpu_s: user and system time of all threads.
        records: input records whose effects are committed.
        rss_mb: memory at that moment.
    """

    wall_s: float
    cpu_s: float
    records: int
    rss_mb: float


class Figures(NamedTuple):
    """One run.

    Attributes:
        events_per_s: while warm: between a tenth of the records and all of them.
        us_per_event: CPU microseconds per record while warm, of all processes together.
        whole_us_per_event: CPU of the whole run, the start included.
        peak_mb: the most memory at any look.
        first_s: from the start of the process to the first committed row; None where nobody looked.
    """

    events_per_s: float
    us_per_event: float
    whole_us_per_event: float
    peak_mb: float
    first_s: float | None


class Run(NamedTuple):
    """One process, or several that share the work, from the start to the last committed record.

    Attributes:
        name: what ran.
        figures: what it cost.
        records_per_transaction: committed together, on the average.
        broker_us: CPU of the broker a record meanwhile; None where nobody looked.
    """

    name: str
    figures: Figures
    records_per_transaction: int
    broker_us: float | None = None


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


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that at least so many percent of the values do not exceed (nearest rank).

    Args:
        values: in any order.
        percent: above 0, at most 100.

    Returns:
        One of the values; NaN where there is none.
    """
    if not values:
        return math.nan
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def exponents(sizes: Sequence[float], costs: Sequence[float]) -> list[float]:
    """How a cost grows from each size to the next: 0 is not at all, 1 as fast as the size, 2 as its square.

    Args:
        sizes: growing, above 0.
        costs: one for each size, above 0.

    Returns:
        The slopes in a plot of both logarithms, one fewer than there are sizes.
    """
    points = list(zip(map(math.log, sizes), map(math.log, costs), strict=True))
    return [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(points)]
