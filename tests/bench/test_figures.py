"""What follows from what was measured: figures of a run, percentiles, how a cost grows, how late rows were."""

from __future__ import annotations

import math

import pytest

from stepwatch.schemas.times import SECOND_US, format_time
from tests.bench.curves import Curve, growth
from tests.bench.data import GRACE_S
from tests.bench.figures import Sample, exponents, figures_of, percentile
from tests.bench.latency import WARM_S, Seen, loop_figures, worker_figures
from tests.bench.latency_load import Report

MS_NS = 1_000_000
BEGIN_US = 1_795_511_702_000_000
RATE = 10.0
WARM = int(WARM_S * RATE)
"""The first number that counts."""


def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed() -> None:
    hundred = [float(value) for value in range(100, 0, -1)]
    assert percentile(hundred, 50) == 50
    assert percentile(hundred, 99) == 99
    assert percentile(hundred, 99.1) == 100
    assert percentile([7.0], 1) == percentile([7.0], 100) == 7


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 50))


def test_a_run_is_warm_from_a_tenth_of_its_records_on() -> None:
    start, warm, end = Sample(1.0, 5.0, 50, 80.0), Sample(2.0, 6.0, 100, 120.0), Sample(4.0, 8.0, 1000, 90.0)
    figures = figures_of([start, warm, end])
    assert figures.events_per_s == 450
    assert figures.us_per_event == pytest.approx(2 / 900 * 1e6)
    assert figures.whole_us_per_event == 8000
    assert figures.peak_mb == 120


def test_a_run_too_short_to_be_looked_at_counts_as_a_whole() -> None:
    figures = figures_of([Sample(2.0, 1.0, 100, 80.0)])
    assert (figures.events_per_s, figures.us_per_event) == (50, 10_000)


def test_an_exponent_is_0_where_nothing_grows_1_where_all_doubles_and_2_for_a_square() -> None:
    assert exponents([1, 10, 100], [5, 5, 5]) == [0, 0]
    assert exponents([10, 20, 40], [3, 6, 12]) == pytest.approx([1, 1])
    assert exponents([1, 10], [1, 100]) == pytest.approx([2])


def test_growth_is_told_by_the_last_step_alone() -> None:
    sizes = [10, 100, 1000]
    assert growth(sizes, [1, 10, 10]).startswith("at most logarithmic")
    assert growth(sizes, [1, 1, 10]).startswith("LINEAR")
    assert growth(sizes, [1, 1, 4]).startswith("WORSE THAN LOGARITHMIC")
    assert "4.00 times as much for 10 times the size" in growth(sizes, [1, 1, 4])


def test_what_grows_as_a_logarithm_does_is_let_through_and_twice_that_is_not() -> None:
    assert growth([100, 10_000], [math.log(100), math.log(10_000)]).startswith("at most logarithmic")
    assert growth([100, 10_000], [math.log(100), 2 * math.log(10_000)]).startswith("WORSE")


def test_a_curve_is_a_table_with_the_exponents_of_its_costs_and_not_of_what_stands_beside() -> None:
    curve = Curve("policies")
    curve.add(10, {"plain": 2.0}, seconds=0.5)
    curve.add(100, {"plain": 20.0}, seconds=0.7)
    lines = list(curve.lines())
    assert lines[0] == "| policies | plain, us | seconds |"
    assert "| exponent, last step | 1.00 |  |" in lines
    assert lines[-1].startswith("plain: LINEAR")


def seen(number: int, verdict: str, arrival_us: int, at_ns: int) -> Seen:
    row = f'{{"action_id":"a-{number:08d}","revision":1,"arrival":"{format_time(arrival_us)}","verdict":"{verdict}"}}'
    return Seen(at_ns, 0, row.encode())


def test_verified_is_late_from_the_send_and_unverified_from_the_end_of_the_grace() -> None:
    sent_ns = BEGIN_US * 1000
    report = Report([[(WARM, sent_ns), (WARM + 1, sent_ns)]], verified=[WARM], unverified=[WARM + 1])
    arrival_us = BEGIN_US + 3000
    grace_ends_ns = (arrival_us + GRACE_S * SECOND_US) * 1000
    rows = [
        seen(WARM, "verified", arrival_us, sent_ns + 8 * MS_NS),
        seen(WARM + 1, "unverified", arrival_us, grace_ends_ns + 90 * MS_NS),
    ]
    latency = worker_figures(report, rows, RATE, 1.0)
    assert latency.wrong == 0
    assert latency.kinds["verified"] == pytest.approx((1, 8, 8))
    assert latency.kinds["unverified"] == pytest.approx((1, 90, 90))


def test_of_several_rows_of_one_action_the_first_is_late_and_of_several_sends_the_first_counts() -> None:
    sent_ns = BEGIN_US * 1000
    report = Report([[(WARM, sent_ns), (WARM, sent_ns + 5 * MS_NS)]], verified=[WARM])
    rows = [seen(WARM, "verified", BEGIN_US, sent_ns + late * MS_NS) for late in (8, 900)]
    latency = worker_figures(report, rows, RATE, 1.0)
    assert latency.wrong == 0
    assert latency.kinds["verified"] == pytest.approx((1, 8, 8))


def test_a_row_that_is_missing_or_says_another_verdict_is_told_as_wrong() -> None:
    sent_ns = BEGIN_US * 1000
    report = Report([[(n, sent_ns) for n in range(WARM, WARM + 3)]], verified=[WARM, WARM + 1])
    rows = [seen(WARM, "unverified", BEGIN_US, sent_ns), seen(WARM + 2, "verified", BEGIN_US, sent_ns)]
    assert worker_figures(report, rows, RATE, 1.0).wrong == 3


def test_what_was_sent_before_all_was_warm_does_not_count() -> None:
    sent_ns = BEGIN_US * 1000
    report = Report([[(WARM - 1, sent_ns)]], verified=[WARM - 1])
    latency = worker_figures(report, [seen(WARM - 1, "verified", BEGIN_US, sent_ns)], RATE, 1.0)
    assert (latency.wrong, latency.kinds["verified"].rows) == (0, 0)


def test_rows_of_the_bare_loop_are_those_of_the_actions_in_their_order_in_each_partition() -> None:
    report = Report([[(WARM, 0), (WARM + 2, 10 * MS_NS)], [(WARM + 1, 0)]])
    rows = [Seen(4 * MS_NS, 0, b""), Seen(7 * MS_NS, 1, b""), Seen(16 * MS_NS, 0, b"")]
    latency = loop_figures(report, rows, RATE, 1.0)
    assert latency.wrong == 0
    assert (latency.kinds["row"].rows, latency.kinds["row"].p50_ms) == (3, 6)
    assert loop_figures(report, rows[:2], RATE, 1.0).wrong == 1
