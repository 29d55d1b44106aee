"""The whole road on real servers: events in, verdicts, alerts and audit rows out, through kills and backlogs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from tests.live.harness import produce, read, until
from tests.live.road import (
    Role,
    Town,
    assert_accounted,
    assert_revisions_without_gap,
    new_road,
    now_us,
    play,
    query,
    replayed,
    until_judged,
    verdicts_of,
)
from tests.servers import ClickHouseSettings

pytestmark = pytest.mark.live


def with_clickhouse(clickhouse: ClickHouseSettings) -> dict[str, Any]:
    """The settings of the role `store`, with a database of its own."""
    return {
        "clickhouse_url": clickhouse.url,
        "clickhouse_user": clickhouse.user,
        "clickhouse_password": clickhouse.password,
        "clickhouse_database": clickhouse.database,
    }


def test_events_of_every_type_come_out_of_sql_as_replay_judges_them(
    kafka: str, clickhouse: ClickHouseSettings, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await new_road(kafka, tmp_path, **with_clickhouse(clickhouse))
        roles = [Role(settings, tmp_path / role, role) for role in ("correlate", "store")]
        tenant = settings.prefix.rstrip(".")
        await play(settings, Town(1, now_us(), tenant), 1500)
        rows = await until_judged(settings)
        await assert_accounted(settings, rows)
        assert_revisions_without_gap(rows)
        expected = await replayed(settings)

        verdicts = verdicts_of([row for row in expected if row["kind"] == "verdict"])
        alerts = {
            row["alert_id"]: (row["alert"], row["severity"], row["reason"], row["count"], row["actions"])
            for row in expected
            if row["kind"] == "alert" and row["alert"] != "source_silence"
        }

        async def stored() -> bool:
            tables = query(settings, "select name from system.tables where database = currentDatabase()")
            return "alerts_current" in {table["name"] for table in tables} and current() == (verdicts, alerts)

        def current() -> tuple[Any, Any]:
            columns = "tenant, subject, source, action_id, revision, verdict, reason, policy, verification"
            rows = query(settings, f"select {columns} from audit_current where tenant = '{tenant}'")
            columns = "alert_id, kind, severity, reason, count, actions"
            opened = query(
                settings, f"select {columns} from alerts_current where state = 'open' and tenant = '{tenant}'"
            )
            return verdicts_of(rows), {row["alert_id"]: tuple(list(row.values())[1:]) for row in opened}

        with contextlib.suppress(AssertionError):
            await until(stored, 60, "audit_current and alerts_current equal to replay")
        stored_verdicts, stored_alerts = current()
        assert stored_verdicts == verdicts
        assert stored_alerts == alerts
        for role in roles:
            assert role.stop() == 0, role.said

    asyncio.run(story())


def test_twenty_kills_of_the_worker_lose_nothing_and_double_nothing(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await new_road(kafka, tmp_path, session_timeout_ms=3000)
        rng = random.Random(20)
        town = Town(2, now_us())
        worker = Role(settings, tmp_path / "log", "correlate")
        for _ in range(20):
            await play(settings, town, 400)
            await asyncio.sleep(rng.uniform(0.2, 2.5))
            worker.kill()
            worker = Role(settings, tmp_path / "log", "correlate")
        rows = await until_judged(settings, 120)
        await assert_accounted(settings, rows)
        assert_revisions_without_gap(rows)
        assert worker.stop() == 0, worker.said
        assert "Traceback" not in worker.said

    asyncio.run(story())


async def set_timestamps(settings: Settings, kind: str) -> None:
    """How the broker stamps the two big inputs: a backlog of other hours can only be laid down with CreateTime."""
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    await admin.start()
    try:
        for topic in (settings.topics.actions, settings.topics.authentications):
            wanted = {"message.timestamp.type": kind, "retention.ms": "-1"}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
    finally:
        await admin.close()


def test_a_backlog_with_two_hours_of_log_time_between_the_topics_is_judged_as_by_replay(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await new_road(kafka, tmp_path)
        await set_timestamps(settings, "CreateTime")
        start_us = now_us() - 4 * 3_600_000_000
        town = Town(3, start_us)
        bodies = [town.one() for _ in range(3000)]
        for topic, family, late_ms in (
            (settings.topics.actions, "action", 0),
            (settings.topics.authentications, "authentication", 7_200_000),
        ):
            for partition in range(settings.partitions):
                await _lay_down(settings, topic, partition, bodies, family, start_us // 1000 + late_ms)
        await set_timestamps(settings, "LogAppendTime")
        worker = Role(settings, tmp_path / "log", "correlate")
        rows = await until_judged(settings)
        await assert_accounted(settings, rows)
        assert_revisions_without_gap(rows)
        assert worker.stop() == 0, worker.said

    asyncio.run(story())


async def _lay_down(
    settings: Settings,
    topic: str,
    partition: int,
    bodies: list[tuple[str, bytes, bytes]],
    family: str,
    at_ms: int | None,
    *,
    wrong: bool = False,
) -> None:
    """Append the bodies of one family that belong into a partition; `wrong`: those that do not."""
    mine = [
        (key, body)
        for its, key, body in bodies
        if its == family and (partition_of(key, settings.partitions) == partition) != wrong
    ]
    await produce(settings, topic, partition, mine, at_ms=at_ms)


def test_the_largest_events_go_the_whole_road(kafka: str, tmp_path: Path) -> None:
    """An event of 256 KiB, most of it to be escaped, in every place where a row repeats it."""

    async def story() -> None:
        settings = await new_road(kafka, tmp_path)
        heavy = '"' * 120_000
        data = {"session": "s", "action": "iam.role.grant"}
        bodies = []
        for kind, source, more in (
            ("stepup.verified", "/idp", {"amr": ["pwd"], "verification": heavy}),
            ("action.performed", "/app", {**data, "verification": heavy}),
        ):
            event = {"id": "e", "source": source, "type": f"stepwatch.{kind}", "time": format_time(now_us())}
            body = json.dumps({**event, "subject": "alice", "data": {"session": "s", **more}}).encode()
            assert 240_000 < len(body) <= 256 * 1024
            bodies.append(body)
        key = subject_key("default", "alice")
        partition = partition_of(key, settings.partitions)
        await produce(settings, settings.topics.authentications, partition, [(key, bodies[0])])
        await produce(settings, settings.topics.actions, partition, [(key, bodies[1])])
        worker = Role(settings, tmp_path / "log", "correlate")
        rows = await until_judged(settings)
        assert [row["reason"] for row in rows if row["verdict"] == "unverified"] == ["weak_factor"]
        assert worker.stop() == 0, worker.said

    asyncio.run(story())


def test_a_record_in_the_wrong_partition_is_moved_to_the_right_one_and_judged_there(kafka: str, tmp_path: Path) -> None:
    """By its subject's alias as the key, and by another partitioner; with kills of the worker in between."""

    async def story() -> None:
        settings = await new_road(kafka, tmp_path)
        town = Town(4, now_us())
        bodies = [town.one() for _ in range(600)]
        for topic, family in ((settings.topics.actions, "action"), (settings.topics.authentications, "authentication")):
            for partition in range(settings.partitions):
                await _lay_down(settings, topic, partition, bodies, family, None, wrong=True)
        worker = Role(settings, tmp_path / "log", "correlate")
        for _ in range(2):
            await asyncio.sleep(2)
            worker.kill()
            said_before = len(worker.said)
            worker = Role(settings, tmp_path / "log", "correlate")
        rows = await until_judged(settings)
        assert_revisions_without_gap(rows)

        async def took_over() -> bool:
            # More often where the killed worker's session had not ended yet: then the group is shared out twice.
            return worker.said[said_before:].count("took over") >= settings.partitions

        await until(took_over, 30, "the last take-over")
        letters = [dict(record.headers) for record in await read(settings, settings.topics.dead_letters)]
        assert not [letter for letter in letters if letter["error"].startswith(b"misrouted")]
        assert {row["kafka_partition"] for row in rows} == {0, 1}
        assert worker.stop() == 0, worker.said

    asyncio.run(story())
