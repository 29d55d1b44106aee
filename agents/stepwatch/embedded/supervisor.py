"""Keeps the processes of `stepwatch up` running: a log each, restarts with back-off, one ordered stop."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

import psutil

from stepwatch.embedded.children import Child, spawn
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder

BACKOFF_MIN_S = 0.5
BACKOFF_MAX_S = 30.0
HEALTHY_S = 60.0
"""Whoever ran this long starts over with the shortest back-off."""
_LOOK_S = 0.1
_WEIGH_S = 0.5
_LAST_WORDS_S = 2.0
_STOP_S = 15.0


class Runnable(Protocol):
    """What can be kept running: EmbeddedKafka, EmbeddedClickHouse, and a role (below)."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def log(self) -> Path: ...
    def start(self) -> None: ...
    def ended(self) -> int | None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class Role:
    """One process of ours, started from its command line.

    Args:
        folder: whose `logs/NAME.log` takes its output.
        name: shown to people.
        argv: the command.
        env: variables beside ours.
        lines: called from another thread with each line of its standard output, which is logged as well.
    """

    def __init__(
        self,
        folder: DataFolder,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        lines: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.log = folder.make("logs") / f"{name}.log"
        self._argv = list(argv)
        self._env = dict(env or {})
        self._lines = lines
        self._child: Child | None = None
        self._copier: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    def start(self) -> None:
        self._child = spawn(self._argv, log=self.log, env=self._env, piped=self._lines is not None)
        if self._child.stdout is not None:
            self._copier = threading.Thread(target=self._copy, args=(self._child,), name=self.name, daemon=True)
            self._copier.start()

    def ended(self) -> int | None:
        return self._child.ended() if self._child else None

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(_STOP_S)
        if self._copier is not None:
            # Its last words; not for ever, since a child of the child may still hold the pipe open.
            self._copier.join(_LAST_WORDS_S)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _copy(self, child: Child) -> None:
        assert child.stdout is not None
        assert self._lines is not None
        with self.log.open("ab") as log, child.stdout as lines:
            for line in lines:
                log.write(line)
                log.flush()
                self._lines(line.decode(errors="replace").rstrip("\n"))


@dataclass
class _Kept:
    """One process and how it fares (times by the monotonic clock, in seconds)."""

    what: Runnable
    server: bool
    since_s: float = 0.0
    again_s: float | None = None
    backoff_s: float = BACKOFF_MIN_S
    starts: int = 0


class Supervisor:
    """Runs roles and servers until it is told to stop.

    Args:
        folder: where the logs go.
        say: takes one status line for a person.
    """

    def __init__(self, folder: DataFolder, *, say: Callable[[str], None] = print) -> None:
        self._folder = folder
        self._say = say
        self._kept: list[_Kept] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._peak_rss = 0
        self._last_signal: int | None = None

    def add(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        lines: Callable[[str], None] | None = None,
    ) -> None:
        """A role to be run, started by `start()`; see Role."""
        self._kept.append(_Kept(Role(self._folder, name, argv, env, lines), server=False))

    def watch(self, server: Runnable) -> None:
        """A server that runs already: started again on its data when it dies, stopped after all roles."""
        self._kept.append(_Kept(server, server=True, since_s=time.monotonic(), starts=1))

    def start(self) -> None:
        """Start what was added, and keep it all running from a thread of its own."""
        now = time.monotonic()
        for kept in self._kept:
            if not kept.server:
                self._begin(kept, now)
        self._thread = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._thread.start()

    def run(self) -> int | None:
        """`start()`, wait for SIGINT, SIGTERM or `request_stop()`, then `stop()`. Only from the main thread.

        Returns:
            The signal that ended it, or None. A second signal kills what has not stopped yet.
        """
        with self._signals():
            try:
                if self._thread is None:
                    self.start()
                # With a timeout, so that signals get through on every platform.
                while not self._stop.wait(0.5):
                    pass
            finally:
                self.stop()
        return self._last_signal

    def request_stop(self) -> None:
        """Make `run()` end; returns at once, from any thread or signal handler."""
        self._stop.set()

    def stop(self) -> None:
        """Stop all roles together, then the servers, last started first; returns when all have ended."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
        roles = [k.what for k in self._kept if not k.server and k.what.ended() is None]
        stoppers = [threading.Thread(target=role.stop, daemon=True) for role in roles]
        for each in stoppers:
            each.start()
        for each in stoppers:
            each.join()
        for kept in reversed([k for k in self._kept if k.server]):
            kept.what.stop()

    def pids(self) -> dict[str, int]:
        """The process id of each that runs now, by name."""
        return {k.what.name: k.what.pid for k in self._kept if k.starts > 0 and k.what.ended() is None}

    def starts(self) -> dict[str, int]:
        """How often each was started, by name."""
        return {k.what.name: k.starts for k in self._kept}

    def rss_bytes(self) -> int:
        """Resident memory of this process and all below it: the largest sum seen, looking twice a second."""
        self._weigh()
        return self._peak_rss

    def _keep(self) -> None:
        weigh_s = 0.0
        while not self._stop.wait(_LOOK_S):
            now = time.monotonic()
            for kept in self._kept:
                self._look_after(kept, now)
            if now >= weigh_s:
                self._weigh()
                weigh_s = now + _WEIGH_S

    def _look_after(self, kept: _Kept, now: float) -> None:
        if kept.again_s is not None:
            if now >= kept.again_s:
                self._begin(kept, now)
            return
        status = kept.what.ended()
        if status is None:
            return
        if now - kept.since_s >= HEALTHY_S:
            kept.backoff_s = BACKOFF_MIN_S
        self._again(kept, now, _how_it_ended(status))

    def _begin(self, kept: _Kept, now: float) -> None:
        kept.again_s = None
        kept.since_s = now
        kept.starts += 1
        try:
            kept.what.start()
        except (EmbeddedError, OSError) as error:
            self._again(kept, time.monotonic(), f"could not be started: {error}")
            return
        if kept.starts > 1:
            self._tell(f"{kept.what.name} runs again (process {kept.what.pid})")

    def _again(self, kept: _Kept, now: float, why: str) -> None:
        kept.again_s = now + kept.backoff_s
        self._tell(f"{kept.what.name} {why}; starts again in {kept.backoff_s:g} s (its log: {kept.what.log})")
        kept.backoff_s = min(kept.backoff_s * 2, BACKOFF_MAX_S)

    def _tell(self, line: str) -> None:
        # A closed terminal must not end the thread that keeps everything running.
        with contextlib.suppress(OSError, ValueError):
            self._say(line)

    def _weigh(self) -> None:
        total = 0
        with contextlib.suppress(psutil.Error):
            me = psutil.Process()
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        self._peak_rss = max(self._peak_rss, total)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def told(number: int, frame: FrameType | None) -> None:
            if self._last_signal is None:
                self._last_signal = number
                self._stop.set()
                return
            for kept in reversed(self._kept):
                kept.what.kill()

        before = {n: signal.signal(n, told) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"
