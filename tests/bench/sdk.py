"""`python -m tests.bench.sdk`: what reporting costs an application, with Kafka or the HTTP server there, and away.

1. There: events at a steady rate; how long one call of the builder and of `report` keeps the caller, and the CPU of the
   whole process for one event, its sender thread included. Then as many at once as the backlog holds.
2. Away: the backlog fills to its bound, and what comes then is dropped; the same times, and the memory.
3. The same over HTTP; away with a spool, too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from dataclasses import dataclass, field

import psutil

from stepwatch.agents.topics import create_topics
from stepwatch.embedded import ports
from stepwatch.sdk import Client, Context, KafkaReporter, Resource, Source, use
from stepwatch.sdk.background import BackgroundReporter
from tests.bench import sdk_http
from tests.bench.figures import percentile
from tests.bench.fill import new_settings
from tests.bench.ground import heading, say, servers

BANK = Source("/payments/api", tenant="acme")
PAYOUT = Resource("payout", "po_991", "critical")
REQUEST = Context(session="s-81", client=Client(ip="203.0.113.7", user_agent="Mozilla/5.0 (X11; Linux x86_64)"))
_MB = 1024 * 1024


@dataclass(slots=True)
class Measured:
    """One run of reports.

    Attributes:
        build_us, report_us: of every call.
        cpu_us: of the process an event, all threads.
        wall_s: until the last one was acknowledged or dropped.
    """

    build_us: list[float] = field(default_factory=list)
    report_us: list[float] = field(default_factory=list)
    cpu_us: float = 0.0
    wall_s: float = 0.0


def run(reporter: BackgroundReporter, count: int, per_s: float | None, flush_s: float) -> Measured:
    """Build and report `count` events.

    Args:
        reporter: takes them.
        count: how many.
        per_s: the rate; None: without a pause.
        flush_s: how long to wait for the acknowledgements, s.
    """
    measured = Measured()
    gc.collect()
    cpu, began = time.process_time(), time.perf_counter()
    with use(REQUEST):
        for number in range(count):
            if per_s is not None and (ahead_s := began + number / per_s - time.perf_counter()) > 0:
                time.sleep(ahead_s)
            t0 = time.perf_counter()
            event = BANK.action_performed("payments.payout.approve", subject=f"user-{number % 5000}", resource=PAYOUT)
            t1 = time.perf_counter()
            reporter.report(event)
            t2 = time.perf_counter()
            measured.build_us.append((t1 - t0) * 1e6)
            measured.report_us.append((t2 - t1) * 1e6)
    reporter.flush(flush_s)
    measured.wall_s = time.perf_counter() - began
    measured.cpu_us = (time.process_time() - cpu) / count * 1e6
    return measured


def there(count: int, rate: float, seconds: float) -> dict[str, Measured]:
    """With a broker of its own on this machine; every event must arrive."""
    with servers() as ground:
        settings = new_settings(ground.kafka.bootstrap, ground.folder, "sdk.", 4)
        asyncio.run(create_topics(settings))
        with KafkaReporter(ground.kafka.bootstrap, prefix="sdk.", events_max=count) as reporter:
            run(reporter, 1000, None, 30)
            found = {
                f"there, {rate:.0f}/s": run(reporter, int(rate * seconds), rate, 60),
                f"there, {count:,} at once": run(reporter, count, None, 120),
            }
            assert reporter.stats.dropped == {}, reporter.stats
            assert reporter.stats.waiting == 0, reporter.stats
    return found


def away(count: int) -> tuple[dict[str, Measured], float]:
    """With nobody at the address; also the memory that a full backlog takes, MB."""
    process = psutil.Process()
    reporter = KafkaReporter(f"{ports.HOST}:{ports.any_free()}", events_max=count, bytes_max=10**12)
    run(reporter, 10, None, 0)
    before = process.memory_info().rss
    filling = run(reporter, count - 10, None, 0)
    # The times of each call are ours, not the reporter's.
    held = (process.memory_info().rss - before) / _MB - count * 2 * 40 / _MB
    dropping = run(reporter, count, None, 0)
    assert reporter.stats.dropped == {"backlog_full": count}, reporter.stats
    reporter.close(0)
    return {f"away, filling to {count:,}": filling, "away, dropping": dropping}, held


def print_table(runs: dict[str, Measured], held_mb: float) -> None:
    """The figures, as a table of Markdown."""
    print(heading())
    print("\n| the other side | build, us (median, p99) | report, us (median, p99, most) | CPU, us/event | events/s |")
    print("|---|---|---|---|---|")
    for name, one in runs.items():
        build, report = sorted(one.build_us), sorted(one.report_us)
        print(
            f"| {name} | {percentile(build, 50):.1f}, {percentile(build, 99):.1f} | {percentile(report, 50):.1f}, "
            f"{percentile(report, 99):.1f}, {report[-1]:.0f} | {one.cpu_us:.1f} | {len(report) / one.wall_s:,.0f} |"
        )
    print(f"\nA full backlog takes {held_mb:.0f} MB.")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sdk", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="at once (default 100,000)")
    parser.add_argument("--rate", type=float, default=1000, help="events a second while steady (default 1000)")
    parser.add_argument("--seconds", type=float, default=20, help="of the steady rate (default 20)")
    options = parser.parse_args()
    say("Kafka away")
    apart, held_mb = away(options.events)
    say("HTTP away")
    apart |= sdk_http.away(run, options.events)
    say("Kafka there")
    near = there(options.events, options.rate, options.seconds)
    say("HTTP there")
    near |= sdk_http.there(run, options.events, options.rate, options.seconds)
    print_table({**near, **apart}, held_mb)
    return 0


if __name__ == "__main__":
    sys.exit(main())
