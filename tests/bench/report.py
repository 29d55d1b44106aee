"""What a run prints: where the time goes, whether the verdicts were right, and at the end the one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean

from tests.bench.check import Checked
from tests.bench.figures import Run
from tests.bench.ground import heading
from tests.bench.latency import Latency
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


@dataclass(slots=True)
class Measured:
    """What was measured; what was not asked for is empty.

    Attributes:
        count: events before copies, of each filling.
        row_bytes: of an audit row and of an evidence row.
        two: two workers on one filling, and whether they were right.
        latency: events a second -> (the worker, the bare loop).
    """

    count: int
    row_bytes: tuple[int, int]
    stages: Stages | None = None
    rounds: list[Round] = field(default_factory=list)
    two: tuple[Run, Checked] | None = None
    latency: dict[int, tuple[Latency, Latency]] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """What was wrong, in words: a figure beside it is worth nothing."""
        checks = [each.checked for each in self.rounds] + ([self.two[1]] if self.two else [])
        found = [fault for checked in checks for fault in checked.faults]
        for rate, pair in self.latency.items():
            for what, latency in zip(("worker", "bare loop"), pair, strict=True):
                if latency.wrong:
                    found.append(f"{what} at {rate} events/s: {latency.wrong} actions without their row")
        return found


def print_report(measured: Measured) -> None:
    """Print it all, the table last."""
    print("\n".join(_lines(measured)))


def _lines(measured: Measured) -> Iterator[str]:
    if measured.stages is not None:
        yield from _stage_lines(measured.stages)
        yield ""
    for number, each in enumerate(measured.rounds, 1):
        yield f"round {number}: {_check_words(each.checked)}"
    if measured.two is not None:
        yield f"two workers: {_check_words(measured.two[1])}"
    yield from (f"WRONG: {fault}" for fault in measured.faults)
    yield ""
    yield heading()
    events = f"{measured.count:,} events in 4 partitions; " if measured.rounds or measured.two else ""
    yield f"{events}rows of {measured.row_bytes[0]:,} bytes (audit) and {measured.row_bytes[1]:,} bytes (evidence)"
    yield ""
    yield "| figure | bare loop | one worker | two workers | aim |"
    yield "|---|---|---|---|---|"
    yield from (f"| {' | '.join(row)} |" for row in _rows(measured))


def _rows(measured: Measured) -> Iterator[tuple[str, ...]]:
    """Figure, bare loop, one worker, two workers, aim. Of several runs each is shown, in their order."""
    runs = (
        [loop for each in measured.rounds for loop in each.loops],
        [each.worker for each in measured.rounds],
        [measured.two[0]] if measured.two else [],
    )

    def row(name: str, of: Callable[[Run], float], form: str, aim: str = "") -> tuple[str, ...]:
        return (name, *("; ".join(format(of(run), form) for run in column) for column in runs), aim)

    if any(runs):
        yield row("events/s, warm", lambda run: run.figures.events_per_s, ",.0f", f"two workers: {_share(measured)}")
        yield row(
            "us CPU/event, warm",
            lambda run: run.figures.us_per_event,
            ".2f",
            "below 4.7; with the native core below 3.0",
        )
        yield ("worker : loop", "", "; ".join(f"{each.ratio:.2f}" for each in measured.rounds), "", "at most 1.3")
        yield row("us CPU/event, whole life", lambda run: run.figures.whole_us_per_event, ".2f")
        yield row("broker beside it, us CPU/event", lambda run: run.broker_us or 0.0, ".2f")
        first = "; ".join(f"{each.worker.figures.first_s:.2f}" for each in measured.rounds)
        yield ("start to first verdict, s", "", first, "", "below 1.5")
        peak_aim = "below 250 with 20,000 live subjects"
        yield row("peak memory, MB", lambda run: run.figures.peak_mb, ",.0f", peak_aim)
        yield row("records a transaction", lambda run: run.records_per_transaction, ",.0f")
    for rate, (worker, loop) in measured.latency.items():
        yield from _latency_rows(rate, worker, loop, aimed=rate == min(measured.latency))


def _latency_rows(rate: int, worker: Latency, loop: Latency, aimed: bool) -> Iterator[tuple[str, ...]]:
    verified, unverified, row = worker.kinds["verified"], worker.kinds["unverified"], loop.kinds["row"]
    aims = ("below 15 / 60", "at most 400") if aimed else ("", "")
    yield (f"`verified` at {rate:,} events/s, p50 / p99 ms", str(row), str(verified), "", aims[0])
    yield (f"`unverified` after its grace, {rate:,} events/s, ms", "", str(unverified), "", aims[1])
    yield (f"% of a core at {rate:,} events/s", f"{loop.cpu_percent:.0f}", f"{worker.cpu_percent:.0f}", "", "")
    late = (f"{loop.load_late_ms:.0f}", f"{worker.load_late_ms:.0f}")
    yield (f"the most that the load was behind, {rate:,} events/s, ms", *late, "", "")
    counted = f"{verified.rows:,} and {unverified.rows:,}"
    yield (f"rows of these latencies, {rate:,} events/s", f"{row.rows:,}", counted, "", "")


def _share(measured: Measured) -> str:
    """Two workers beside one, where both were measured, and the aim."""
    aim = "at least 1.7 times one"
    if not measured.two or not measured.rounds:
        return aim
    one = mean(each.worker.figures.events_per_s for each in measured.rounds)
    return f"{measured.two[0].figures.events_per_s / one:.2f} times one; {aim}"


def _check_words(checked: Checked) -> str:
    verdicts = ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(checked.verdicts.items()))
    return (
        f"{checked.actions:,} actions have exactly one current verdict ({verdicts}); all compared with the truth by "
        f"brute force, {checked.replayed:,} with `replay` too: "
        + ("all equal" if not checked.faults else "; ".join(checked.faults[:10]))
    )


def _stage_lines(stages: Stages) -> Iterator[str]:
    yield "| where the time goes, without Kafka | us CPU |"
    yield "|---|---|"
    for kind, table in stages.tables.items():
        yield from (
            f"| **{kind}: {stage.what}** | **{stage.us:.2f}** |" if not n else f"| {stage.what} | {stage.us:.2f} |"
            for n, stage in enumerate(table)
        )
