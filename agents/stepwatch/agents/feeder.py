"""Reading the inputs of one partition side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from stepwatch.agents.errors import PositionLost
from stepwatch.agents.task import Batch, PartitionTask
from stepwatch.agents.whole import batch_of

_IN_FLIGHT = 3
"""Batches on their way to the task: enough that the next are there while it commits."""
_POLL_MS = 200
_WAIT_S = 1.0
"""The longest that a batch at hand waits for an input that lags behind in being fetched."""


class Feeder:
    """Reads the inputs of one partition in the order of their append times, as far as they are at hand.

    While several inputs have data, the batch with the oldest first record goes first, so that none runs hours
    of log time ahead of another and the correlator has to remember little. Verdicts never depend on it.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        task: PartitionTask,
        topics: Sequence[str],
        put: Callable[[Batch], Awaitable[Any]],
        items_max: int,
    ) -> None:
        """Feed `task`.

        Args:
            consumer: assigned and sought to the partition's positions.
            task: of the partition.
            topics: the inputs; of equally old batches the first named goes first.
            put: takes a batch on its way to the task.
            items_max: the most that a batch takes of what the consumer hands on: records, or whole chunks of them.
        """
        self._consumer = consumer
        self._task = task
        self._tps = [TopicPartition(topic, task.partition) for topic in topics]
        self._put = put
        self._items_max = items_max
        self._held: dict[Any, Sequence[Any]] = {}
        self._stint = task.stint
        self._slots = asyncio.Semaphore(_IN_FLIGHT)

    async def run(self) -> None:
        """Feed until cancelled.

        Raises:
            PositionLost: what was to be read next was deleted meanwhile.
            KafkaError: reading failed.
        """
        try:
            await self._feed()
        except OffsetOutOfRangeError as error:
            where = ", ".join(f"{tp.topic}-{tp.partition}@{offset}" for tp, offset in error.args[0].items())
            raise PositionLost(
                f"{where} was to be read next, but the log does not hold it any more. This worker starts again, and "
                "its take-over says what was lost; lengthen retention.ms, or add workers if they lag behind"
            ) from error

    async def _feed(self) -> None:
        while True:
            await self._slots.acquire()
            tp, records = await self._oldest()
            at_end = not self._behind(tp, await self._consumer.position(tp))
            await self._put(Batch(self._task, tp.topic, records, at_end, self._slots.release, self._stint))

    async def _oldest(self) -> tuple[Any, Sequence[Any]]:
        waiting_since = 0.0
        while True:
            missing = [tp for tp in self._tps if tp not in self._held]
            if missing:
                wait_ms = _POLL_MS if waiting_since or not self._held else 0
                got = await self._consumer.getmany(*missing, timeout_ms=wait_ms, max_records=self._items_max)
                self._held.update((tp, batch_of(items)) for tp, items in got.items())
                missing = [tp for tp in missing if tp not in got]
            if not self._held:
                continue
            waiting_since = waiting_since or time.monotonic()
            if not await self._any_behind(missing) or time.monotonic() - waiting_since > _WAIT_S:
                oldest = min((tp for tp in self._tps if tp in self._held), key=self._first_time)
                return oldest, self._held.pop(oldest)

    async def _any_behind(self, missing: list[Any]) -> bool:
        for tp in missing:
            if self._behind(tp, await self._consumer.position(tp)):
                return True
        return False

    def _behind(self, tp: Any, position: int) -> bool:
        """Whether records lie beyond `position`, as far as the last answer of the broker says."""
        end = self._consumer.last_stable_offset(tp)
        return end is None or position < end

    def _first_time(self, tp: Any) -> int:
        first: int = self._held[tp][0].timestamp
        return first
