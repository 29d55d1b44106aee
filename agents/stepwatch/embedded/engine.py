"""The process that is the ClickHouse server: `python -m stepwatch.embedded.engine HOME PORT`.

The chdb-core wheel carries ClickHouse whole. Its low-level `query` is clickhouse-local, which obeys SYSTEM
START LISTEN and then is a real server for as long as the query behind it lasts: one that sleeps till SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from stepwatch.embedded import clickhouse_files
from stepwatch.embedded.http import ask

PINNED = "26.9.0"
KEEPER_KEY = "STEPWATCH_ENGINE_KEEPER"
LISTENER_GONE = 4
"""Exit status: the wheel is there, its listener is not."""
ENGINE_GONE = 5
"""Exit status: the wheel itself is not there."""

_FINISH_S = 2.0
_MARK = "stepwatch keeps this server alive"
_SERVE = (
    f"SYSTEM START LISTEN HTTP; SELECT sleepEachRow(0.2) FROM system.numbers /* {_MARK} */ "
    "SETTINGS max_block_size=1, max_execution_time=0, function_sleep_max_microseconds_per_block=0, "
    "log_queries=0 FORMAT Null"
)


def main(argv: list[str]) -> int:
    home, port = Path(argv[1]).absolute(), int(argv[2])
    engine = _load()
    if isinstance(engine, int):
        return engine
    os.chdir(home)  # where it looks for config.xml
    os.umask(0o077)
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    said: list[str] = []
    serving = threading.Thread(target=_serve, args=(engine, home / "data", said), name="clickhouse")
    serving.start()
    while serving.is_alive() and not asked_to_stop.is_set():
        asked_to_stop.wait(0.2)
    if asked_to_stop.is_set():
        _end(serving, port)
        return 0
    # What the engine itself had to say, it has written to standard error already.
    print("".join(said) or "the engine ended by itself", file=sys.stderr)
    return 1


def _load() -> Any:
    """The wheel's low-level module, or the exit status that says why there is none."""
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)  # importing it opens a throw-away engine, which would read a config.xml
        try:
            from chdb import _chdb
        except ImportError as error:
            print(f"the package chdb-core cannot be imported: {error}", file=sys.stderr)
            return ENGINE_GONE
        finally:
            os.chdir("/")
    if not callable(getattr(_chdb, "query", None)):
        print(f"chdb-core {installed()} has no low-level query call (pinned: {PINNED})", file=sys.stderr)
        return LISTENER_GONE
    return _chdb


def installed() -> str:
    """The installed version of chdb-core."""
    try:
        return metadata.version("chdb-core")
    except metadata.PackageNotFoundError:
        return "(unknown version)"


def _serve(engine: Any, data: Path, said: list[str]) -> None:
    try:
        # The format given here becomes HTTP's default, which clients expect to be this one.
        answer = engine.query(_SERVE, "TabSeparated", path=str(data))
        if answer.has_error():
            said.append(str(answer.error_message()))
    except BaseException as error:
        said.append(str(error))


def _end(serving: threading.Thread, port: int) -> None:
    """Stop serving: what runs may finish for a moment.

    A client that merely keeps its connection open would hold the engine for 5 s more and then end it by force
    with status 1. Every acknowledged insert is on the disk by then, so we do not wait for that.
    """
    keeper = (clickhouse_files.KEEPER, os.environ.get(KEEPER_KEY, ""))
    until = time.monotonic() + _FINISH_S
    while serving.is_alive() and time.monotonic() < until:
        ask(port, f"KILL QUERY WHERE query LIKE '%/* {_MARK} */%' AND query NOT LIKE 'KILL%' ASYNC", keeper)
        serving.join(0.5)


if __name__ == "__main__":
    status = main(sys.argv)
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine's own threads are still there; leaving through Python's shutdown would wait for them.
    os._exit(status)
