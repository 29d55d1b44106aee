"""Where an application keeps its TOTP credentials: what the verifier asks of a store, and two stores that ship.

A store of your own is six statements of SQL. What it must keep: `swap` is one atomic compare-and-set for everyone who
shares the store, threads and processes (`UPDATE ... WHERE tenant = ? AND id = ? AND version = ?`). On it alone hangs
that a code is accepted once (NIST SP 800-63B-4 section 3.1.4.2, RFC 6238 section 5.2).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final, Literal, Protocol

State = Literal["pending", "active", "revoked"]
NO_STEP: Final = -1
"""The last accepted step of a credential that no code was accepted for."""


@dataclass(frozen=True, slots=True)
class OtpCredential:
    """One TOTP credential as it is stored. Frozen: a change is a new object, put in place by `OtpStore.swap`.

    Attributes:
        tenant, id: together the key.
        subject: whose it is.
        sealed: the secret, encrypted (`otp_secrets`); `""` once revoked.
        algorithm: `SHA1`, `SHA256` or `SHA512`.
        digits: 6 to 8.
        period_s: length of a time step, seconds.
        state: `pending` until the first code proves that the person's app holds the secret.
        created_us: microseconds since 1970.
        last_step: the greatest time step whose code was accepted, or `NO_STEP`.
        failures: consecutive failed attempts.
        failed_us: when the last of them was, microseconds since 1970; 0 where there is none.
        version: grows by one with each change.
    """

    tenant: str
    id: str
    subject: str
    sealed: str
    algorithm: str = "SHA1"
    digits: int = 6
    period_s: int = 30
    state: State = "pending"
    created_us: int = 0
    last_step: int = NO_STEP
    failures: int = 0
    failed_us: int = 0
    version: int = 0


class OtpStore(Protocol):
    """What the verifier asks of a store. Every call may raise the store's own errors: without it nobody is verified."""

    def add(self, credential: OtpCredential) -> None:
        """Keep a new credential.

        Raises:
            KeyError: its tenant and id are taken.
        """

    def get(self, tenant: str, credential_id: str) -> OtpCredential | None:
        """The credential as it stands now, or None."""

    def swap(self, old: OtpCredential, new: OtpCredential) -> bool:
        """Put `new` in the place of `old`, atomically, only if the stored version is still `old.version`.

        Returns:
            False where it was not: somebody else was faster.
        """

    def remove(self, credential: OtpCredential) -> bool:
        """Forget a credential, atomically, only if the stored version is still this one's.

        Returns:
            False where it was not.
        """

    def of_subject(self, tenant: str, subject: str) -> list[OtpCredential]:
        """All credentials of a subject in any state, oldest first."""

    def all(self) -> Iterator[OtpCredential]:
        """Every credential, for `OtpVerifier.reseal` and `OtpVerifier.purge`."""


class MemoryOtpStore:
    """A store for tests and tries: forgotten at exit, seen by one process only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], OtpCredential] = {}

    def add(self, credential: OtpCredential) -> None:
        """As `OtpStore.add`."""
        with self._lock:
            if (credential.tenant, credential.id) in self._kept:
                raise KeyError(f"credential {credential.id!r} of tenant {credential.tenant!r} exists")
            self._kept[credential.tenant, credential.id] = credential

    def get(self, tenant: str, credential_id: str) -> OtpCredential | None:
        """As `OtpStore.get`."""
        with self._lock:
            return self._kept.get((tenant, credential_id))

    def swap(self, old: OtpCredential, new: OtpCredential) -> bool:
        """As `OtpStore.swap`."""
        with self._lock:
            kept = self._kept.get((old.tenant, old.id))
            if kept is None or kept.version != old.version:
                return False
            self._kept[old.tenant, old.id] = new
            return True

    def remove(self, credential: OtpCredential) -> bool:
        """As `OtpStore.remove`."""
        with self._lock:
            kept = self._kept.get((credential.tenant, credential.id))
            if kept is None or kept.version != credential.version:
                return False
            del self._kept[credential.tenant, credential.id]
            return True

    def of_subject(self, tenant: str, subject: str) -> list[OtpCredential]:
        """As `OtpStore.of_subject`."""
        with self._lock:
            mine = [kept for kept in self._kept.values() if (kept.tenant, kept.subject) == (tenant, subject)]
        return sorted(mine, key=lambda kept: (kept.created_us, kept.id))

    def all(self) -> Iterator[OtpCredential]:
        """As `OtpStore.all`."""
        with self._lock:
            every = list(self._kept.values())
        return iter(every)


_COLUMNS: Final = tuple(field.name for field in fields(OtpCredential))
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM otp_credentials"
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS otp_credentials (
    tenant TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, sealed TEXT NOT NULL, algorithm TEXT NOT NULL,
    digits INTEGER NOT NULL, period_s INTEGER NOT NULL, state TEXT NOT NULL, created_us INTEGER NOT NULL,
    last_step INTEGER NOT NULL, failures INTEGER NOT NULL, failed_us INTEGER NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS otp_credentials_subject ON otp_credentials (tenant, subject);
"""


class SqliteOtpStore:
    """A store in one SQLite file, shared by the threads and processes of one machine. No network file systems.

    Each call opens the file anew: people type codes, so the 0.2 ms cost nothing, and there is no connection to share
    between threads or to carry over a fork. An accepted step is on disk before the answer is given, so a code is not
    accepted a second time after a loss of power (SQLite's `synchronous=EXTRA`: with `FULL` the journal that was
    deleted may come back, and take the step back).

    Args:
        path: the file; created with mode 0600 where it does not exist.
        wait_s: how long a call waits for others' writes before it raises `sqlite3.OperationalError`.

    Raises:
        ValueError: `path` is `:memory:`, of which each call would see one of its own, and an empty one.
        OSError: the file cannot be opened or made.
    """

    def __init__(self, path: str | Path, *, wait_s: float = 10.0) -> None:
        if str(path) == ":memory:":
            raise ValueError("path: expected a file, got ':memory:'; for a store in memory take MemoryOtpStore")
        self._path = str(path)
        self._wait_s = wait_s
        # SQLite itself would create it readable for everyone.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._open() as database:
            database.executescript(_TABLE)

    def add(self, credential: OtpCredential) -> None:
        """As `OtpStore.add`."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._open() as database:
            try:
                database.execute(
                    f"INSERT INTO otp_credentials ({', '.join(_COLUMNS)}) VALUES ({marks})", astuple(credential)
                )
            except sqlite3.IntegrityError:
                raise KeyError(f"credential {credential.id!r} of tenant {credential.tenant!r} exists") from None

    def get(self, tenant: str, credential_id: str) -> OtpCredential | None:
        """As `OtpStore.get`."""
        with self._open() as database:
            row = database.execute(f"{_SELECT} WHERE tenant = ? AND id = ?", (tenant, credential_id)).fetchone()
        return OtpCredential(*row) if row else None

    def swap(self, old: OtpCredential, new: OtpCredential) -> bool:
        """As `OtpStore.swap`."""
        changes = ", ".join(f"{column} = ?" for column in _COLUMNS)
        with self._open() as database:
            done = database.execute(
                f"UPDATE otp_credentials SET {changes} WHERE tenant = ? AND id = ? AND version = ?",
                (*astuple(new), old.tenant, old.id, old.version),
            )
            return done.rowcount == 1

    def remove(self, credential: OtpCredential) -> bool:
        """As `OtpStore.remove`."""
        with self._open() as database:
            done = database.execute(
                "DELETE FROM otp_credentials WHERE tenant = ? AND id = ? AND version = ?",
                (credential.tenant, credential.id, credential.version),
            )
            return done.rowcount == 1

    def of_subject(self, tenant: str, subject: str) -> list[OtpCredential]:
        """As `OtpStore.of_subject`."""
        with self._open() as database:
            rows = database.execute(
                f"{_SELECT} WHERE tenant = ? AND subject = ? ORDER BY created_us, id", (tenant, subject)
            ).fetchall()
        return [OtpCredential(*row) for row in rows]

    def all(self) -> Iterator[OtpCredential]:
        """As `OtpStore.all`."""
        with self._open() as database:
            rows = database.execute(_SELECT).fetchall()
        return (OtpCredential(*row) for row in rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # isolation_level=None: each statement is its own transaction, which is all the atomicity that is needed.
        with closing(sqlite3.connect(self._path, timeout=self._wait_s, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = EXTRA")
            yield database
