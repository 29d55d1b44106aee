"""Events into the topics: checked by the core's own decoder, keyed by canonical subject (contract section 2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, failed, in_words, open_admin, open_producer
from stepwatch.agents.errors import KafkaRefused
from stepwatch.agents.policies import read_sets
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import require_topics
from stepwatch.cli.errors import Misused, ServerAway
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.streams.decode import ACTION, Event
from stepwatch.streams.sets import PolicySets

_IN_FLIGHT_MAX = 2000
"""Records not yet acknowledged: enough to fill batches, few enough to hold in memory at 256 KiB each."""
_POLICIES_S = 60.0
"""How old the policies that map aliases may be; what goes under an old name is moved by the worker."""


@asynccontextmanager
async def open_outlet(settings: Settings) -> AsyncIterator[KafkaOutlet]:
    """Kafka's topics as an outlet.

    Raises:
        KafkaAway, KafkaRefused, TopicsWrong: before anything was sent.
    """
    producer = await open_producer(settings, linger_ms=5, max_batch_size=256 * 1024, max_request_size=1_000_000)
    try:
        count = await _partition_count(settings, producer)
        yield KafkaOutlet(settings, producer, count, await read_sets(settings), await _cluster_id(settings))
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


async def _cluster_id(settings: Settings) -> str:
    admin = await open_admin(settings)
    try:
        return str((await admin.describe_cluster())["cluster_id"] or "")
    except KafkaError as error:
        raise failed(settings, error) from error
    finally:
        await close_client(admin)


class KafkaOutlet:
    """Events into the topics; `settle` raises ServerAway or Misused where Kafka does not take one.

    Attributes:
        policies_known: aliases can be mapped.
        cluster: id of the Kafka cluster; a new one at the same address has another.
    """

    def __init__(
        self, settings: Settings, producer: AIOKafkaProducer, partitions: int, sets: PolicySets | None, cluster: str
    ) -> None:
        self.cluster = cluster
        self.policies_known = sets is not None
        self._settings = settings
        self._topics = settings.topics
        self._producer: Any = producer
        self._partitions = partitions
        self._sets = sets
        self._sets_read_at = time.monotonic()
        self._in_flight: list[tuple[str, Any]] = []

    async def event(self, place: str, event: Event, value: bytes) -> bool:
        """Send one event under its canonical subject; returns whether it is an action older than `accept_late`."""
        subject, is_action, late = event.subject, event.family == ACTION, False
        if self._sets is not None:
            in_force = self._sets.at(event.time_us)
            subject = in_force.canonical(event.tenant, subject)
            late = is_action and event.arrival_us - event.time_us > in_force.accept_late_max_us
        key = subject_key(event.tenant, subject)
        topic = self._topics.actions if is_action else self._topics.authentications
        await self._put(place, topic, partition_of(key, self._partitions), key, value)
        return late

    async def heartbeat(self, place: str, value: bytes) -> None:
        """Send a heartbeat to every partition."""
        for partition in range(self._partitions):
            await self._put(place, self._topics.authentications, partition, None, value)

    async def _put(self, place: str, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        try:
            future = await self._producer.send(topic, value, key=key, partition=partition)
        except (KafkaError, OSError) as error:
            await self._give_up(error, place)
        self._in_flight.append((place, future))
        if len(self._in_flight) >= _IN_FLIGHT_MAX:
            await self.settle()

    async def settle(self) -> None:
        """Wait until everything sent so far is acknowledged; then look for new policies, at times."""
        waiting, self._in_flight = self._in_flight, []
        for index, (place, future) in enumerate(waiting):
            try:
                await future
            except (KafkaError, OSError) as error:
                for _, other in waiting[index + 1 :]:
                    other.cancel()
                await self._give_up(error, place)
        if time.monotonic() - self._sets_read_at >= _POLICIES_S:
            self._sets = await read_sets(self._settings)
            self.policies_known = self._sets is not None
            self._sets_read_at = time.monotonic()

    async def _give_up(self, error: BaseException, place: str) -> None:
        said = in_words(self._settings, error, "Write")
        words = str(said) or type(error).__name__
        for _, future in self._in_flight:
            future.cancel()
        await asyncio.gather(*(future for _, future in self._in_flight), return_exceptions=True)
        if isinstance(said, KafkaRefused):
            raise Misused(f"Kafka did not take {place}: {words}") from error
        raise ServerAway(
            f"Kafka did not acknowledge {place}: {words}\n"
            "Send it again once it is well: copies of what arrived change nothing."
        ) from error
