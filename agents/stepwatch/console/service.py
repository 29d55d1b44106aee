"""What the pages answer from: the parts of one console process."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka.errors import KafkaError

from stepwatch.agents.clients import in_words
from stepwatch.agents.errors import RoleError
from stepwatch.agents.health import Health
from stepwatch.agents.logs import get_logger
from stepwatch.agents.policies import PolicyService, read_sets
from stepwatch.agents.settings import Settings
from stepwatch.console.attempts import Attempts
from stepwatch.console.doors import Doors
from stepwatch.console.following import Board
from stepwatch.console.live import Changes
from stepwatch.console.sessions import Sessions
from stepwatch.console.tables import Tables
from stepwatch.console.users import Users
from stepwatch.console.watch import Watch
from stepwatch.streams.sets import PolicySets

log = get_logger(__name__)
AGAIN_S: Final = 1.0
_DECIDING_AT_ONCE: Final = 8
_EXPORTING_AT_ONCE: Final = 2
"""Decisions that are written and read back at a time: each has connections of its own to Kafka."""


def wall_clock_us() -> int:
    """Now, microseconds since 1970."""
    return time.time_ns() // 1000


class Console:
    """One console process.

    Args:
        settings: as the process was started with.
        token: opens where nobody has a password; `""`: nothing does.
        clock: microseconds since 1970.

    Attributes:
        board: the alerts.
        watch: how far the roles are.
        sets: the policies; None until they were read.
        deciding: is held while a person's decision is written and read back.
        exporting: is held while an export is made.
    """

    def __init__(self, settings: Settings, token: str = "", clock: Callable[[], int] = wall_clock_us) -> None:
        self.settings = settings
        self.clock = clock
        self.health = Health()
        self.changes = Changes(settings.console_streams)
        self.board = Board(settings, clock, self.changes.note)
        self.watch = Watch(settings, clock, self.changes.note)
        self.tables = Tables(settings)
        self.sets: PolicySets | None = None
        self.deciding = asyncio.Semaphore(_DECIDING_AT_ONCE)
        self.exporting = asyncio.Semaphore(_EXPORTING_AT_ONCE)
        sessions = Sessions(settings.console_idle_ms * 1000, settings.console_session_ms * 1000, clock)
        self.doors = Doors(Users(settings.console_users_path), token, _who(), sessions, Attempts(clock))
        self.health.waits("alerts", "they were not read yet")
        self.health.works("start")

    def parts(self) -> list[Awaitable[None]]:
        """What goes on as long as the process does."""

        def alerts_stop(words: str) -> None:
            self.board.stops(words)
            self.health.waits("alerts", words)

        return [
            self._persist("alerts", self._follow_alerts, alerts_stop),
            self._persist("roles", self.watch.look_for_ever, self.watch.stops),
            self._persist("policies", self._follow_policies, lambda words: None),
        ]

    async def _follow_alerts(self) -> None:
        async def say_ready() -> None:
            # Pages show what they have meanwhile; only /readyz waits for it.
            while self.board.away:
                await asyncio.sleep(0.05)
            self.health.works("alerts")

        saying = asyncio.ensure_future(say_ready())
        try:
            await self.board.follow()
        finally:
            saying.cancel()

    async def _follow_policies(self) -> None:
        def learn(sets: PolicySets) -> None:
            self.sets = sets

        if (known := await read_sets(self.settings)) is not None:
            learn(known)
        settings = self.settings.model_copy(update={"policies_dir": None})
        await PolicyService(settings, Health(), learn).follow()

    async def _persist(self, part: str, keep: Callable[[], Awaitable[Any]], stops: Callable[[str], None]) -> None:
        """Do `keep` again and again, whatever passes by itself; what does not is said on the pages, and tried again."""
        said = ""
        while True:
            try:
                await keep()
            except (KafkaError, RoleError, OSError) as error:
                found = in_words(self.settings, error, "Read")
                words = str(found) or type(found).__name__
                stops(words)
                if words != said:
                    said = words
                    log.warning(f"{part}: {said}; trying again until it works")
            await asyncio.sleep(AGAIN_S)


def _who() -> str:
    """The user of this system, whose laptop it is where the token opens."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "owner"
