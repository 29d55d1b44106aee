"""Child processes that end with their parent, however it ends."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_LOG_BYTES_MAX = 20 * 1024 * 1024
"""A log larger than this is set aside (one old copy is kept) when its process starts."""


class Child:
    """A running child process, the leader of its own session: Ctrl-C in a terminal does not reach it."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int | None) -> None:
        self._process = process
        self._pipe = pipe
        self.pid = process.pid
        self.stdout = process.stdout

    def ended(self) -> int | None:
        """The exit status (negative: minus the signal), or None while it runs."""
        status = self._process.poll()
        if status is not None:
            pipe, self._pipe = self._pipe, None
            if pipe is not None:
                os.close(pipe)
        return status

    def wait(self, timeout_s: float) -> int | None:
        """The exit status, or None if it still runs after so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.ended()

    def signal(self, number: int) -> None:
        """Send a signal to it and what it started; nothing happens if all have ended."""
        if self.ended() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def stop(self, grace_s: float) -> int:
        """Ask it to end (SIGTERM), insist after `grace_s` seconds (SIGKILL); returns the exit status."""
        self.signal(signal.SIGTERM)
        status = self.wait(grace_s)
        return self.kill() if status is None else status

    def kill(self) -> int:
        """End it at once (SIGKILL); returns the exit status."""
        self.signal(signal.SIGKILL)
        status = self._process.wait()
        self.ended()
        return status


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    inherit: Iterable[int] = (),
    piped: bool = False,
    by_kernel: bool = sys.platform == "linux",
) -> Child:
    """Start a command that is killed when this process ends.

    Args:
        argv: the command; its first word a path or found on PATH.
        log: file to which its output is appended.
        env: variables set beside those of this process.
        cwd: its working directory; None: ours.
        inherit: file descriptors that it keeps open.
        piped: give standard output to `Child.stdout` instead of the log.
        by_kernel: let the kernel end it (Linux); otherwise a small process beside it watches a pipe from us.
    """
    _set_aside(log)
    fds = tuple(inherit)
    ours: int | None = None
    theirs = -1
    if not by_kernel:
        theirs, ours = os.pipe()
        fds += (theirs,)
    command = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), str(theirs), *map(str, argv)]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else out,
                stderr=out,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                pass_fds=fds,
                start_new_session=True,
            )

    try:
        process = _spawner.call(start)
    finally:
        if theirs >= 0:
            os.close(theirs)
    return Child(process, ours)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for an error message; `(empty)` where there are none."""
    try:
        text = log.read_bytes()[-4000:].decode(errors="replace").strip()
    except OSError:
        text = ""
    return "\n".join(f"  {line[:300]}" for line in text.splitlines()[-lines:]) or "  (empty)"


def _set_aside(log: Path) -> None:
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_BYTES_MAX:
            log.replace(log.with_name(log.name + ".old"))


class _Spawner:
    """The one thread that starts all children: Linux ends a tied child with the *thread* that started it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._jobs: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]

    def call(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._pid != os.getpid():  # the first call, or the first after a fork, which copies no threads
                self._pid = os.getpid()
                self._jobs = queue.SimpleQueue()
                threading.Thread(target=self._run, name="spawner", daemon=True).start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((start, answer))
        return answer.result()

    def _run(self) -> None:
        while True:
            start, answer = self._jobs.get()
            try:
                answer.set_result(start())
            except BaseException as error:
                answer.set_exception(error)


_spawner = _Spawner()
