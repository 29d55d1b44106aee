"""From the backlog to Kafka, for as long as the reporter lives: one producer, one chunk of events at a time.

A chunk is sent, all its acknowledgements are awaited, and only then the next one is taken. So the order of a subject's
events is kept, memory is what the backlog allows, and after any failure the chunk is sent again with a new producer: a
copy of an event that had arrived changes nothing (contract section 3), while a lost one would.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.topics import Topics
from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import Checked
from stepwatch.sdk.denials import Denials
from stepwatch.sdk.quiet import take_cause

CHUNK_EVENTS: Final = 1000
CHUNK_BYTES: Final = 512 * 1024
_BATCH_BYTES: Final = 256 * 1024
_LINGER_S: Final = 0.02
"""How long a first event waits for others: at 1,000 events/s, 5 ms instead cost half as much CPU again."""
_STUCK_S: Final = 60.0
"""A chunk unacknowledged for so long is sent by a new producer, which looks the brokers' addresses up again."""
_REQUEST_MS: Final = 10_000
"""Of one request, and of the wait for a topic that does not exist; aiokafka's own 40 s would be 40 s of silence."""
_STOP_S: Final = 2.0
_RETRY_S: Final = (0.1, 5.0)

_partition_of = lru_cache(maxsize=8192)(partition_of)


class _Tried(NamedTuple):
    """What one try at a chunk came to.

    Attributes:
        left: to be tried again, in their order.
        too_large: how many events are too large, or lie in a batch with one that is.
        cause: why others were not acknowledged: the producer is of no use any more.
    """

    left: list[Checked]
    too_large: int
    cause: BaseException | None


class Sender:
    """Sends what a backlog holds; lives in one event loop."""

    def __init__(self, bootstrap: Sequence[str], topics: Topics, backlog: Backlog, options: Mapping[str, Any]) -> None:
        self._bootstrap = list(bootstrap)
        self._at = ",".join(bootstrap)
        self._topics = topics
        self._backlog = backlog
        self._options = options
        self._producer: Any = None
        self._retry_s = _RETRY_S[0]
        self._denials = Denials()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.more = asyncio.Event()

    def prepare(self) -> None:
        """Nothing is needed beside its loop."""

    discard = prepare

    async def run(self) -> None:
        """Send until cancelled."""
        # All that come later are the client's: its loop is nobody else's.
        self._tasks = asyncio.all_tasks()
        try:
            while True:
                await self._round()
        finally:
            await self._close()

    async def _round(self) -> None:
        self.more.clear()
        if chunk := self._backlog.take(CHUNK_EVENTS, CHUNK_BYTES):
            refused = await self._deliver(chunk)
            self._backlog.settle(refused)
        elif beat := self._backlog.due_heartbeat():
            self._backlog.beaten(await self._deliver([beat]))
        else:
            await self.more.wait()
            await asyncio.sleep(_LINGER_S)

    async def _deliver(self, chunk: Sequence[Checked]) -> int:
        """Send until each is acknowledged or refused; returns how many were refused."""
        left, refused, alone = list(chunk), 0, False
        while True:
            wanted = [event for event in left if not self._denials.are_final(self._topic(event))]
            refused += len(left) - len(wanted)
            if not wanted:
                # Nobody may have been asked: the loop's other tasks have their turn all the same.
                await asyncio.sleep(0)
                return refused
            try:
                tried = await self._try(wanted, alone)
            except Exception as error:
                # Whatever it is: events are not given up for it, and `away` says it.
                tried = _Tried(wanted, 0, error)
            left = tried.left
            # One too large for the broker fails its batch: each of them alone shows which it is.
            refused += tried.too_large if alone else 0
            alone = not alone and tried.too_large > 0
            if tried.too_large or tried.cause is not None:
                # The broker has not seen the numbers of what it refused, and would take nothing behind them.
                await self._close()
            if tried.cause is None:
                self._backlog.away, self._retry_s = "", _RETRY_S[0]
            else:
                self._backlog.away = self._in_words(tried.cause)
                await asyncio.sleep(self._retry_s * random.uniform(0.5, 1.0))
                self._retry_s = min(self._retry_s * 2, _RETRY_S[1])

    async def _try(self, events: list[Checked], alone: bool) -> _Tried:
        """Send once, each event in a batch of its own where they are to be `alone`."""
        producer = await self._open()
        counts, cause = await self._partition_counts(producer, events)
        sent: dict[asyncio.Future[Any], tuple[str, list[Checked]]] = {}
        for (topic, partition), group in self._grouped(counts, events).items():
            for batch, held in _batches(producer, group, 1 if alone else CHUNK_EVENTS):
                sent[await producer.send_batch(batch, topic, partition=partition)] = topic, held
        if sent:
            await asyncio.wait(sent, timeout=_STUCK_S)
        again, too_large = {id(event) for event in events if self._topic(event) not in counts}, 0
        for future, (topic, held) in sent.items():
            error = future.exception() if future.done() else TimeoutError("no acknowledgement")
            if isinstance(error, MessageSizeTooLargeError):
                too_large += len(held)
                again.update([] if alone else map(id, held))
            elif error is not None:
                cause = error
                again.update(map(id, held))
                if isinstance(error, TopicAuthorizationFailedError):
                    self._denials.denied(topic)
            else:
                self._denials.granted(topic)
        # In their order, whichever failed for what: a partition's is that in which they were reported.
        return _Tried([event for event in events if id(event) in again], too_large, cause)

    async def _partition_counts(
        self, producer: Any, events: Sequence[Checked]
    ) -> tuple[dict[str, int], BaseException | None]:
        """The partitions of each topic of these events, and why one that denies us is not among them."""
        counts: dict[str, int] = {}
        cause: BaseException | None = None
        for topic in sorted({self._topic(event) for event in events}):
            try:
                counts[topic] = len(await producer.partitions_for(topic))
            except TopicAuthorizationFailedError as error:
                self._denials.denied(topic)
                cause = error
        return counts, cause

    def _grouped(self, counts: Mapping[str, int], events: Sequence[Checked]) -> dict[tuple[str, int], list[Checked]]:
        groups: dict[tuple[str, int], list[Checked]] = {}
        for event in events:
            topic = self._topic(event)
            if topic not in counts:
                continue
            every = range(counts[topic])
            # A heartbeat speaks for the subjects of the partition it lies in, so it goes to every one.
            partitions = every if event.type == ev.HEARTBEAT else (_partition_of(event.key, len(every)),)
            for partition in partitions:
                groups.setdefault((topic, partition), []).append(event)
        return groups

    def _topic(self, event: Checked) -> str:
        return self._topics.actions if event.type == ev.ACTION_PERFORMED else self._topics.authentications

    async def _open(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                enable_idempotence=True,
                max_batch_size=_BATCH_BYTES,
                **{"request_timeout_ms": _REQUEST_MS, **self._options},
            )
            take_cause()
            try:
                await producer.start()
            except BaseException:
                await self._stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._stop(producer)

    async def _stop(self, producer: Any) -> None:
        """Stop within some seconds, and leave nothing behind that goes on trying."""
        try:
            # It waits for the acknowledgements of what it holds: with its broker away, for ever.
            await asyncio.wait_for(producer.stop(), _STOP_S)
        except Exception:
            # Whatever the client raises: this one is given up, and the next one sends.
            left = asyncio.all_tasks() - self._tasks
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=_STOP_S)
            with suppress(Exception):
                await asyncio.wait_for(producer.client.close(), _STOP_S)

    def _in_words(self, error: BaseException) -> str:
        if isinstance(error, UnknownTopicOrPartitionError):
            return f"{self._at} has no topics {self._topics.actions} and {self._topics.authentications}"
        if isinstance(error, TopicAuthorizationFailedError):
            return f"{self._at} denies us {' and '.join(self._denials.topics)}: the producer needs Write on both topics"
        if isinstance(error, KafkaConnectionError):
            # It says that there is no connection, and not why.
            error = take_cause() or error
        return f"{self._at}: {str(error) or type(error).__name__}"


def _batches(producer: Any, events: Sequence[Checked], count_max: int) -> list[tuple[Any, list[Checked]]]:
    batches: list[tuple[Any, list[Checked]]] = []
    for event in events:
        key = event.key or None
        full = not batches or len(batches[-1][1]) >= count_max
        if full or batches[-1][0].append(timestamp=None, key=key, value=event.value) is None:
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=event.value)
            batches.append((batch, []))
        batches[-1][1].append(event)
    for batch, _ in batches:
        batch.close()
    return batches


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse an option that the client does not know, or that is not the application's to choose.

    Raises:
        TypeError: with the option's name.
    """
    ours = {"bootstrap_servers", "enable_idempotence", "max_batch_size", "partitioner", "transactional_id", "acks"}
    ours |= {"key_serializer", "value_serializer", "loop", "linger_ms", "max_request_size"}
    known: Callable[..., Any] = AIOKafkaProducer.__init__
    names = set(known.__code__.co_varnames[: known.__code__.co_argcount + known.__code__.co_kwonlyargcount]) - {"self"}
    for name in options:
        if name in ours or name not in names:
            raise TypeError(f"{name}: expected one of aiokafka's options {', '.join(sorted(names - ours))}")
