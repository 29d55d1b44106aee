"""The topic `stepwatch.policies` as it is: one partition, from its begin, every record a set that somebody applied."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_reader
from stepwatch.agents.settings import Settings


async def read_records(settings: Settings) -> PolicyReader:
    """All that the topic holds now; the reader is closed.

    Raises:
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    reader = PolicyReader(settings)
    try:
        await reader.open()
        await reader.read_to_end()
        return reader
    except KafkaError as error:
        raise in_words(settings, error, "Read") from error
    finally:
        await reader.close()


class PolicyReader:
    """Reads the policies topic from its begin.

    Attributes:
        keys: of the records read so far, in their order.
        records: (append time in microseconds, value) of each.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partition = TopicPartition(settings.topics.policies, 0)
        self._consumer: AIOKafkaConsumer | None = None
        self.keys: list[bytes] = []
        self.records: list[tuple[int, bytes]] = []

    @property
    def latest(self) -> str:
        """The digest of the set that was applied last; empty where none was."""
        return self.keys[-1].decode(errors="replace") if self.keys else ""

    async def open(self) -> None:
        self._consumer = await open_reader(self._settings, [self._partition])
        self._consumer.resume(self._partition)

    async def read_to_end(self) -> int:
        """Read what was there when this was called; returns how many records were new."""
        consumer: Any = self._consumer
        before = len(self.records)
        end = (await consumer.end_offsets([self._partition]))[self._partition]
        while await consumer.position(self._partition) < end:
            batches = await consumer.getmany(self._partition, timeout_ms=500)
            for record in batches.get(self._partition, ()):
                self.keys.append(record.key or b"")
                self.records.append((record.timestamp * 1000, record.value or b""))
        return len(self.records) - before

    async def close(self) -> None:
        if self._consumer is not None:
            await close_client(self._consumer)
