"""Report to Kafka from any program, synchronous or not, without ever waiting for Kafka."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stepwatch.schemas.topics import Topics
from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import check_event
from stepwatch.sdk.events import Source
from stepwatch.sdk.reporter import OnDrop, Stats
from stepwatch.sdk.saying import say_error
from stepwatch.sdk.telling import Teller

if TYPE_CHECKING:
    from stepwatch.sdk.sender_thread import SenderThread

_open: set[KafkaReporter] = set()
_inherited: list[object] = []
"""What a forked child has of its parent's threads: kept, since to collect a loop would touch what both share."""


class KafkaReporter:
    """Takes events over and sends them from a thread of its own.

    `report` costs some microseconds and never waits. While Kafka is away events are held in memory, up to `events_max`
    and `bytes_max`; beyond them the newest are dropped, counted in `stats`, told to `on_drop` and logged. What was
    taken is sent in the order in which it was reported, and again until Kafka has acknowledged it.

    One for each process, made when the program starts. It may be made before a fork (gunicorn, uwsgi with threads
    enabled): its thread starts with the first report in each process, and what the parent still holds the parent
    sends. At the interpreter's exit it flushes for `close_timeout_s`; a child that ends by `os._exit`, as those of
    `multiprocessing` do, calls `close` itself.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        heartbeat: Source | None = None,
        heartbeat_every_s: float = 30.0,
        events_max: int = 100_000,
        bytes_max: int = 64 * 1024 * 1024,
        on_drop: OnDrop | None = None,
        log_every_s: float = 60.0,
        close_timeout_s: float = 5.0,
        prefix: str = "stepwatch.",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Make one; nothing is connected yet.

        Args:
            bootstrap: `host:port`, or several with commas between.
            heartbeat: says that this feed is alive, behind whatever was held back, in every partition of the
                authentications; not while events are dropped. Where several processes share one source, one that is
                stuck is hidden by the others: give each its own where that matters.
            heartbeat_every_s: well under the source's `silent_after`, s.
            events_max: held in memory.
            bytes_max: of the events held, with what Python needs beside them.
            on_drop: told of what was dropped, at most once a second for each reason, in the reporter's thread, after
                `close` in one that reports: it must be quick.
            log_every_s: at most one line of the logger `stepwatch.sdk` in so long.
            close_timeout_s: how long `close`, and so the interpreter's exit, waits for Kafka at most.
            prefix: of the topics.
            options: for aiokafka's producer: `security_protocol`, `ssl_context`, `sasl_mechanism`, ...

        Raises:
            ValueError: an argument is wrong; it is named.
            TypeError: an option that aiokafka does not know, or that is not to be chosen.
            ImportError: `stepwatch[sdk]` is not installed.
        """
        self._bootstrap = _addresses(bootstrap)
        _check_positive(
            heartbeat_every_s=heartbeat_every_s, events_max=events_max, bytes_max=bytes_max, log_every_s=log_every_s
        )
        if find_spec("aiokafka") is None:
            raise ImportError('reporting to Kafka needs aiokafka: pip install "stepwatch[sdk]"')
        # Here, not when this module is imported: it takes longer than all the rest. And not in the thread, where a
        # fork could find it half done.
        from stepwatch.sdk import sender_thread, sending

        self._options = dict(options or {})
        sending.check_options(self._options)
        self._sending, self._threads = sending, sender_thread
        self._topics = Topics(prefix)
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
        self._teller = Teller(self._log_every_s, self._on_drop)

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
                sender = self._sending.Sender(self._bootstrap, self._topics, self._backlog, self._options)
                self._thread = self._threads.SenderThread(
                    sender, self._backlog, self._teller, self._heartbeat, self._heartbeat_every_s
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
        """Flush, and end the thread. What could not be sent is counted and told as `unsent`.

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
        _inherited.append((self._thread, self._backlog, self._lock))
        self._begin()
        self._backlog.closed = closed


def _addresses(bootstrap: str) -> list[str]:
    at = [address.strip() for address in bootstrap.split(",")]
    if not all(host and port.isdigit() for host, _, port in (address.rpartition(":") for address in at)):
        raise ValueError(f"bootstrap: expected host:port, or several with commas between, got {bootstrap!r}")
    return at


def _check_positive(**numbers: float) -> None:
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
