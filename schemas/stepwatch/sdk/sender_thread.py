"""The thread beside the application in which events are sent: its own event loop, so nobody's stalls the other."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Final, Protocol

from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import check_event
from stepwatch.sdk.events import Source
from stepwatch.sdk.quiet import OwnLoop, done, keep_quiet
from stepwatch.sdk.saying import say, say_error
from stepwatch.sdk.telling import Teller

_TELL_S: Final = 1.0
_JOIN_S: Final = 5.0


class Sends(Protocol):
    """What the thread runs.

    Attributes:
        more: set where there is something in the backlog.
    """

    more: asyncio.Event

    def prepare(self) -> None:
        """Start what it needs beside this thread.

        Raises:
            RuntimeError: no thread can be started.
        """

    async def run(self) -> None:
        """Empty the backlog until cancelled."""

    def discard(self) -> None:
        """It was prepared, and will never run."""


class SenderThread:
    """A daemon thread that empties a backlog, tells what was dropped, and sends heartbeats."""

    def __init__(
        self, sender: Sends, backlog: Backlog, teller: Teller, heartbeat: Source | None, heartbeat_every_s: float
    ) -> None:
        self._sender = sender
        self._backlog = backlog
        self._teller = teller
        self._heartbeat = heartbeat
        self._heartbeat_every_s = heartbeat_every_s
        self._loop = OwnLoop()
        # The client's futures of a producer that was given up; what became of their events is known elsewhere.
        self._loop.set_exception_handler(lambda loop, context: say(logging.DEBUG, "%s", context.get("message")))
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="stepwatch-sdk", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: no thread can be started, now or any more. This object is then of no use.
        """
        try:
            self._sender.prepare()
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            self._sender.discard()
            raise

    def wake(self) -> None:
        """There is something in the backlog; from any thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._sender.more.set)

    def stop(self) -> None:
        """End, whatever still waits; within some seconds."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        keep_quiet()
        try:
            self._loop.run_until_complete(self._main())
        except BaseException:
            self._backlog.close()
            self._backlog.drop_all("unsent")
            say_error("the sender ended: no event of this process is sent any more")
        finally:
            done()
            self._loop.close()

    async def _main(self) -> None:
        tasks = [asyncio.create_task(self._sender.run()), asyncio.create_task(self._tell())]
        if self._heartbeat is not None:
            tasks.append(asyncio.create_task(self._beat(self._heartbeat)))
        stopping = asyncio.create_task(self._stopping.wait())
        ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
        for task in ended:
            task.result()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            self._teller.tell(self._backlog.stats())

    async def _beat(self, source: Source) -> None:
        """Say that the feed is alive, behind all that was reported until now.

        What was dropped was not delivered: no heartbeat says otherwise until the next one is due.
        """
        lost = 0
        while True:
            lost, before = sum(self._backlog.stats().dropped.values()), lost
            if lost == before:
                self._backlog.put_heartbeat(check_event(source.heartbeat()))
            await asyncio.sleep(self._heartbeat_every_s)
