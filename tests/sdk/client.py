"""A stand-in for aiokafka's producer, with a broker behind it that answers as a test says.

For what no broker here does at will: to deny a topic and grant it a minute later, to fail between two batches, and a
client that raises while it is stopped. What a real broker does is in `test_kafka_live.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAuthorizationFailedError


@dataclass
class Broker:
    """What the broker takes and what it answers.

    Attributes:
        arrived: what it took: topic, partition, value.
        batch_max: how many events fit into a batch.
        partitions: of each topic.
        too_large: this value is.
        denied: topics that nobody here may write to.
        hidden: they are not even described.
        failing: how many batches it answers with an error first.
        stop_error: raised by a producer that is stopped.
        made: how many producers there were.
    """

    arrived: list[tuple[str, int, bytes]] = field(default_factory=list)
    batch_max: int = 100
    partitions: int = 1
    too_large: bytes = b""
    denied: set[str] = field(default_factory=set)
    hidden: bool = False
    failing: int = 0
    stop_error: BaseException | None = None
    made: int = 0

    def producer(self, **options: Any) -> Producer:
        """In the place of `AIOKafkaProducer`."""
        self.made += 1
        return Producer(self)

    def values(self) -> list[bytes]:
        """What arrived, in its order."""
        return [value for _, _, value in self.arrived]


class Producer:
    """What the sender uses of a producer. Behind a batch that was refused a partition takes nothing from it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._broken: set[tuple[str, int]] = set()
        self.client = self

    async def start(self) -> None:
        """Nothing is to be connected."""

    async def stop(self) -> None:
        if self._broker.stop_error is not None:
            raise self._broker.stop_error

    close = stop

    async def partitions_for(self, topic: str) -> set[int]:
        if self._broker.hidden and topic in self._broker.denied:
            raise TopicAuthorizationFailedError(topic)
        return set(range(self._broker.partitions))

    def create_batch(self) -> Batch:
        return Batch(self._broker.batch_max)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error = self._error(batch, topic, partition)
        if error is None:
            self._broker.arrived += [(topic, partition, value) for value in batch.values]
            answer.set_result(None)
        else:
            self._broken.add((topic, partition))
            answer.set_exception(error)
        return answer

    def _error(self, batch: Batch, topic: str, partition: int) -> Any:
        if topic in self._broker.denied:
            return TopicAuthorizationFailedError(topic)
        if (topic, partition) in self._broken:
            return KafkaError("out of order")
        if self._broker.failing:
            self._broker.failing -= 1
            return KafkaError("no")
        return MessageSizeTooLargeError("no") if self._broker.too_large in batch.values else None


class Batch:
    """Some events of one partition."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self.values: list[bytes] = []

    def append(self, *, timestamp: None, key: bytes | None, value: bytes) -> object:
        """None where it is full."""
        if len(self.values) >= self._count_max:
            return None
        self.values.append(value)
        return value

    def close(self) -> None:
        """No more."""
