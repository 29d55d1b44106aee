"""ClickHouse itself, one server on loopback, out of the chdb-core wheel."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path

from stepwatch.embedded import clickhouse_files, engine, ports
from stepwatch.embedded.children import Child, spawn, tail
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.http import ask

USUAL_PORT = 8123
_START_S = 60.0
_STOP_S = 15.0
_PORT_TRIES = 3
_LOCKED_OUT = 201  # QUOTA_EXCEEDED
_ABOUT_LISTENING = ("syntax error", "start listen", "start_servers")
"""What an engine without the listener says, in lower case."""


class EmbeddedClickHouse:
    """One server on the data folder's `clickhouse/`. Its addresses and users are known after `start()`.

    Args:
        folder: owned by this process (`with folder.lock():`).
        port: this HTTP port and no other; None: the one of last time, 8123, or another free one.
    """

    name = "clickhouse"
    database = clickhouse_files.DATABASE
    user = clickhouse_files.OWNER
    """May do everything with the database, and read `system`."""
    reader_user = clickhouse_files.READER
    """May read the database, within limits. Not for strangers: `file()` can open the owner's files."""

    def __init__(self, folder: DataFolder, *, port: int | None = None) -> None:
        self._folder = folder
        self._wanted = port
        self._port = 0
        self._child: Child | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedClickHouse {self.url if self._child else 'not started'}>"

    @property
    def port(self) -> int:
        """The HTTP port."""
        if not self._port:
            raise EmbeddedError("not_started", "ClickHouse has no address before start().")
        return self._port

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def password(self) -> str:
        """Of `user`."""
        return self._passwords().owner

    @property
    def reader_password(self) -> str:
        """Of `reader_user`."""
        return self._passwords().reader

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        if self._child is None:
            raise EmbeddedError("not_started", "ClickHouse has no process before start().")
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._folder.logs / "clickhouse.log"

    def ended(self) -> int | None:
        """Exit status of the last start, or None while it runs."""
        return self._child.ended() if self._child else None

    def start(self) -> None:
        """Start it and return when it answers and has the database; nothing happens if it runs already.

        Raises:
            EmbeddedError: the wheel or its listener cannot be had, the port is taken, or it does not come up.
        """
        if self._child is not None and self._child.ended() is None:
            return
        inherit = self._folder.inherited()
        home = self._folder.make("clickhouse")
        self._folder.make("logs")
        for left in range(_PORT_TRIES - 1, -1, -1):
            keeper = secrets.token_urlsafe(24)
            self._port = ports.choose(self._folder, "clickhouse", USUAL_PORT, wanted=self._wanted)
            clickhouse_files.write_config(
                home, port=self._port, log=self._folder.logs / "clickhouse-engine.log", keeper=keeper
            )
            said_before = self.log.stat().st_size if self.log.exists() else 0
            self._child = spawn(
                [sys.executable, "-m", "stepwatch.embedded.engine", str(home), str(self._port)],
                log=self.log,
                env={engine.KEEPER_KEY: keeper},
                inherit=inherit,
            )
            if self._answers_in_time(self._child):
                self._prepare()
                return
            said = self.log.read_bytes()[said_before:].decode(errors="replace").lower()
            if left and "already in use" in said:
                continue  # somebody took the port between our look and the server's
            raise self._failed(self._child, said)

    def stop(self) -> None:
        """Stop it cleanly; killed if that takes longer than 15 s."""
        if self._child is not None:
            self._child.stop(_STOP_S)

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()

    def _passwords(self) -> clickhouse_files.Passwords:
        return clickhouse_files.passwords(self._folder.make("clickhouse"))

    def _answers_in_time(self, child: Child) -> bool:
        deadline = time.monotonic() + _START_S
        while child.ended() is None and time.monotonic() < deadline:
            # Only our own server knows this password: another one on the port is no answer.
            if ask(self._port, "SELECT 1", (self.user, self.password)).text == "1\n":
                return True
            time.sleep(0.02)
        return False

    def _prepare(self) -> None:
        """Shut `default` out, and make the database."""
        for _ in range(5):
            if ask(self._port, "SELECT 1", ("default", "not it")).code == _LOCKED_OUT:
                break
        made = ask(self._port, f"CREATE DATABASE IF NOT EXISTS {self.database}", (self.user, self.password))
        open_to_all = ask(self._port, "SELECT 1", ("default", "")).status == 200
        if made.status == 200 and not open_to_all:
            return
        self.kill()
        if open_to_all:
            raise EmbeddedError(
                "clickhouse_open",
                "ClickHouse was stopped again: its user `default`, which has no password, could not be shut "
                f"out. Install the pinned engine: pip install chdb-core=={engine.PINNED}.",
            )
        raise EmbeddedError("clickhouse_failed", f"ClickHouse refused its database: {made.text[:500]}")

    def _failed(self, child: Child, said: str) -> EmbeddedError:
        status = child.ended()
        child.kill()
        words = f"Its last words, from {self.log}:\n{tail(self.log)}"
        if status == engine.ENGINE_GONE:
            return EmbeddedError(
                "clickhouse_missing",
                "ClickHouse cannot be started: the package chdb-core is not installed, or not for this "
                f"machine (pip install 'stepwatch[embedded]'). Else use a ClickHouse of your own. {words}",
            )
        if status == engine.LISTENER_GONE or (status is not None and any(w in said for w in _ABOUT_LISTENING)):
            return EmbeddedError(
                "listener_gone",
                f"ClickHouse cannot be started: the installed chdb-core ({engine.installed()}) does not "
                f"open its listener as {engine.PINNED} does. Install the pinned one "
                f"(pip install chdb-core=={engine.PINNED}), or use a ClickHouse of your own. {words}",
            )
        what = f"did not answer in {_START_S:.0f} s" if status is None else f"ended with status {status}"
        return EmbeddedError("clickhouse_failed", f"ClickHouse {what}. {words}", retriable=status is None)
