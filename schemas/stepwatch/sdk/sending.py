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
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.topics import Topics
from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import Checked

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


class _NotYet(Exception):
    """Some of a chunk is not acknowledged; the cause is its cause."""


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
        self._tasks: set[asyncio.Task[Any]] = set()
        self.more = asyncio.Event()

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
            await self._deliver([beat])
            self._backlog.beaten()
        else:
            await self.more.wait()
            await asyncio.sleep(_LINGER_S)

    async def _deliver(self, chunk: Sequence[Checked]) -> int:
        """Send until each is acknowledged or refused for what it is; returns how many were refused."""
        left, refused, alone = list(chunk), 0, False
        while left:
            try:
                left, too_large = await self._try(left, alone)
                # One too large for the broker fails its batch: each of them alone shows which it is.
                refused += too_large if alone else 0
                alone = not alone and too_large > 0
                self._backlog.away, self._retry_s = "", _RETRY_S[0]
                if too_large:
                    # The broker has not seen the numbers of what it refused, and would take nothing behind them.
                    await self._close()
            except Exception as error:
                # Whatever it is: events are not given up for it, and `away` says it.
                left = error.args[0] if isinstance(error, _NotYet) else left
                self._backlog.away = self._in_words(error.__cause__ or error)
                await self._close()
                await asyncio.sleep(self._retry_s * random.uniform(0.5, 1.0))
                self._retry_s = min(self._retry_s * 2, _RETRY_S[1])
        return refused

    async def _try(self, events: list[Checked], alone: bool) -> tuple[list[Checked], int]:
        """Send once; returns those to be tried again, and how many were too large.

        Raises:
            _NotYet: with those that were not acknowledged; the producer is of no use any more.
        """
        producer = await self._open()
        sent: dict[asyncio.Future[Any], list[Checked]] = {}
        for (topic, partition), group in (await self._grouped(producer, events)).items():
            for batch, held in _batches(producer, group, 1 if alone else CHUNK_EVENTS):
                sent[await producer.send_batch(batch, topic, partition=partition)] = held
        await asyncio.wait(sent, timeout=_STUCK_S)
        unsent, too_large, cause = [], [], None
        for future, held in sent.items():
            error = future.exception() if future.done() else TimeoutError("no acknowledgement")
            if isinstance(error, MessageSizeTooLargeError):
                too_large += held
            elif error is not None:
                unsent += held
                cause = error
        if cause is not None:
            raise _NotYet(unsent + too_large) from cause
        return ([] if alone else too_large), len(too_large)

    async def _grouped(self, producer: Any, events: Sequence[Checked]) -> dict[tuple[str, int], list[Checked]]:
        groups: dict[tuple[str, int], list[Checked]] = {}
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {self._topic(e) for e in events}}
        for event in events:
            topic = self._topic(event)
            every = range(counts[topic])
            # A heartbeat speaks for the subjects of the partition it lies in, so it goes to every one.
            for partition in every if event.type == ev.HEARTBEAT else (_partition_of(event.key, len(every)),):
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
        except (TimeoutError, KafkaError, OSError, AssertionError):
            left = asyncio.all_tasks() - self._tasks
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=_STOP_S)
            with suppress(TimeoutError, KafkaError, OSError):
                await asyncio.wait_for(producer.client.close(), _STOP_S)

    def _in_words(self, error: BaseException) -> str:
        if isinstance(error, UnknownTopicOrPartitionError):
            return f"{self._at} has no topics {self._topics.actions} and {self._topics.authentications}"
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
