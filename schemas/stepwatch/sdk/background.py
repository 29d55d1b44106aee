"""What a reporter is whose events go to another machine: it takes them over, and a thread of its own sends them.

All that does not depend on where to: bounds, the account, flush and close, forks and the interpreter's exit. `kafka.py`
and `http.py` add whom they send to.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import check_event
from stepwatch.sdk.events import Source
from stepwatch.sdk.reporter import OnDrop, Stats
from stepwatch.sdk.saying import say_error
from stepwatch.sdk.telling import Teller

if TYPE_CHECKING:
    from stepwatch.sdk.sender_thread import SenderThread, Sends

_open: set[BackgroundReporter] = set()
_inherited: list[object] = []
"""What a forked child has of its parent's threads: kept, since to collect a loop would touch what both share."""


class BackgroundReporter:
    """Takes events over and sends them from a thread of its own; what that is to an application `KafkaReporter` says.

    Args:
        who: the other side, as the log names it.
        heartbeat, heartbeat_every_s, events_max, bytes_max, on_drop, log_every_s, close_timeout_s: as the reporters
            say them.

    Raises:
        ValueError: an argument is wrong; it is named.
    """

    def __init__(
        self,
        who: str,
        *,
        heartbeat: Source | None,
        heartbeat_every_s: float,
        events_max: int,
        bytes_max: int,
        on_drop: OnDrop | None,
        log_every_s: float,
        close_timeout_s: float,
    ) -> None:
        check_positive(
            heartbeat_every_s=heartbeat_every_s, events_max=events_max, bytes_max=bytes_max, log_every_s=log_every_s
        )
        # Here, not when this module is imported: an event loop takes longer than all the rest. And not in the thread,
        # where a fork could find it half done.
        from stepwatch.sdk import sender_thread

        self._threads = sender_thread
        self._who = who
        self._heartbeat = heartbeat
        self._heartbeat_every_s = heartbeat_every_s
        self._bounds = (events_max, bytes_max)
        self._on_drop = on_drop
        self._log_every_s = log_every_s
        self._close_timeout_s = close_timeout_s
        self._begin()
        _open.add(self)

    def _begin(self) -> None:
        # Reentrant: a signal handler may report in the middle of a first report.
        self._lock = threading.RLock()
        self._thread: SenderThread | None = None
        self._backlog = Backlog(*self._bounds, wake=self._wake)
        self._teller = Teller(self._log_every_s, self._on_drop, self._who)

    def report(self, event: Mapping[str, Any]) -> None:
        """Take over one event; see `Reporter`.

        Raises:
            EventError: the worker would refuse it.
        """
        checked = check_event(event)
        if self._thread is None and not self._backlog.closed:
            self.start()
        self._backlog.put(checked)
        if self._thread is None or self._backlog.closed:
            # Nobody else tells it.
            self._teller.tell(self._backlog.stats())

    def start(self) -> None:
        """Start the thread now, and with it the heartbeats: after a fork, where the first event may be long in coming.

        The first `report` does it else. A closed reporter stays closed. Where the system gives no thread or no file
        descriptor, events are held, `stats` says why, and the next `report` tries again.
        """
        with self._lock:
            if self._thread is not None or self._backlog.closed:
                return
            try:
                self._thread = self._threads.SenderThread(
                    self._new_sender(), self._backlog, self._teller, self._heartbeat, self._heartbeat_every_s
                )
                self._thread.start()
            except (RuntimeError, OSError) as error:
                self._thread = None
                self._backlog.away = f"no thread to send from: {error}"
                if sys.is_finalizing() or not threading.main_thread().is_alive():
                    # The interpreter starts none any more: too late for this event, and it is counted as such.
                    self._backlog.close()

    @property
    def stats(self) -> Stats:
        """What became of the events reported in this process."""
        return self._backlog.stats()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that waits now is acknowledged.

        Args:
            timeout_s: at most so long.

        Returns:
            Whether it is. False also where an event of this process was dropped meanwhile; for what was dropped before
            see `stats`.
        """
        return self._backlog.wait_settled(timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Flush, and end the thread. What could neither be sent nor spooled is counted and told as `unsent`.

        Args:
            timeout_s: how long to flush; `close_timeout_s` where it is not given.

        Returns:
            Whether all that waited was sent, as `flush` says it.
        """
        if self._thread is None and self.stats.waiting:
            # There was none to start until now, perhaps there is one.
            self.start()
        self._backlog.close()
        flushed = self.flush(self._close_timeout_s if timeout_s is None else timeout_s)
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
        self._keep_rest()
        self._backlog.drop_all("unsent")
        self._teller.tell(self._backlog.stats(), at_once=True)
        _open.discard(self)
        return flushed

    async def aflush(self, timeout_s: float = 5.0) -> bool:
        """`flush`, while the application's event loop goes on."""
        from asyncio import to_thread

        return await to_thread(self.flush, timeout_s)

    async def aclose(self, timeout_s: float | None = None) -> bool:
        """`close`, while the application's event loop goes on."""
        from asyncio import to_thread

        return await to_thread(self.close, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    def _wake(self) -> None:
        if self._thread is not None:
            self._thread.wake()

    def begin_anew(self) -> None:
        """In the child: nothing of what the parent's thread and locks were doing is this process's to finish."""
        closed = self._backlog.closed
        self._leave_to_parent()
        _inherited.append((self._thread, self._backlog, self._lock))
        self._begin()
        self._backlog.closed = closed

    def _new_sender(self) -> Sends:
        """Whoever empties the backlog.

        Raises:
            RuntimeError: the system gives no thread.
            OSError: it gives no file descriptor.
        """
        raise NotImplementedError

    def _keep_rest(self) -> None:
        """Keep what could not be sent, where there is a place for it. The sender has ended."""

    def _leave_to_parent(self) -> None:
        """In a forked child: give back what is the parent's."""


def check_positive(**numbers: float) -> None:
    """Refuse what is not more than 0.

    Raises:
        ValueError: with its name.
    """
    for name, value in numbers.items():
        if not value > 0:
            raise ValueError(f"{name}: expected more than 0, got {value}")


def _close_all() -> None:
    for reporter in list(_open):
        try:
            reporter.close()
        except Exception:
            # The others' events are still to be sent.
            say_error("a reporter was not closed as it should be")


def _after_fork() -> None:
    for reporter in list(_open):
        reporter.begin_anew()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
