"""Runs: what a replay of old events says, each in a database of its own beside the live one.

A run's database is made by the same migrations, so every table, view and query works on it unchanged. Its comment says
that it is a run, from its first moment to its last: what lacks it is never dropped. One more table, `replay_run`, says
of what it was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from stepwatch.store.client import name_of
from stepwatch.store.loader import Loader, Refusal
from stepwatch.store.migrate import migrate

ROWS_AT_ONCE: Final = 50_000
"""Of one table in one insert: ClickHouse likes few and large ones."""
BYTES_AT_ONCE: Final = 32 * 1024 * 1024
"""Rows of one table that are held before they are inserted, unless `ROWS_AT_ONCE` come first."""
REFUSALS_KEPT: Final = 20
"""Rows that ClickHouse refuses are counted; the first are kept, to be shown."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_COMMENT = "a run of `stepwatch replay --into`"
_ABOUT = """CREATE TABLE replay_run (
  state LowCardinality(String) COMMENT 'begun, done',
  at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When',
  source LowCardinality(String) COMMENT 'Whose log it is',
  file String COMMENT 'The file that was judged',
  policies Array(String) COMMENT 'The policy files that it was judged by'
) ENGINE = MergeTree ORDER BY at
COMMENT 'This database is a run of `stepwatch replay --into`: one row per step'"""

_COUNTS = """SELECT
  (SELECT count() FROM audit_current), (SELECT count() FROM authentications_current),
  (SELECT count() FROM alerts_current), (SELECT min(time) FROM audit), (SELECT max(time) FROM audit)"""


class RunRefused(Exception):
    """A run cannot be made, found or dropped; nothing was changed."""

    code = "run_refused"
    retriable = False


@dataclass(frozen=True, slots=True)
class About:
    """What a run was made of."""

    source: str
    file: str
    policies: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it lies in ClickHouse.

    Attributes:
        about, begun: None where it was broken off before it said so.
        ended: None where it was broken off, or is being filled.
        first_time, last_time: event times of its actions; None where it has none.
    """

    name: str
    database: str
    about: About | None
    begun: datetime | None
    ended: datetime | None
    actions: int
    authentications: int
    alerts: int
    first_time: datetime | None
    last_time: datetime | None


def database_of(live: str, run: str) -> str:
    """The database of a run, beside the live one.

    Raises:
        RunRefused: it is no name for a run.
    """
    if not _NAME.fullmatch(run):
        raise RunRefused(f"{run!r} is no name for a run: 1 to 64 letters, digits, - and _, a letter or digit first")
    return _prefix(live) + run


def _prefix(live: str) -> str:
    return f"{live}_run_"


def is_taken(client: Client, live: str, run: str) -> bool:
    """Whether there is a run of this name beside a live database.

    Raises:
        RunRefused: it is no name for a run, or a database of that name is no run.
    """
    database = database_of(live, run)
    if not client.query("SELECT 1 FROM system.databases WHERE name = {name:String}", {"name": database}).result_rows:
        return False
    if not _is_run(client, database):
        raise RunRefused(f"database {database} is no run of ours: give the run another name, or drop it yourself")
    return True


def begin_run(client: Client, live: str, run: str, about: About, *, replace: bool = False) -> None:
    """Make the database of a run, with all our tables, and select it.

    Args:
        client: has the run's database selected afterwards.
        live: name of the live database.
        run: name of the run.
        about: what it is made of.
        replace: drop the one that is there.

    Raises:
        RunRefused: there is one, and it is to stay; or as `is_taken`.
    """
    database = database_of(live, run)
    if replace and is_taken(client, live, run):
        drop_run(client, live, run)
    try:
        client.command(f"CREATE DATABASE {quote_identifier(database)} COMMENT '{_COMMENT}'")
    except Exception as error:
        if name_of(error) == "DATABASE_ALREADY_EXISTS":
            raise RunRefused(taken(run)) from error
        raise
    client.database = database
    client.command(_ABOUT)
    _note(client, "begun", about)
    migrate(client, database)


def taken(run: str) -> str:
    """That there is a run, and what can be done about it."""
    return (
        f"run {run} is there already: give another name, replace it with --replace, "
        f"or drop it with `stepwatch runs drop {run}`"
    )


def end_run(client: Client, about: About) -> None:
    """Note that every row of the selected run is in its tables."""
    _note(client, "done", about)


def list_runs(client: Client, live: str) -> list[Run]:
    """Every run beside a live database, by name."""
    prefix = _prefix(live)
    found = client.query(
        "SELECT name FROM system.databases WHERE comment = {comment:String} AND startsWith(name, {prefix:String}) "
        "ORDER BY name",
        {"comment": _COMMENT, "prefix": prefix},
    ).result_rows
    runs = (_read(client, database.removeprefix(prefix), database) for (database,) in found)
    return [run for run in runs if run is not None]


def drop_run(client: Client, live: str, run: str) -> None:
    """Drop a run with all its rows.

    Raises:
        RunRefused: there is no such run.
    """
    database = database_of(live, run)
    if not _is_run(client, database):
        raise RunRefused(f"there is no run {run}: `stepwatch runs list` shows those that there are")
    client.database = None  # a request that names a database which has gone is refused
    client.command(f"DROP DATABASE {quote_identifier(database)} SYNC")


class Filling:
    """Rows on their way into the tables of the selected run, in large inserts.

    Attributes:
        rows: how many are in the tables now.
        refused: how many ClickHouse refused.
        refusals: the table and the words of the first of these.
    """

    def __init__(self, client: Client, *, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self.rows = 0
        self.refused = 0
        self.refusals: list[tuple[str, Refusal]] = []
        self._loader = Loader(client)
        self._rows_at_once = rows_at_once
        self._held: dict[str, list[bytes]] = {}
        self._bytes: dict[str, int] = {}

    def take(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Insert (table, JSON object) pairs, all of them when this returns.

        Raises:
            Exception: whatever the client raises, but for rows that are refused.
        """
        for table, row in rows:
            held = self._held.setdefault(table, [])
            held.append(row)
            self._bytes[table] = self._bytes.get(table, 0) + len(row)
            if len(held) >= self._rows_at_once or self._bytes[table] >= BYTES_AT_ONCE:
                self._insert(table)
        for table in list(self._held):
            self._insert(table)

    def _insert(self, table: str) -> None:
        rows, self._bytes[table] = self._held.pop(table), 0
        loading = self._loader.load(table, rows)
        self.rows += loading.rows
        self.refused += len(loading.refusals)
        room = REFUSALS_KEPT - len(self.refusals)
        self.refusals += [(table, refusal) for refusal in loading.refusals[:room]]


def _is_run(client: Client, database: str) -> bool:
    query = "SELECT 1 FROM system.databases WHERE name = {name:String} AND comment = {comment:String}"
    return bool(client.query(query, {"name": database, "comment": _COMMENT}).result_rows)


def _note(client: Client, state: str, about: About) -> None:
    client.insert(
        "replay_run",
        [[state, about.source, about.file, list(about.policies)]],
        column_names=["state", "source", "file", "policies"],
    )


def _read(client: Client, name: str, database: str) -> Run | None:
    """A run; None where it has been dropped meanwhile."""
    client.database = database
    steps = _rows(client, "SELECT state, at, source, file, policies FROM replay_run ORDER BY at, state")
    if not steps:
        client.database = None
        if not _is_run(client, database):
            return None
        client.database = database
    about, begun = None, None
    if steps:
        _, begun, source, file, policies = steps[0]
        about = About(source, file, policies)
    ended = next((at for state, at, *_ in steps if state == "done"), None)
    # Broken off before it had its tables: nothing is in it.
    actions, authentications, alerts, first, last = (_rows(client, _COUNTS) or [(0, 0, 0, None, None)])[0]
    times = (first, last) if actions else (None, None)
    return Run(name, database, about, begun, ended, actions, authentications, alerts, *times)


def _rows(client: Client, query: str) -> Sequence[Sequence[Any]]:
    """The answer; nothing where what is asked is not there."""
    try:
        return client.query(query).result_rows
    except Exception as error:
        if name_of(error) in ("UNKNOWN_TABLE", "UNKNOWN_DATABASE"):
            return []
        raise
