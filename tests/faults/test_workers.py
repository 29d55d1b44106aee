"""The short set of worker deaths for `make test`; `make faults` plays the same scenarios for longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.points import POINTS
from tests.faults.stage import Outcome, Stage, act
from tests.faults.workers import at_points, frozen, kill_random, moved_after_an_outage
from tests.servers import ClickHouseServer, KafkaServer

pytestmark = pytest.mark.live


def test_workers_killed_at_random_moments_leave_exact_topics_and_tables(
    kafka_server: KafkaServer, clickhouse_server: ClickHouseServer, tmp_path: Path
) -> None:
    stage = Stage("workers.kill_random", tmp_path, kafka_server, clickhouse_server, seed=1, scale=0.02)
    assert asyncio.run(act(kill_random, stage)).records > 10_000


def test_workers_that_die_at_each_named_point_leave_exact_topics(kafka_server: KafkaServer, tmp_path: Path) -> None:
    async def each_point(stage: Stage) -> Outcome:
        return await at_points(stage, sorted(POINTS), len(POINTS))

    stage = Stage("workers.at_points", tmp_path, kafka_server, seed=1, scale=0.1)
    assert asyncio.run(act(each_point, stage)).kills == len(POINTS)


def test_a_worker_frozen_within_a_transaction_is_fenced_when_it_wakes(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    stage = Stage("workers.frozen", tmp_path, kafka_server, seed=1, scale=0.05)
    assert asyncio.run(act(frozen, stage)).kills == 1


def test_records_that_are_moved_an_hour_after_they_came_keep_their_first_arrival(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    stage = Stage("workers.moved_after_an_outage", tmp_path, kafka_server, seed=1, scale=0.1)
    assert asyncio.run(act(moved_after_an_outage, stage)).records > 3000
