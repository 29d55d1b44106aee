"""What the routes answer from: the parts of one ingest process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import KafkaError

from stepwatch.agents.clients import in_words
from stepwatch.agents.errors import RoleError
from stepwatch.agents.health import Health
from stepwatch.agents.logs import get_logger
from stepwatch.agents.policies import PolicyService, read_sets
from stepwatch.agents.settings import Settings
from stepwatch.ingest.bodies import Held
from stepwatch.ingest.follower import Follower
from stepwatch.ingest.outlet import Outlet
from stepwatch.ingest.tokens import Tokens, wall_clock_us
from stepwatch.streams.sets import PolicySets, build_set

log = get_logger(__name__)
NO_SETS = PolicySets([build_set([], None)])
"""Where no policies are published yet: nobody has an alias, any source may prove."""
AGAIN_S = 1.0


class Ingest:
    """One ingest process; `run` keeps its parts going.

    Attributes:
        sets: as last read; None until they were read for the first time.
        health: what /readyz answers.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int] = wall_clock_us) -> None:
        self.settings = settings
        self.clock = clock
        self.health = Health()
        self.tokens = Tokens(settings.tokens_path)
        self.held = Held(settings.ingest_held_bytes)
        self.sets: PolicySets | None = None
        self.outlet = Outlet(settings, self.health)
        self.follower = Follower(settings, lambda: self.sets or NO_SETS, self.health, clock)
        self.health.waits("policies", "not read yet")
        self.health.works("start")

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
                self.health.waits(part, str(words) or type(words).__name__)
                if str(words) != said:
                    said = str(words)
                    log.warning(f"{part}: {said}; trying again until it works")
            await sleep(AGAIN_S)


class _NotYet(Exception):
    """What it needs is not there yet."""
