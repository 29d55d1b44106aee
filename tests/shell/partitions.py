"""Owning a partition in a test: taken over for the stand-in correlator, and what may happen to topics meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.settings import Settings
from stepwatch.agents.takeover import Owned, take_over
from tests.live.harness import new_settings, produce, read, with_topics
from tests.live.standin import StandIn

RECORDS = [(b"default/alice", b"{}")] * 10


async def own(settings: Settings, partition: int = 0) -> Owned:
    def build(number: int, restored: Iterable[tuple[bytes, bytes]]) -> StandIn:
        return StandIn(number, settings.topics, restored)

    return await take_over(settings, partition, build)


async def process(settings: Settings, owned: Owned, topic: str) -> None:
    """Take and commit everything that lies in the partition of one input."""
    records = [r for r in await read(settings, topic) if r.partition == owned.transaction.partition]
    await owned.transaction.commit(owned.correlator.take(topic, records, 0))


async def settings_with_records(kafka: str, tmp_path: Path) -> Settings:
    settings = await with_topics(new_settings(kafka, tmp_path))
    await produce(settings, settings.topics.actions, 0, RECORDS)
    return settings


async def settings_with_records_read(kafka: str, tmp_path: Path) -> Settings:
    """The same, after an owner has read and committed all of them, and given the partition back."""
    settings = await settings_with_records(kafka, tmp_path)
    owned = await own(settings)
    await process(settings, owned, settings.topics.actions)
    await owned.transaction.close()
    return settings


async def delete_before(settings: Settings, topic: str, offset: int) -> None:
    admin = await open_admin(settings)
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    await close_client(admin)


async def alter(settings: Settings, topic: str, config: dict[str, str]) -> None:
    admin = await open_admin(settings)
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    await close_client(admin)


async def recreate(settings: Settings, topic: str) -> None:
    admin = await open_admin(settings)
    await admin.delete_topics([topic])
    await asyncio.sleep(1)
    config = {"message.timestamp.type": "LogAppendTime"}
    await admin.create_topics([NewTopic(topic, settings.partitions, 1, topic_configs=config)])
    await asyncio.sleep(0.5)
    await close_client(admin)
