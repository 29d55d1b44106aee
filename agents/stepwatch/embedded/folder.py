"""The data folder: its layout, and who owns it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepwatch.embedded.errors import EmbeddedError, FolderTaken

__all__ = ["DataFolder", "EmbeddedError", "FolderTaken", "default_data_dir"]

_DYING_S = 5.0
"""How long servers whose owner was killed may take to end before the folder counts as taken."""


def default_data_dir() -> Path:
    """Where data lies if nobody says otherwise: `STEPWATCH_DATA`, or else the user's data home."""
    said = os.environ.get("STEPWATCH_DATA")
    if said:
        return Path(said)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "stepwatch"


class DataFolder:
    """One folder with the data of both servers, owned by one process at a time.

        lock            who owns it: pid, since, command
        ports.json      the ports that were chosen, so that a restart keeps them
        kafka/          server.properties, data/
        clickhouse/     config.xml, users.xml, passwords.json, data/
        logs/           one file for each process

    Args:
        path: made when missing, readable by its owner only; None: `default_data_dir()`.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path if path is not None else default_data_dir()).expanduser().absolute()
        self._lock_fd: int | None = None

    def __repr__(self) -> str:
        return f"<DataFolder {self.path}{' owned' if self._lock_fd is not None else ''}>"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def make(self, *parts: str) -> Path:
        """A folder inside, made when missing, closed to other users."""
        path = self.path.joinpath(*parts)
        try:
            for each in (self.path, path):
                each.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EmbeddedError(
                "folder_unusable",
                f"the data folder {self.path} cannot be made: {error.strerror or error}. "
                "Give another one with --data, or set STEPWATCH_DATA.",
            ) from error
        return path

    @contextlib.contextmanager
    def lock(self) -> Iterator[DataFolder]:
        """Own the folder while the context lasts.

        Servers inherit the lock, so it is held until the last of them has ended, even if the owner is killed:
        Kafka itself does not refuse a second broker on its files, and both would break.

        Raises:
            FolderTaken: somebody else owns it.
            EmbeddedError: the folder cannot be made or locked.
        """
        self.make()
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(fd)
            owner = {
                "pid": os.getpid(),
                "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
            }
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(owner).encode() + b"\n", 0)
            self._lock_fd = fd
            yield self
        finally:
            self._lock_fd = None
            os.close(fd)

    def inherited(self) -> tuple[int, ...]:
        """The lock's file descriptor, for a server to inherit.

        Raises:
            EmbeddedError: the folder is not locked, so no server may start on it.
        """
        if self._lock_fd is None:
            raise EmbeddedError(
                "folder_not_locked", f"{self.path} is not owned: start servers inside `with folder.lock():`."
            )
        return (self._lock_fd,)

    def _take(self, fd: int) -> None:
        deadline = time.monotonic() + _DYING_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                owner = self.owner()
                alive = _alive(owner.get("pid"))
                if alive or time.monotonic() > deadline:
                    raise FolderTaken(self._taken(owner, alive)) from None
            except OSError as error:
                raise EmbeddedError(
                    "folder_unusable",
                    f"the data folder {self.path} cannot be locked: {error.strerror or error}. "
                    "Put it on a local disk with --data.",
                ) from error
            time.sleep(0.05)

    def is_owned(self) -> bool:
        """Whether any process owns it now, or a server that one started still runs."""
        try:
            fd = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def owner(self) -> dict[str, Any]:
        """What the owner wrote: `pid`, `since`, `command`; empty if nobody ever did."""
        try:
            said = json.loads((self.path / "lock").read_text())
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def _taken(self, owner: dict[str, Any], alive: bool) -> str:
        pid, since = owner.get("pid", "?"), owner.get("since", "?")
        if alive:
            return (
                f"{self.path} is in use by process {pid} ({owner.get('command', '?')}) since {since}. "
                f"Stop it (kill {pid}), or give another folder with --data."
            )
        return (
            f"{self.path} is in use: process {pid}, which took it at {since}, is gone, but a server that it "
            f"started still runs (fuser {self.path / 'lock'} shows which). Stop that one, or give another "
            "folder with --data."
        )


def _alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
