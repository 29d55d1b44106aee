"""Work on ClickHouse, done again until it is done: how long is waited between, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import Gauge

from stepwatch.agents.health import Health
from stepwatch.agents.logs import get_logger
from stepwatch.agents.settings import Settings
from stepwatch.store.client import ANSWER_TIMEOUT_S, Trouble, name_of, timed_out, trouble_of, words_of

log = get_logger(__name__)
T = TypeVar("T")

STORE_WAITING = Gauge("stepwatch_store_waiting", "1 while ClickHouse is away, silent or refuses us, else 0.")

BACK_OFF_MIN_S = 0.25
BACK_OFF_MAX_S = 15.0
SILENT_S = 10.0
"""A request that has no answer for so long is spoken of, though it may still get one."""
ANSWER_MAX_S = 600
"""A server that needs longer than this for one insert is away for us, and gets the same insert again."""


class SetupRefused(Exception):
    """ClickHouse answers and refuses us, at the start; the message says what to look at."""

    retriable = False


class Insisting:
    """Does blocking work on ClickHouse one at a time, for as long as it takes.

    Each kind of trouble is logged once, until `well()`; the last of it is in /readyz all the time.
    """

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._said: set[str] = set()
        self._wait_s = BACK_OFF_MIN_S
        self.answer_s = ANSWER_TIMEOUT_S
        """How long the next request may wait for its answer. Twice as long after each that waited in vain: a server
        that needs minutes for an insert would else get the same one for ever, and keep each."""

    async def do(self, work: Callable[[], T], *, give_up_on_setup: bool = False) -> T:
        """Do the work, in a thread; returns when it was done without trouble.

        Args:
            work: raises what the client raises; is called again after trouble.
            give_up_on_setup: end where ClickHouse answers and refuses us.

        Raises:
            SetupRefused: it does.
            Exception: whatever `work` raises that is no trouble of ClickHouse's (`trouble_of`).
        """
        while True:
            try:
                return await self._patiently(work)
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                words = self._words(trouble, error)
                if trouble is not Trouble.AWAY and give_up_on_setup:
                    raise SetupRefused(words) from error
                self._say(trouble.value, words)
                if timed_out(error):
                    self.answer_s = min(self.answer_s * 2, ANSWER_MAX_S)
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(self._wait_s * 2, BACK_OFF_MAX_S)

    def got_on(self) -> None:
        """A part of the work was done: trouble after it is new trouble, and soon looked at again."""
        self._wait_s = BACK_OFF_MIN_S

    def well(self) -> None:
        """All work is done: say that ClickHouse is back, where it was said that it is not."""
        if self._said:
            log.info("ClickHouse is back: storing what waited in Kafka")
            STORE_WAITING.set(0)
        self._said.clear()
        self._health.works("clickhouse")
        self._wait_s = BACK_OFF_MIN_S
        self.answer_s = ANSWER_TIMEOUT_S

    async def _patiently(self, work: Callable[[], T]) -> T:
        """The work's result; says so where it takes long."""
        working = asyncio.ensure_future(_in_thread(work))
        try:
            done, _ = await asyncio.wait({working}, timeout=SILENT_S)
            if not done:
                # A time-out that follows is the same trouble.
                self._say(Trouble.AWAY.value, self._silent())
            return await working
        finally:
            working.cancel()

    def _say(self, kind: str, words: str) -> None:
        self._health.waits("clickhouse", words)
        STORE_WAITING.set(1)
        if kind not in self._said:
            self._said.add(kind)
            log.warning(words, code=f"clickhouse_{kind}")

    def _silent(self) -> str:
        return (
            f"ClickHouse at {self._settings.clickhouse_url} is silent or slow: it was not done after {SILENT_S:.0f} s, "
            f"and {self.answer_s} s are granted; rows wait in Kafka and nothing is lost; see whether it is overloaded"
        )

    def _words(self, trouble: Trouble, error: Exception) -> str:
        where = f"ClickHouse at {self._settings.clickhouse_url}"
        if trouble is Trouble.AWAY and name_of(error):
            return (
                f"{where} cannot do it now ({words_of(error)}): rows wait in Kafka and nothing is lost; it is "
                "asked again until it can"
            )
        if trouble is Trouble.AWAY:
            return (
                f"{where} is away ({words_of(error)}): rows wait in Kafka and nothing is lost; start it, or "
                "set STEPWATCH_CLICKHOUSE_URL to its address"
            )
        return (
            f"{where} refuses us ({words_of(error)}): check STEPWATCH_CLICKHOUSE_USER, its password and that "
            f"it may create and fill tables in database {self._settings.clickhouse_database}"
        )


async def _in_thread(work: Callable[[], T]) -> T:
    """The result of blocking work, in a thread that nobody waits for at the end of the process.

    An executor's threads are waited for there: a role that is told to stop would stand as long as ClickHouse is silent.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def set_result(value: T | None, error: BaseException | None) -> None:
        if result.cancelled():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # None is a T where there is no error

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody asks any more
            loop.call_soon_threadsafe(set_result, value, error)

    threading.Thread(target=run, name="clickhouse", daemon=True).start()
    return await result
