"""Reading the output topics in batches, at least once: a batch is committed after it was acted on.

`store` and `notify` are readers of this kind. Order of each round: read a batch; hand it to the agent
through its channel; wait until the agent is done with it; commit its offsets. A crash before the commit
reads it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from mode import Service
from prometheus_client import Counter

from stepwatch.agents.clients import close_client, in_words, open_consumer
from stepwatch.agents.health import Health
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import require_topics

log = get_logger(__name__)

Record: TypeAlias = ConsumerRecord  # key and value are bytes or None

OUTPUT_LOST = Counter(
    "stepwatch_output_records_lost",
    "Records of an output topic that retention deleted before this role read them.",
    ["topic"],
)
_DAY_MS = 86_400_000
_POLL_MS = 200


@dataclass(slots=True)
class OutputBatch:
    """Records of the output topics, by partition in the order of their offsets.

    Attributes:
        records: at least one.
        done: set by the agent when nothing is left to do about them.
    """

    records: dict[TopicPartition, list[Record]]
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, topic: str) -> list[Record]:
        """The records of one topic, partition after partition."""
        return [record for tp, records in self.records.items() if tp.topic == topic for record in records]


class _Revoked(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what was taken away; the work is done outside, since no heartbeat is sent in a listener."""

    def __init__(self, on_revoked: Callable[[Iterable[TopicPartition]], None]) -> None:
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._on_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        return


class OutputReader:
    """The consumer of one role: batches of records, and the commit of each."""

    def __init__(
        self,
        settings: Settings,
        role: str,
        topics: Sequence[str],
        *,
        linger_s: float,
        records_max: int = 10_000,
        bytes_max: int = 16 * 1024 * 1024,
        on_revoked: Callable[[Iterable[TopicPartition]], None] = lambda revoked: None,
    ) -> None:
        """A reader that is not open yet.

        Args:
            settings: address and group.
            role: names the group.
            topics: to read.
            linger_s: how long a batch may wait for more records, s; 0: not at all.
            records_max: a batch ends when it has this many.
            bytes_max: or this many bytes of keys and values; one fetch more may be in it.
            on_revoked: called when partitions are taken away, in the middle of anything.
        """
        self._settings = settings
        self._role = role
        self._topics = tuple(topics)
        self._linger_s = linger_s
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._on_revoked = on_revoked
        self._consumer: AIOKafkaConsumer | None = None
        self._seen: set[TopicPartition] = set()

    async def open(self) -> None:
        """Join the group.

        Raises:
            KafkaAway, KafkaRefused, TopicsWrong: in words.
        """
        await require_topics(self._settings)
        self._consumer = await open_consumer(
            self._settings,
            group_id=self._settings.group(self._role),
            auto_offset_reset="earliest",
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 5,
            # A ClickHouse that is away for hours is no reason to give the partitions away: heartbeats go on.
            max_poll_interval_ms=_DAY_MS,
        )
        self._consumer.subscribe(self._topics, listener=_Revoked(self._forget))

    async def close(self) -> None:
        """Leave the group; what is not committed is read again."""
        if self._consumer is not None:
            await close_client(self._consumer)

    async def read(self) -> OutputBatch | None:
        """The next batch, or None where nothing came for a while."""
        batch = OutputBatch({})
        count = size = 0
        give_out: float | None = None
        while count < self._records_max and size < self._bytes_max:
            now = time.monotonic()
            if give_out is not None and now >= give_out:
                break
            wait_ms = _POLL_MS if give_out is None else max(1, int((give_out - now) * 1000))
            got = await self._fetch(wait_ms, self._records_max - count)
            if not got and give_out is None:
                return None
            for tp, records in got.items():
                await self._look_at(tp)
                batch.records.setdefault(tp, []).extend(records)
                count += len(records)
                size += sum(len(record.key or b"") + len(record.value or b"") for record in records)
            give_out = give_out or time.monotonic() + self._linger_s
        return batch

    async def _fetch(self, wait_ms: int, records_max: int) -> dict[TopicPartition, list[Record]]:
        try:
            got: dict[TopicPartition, list[Record]] = await self._open.getmany(
                timeout_ms=wait_ms, max_records=records_max
            )
        except KafkaError as error:
            raise in_words(self._settings, error, "Read") from error
        return got

    async def commit(self, batch: OutputBatch) -> None:
        """Note in the group that a batch is done, where its partitions are still ours."""
        offsets = {tp: records[-1].offset + 1 for tp, records in batch.records.items()}
        ours = {tp: offset for tp, offset in offsets.items() if tp in self._open.assignment()}
        if not ours:
            return
        try:
            await self._open.commit(ours)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("partitions went to another worker, which reads the last batch again", why=str(error))
        except KafkaError as error:
            # The supervisor starts us again, and what was not committed is read again.
            raise in_words(self._settings, error) from error

    @property
    def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the reader is not open")
        return self._consumer

    def _forget(self, revoked: Iterable[TopicPartition]) -> None:
        self._seen.difference_update(revoked)
        self._on_revoked(revoked)

    async def _look_at(self, tp: TopicPartition) -> None:
        """Say so where retention was faster than we: aiokafka goes on at the log's start without a word."""
        if tp in self._seen:
            return
        self._seen.add(tp)
        committed = await self._open.committed(tp)
        begin = (await self._open.beginning_offsets([tp]))[tp]
        if committed is not None and committed < begin:
            OUTPUT_LOST.labels(tp.topic).inc(begin - committed)
            log.error(
                f"{tp.topic}-{tp.partition}: retention deleted offsets {committed} to {begin - 1} before "
                f"this role read them: raise retention.ms of {tp.topic} above the longest outage",
                code="output_lost",
            )


class OutputService(Service):
    """Hands an agent what an OutputReader reads, one batch at a time, for as long as the app runs."""

    logger = FRAMEWORK
    mundane_level = "debug"

    def __init__(
        self,
        reader: OutputReader,
        health: Health,
        put: Callable[[OutputBatch], Awaitable[Any]],
        **kwargs: Any,
    ) -> None:
        """A service that reads.

        Args:
            reader: not open yet.
            health: told what is waited for.
            put: takes a batch on its way to the agent.
        """
        super().__init__(**kwargs)
        self._reader = reader
        self._health = health
        self._put = put
        health.waits("kafka", "joining the group")

    async def on_start(self) -> None:
        """Join the group, or end the process in words."""
        await self._reader.open()
        self._health.works("kafka")

    async def on_stop(self) -> None:
        """Leave the group."""
        await self._reader.close()

    @Service.task
    async def _run(self) -> None:
        while not self.should_stop:
            batch = await self._reader.read()
            if batch is None:
                continue
            await self._put(batch)
            await self.wait(batch.done.wait())
            if batch.done.is_set():
                await self._reader.commit(batch)
