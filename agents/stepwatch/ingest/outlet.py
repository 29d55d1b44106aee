"""Records to Kafka, acknowledged by all replicas before anybody is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_producer
from stepwatch.agents.errors import TopicsWrong
from stepwatch.agents.health import Health
from stepwatch.agents.logs import get_logger
from stepwatch.agents.reading import partition_count
from stepwatch.agents.settings import Settings
from stepwatch.ingest.accepting import Accepting, Outgoing
from stepwatch.ingest.problems import Problem, away

log = get_logger(__name__)
_BATCH_BYTES = 256 * 1024
"""A partition has one batch under way at a time: of aiokafka's 16 KB each, 100 events would wait for several."""


class Outlet:
    """One idempotent producer, made anew after any failure: one that failed may have holes in its numbers.

    No transaction: inputs stay free of them (a transaction for each request would cost every producer its latency and
    every reader its control records). So after a 503 some of the request's records may be in Kafka; to repeat it whole
    is right, since the ids make what is there already a copy, and copies change nothing.

    Attributes:
        accepting: None until Kafka was reached for the first time.
    """

    def __init__(self, settings: Settings, health: Health) -> None:
        self.accepting: Accepting | None = None
        self._settings = settings
        self._health = health
        self._ack_s = settings.ingest_ack_ms / 1000
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()
        health.waits("kafka", "no connection yet")

    async def keep(self) -> None:
        """Have a producer, until cancelled.

        Raises:
            KafkaAway: no answer for long; call it again.
            KafkaRefused, TopicsWrong: to call it again is of no use.
        """
        if self.accepting is None:
            self.accepting = Accepting(self._settings.topics, await self._partitions())
        while True:
            self._broken.clear()
            producer = await open_producer(self._settings, max_batch_size=_BATCH_BYTES)
            self._producer = producer
            self._health.works("kafka")
            try:
                await self._broken.wait()
            finally:
                self._producer = None
                await close_client(producer)

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Append the records; returns once Kafka has acknowledged every one.

        Raises:
            Problem: 503, it did not within `ingest_ack_ms`.
        """
        producer = self._producer
        if producer is None:
            raise self._away()
        sent: list[Any] = []
        try:
            async with asyncio.timeout(self._ack_s):
                for record in records:
                    sent.append(
                        await producer.send(record.topic, record.value, key=record.key, partition=record.partition)
                    )
                await asyncio.gather(*sent)
        except (TimeoutError, KafkaError, OSError) as error:
            for future in sent:
                future.cancel()
            self._give_up(producer, error)
            raise self._away() from error

    def _give_up(self, producer: AIOKafkaProducer, error: Exception) -> None:
        """Let `keep` make another; of many requests that fail together the first says so."""
        if producer is not self._producer:
            return
        self._producer = None
        words = str(in_words(self._settings, error, "Write")) or type(error).__name__
        self._health.waits("kafka", "it did not acknowledge events: see the log")
        log.warning("Kafka did not acknowledge events: those who sent them are told to repeat it", words=words)
        self._broken.set()

    def _away(self) -> Problem:
        return away(
            "Kafka has not acknowledged these events: repeat the request whole, with the same ids; what arrived "
            "already is a copy then, and copies change nothing"
        )

    async def _partitions(self) -> int:
        topics = self._settings.topics
        counts = [await partition_count(self._settings, topic) for topic in (topics.actions, topics.authentications)]
        if counts[0] != counts[1]:
            raise TopicsWrong(
                f"{topics.actions} has {counts[0]} partitions, {topics.authentications} {counts[1]}: both must have "
                "the same; `stepwatch topics check` says more"
            )
        return counts[0]
