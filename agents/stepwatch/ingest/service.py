"""What the routes answer from: the parts of one ingest process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka.errors import KafkaError

from stepwatch.agents.clients import in_words
from stepwatch.agents.errors import RoleError
from stepwatch.agents.health import Health
from stepwatch.agents.logs import get_logger
from stepwatch.agents.policies import PolicyService, read_sets
from stepwatch.agents.settings import Settings
from stepwatch.ingest.alert_follower import AlertFollower
from stepwatch.ingest.bodies import Held
from stepwatch.ingest.follower import Follower
from stepwatch.ingest.outlet import Outlet
from stepwatch.ingest.streams import Streams
from stepwatch.ingest.tokens import Token, Tokens, TokensRefused, wall_clock_us
from stepwatch.streams.sets import PolicySets, build_set

log = get_logger(__name__)
NO_SETS = PolicySets([build_set([], None)])
"""Where no policies are published yet: nobody has an alias, any source may prove."""
AGAIN_S = 1.0
_DECIDING_AT_ONCE: Final = 8
"""Decisions that are written and read back at a time: each has connections of its own to Kafka."""


class Ingest:
    """One ingest process; `run` keeps its parts going.

    Attributes:
        sets: as last read; None until they were read for the first time.
        health: what /readyz answers, to anybody: no address and no path is in it, those are in the log.
        deciding: is held while a person's decision is written and read back.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int] = wall_clock_us) -> None:
        self.settings = settings
        self.clock = clock
        self.health = Health()
        self._tokens = Tokens(settings.tokens_path)
        self._said_of_tokens = ""
        self.held = Held(settings.ingest_held_bytes)
        self.sets: PolicySets | None = None
        self.outlet = Outlet(settings, self.health)
        self.follower = Follower(settings, lambda: self.sets or NO_SETS, self.health, clock)
        self.streams = Streams(settings.ingest_streams)
        self.alerts = AlertFollower(settings, self.health, clock, self.streams.tell)
        self.deciding = asyncio.Semaphore(_DECIDING_AT_ONCE)
        self.health.waits("policies", "not read yet")
        self.health.works("start")

    def find_token(self, secret: str) -> Token | None:
        """The live token with this secret, or None.

        Raises:
            TokensRefused: the file of tokens cannot be used; the log says why, once.
        """
        try:
            token = self._tokens.find(secret)
        except TokensRefused as error:
            if str(error) != self._said_of_tokens:
                self._said_of_tokens = str(error)
                log.error(f"nobody is let in: {error}", code=error.code)
            self.health.waits("tokens", "the file of tokens cannot be used: see the log")
            raise
        self._said_of_tokens = ""
        self.health.works("tokens")
        return token

    async def keep_policies(self) -> None:
        """Know the policy sets, until cancelled: they say who an alias is."""
        self._learn(await read_sets(self.settings) or NO_SETS)
        # Whoever has published none may post all the same, so that service's own view of its health is not ours.
        settings = self.settings.model_copy(update={"policies_dir": None})
        await PolicyService(settings, Health(), self._learn).follow()

    async def keep_assurance(self) -> None:
        """Know the verifications, until cancelled; begins once the policies say who an alias is."""
        while self.sets is not None:
            await self.follower.follow()
        raise _NotYet

    def _learn(self, sets: PolicySets) -> None:
        self.sets = sets
        self.health.works("policies")

    async def persist(self, part: str, keep: Callable[[], Awaitable[Any]], sleep: Callable[[float], Any]) -> None:
        """Do `keep` again and again, whatever passes by itself.

        Args:
            part: its name on /readyz.
            keep: ends by an error only.
            sleep: waits some seconds.

        Raises:
            RoleError: one that does not pass.
        """
        said = ""
        while True:
            try:
                await keep()
            except _NotYet:
                pass
            except (KafkaError, RoleError, OSError) as error:
                words = in_words(self.settings, error, "Read")
                if isinstance(words, RoleError) and not words.retriable:
                    raise words from error
                self.health.waits(part, "not there: see the log")
                if (now := str(words) or type(words).__name__) != said:
                    said = now
                    log.warning(f"{part}: {said}; trying again until it works")
            await sleep(AGAIN_S)


class _NotYet(Exception):
    """What it needs is not there yet."""
