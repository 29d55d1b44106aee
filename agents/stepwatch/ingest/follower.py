"""Reads `stepwatch.authentications` for assurance, and says of each answer up to when all is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.health import Health
from stepwatch.agents.reading import partition_count
from stepwatch.agents.settings import Settings
from stepwatch.ingest import metrics
from stepwatch.ingest.problems import Problem, away
from stepwatch.ingest.proofs import Proofs
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.streams.decode import AUTHENTICATION, Event, Fault, decode, text_of
from stepwatch.streams.limits import AHEAD_MAX_US
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.sets import PolicySets

_POLL_MS: Final = 200
_RECORDS_MAX: Final = 500
"""Read in one turn: some 10 ms, in which no request is answered."""


class Follower:
    """Keeps `Proofs` up to date.

    Args:
        settings: where Kafka is.
        sets: those known now.
        health: is told while it is still loading.
        clock: microseconds since 1970.

    Attributes:
        proofs: None while they are loading.
    """

    def __init__(
        self, settings: Settings, sets: Callable[[], PolicySets], health: Health, clock: Callable[[], int]
    ) -> None:
        self.proofs: Proofs | None = None
        self._settings = settings
        self._sets = sets
        self._health = health
        self._clock = clock
        self._asker: AIOKafkaConsumer | None = None
        self._tps: list[Any] = []
        self._positions: dict[Any, int] = {}
        self._moved = asyncio.Condition()
        health.waits("assurance", "the authentications of the last lookback were not read yet")

    async def follow(self) -> None:
        """Read, until cancelled, or until the sets change in a way that makes all that was read another's."""
        topic = self._settings.topics.authentications
        self._tps = [TopicPartition(topic, n) for n in range(await partition_count(self._settings, topic))]
        # A broker answers one request of a connection at a time, and a fetch waits there for records: to ask for the
        # end of a partition takes a connection of its own.
        reader = await open_reader(self._settings, self._tps, max_poll_records=_RECORDS_MAX)
        asker = await open_reader(self._settings, self._tps)
        self._asker = asker
        try:
            await self._read(reader)
        finally:
            self.proofs, self._asker = None, None
            await close_client(asker)
            await close_client(reader)

    async def _read(self, reader: AIOKafkaConsumer) -> None:
        sets = self._sets()
        begin_ms = (self._clock() - sets.lookback_max_us - AHEAD_MAX_US) // 1000
        begins = await reader.offsets_for_times(dict.fromkeys(self._tps, begin_ms))
        ends = await reader.end_offsets(self._tps)
        for tp in self._tps:
            reader.seek(tp, begins[tp].offset if begins[tp] is not None else ends[tp])
        reader.resume(*self._tps)
        proofs, logs = Proofs(), {tp: LogTime() for tp in self._tps}
        known_sets = bool(sets.sets[0].files)
        while known_sets or not self._sets().sets[0].files:
            for tp, records in (await reader.getmany(timeout_ms=_POLL_MS)).items():
                self._take(proofs, logs[tp], records)
            async with self._moved:
                self._positions = {tp: await reader.position(tp) for tp in self._tps}
                self._moved.notify_all()
            if self.proofs is None and all(self._positions[tp] >= ends[tp] for tp in self._tps):
                self.proofs = proofs
                self._health.works("assurance")
        # The first set holds from the beginning of time, so whom an alias meant was never known until now.

    def _take(self, proofs: Proofs, log: LogTime, records: Sequence[Any]) -> None:
        sets, early = self._sets(), proofs.forgotten_early
        for record in records:
            arrival_us = log.read(record.offset, record.timestamp * 1000)
            text = text_of(record.value, record.headers)
            event = text if isinstance(text, Fault) else decode(text, arrival_us, AUTHENTICATION)
            if isinstance(event, Event):
                proofs.take(event, sets)
        proofs.forget(min(log.now_us, self._clock()))
        metrics.PROOFS.set(proofs.count)
        metrics.FORGOTTEN.inc(proofs.forgotten_early - early)

    async def read_up_to_now(self, tenant: str, subject: str) -> tuple[Proofs, int]:
        """Wait until all that Kafka had acknowledged of a subject when this was called is read.

        So an application that asks right after the tap finds it, whoever reported it.

        Args:
            tenant, subject: the subject is the canonical one.

        Returns:
            What is known; and up to when it is all there, microseconds since 1970.

        Raises:
            Problem: 503, still loading, or Kafka does not say within `assurance_wait_ms`.
        """
        asked_us, asker = self._clock(), self._asker
        if self.proofs is None or asker is None:
            raise away("the authentications of the last lookback are still being read: ask again soon", 2)
        tp = self._tps[partition_of(subject_key(tenant, subject), len(self._tps))]
        try:
            async with asyncio.timeout(self._settings.assurance_wait_ms / 1000):
                end = (await asker.end_offsets([tp]))[tp]
                async with self._moved:
                    await self._moved.wait_for(lambda: self._positions.get(tp, -1) >= end)
        except (TimeoutError, KafkaError, OSError) as error:
            raise _unknown() from error
        if self.proofs is None:
            raise _unknown()
        return self.proofs, asked_us


def _unknown() -> Problem:
    return away(
        "Kafka does not say whether all is read that was reported until now: a proof or a revocation may be missing, "
        "so nothing is answered; ask again soon"
    )
