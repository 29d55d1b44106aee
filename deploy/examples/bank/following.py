"""Reads what Stepwatch says while the bank runs, from its topics; only what is committed, only what is new."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.settings import Settings

from .outcomes import Outcomes, alert_of, proof_of, verdict_of
from .stepwatch_wiring import BANK

log = logging.getLogger(__name__)


@asynccontextmanager
async def following(settings: Settings, outcomes: Outcomes) -> AsyncIterator[None]:
    """Feed the outcomes for as long as this lasts; what is appended from its beginning on is in them.

    Raises:
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    topics = settings.topics
    partitions = [
        TopicPartition(topic, number)
        for topic in (topics.audit, topics.evidence, topics.alerts)
        for number in range(settings.partitions)
    ]
    reader = await open_reader(settings, partitions)
    await reader.seek_to_end(*partitions)
    for partition in partitions:
        await reader.position(partition)
    reader.resume(*partitions)
    task = asyncio.create_task(_follow(reader, settings, outcomes))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await close_client(reader)


async def _follow(reader: AIOKafkaConsumer, settings: Settings, outcomes: Outcomes) -> None:
    topics = settings.topics
    read = {topics.audit: verdict_of, topics.evidence: proof_of, topics.alerts: alert_of}
    try:
        async for record in reader:
            row = json.loads(record.value) if record.value else {}
            if row.get("tenant") == BANK.tenant:
                outcomes.take(read[record.topic](row))
    except Exception as error:
        # The page says so: a list that silently stands still would pass for good news.
        outcomes.away = f"verdicts are not read any more ({error}): start the bank again"
        log.exception("verdicts are not read any more")
