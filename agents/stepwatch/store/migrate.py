"""Plain numbered SQL files, applied in order, each once, and remembered with a checksum.

ClickHouse has no transactional DDL, so a file is `started` before its first statement and `done` after
its last, and each statement is written to be repeatable: a crash half-way means that the file runs again
from its top. The names in the files carry no database; they mean the one of the client. Two programs
that migrate at once do the same twice.

A file that adds a column must add it to `audit` and `audit_latest`, say the query of `audit_to_latest` again
(`ALTER TABLE … MODIFY QUERY`: were the view dropped, rows of that moment would miss it) and create the views
over them anew: ClickHouse expands a `*` when a view is created.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

_STEPS = """CREATE TABLE IF NOT EXISTS schema_migrations (
  version UInt32 COMMENT 'Number of the file',
  name String COMMENT 'Its name',
  checksum String COMMENT 'SHA-256 of its text, hex',
  state LowCardinality(String) COMMENT 'started, done',
  at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When'
) ENGINE = MergeTree ORDER BY (version, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which migrations were begun and finished, one row per step'"""

_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:\\.|''|[^'\\])*'|`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\])*\"|;|[^-/'`\";]+|.", re.S
)


class MigrationRefused(Exception):
    """The database and this program do not belong together; nothing was changed."""

    code = "migration_refused"
    retriable = False


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, its text."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def statements(text: str) -> list[str]:
    """The statements of a file: split at `;` outside quotes and comments, comments left out."""
    found = [""]
    for token in _TOKEN.findall(text):
        if token == ";":
            found.append("")
        elif not token.startswith(("--", "/*")):
            found[-1] += token
    return [statement.strip() for statement in found if statement.strip()]


def load_migrations(folder: Traversable | None = None) -> list[Migration]:
    """The migrations of a folder (default: ours) by number.

    Raises:
        MigrationRefused: two files have one number.
    """
    folder = folder or files("stepwatch.store") / "migrations"
    found = []
    for file in folder.iterdir():
        named = re.fullmatch(r"([0-9]+)_[a-z0-9_]+\.sql", file.name)
        if named:
            found.append(Migration(int(named[1]), file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    for one, next_one in itertools.pairwise(found):
        if one.version == next_one.version:
            raise MigrationRefused(f"{one.name} and {next_one.name} have one number: rename one of them")
    return found


def migrate(client: Client, database: str, migrations: Iterable[Migration] | None = None) -> list[str]:
    """Bring a database to this program's schema.

    Args:
        client: may not have the database selected yet; has it selected afterwards.
        database: created where it is missing, which needs the permission; any name.
        migrations: default: ours.

    Returns:
        The names of the files that ran now; empty where the database was up to date.

    Raises:
        MigrationRefused: a file was changed after it was begun, or the database is newer than this program.
        Exception: whatever the client raises; what was begun runs again at the next call.
    """
    wanted = list(load_migrations() if migrations is None else migrations)
    name = quote_identifier(database)
    if not client.command("SELECT count() FROM system.databases WHERE name = {name:String}", {"name": database}):
        client.command(f"CREATE DATABASE IF NOT EXISTS {name}")
    client.database = database
    client.command(_STEPS)
    done = _check(client, database, wanted)
    ran = []
    for migration in wanted:
        if migration.version not in done:
            _note(client, migration, "started")
            for statement in statements(migration.text):
                client.command(statement)
            _note(client, migration, "done")
            ran.append(migration.name)
    return ran


def pending_migrations(client: Client, database: str) -> list[str]:
    """The names of our files that have not run in a database, which nothing is changed in.

    Raises:
        MigrationRefused: as `migrate`.
        Exception: whatever the client raises; of a database that no program of ours has seen, that a table is unknown.
    """
    wanted = load_migrations()
    done = _check(client, database, wanted)
    return [migration.name for migration in wanted if migration.version not in done]


def _check(client: Client, database: str, wanted: list[Migration]) -> set[int]:
    """The versions that are done; refuses before anything runs."""
    rows = client.query("SELECT version, name, checksum, state FROM schema_migrations").result_rows
    ours = {migration.version: migration for migration in wanted}
    newest = max(ours, default=0)
    for version, name, checksum, _state in rows:
        if version > newest:
            raise MigrationRefused(
                f"database {database} has migration {name}, and this program ends at {newest:04}: it was "
                "written by a newer Stepwatch; run that one, or use another clickhouse_database"
            )
        if version not in ours or ours[version].checksum != checksum:
            raise MigrationRefused(
                f"database {database}: {name} was begun with another text (sha256 {checksum[:12]}…) than "
                "this program's; a released migration never changes: put that file back and add a new one"
            )
    return {version for version, _name, _checksum, state in rows if state == "done"}


def _note(client: Client, migration: Migration, state: str) -> None:
    client.insert(
        "schema_migrations",
        [[migration.version, migration.name, migration.checksum, state]],
        column_names=["version", "name", "checksum", "state"],
    )
