"""Each of the smaller measurements, on very little: it comes to an end, and counts what it says that it counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.sources import ADAPTERS
from tests.bench.crowd import KINDS, Crowd, many_policies, mix_of
from tests.bench.curves import facts_curve, policies_curve, subjects_curve
from tests.bench.policy_diff import OTHER
from tests.bench.policy_diff import measure as measure_diff
from tests.bench.replay import measure
from tests.bench.sources import measure as measure_source
from tests.bench.sources import samples
from tests.bench.store import measure_behind, measure_filling, tables_of
from tests.servers import ClickHouseServer


def test_a_crowd_has_as_many_subjects_and_facts_as_were_asked_for() -> None:
    crowd = Crowd()
    crowd.prove(range(30), times=4)
    ledgers = crowd.log.core.known.ledgers
    assert len(ledgers) == 30
    assert {len(ledger.facts) for ledger in ledgers.values()} == {4}
    assert crowd.kept == 120


def test_the_kinds_of_a_crowd_come_to_the_verdicts_that_name_them() -> None:
    crowd = Crowd()
    crowd.prove(range(20))
    costs = crowd.costs(20, rounds=1)
    assert costs.keys() == {*KINDS, "mix"}
    assert all(us > 0 for us in costs.values())
    assert (crowd.log.said["verdicts.verified"], crowd.log.said["verdicts.unverified"]) == (20, 20)


def test_the_mix_weighs_each_kind_by_its_share() -> None:
    assert mix_of(dict.fromkeys(KINDS, 10.0)) == {"mix": pytest.approx(10)}
    assert mix_of({**dict.fromkeys(KINDS, 0.0), "plain": 10.0}) == {"mix": pytest.approx(9)}


def test_every_name_of_many_policies_is_policed() -> None:
    policy, names = many_policies(6)
    crowd = Crowd(policy, names)
    crowd.prove(range(5))
    crowd.costs(30, rounds=1)
    said = crowd.log.said
    assert said["verdicts.verified"] + said["verdicts.unverified"] == 60


def test_the_curves_of_the_core_have_a_point_for_each_size() -> None:
    assert subjects_curve([5, 10], 20).sizes == [5, 10]
    assert policies_curve([2], 20).sizes == [2]
    assert facts_curve([400]).sizes == [400]


def test_a_replayed_file_has_a_row_for_each_action_and_an_empty_one_has_none(tmp_path: Path) -> None:
    lines, took, nothing = measure(2000, tmp_path)
    assert lines > 2000
    assert took.rows > 1800
    assert nothing.rows == 0
    assert took.cpu_s > 0
    assert took.peak_mb > 20


@pytest.mark.live
def test_the_store_is_measured_on_rows_that_reach_the_table(
    kafka: str, clickhouse_server: ClickHouseServer, tmp_path: Path
) -> None:
    if not isinstance(clickhouse_server, EmbeddedClickHouse):
        pytest.skip("the CPU of a server in a container is not that of a process here")
    full = tables_of(kafka, clickhouse_server, tmp_path, "full.")
    filling = asyncio.run(measure_filling(full, 1000, tmp_path))
    assert filling.rows > 900
    assert filling.figures.us_per_event > 0
    assert filling.clickhouse_us > 0
    behind = asyncio.run(measure_behind(tables_of(kafka, clickhouse_server, tmp_path, "behind."), 50, 3, tmp_path))
    assert behind.rows > 100
    assert 0 < behind.p50_s <= behind.p99_s <= behind.max_s


def test_each_adapter_is_measured_on_rows_that_become_events() -> None:
    for name, kind, lines in samples():
        speed = measure_source(ADAPTERS[name], lines[:5], rounds=1, least=1)
        assert speed.per_second > 0, (name, kind)
        assert speed.events > 0 or kind == "real logs", name


def test_the_comparison_of_two_sets_is_measured_on_events_of_both_kinds(tmp_path: Path) -> None:
    everything, plain, read = measure_diff(2000, tmp_path)
    assert "max_age: 10m" in OTHER
    assert everything.events > plain.events > 1500
    assert plain.events == read.events
    assert read.cpu_s > 0
