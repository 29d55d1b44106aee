"""`python -m tests.bench.curves`: what an event costs as more is known: subjects, policies, facts, partitions.

The first three are the core alone, in this process: CPU of `Correlator.take`. The last is the worker on a real broker.
Below each table stands how the cost grew at the last step: the exponent (0: not at all, 1: as fast as the size), and
whether that is more than a logarithm grows.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from tests.bench.crowd import Crowd, many_policies
from tests.bench.figures import exponents
from tests.bench.fill import drop, fill, new_settings
from tests.bench.ground import heading, say, servers
from tests.bench.watch import rss_mb
from tests.bench.worker import run_workers

_EVENTS = 1500
"""Measured of each kind at each size, three times."""
_SUBJECTS = 2000
_FEW = 10
_TIMES = 4
_NOISE = 1.3
"""A step that costs so many times more than a logarithm would is called worse."""


@dataclass(slots=True)
class Curve:
    """One table.

    Attributes:
        what: that which grows.
        sizes: growing.
        costs: name of a column -> its cost at each size; its growth is told.
        beside: other columns, of which nothing is told.
    """

    what: str
    sizes: list[int] = field(default_factory=list)
    costs: dict[str, list[float]] = field(default_factory=dict)
    beside: dict[str, list[float]] = field(default_factory=dict)

    def add(self, size: int, costs: dict[str, float], **beside: float) -> None:
        """One more size."""
        self.sizes.append(size)
        for columns, found in ((self.costs, costs), (self.beside, beside)):
            for name, value in found.items():
                columns.setdefault(name, []).append(value)

    def lines(self) -> Iterator[str]:
        """The table in Markdown, and what it comes to."""
        columns = {f"{name}, us": values for name, values in self.costs.items()} | self.beside
        yield f"| {self.what} | {' | '.join(columns).replace('_', ' ')} |"
        yield "|---" * (len(columns) + 1) + "|"
        for number, size in enumerate(self.sizes):
            yield f"| {size:,} | {' | '.join(_shown(values[number]) for values in columns.values())} |"
        if len(self.sizes) > 1:
            slopes = [f"{exponents(self.sizes, values)[-1]:.2f}" for values in self.costs.values()]
            yield f"| exponent, last step | {' | '.join(slopes + [''] * len(self.beside))} |"
            yield ""
            yield from (f"{name}: {growth(self.sizes, values)}" for name, values in self.costs.items())


def growth(sizes: Sequence[float], costs: Sequence[float]) -> str:
    """How a cost grew at the last step, in words."""
    (before, size), (cost, last) = sizes[-2:], costs[-2:]
    exponent = exponents(sizes, costs)[-1]
    logarithm = math.log(size) / math.log(max(before, 2))
    words = f"{last / cost:.2f} times as much for {size / before:g} times the size (exponent {exponent:.2f})"
    if last / cost <= max(1.0, logarithm) * _NOISE:
        return f"at most logarithmic: {words}"
    return f"{'LINEAR' if exponent > 0.8 else 'WORSE THAN LOGARITHMIC'}: {words}"


def subjects_curve(sizes: Sequence[int], events: int = _EVENTS) -> Curve:
    """One crowd that grows: each subject has one proof."""
    curve, process = Curve("live subjects"), [psutil.Process()]
    crowd = Crowd()
    empty_mb = rss_mb(process)
    known = 0
    for size in sizes:
        say(f"{size:,} subjects")
        crowd.prove(range(known, size))
        known = size
        _settle()
        each_bytes = (rss_mb(process) - empty_mb) * 1e6 / crowd.kept
        curve.add(size, crowd.costs(events), bytes_per_fact_and_action_kept=each_bytes)
    return curve


def policies_curve(sizes: Sequence[int], events: int = _EVENTS) -> Curve:
    """A file of so many policies; the policed actions are spread over all of them."""
    curve = Curve("policies")
    for size in sizes:
        say(f"{size:,} policies")
        begun = time.process_time()
        crowd = Crowd(*many_policies(size))
        built_s = time.process_time() - begun
        crowd.prove(range(_SUBJECTS))
        _settle()
        costs = crowd.costs(events)
        costs["plain, name never seen"] = crowd.cost_of_new_names(events)
        curve.add(size, costs, seconds_to_build_the_set=built_s)
    return curve


def facts_curve(sizes: Sequence[int]) -> Curve:
    """So many proofs of each of ten subjects within an hour, in eight sessions."""
    curve = Curve("facts per subject")
    for size in sizes:
        # Two events of a kind and subject, and then a new crowd: more would make a small ledger large.
        crowds = max(2, min(50, 5000 // size))
        say(f"{size:,} facts per subject, {crowds} times")
        found: Counter[str] = Counter()
        for _ in range(crowds):
            crowd = Crowd()
            crowd.prove(range(_FEW), size, 3_600_000 / (_FEW * size))
            _settle()
            found.update(crowd.costs(2 * _FEW, rounds=1))
        curve.add(size, {kind: us / crowds for kind, us in found.items()})
    return curve


async def partitions_curve(sizes: Sequence[int], count: int) -> Curve:
    """The worker on a real broker, the same events in so many partitions.

    To start and to take partitions over costs more than many events, so it runs on `count` events and on `_TIMES` as
    many, and what it took more is what the events more have cost.
    """
    curve = Curve("partitions")
    with servers() as ground:
        for size in sizes:
            cpu_s, records = [], []
            for events in (count, _TIMES * count):
                say(f"{size} partitions: writing {events:,} events, then the worker")
                settings = new_settings(ground.kafka.bootstrap, ground.folder, f"p{size}.{events}.", size)
                filled = await fill(settings, events)
                run = await run_workers(filled, ground.folder, f"{size} partitions {events}")
                records.append(filled.records)
                cpu_s.append(run.figures.whole_us_per_event * filled.records / 1e6)
                await drop(settings)
            # Of very few events nothing can be told: the start alone takes now more, now less.
            each_s = max(1e-9, (cpu_s[1] - cpu_s[0]) / (records[1] - records[0]))
            curve.add(
                size,
                {"worker": each_s * 1e6},
                start_and_take_over_s_CPU=cpu_s[0] - each_s * records[0],
                records_a_transaction=run.records_per_transaction,
                peak_MB=run.figures.peak_mb,
            )
    return curve


def _settle() -> None:
    """As the worker does once it has taken over: what lives long is not walked again and again."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.curves", description=__doc__)
    curves: dict[str, tuple[Callable[[Sequence[int]], Curve], tuple[int, ...]]] = {
        "subjects": (subjects_curve, (1000, 10_000, 100_000, 1_000_000)),
        "policies": (policies_curve, (10, 100, 1000)),
        "facts": (facts_curve, (1, 10, 100, 1000, 10_000)),
        "partitions": (lambda sizes: asyncio.run(partitions_curve(sizes, options.events)), (4, 16, 64)),
    }
    parser.add_argument("--only", action="append", choices=curves, help="this curve alone; give several (default: all)")
    parser.add_argument("--most", type=int, default=10**9, help="leave larger sizes out")
    parser.add_argument(
        "--events", type=int, default=200_000, help="for the partitions, and four times as many (default 200,000)"
    )
    options = parser.parse_args()
    gc.set_threshold(200_000, 50, 100)
    found = []
    for name in options.only or curves:
        measure, sizes = curves[name]
        found.append(measure([size for size in sizes if size <= options.most]))
    print(heading())
    for curve in found:
        print()
        print("\n".join(curve.lines()))


if __name__ == "__main__":
    main()
