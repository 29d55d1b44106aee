"""Policy sets: read from `stepwatch.policies` by every worker (contract section 4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from mode import Service

from stepwatch.agents import metrics
from stepwatch.agents.clients import in_words
from stepwatch.agents.errors import KafkaRefused, PoliciesMoved, PoliciesRefused
from stepwatch.agents.health import Health
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.policy_publishing import publish_policies
from stepwatch.agents.policy_topic import PolicyReader, read_records
from stepwatch.agents.settings import Settings
from stepwatch.streams.sets import PolicySets, sets_from_records

log = get_logger(__name__)
STALE_S = 60.0
"""Workers pause where they do not know the policies up to so long before a record's arrival."""
_CHECK_S = 2.0
_POLL_S = 0.1


def policy_paths(folder: Path) -> list[Path]:
    """The policy files of a folder, not of folders in it.

    Raises:
        PoliciesRefused: there is none.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
    if not paths:
        raise PoliciesRefused(f"{folder} holds no policy file (*.yaml, *.yml)")
    return paths


async def read_sets(settings: Settings) -> PolicySets | None:
    """The policy sets that the topic holds now; None where it holds none that is valid."""
    try:
        return sets_from_records((await read_records(settings)).records)
    except ValueError:
        return None


class PolicyService(Service):
    """Follows the policies topic and says whether what is known of it is fresh.

    Attributes:
        sets: all sets known; None before the first.
    """

    logger = FRAMEWORK

    def __init__(
        self,
        settings: Settings,
        health: Health,
        on_sets: Callable[[PolicySets], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        **kwargs: Any,
    ) -> None:
        """A service that calls `on_sets` for every longer list of sets."""
        super().__init__(**kwargs)
        self.sets: PolicySets | None = None
        self._settings = settings
        self._health = health
        self._on_sets = on_sets
        self._clock = clock
        self._silent = False
        self._checked_at = float("-inf")
        """When the last reading to the end that succeeded was begun."""

    async def first(self) -> PolicySets:
        """The sets, once the topic was read to its end and holds one."""
        while self.sets is None:
            await asyncio.sleep(_POLL_S)
        return self.sets

    async def fresh(self) -> None:
        """Return once it is known which sets existed 60 s ago; pauses whoever asks while Kafka is away."""
        if self._clock() - self._checked_at <= STALE_S:
            return
        log.warning("paused: the policies topic could not be read to its end for 60 s")
        while self._clock() - self._checked_at > STALE_S:
            await asyncio.sleep(_POLL_S)
        log.info("going on: the policies topic was read to its end")

    async def follow(self) -> None:
        """Publish the settings' folder, then read the topic to its end again and again."""
        if self._settings.policies_dir is not None:
            try:
                await publish_policies(self._settings, policy_paths(self._settings.policies_dir))
            except PoliciesMoved as moved:
                log.error("two policy sets at once", words=str(moved))
        reader = PolicyReader(self._settings)
        try:
            await reader.open()
            while not self.should_stop:
                await self._check(reader)
                await self.sleep(_CHECK_S)
        finally:
            await reader.close()

    async def _check(self, reader: PolicyReader) -> None:
        begun_at = self._clock()
        try:
            new = await reader.read_to_end()
        except KafkaError as error:
            if isinstance(said := in_words(self._settings, error, "Read"), KafkaRefused):
                raise said from error
            # Kafka may come back before anybody has to pause; the age says how long that has been.
            self._health.waits("policies", f"cannot read {self._settings.topics.policies}: {error}")
            metrics.POLICIES_AGE.set(begun_at - self._checked_at)
            self._silent = True
            return
        if self._silent:
            log.info("Kafka answers again")
            self._silent = False
        self._checked_at = begun_at
        metrics.POLICIES_AGE.set(0)
        if new:
            self._learn(reader)
        if self.sets is not None:
            self._health.works("policies")
        else:
            self._health.waits("policies", f"no policy set in {self._settings.topics.policies} yet: apply one")

    def _learn(self, reader: PolicyReader) -> None:
        try:
            sets = sets_from_records(reader.records)
        except ValueError as error:
            log.error("no policy set can be used", topic=self._settings.topics.policies, error=str(error))
            return
        for refused in sets.refused:
            log.error("a policy set was refused, the one before stays", problems=str(refused))
        metrics.POLICY_SETS.set(len(sets.sets))
        metrics.POLICIES.info({"latest": reader.latest[:12]})
        log.info("policy sets", known=len(sets.sets), digests=[one.digest[:12] for one in sets.sets])
        self.sets = sets
        self._on_sets(sets)

    @Service.task
    async def _follow(self) -> None:
        await self.follow()
