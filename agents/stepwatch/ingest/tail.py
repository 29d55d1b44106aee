"""Topics read as they grow, and the proof that all is read which Kafka had acknowledged a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.reading import partition_count
from stepwatch.agents.settings import Settings

_POLL_MS: Final = 200
_RECORDS_MAX: Final = 500
"""Read in one turn: some 10 ms, in which no request is answered."""


class NotCaughtUp(Exception):
    """Kafka does not say, in time, whether all is read."""


class Tail:
    """Reads topics that have the same number of partitions.

    Args:
        settings: where Kafka is.
        topics: their names.

    Attributes:
        partitions: of each topic; 0 until Kafka was asked.
    """

    def __init__(self, settings: Settings, *topics: str) -> None:
        self.partitions = 0
        self._settings = settings
        self._topics = topics
        self._asker: AIOKafkaConsumer | None = None
        self._positions: dict[Any, int] = {}
        self._moved = asyncio.Condition()

    async def read(
        self,
        take: Callable[[Any, Sequence[Any]], None],
        loaded: Callable[[], None],
        go_on: Callable[[], bool] = lambda: True,
        begin_ms: int | None = None,
    ) -> None:
        """Read, until cancelled or until `go_on` says no.

        Args:
            take: is given a partition and some records of it.
            loaded: is called once, when all is read that was there at the beginning.
            go_on: asked after each turn.
            begin_ms: from which append time on; None: all that there is.
        """
        self.partitions = await partition_count(self._settings, self._topics[0])
        tps = self._tps(range(self.partitions))
        # A broker answers one request of a connection at a time, and a fetch waits there for records: to ask for the
        # end of a partition takes a connection of its own.
        reader = await open_reader(self._settings, tps, max_poll_records=_RECORDS_MAX)
        asker = await open_reader(self._settings, tps)
        self._asker = asker
        try:
            ends = await self._begin(reader, tps, begin_ms)
            loading = True
            while go_on():
                for tp, records in (await reader.getmany(timeout_ms=_POLL_MS)).items():
                    take(tp, records)
                positions = {tp: await reader.position(tp) for tp in tps}
                if loading and all(positions[tp] >= ends[tp] for tp in tps):
                    loading = False
                    loaded()
                async with self._moved:
                    self._positions = positions
                    self._moved.notify_all()
        finally:
            self._asker, self._positions = None, {}
            await close_client(asker)
            await close_client(reader)

    async def _begin(self, reader: AIOKafkaConsumer, tps: list[Any], begin_ms: int | None) -> dict[Any, int]:
        begins = {} if begin_ms is None else await reader.offsets_for_times(dict.fromkeys(tps, begin_ms))
        ends: dict[Any, int] = await reader.end_offsets(tps)
        for tp in tps:
            if begin_ms is None:
                await reader.seek_to_beginning(tp)
            else:
                reader.seek(tp, begins[tp].offset if begins[tp] is not None else ends[tp])
        reader.resume(*tps)
        return ends

    async def catch_up(self, *numbers: int) -> None:
        """Wait until all is read that Kafka had acknowledged in these partitions when this was called.

        Args:
            numbers: of the partitions, of each topic; none: all.

        Raises:
            NotCaughtUp: Kafka does not say within `assurance_wait_ms`, or it is not being read.
        """
        asker, tps = self._asker, self._tps(numbers or range(self.partitions))
        if asker is None:
            raise NotCaughtUp
        try:
            async with asyncio.timeout(self._settings.assurance_wait_ms / 1000):
                ends = await asker.end_offsets(tps)
                await self.until(lambda: all(self._positions.get(tp, -1) >= ends[tp] for tp in tps))
        except (TimeoutError, KafkaError, OSError) as error:
            raise NotCaughtUp from error

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until something is so; it is looked at after each turn of reading."""
        async with self._moved:
            await self._moved.wait_for(what)

    def _tps(self, numbers: Sequence[int]) -> list[Any]:
        return [TopicPartition(topic, number) for topic in self._topics for number in numbers]
