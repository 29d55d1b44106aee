"""Creating and checking topics on a real broker (contract section 2)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.errors import TopicsWrong
from stepwatch.agents.policies import read_sets
from stepwatch.agents.policy_publishing import publish_policies
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import check_topics, create_topics, require_topics, retention_needed_ms
from stepwatch.schemas.topics import ROW_BYTES_MAX
from tests.live.harness import new_settings

pytestmark = pytest.mark.live


async def make(settings: Settings, name: str, partitions: int, **config: str) -> None:
    admin = await open_admin(settings)
    config = {key.replace("_", "."): value for key, value in config.items()}
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
    while not any(topic["topic"] == name and topic["partitions"] for topic in await admin.describe_topics([name])):
        await asyncio.sleep(0.05)
    await close_client(admin)


async def config_of(settings: Settings, name: str) -> dict[str, str]:
    admin = await open_admin(settings)
    [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    await close_client(admin)
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


def test_what_create_creates_check_finds_right_and_a_second_create_does_nothing(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        assert len(await create_topics(settings)) == 10
        assert await check_topics(settings) == []
        assert await create_topics(settings) == []

    asyncio.run(story())


def test_a_missing_topic_is_refused_with_the_command_that_creates_it(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        with pytest.raises(TopicsWrong) as refused:
            await require_topics(settings)
        lines = str(refused.value).splitlines()
        assert len(lines) == 10
        assert lines[0] == f"{settings.topics.actions}: does not exist: run `stepwatch topics create`"
        assert refused.value.exit_status == 2

    asyncio.run(story())


def test_an_input_with_the_producers_times_is_found_and_repaired_without_losing_its_other_settings(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        actions = settings.topics.actions
        await make(settings, actions, 2, message_timestamp_type="CreateTime", retention_ms="86400001")
        [problem] = [problem for problem in await check_topics(settings) if problem.topic == actions]
        assert "message.timestamp.type is CreateTime, must be LogAppendTime" in str(problem)
        assert "run `stepwatch topics create`" in str(problem)
        done = await create_topics(settings)
        assert f"{actions}: set message.timestamp.type=LogAppendTime" in done
        assert await check_topics(settings) == []
        assert (await config_of(settings, actions))["retention.ms"] == "86400001"

    asyncio.run(story())


def test_an_output_with_the_workers_own_times_is_repaired_by_the_command_and_keeps_no_worker_from_starting(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        await create_topics(settings)
        audit = settings.topics.audit
        admin = await open_admin(settings)
        stamped = {"message.timestamp.type": "CreateTime", "max.message.bytes": str(ROW_BYTES_MAX)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, audit, stamped)])
        await close_client(admin)
        while (await config_of(settings, audit))["message.timestamp.type"] != "CreateTime":
            await asyncio.sleep(0.05)
        await require_topics(settings)
        [problem] = await check_topics(settings)
        assert "message.timestamp.type is CreateTime, should be LogAppendTime" in str(problem)
        assert await create_topics(settings) == [f"{audit}: set message.timestamp.type=LogAppendTime"]
        assert await check_topics(settings) == []

    asyncio.run(story())


def test_another_number_of_partitions_is_refused_because_no_command_may_change_it(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        await make(settings, settings.topics.responses, 3, message_timestamp_type="LogAppendTime")
        with pytest.raises(TopicsWrong, match=r"has 3 partitions, must have 2.*STEPWATCH_PARTITIONS=3"):
            await create_topics(settings)
        left = await check_topics(settings)
        assert [problem.topic for problem in left] == [settings.topics.responses]

    asyncio.run(story())


def test_dead_letters_must_take_whatever_the_largest_input_takes_and_its_headers(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        await make(
            settings,
            settings.topics.authentications,
            2,
            message_timestamp_type="LogAppendTime",
            max_message_bytes="2000000",
        )
        await create_topics(settings)
        await create_topics(settings)
        assert await check_topics(settings) == []
        config = await config_of(settings, settings.topics.dead_letters)
        assert config["max.message.bytes"] == str(2_000_000 + 64 * 1024)

    asyncio.run(story())


def test_inputs_must_be_kept_as_long_as_the_published_policies_look_back(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        await create_topics(settings)
        policies = tmp_path / "long.yaml"
        policies.write_text("version: 1\ndefaults: {lookback: 30d, accept_late: 2d, grace: 0s}\npolicies: []\n")
        await publish_policies(settings, [policies])
        sets = await read_sets(settings)
        assert sets is not None
        needed_ms = retention_needed_ms(sets)
        assert needed_ms == (32 * 24 + 1) * 3_600_000
        problems = await check_topics(settings, needed_ms)
        assert [problem.topic for problem in problems] == list(settings.topics.inputs)
        assert f"retention.ms is 604800000, must be at least {needed_ms}" in str(problems[0])
        await create_topics(settings)
        assert await check_topics(settings, needed_ms) == []

    asyncio.run(story())


def test_an_input_that_is_kept_for_ever_is_kept_long_enough(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        for topic in settings.topics.inputs:
            await make(settings, topic, 2, message_timestamp_type="LogAppendTime", retention_ms="-1")
        await create_topics(settings)
        assert await check_topics(settings, 10**12) == []

    asyncio.run(story())


def test_settings_that_are_stricter_than_needed_are_left_as_they_are(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = new_settings(kafka, tmp_path)
        await make(
            settings,
            settings.topics.alerts,
            2,
            cleanup_policy="compact",
            min_compaction_lag_ms=str(30 * 86_400_000),
        )
        await create_topics(settings)
        assert (await config_of(settings, settings.topics.alerts))["min.compaction.lag.ms"] == str(30 * 86_400_000)

    asyncio.run(story())
