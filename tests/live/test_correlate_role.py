"""The correlate role as a process: pulses, stops, and what it says when it cannot work."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.settings import Settings
from tests.live.account import took_over
from tests.live.harness import Worker, latest, new_settings, produce, read, until, with_topics
from tests.live.standin import POSITION, UNSEEN

pytestmark = pytest.mark.live


async def pulses(settings: Settings) -> list[dict[str, object]]:
    records = await read(settings, settings.topics.authentications)
    events = [json.loads(record.value) for record in records]
    return [event for event in events if event.get("source") == "stepwatch"]


def test_a_quiet_log_gets_pulses_until_nothing_waits_any_more_and_then_none(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, pulse_ms=100))
        await produce(settings, settings.topics.actions, 1, [(b"default/alice", b"{}")])
        worker = Worker(settings, tmp_path / "log", STANDIN_GRACE_US="500000")

        async def read_back() -> bool:
            audit = await read(settings, settings.topics.audit)
            return any(settings.topics.authentications.encode() in record.value for record in audit)

        await until(read_back, 20, "a pulse that was read back")
        await asyncio.sleep(1)
        written = await pulses(settings)
        assert 1 <= len(written) <= 4
        assert {event["type"] for event in written} == {"stepwatch.heartbeat"}
        await asyncio.sleep(1)
        assert len(await pulses(settings)) == len(written)
        assert worker.stop() == 0, worker.said

    asyncio.run(story())


def test_positions_alone_are_committed_now_and_then_and_told_to_the_group_for_lag_tools(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path, position_ms=700))
        topic = settings.topics.actions
        worker = Worker(settings, tmp_path / "log")
        await took_over(worker, settings.partitions)
        for _ in range(10):
            await produce(settings, topic, 0, [(b"default/alice", UNSEEN)])
            await asyncio.sleep(0.1)

        async def position() -> bool:
            state = await latest(settings)
            return bool(state.get((0, POSITION + topic.encode()), [0])[0] == 10)

        await until(position, 10, "a committed position")
        written = [r for r in await read(settings, settings.topics.state) if r.partition == 0]
        assert len(written) <= 4
        await until(lambda: group_offset(settings, topic), 15, "the group's offset")
        assert worker.stop() == 0, worker.said

    asyncio.run(story())


async def group_offset(settings: Settings, topic: str) -> bool:
    admin = await open_admin(settings)
    offsets = await admin.list_consumer_group_offsets(settings.group("correlate"))
    await close_client(admin)
    told = offsets.get(TopicPartition(topic, 0))
    return told is not None and told.offset == 10


def test_a_kafka_that_is_away_is_said_in_one_sentence_with_status_three(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    settings = new_settings(f"127.0.0.1:{port}", tmp_path, policies_dir=None, start_timeout_ms=1000)
    worker = Worker(settings, tmp_path / "log")
    assert worker.wait(20) == 3
    assert f"no answer from Kafka at 127.0.0.1:{port}" in worker.said
    assert "STEPWATCH_KAFKA_BOOTSTRAP" in worker.said
    assert "Traceback" not in worker.said


def test_missing_topics_are_said_with_the_command_that_creates_them_and_status_two(kafka: str, tmp_path: Path) -> None:
    worker = Worker(new_settings(kafka, tmp_path, policies_dir=None), tmp_path / "log")
    assert worker.wait(20) == 2
    assert "run `stepwatch topics create`" in worker.said
    assert "Traceback" not in worker.said


def test_a_faulty_policy_folder_is_said_with_file_and_line_and_status_two(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await with_topics(new_settings(kafka, tmp_path))
        assert settings.policies_dir is not None
        (settings.policies_dir / "none.yaml").write_text("version: 1\npolicys: []\n")
        worker = Worker(settings, tmp_path / "log")
        assert worker.wait(20) == 2
        assert "none.yaml:2: policys: unknown key" in worker.said
        assert "Traceback" not in worker.said

    asyncio.run(story())
