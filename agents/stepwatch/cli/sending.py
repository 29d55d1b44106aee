"""Events into the topics: checked by the core's own decoder, keyed by canonical subject (contract section 2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_producer
from stepwatch.agents.errors import KafkaRefused
from stepwatch.agents.policies import read_sets
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import require_topics
from stepwatch.cli.errors import Misused, ServerAway
from stepwatch.cli.lines import Converted
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.streams.decode import ACTION, Event, Fault, Heartbeat, Skipped, decode
from stepwatch.streams.sets import PolicySets

_IN_FLIGHT_MAX = 2000
"""Records not yet acknowledged: enough to fill batches, few enough to hold in memory at 256 KiB each."""


@dataclass(slots=True)
class Sent:
    """What became of a file, in records; all that is counted as sent was acknowledged.

    Attributes:
        heartbeats: each counted once, though it goes to every partition.
        rejected: lines that are no event.
        newer: events of a type that only a newer version knows.
        late: actions older than `accept_late`, among those sent.
        policies_known: aliases could be mapped.
    """

    actions: int = 0
    authentications: int = 0
    heartbeats: int = 0
    rejected: int = 0
    newer: int = 0
    late: int = 0
    policies_known: bool = True


async def send_lines(settings: Settings, lines: Converted, *, reject: Callable[[str], None]) -> Sent:
    """Send every event of a file and wait until Kafka has acknowledged all of them.

    Args:
        settings: where Kafka is.
        lines: one event each.
        reject: told of each line that is none, with its number and field.

    Raises:
        KafkaAway, KafkaRefused, TopicsWrong: before anything was sent.
        ServerAway: on the way; says from which line on nothing is certain.
    """
    producer = await open_producer(settings, linger_ms=5, max_batch_size=256 * 1024, max_request_size=1_000_000)
    try:
        count = await _partition_count(settings, producer)
        sets = await read_sets(settings)
        sender = _Sender(settings, producer, count, sets, reject)
        await sender.send_all(lines)
        return sender.sent
    finally:
        await close_client(producer)


async def _partition_count(settings: Settings, producer: AIOKafkaProducer) -> int:
    """How many partitions the inputs have, whatever is set here; all topics must agree with it.

    Raises:
        TopicsWrong: a topic is missing or is not as it must be.
    """
    count = settings.partitions
    with suppress(KafkaError):
        count = len(await producer.partitions_for(settings.topics.authentications)) or count
    await require_topics(settings.model_copy(update={"partitions": count}))
    return count


class _Sender:
    def __init__(
        self,
        settings: Settings,
        producer: AIOKafkaProducer,
        partitions: int,
        sets: PolicySets | None,
        reject: Callable[[str], None],
    ) -> None:
        self.sent = Sent(policies_known=sets is not None)
        self._settings = settings
        self._topics = settings.topics
        self._producer: Any = producer
        self._partitions = partitions
        self._sets = sets
        self._reject = reject
        self._in_flight: list[tuple[int, Any]] = []

    async def send_all(self, lines: Converted) -> None:
        for number, line in enumerate(lines, start=1):
            value = line.strip()
            if value:
                await self._send(lines.origin(number), value)
            if len(self._in_flight) >= _IN_FLIGHT_MAX:
                await self._settle()
        await self._settle()

    async def _send(self, number: int, value: bytes) -> None:
        """Send one line; `number` is that of the line in the file."""
        now_us = time.time_ns() // 1000
        outcome = decode(value, now_us)
        if isinstance(outcome, Fault):
            whose = f" (id {outcome.id})" if outcome.id else ""
            self.sent.rejected += 1
            self._reject(f"line {number}: {outcome.field}: {outcome.message}{whose}")
        elif isinstance(outcome, Skipped):
            self.sent.newer += 1
        elif isinstance(outcome, Heartbeat):
            for partition in range(self._partitions):
                await self._put(number, self._topics.authentications, partition, None, value)
            self.sent.heartbeats += 1
        else:
            await self._send_event(number, outcome, value, now_us)

    async def _send_event(self, number: int, event: Event, value: bytes, now_us: int) -> None:
        subject, is_action = event.subject, event.family == ACTION
        if self._sets is not None:
            in_force = self._sets.at(event.time_us)
            subject = in_force.canonical(event.tenant, subject)
            self.sent.late += is_action and now_us - event.time_us > in_force.accept_late_max_us
        key = subject_key(event.tenant, subject)
        topic = self._topics.actions if is_action else self._topics.authentications
        await self._put(number, topic, partition_of(key, self._partitions), key, value)
        if is_action:
            self.sent.actions += 1
        else:
            self.sent.authentications += 1

    async def _put(self, number: int, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        try:
            future = await self._producer.send(topic, value, key=key, partition=partition)
        except (KafkaError, OSError) as error:
            await self._give_up(error, number)
        self._in_flight.append((number, future))

    async def _settle(self) -> None:
        """Wait until everything sent so far is acknowledged."""
        waiting, self._in_flight = self._in_flight, []
        for index, (number, future) in enumerate(waiting):
            try:
                await future
            except (KafkaError, OSError) as error:
                for _, other in waiting[index + 1 :]:
                    other.cancel()
                await self._give_up(error, number)

    async def _give_up(self, error: BaseException, number: int) -> None:
        said = in_words(self._settings, error, "Write")
        words = str(said) or type(error).__name__
        for _, future in self._in_flight:
            future.cancel()
        await asyncio.gather(*(future for _, future in self._in_flight), return_exceptions=True)
        if isinstance(said, KafkaRefused):
            raise Misused(f"Kafka did not take line {number}: {words}") from error
        raise ServerAway(
            f"Kafka did not acknowledge line {number}: {words}\n"
            "Send the whole file again once it is well: copies of what arrived change nothing."
        ) from error
