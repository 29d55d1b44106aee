"""Reads `stepwatch.authentications` for assurance, and says of each answer up to when all is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stepwatch.agents.health import Health
from stepwatch.agents.settings import Settings
from stepwatch.ingest import metrics
from stepwatch.ingest.problems import Problem, away
from stepwatch.ingest.proofs import Proofs
from stepwatch.ingest.tail import NotCaughtUp, Tail
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.streams.decode import AUTHENTICATION, Event, Fault, decode, text_of
from stepwatch.streams.limits import AHEAD_MAX_US
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.sets import PolicySets


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
        self._sets = sets
        self._health = health
        self._clock = clock
        self._tail = Tail(settings, settings.topics.authentications)
        health.waits("assurance", "the authentications of the last lookback were not read yet")

    async def follow(self) -> None:
        """Read, until cancelled, or until the sets change in a way that makes all that was read another's."""
        sets = self._sets()
        begin_ms = (self._clock() - sets.lookback_max_us - AHEAD_MAX_US) // 1000
        known_sets = bool(sets.sets[0].files)
        proofs, logs = Proofs(), dict[Any, LogTime]()

        def take(tp: Any, records: Sequence[Any]) -> None:
            self._take(proofs, logs.setdefault(tp, LogTime()), records)

        def loaded() -> None:
            self.proofs = proofs
            self._health.works("assurance")

        def go_on() -> bool:
            # The first set holds from the beginning of time, so whom an alias meant was never known until now.
            return known_sets or not self._sets().sets[0].files

        try:
            await self._tail.read(take, loaded, go_on, begin_ms)
        finally:
            self.proofs = None

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
        asked_us = self._clock()
        if self.proofs is None:
            raise away("the authentications of the last lookback are still being read: ask again soon", 2)
        try:
            await self._tail.catch_up(partition_of(subject_key(tenant, subject), self._tail.partitions))
        except NotCaughtUp as error:
            raise _unknown() from error
        if self.proofs is None:
            raise _unknown()
        return self.proofs, asked_us


def _unknown() -> Problem:
    return away(
        "Kafka does not say whether all is read that was reported until now: a proof or a revocation may be missing, "
        "so nothing is answered; ask again soon"
    )
