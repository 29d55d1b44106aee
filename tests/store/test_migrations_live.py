"""Migrations end well whatever is killed, and a worker one version older goes on inserting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.store.client import open_client
from stepwatch.store.loader import Loader
from stepwatch.store.migrate import Migration, load_migrations, migrate, statements
from tests.servers import ClickHouseServer
from tests.store.rows import alert, audit, evidence, load, select

ROOT = Path(__file__).resolve().parents[2]
OURS = load_migrations()
COUNT = sum(len(statements(one.text)) for one in OURS)
AT = sorted({0, 1, COUNT // 3, COUNT // 2, COUNT - 1})
"""Before which statement something dies: at both ends, and between."""
DIES = """
import os, signal, sys
from stepwatch.agents.settings import Settings
from stepwatch.store.client import open_client
from stepwatch.store.migrate import load_migrations, migrate, statements
ours = {statement for one in load_migrations() for statement in statements(one.text)}
settings = Settings(_env_file=None)
client = open_client(settings, with_database=False)
command, left = client.command, int(sys.argv[1])
def dying(sql, *args, **options):
    global left
    if sql in ours:
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    return command(sql, *args, **options)
client.command = dying
migrate(client, settings.clickhouse_database)
"""
NEXT = Migration(
    OURS[-1].version + 1,
    "0999_next.sql",
    """
    ALTER TABLE audit ADD COLUMN IF NOT EXISTS region LowCardinality(String) DEFAULT 'eu' COMMENT 'Of the next version';
    ALTER TABLE audit_latest ADD COLUMN IF NOT EXISTS region LowCardinality(String) DEFAULT 'eu' COMMENT 'The same';
    ALTER TABLE audit_to_latest MODIFY QUERY SELECT * FROM audit;
    CREATE OR REPLACE VIEW audit_current AS SELECT * FROM audit_latest FINAL;
    """,
)
"""A migration in the form that migrate.py asks for."""


def made(client: Client, database: str) -> dict[str, str]:
    """Every table and view as it is defined, our notes aside."""
    rows = select(
        client,
        "SELECT name, create_table_query FROM system.tables WHERE database = {name:String}"
        " AND name != 'schema_migrations'",
        name=database,
    )
    return {str(name): str(sql) for name, sql in rows}


def dropped(client: Client, database: str) -> None:
    """Take a database away, which the client has not selected then."""
    client.command(f"DROP DATABASE {database} SYNC")
    client.database = None


def by_a_process(settings: Settings, dies_at: int) -> int:
    """Migrate in a process of its own, which ends itself by SIGKILL before a statement; returns its status."""
    password = settings.clickhouse_password
    assert password is not None
    env = {
        "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
        "STEPWATCH_CLICKHOUSE_USER": settings.clickhouse_user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": password.get_secret_value(),
        "STEPWATCH_CLICKHOUSE_DATABASE": settings.clickhouse_database,
    }
    command = [sys.executable, "-c", DIES, str(dies_at)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, timeout=120, check=False).returncode


@pytest.mark.live
def test_a_program_killed_before_any_statement_is_followed_by_one_that_ends_it(
    server: Client, settings: Settings
) -> None:
    name = settings.clickhouse_database
    migrate(server, name)
    whole = made(server, name)
    for place in AT:
        dropped(server, name)
        assert by_a_process(settings, place) == -signal.SIGKILL
        if place:
            assert len(made(server, name)) < len(whole)
        assert migrate(server, name) != []
        assert made(server, name) == whole, f"killed before statement {place}"
        assert migrate(server, name) == []


@pytest.mark.live
def test_a_server_killed_in_the_middle_of_it_is_migrated_when_it_is_back(
    server: Client, settings: Settings, clickhouse_server: ClickHouseServer
) -> None:
    name = settings.clickhouse_database
    migrate(server, name)
    whole = made(server, name)
    for place in (1, COUNT // 2):
        dropped(server, name)
        with pytest.raises(Exception, match=r"Connection|refused|closed|aborted"):
            migrate(Killing(server, clickhouse_server, place), name)  # type: ignore[arg-type]
        clickhouse_server.start()
        again = open_client(settings, with_database=False)
        assert migrate(again, name) != []
        assert made(again, name) == whole
        again.close()


class Killing:
    """A client whose server gets kill -9 before one of our statements; all else is real."""

    def __init__(self, client: Client, server: ClickHouseServer, place: int) -> None:
        self._client = client
        self._server = server
        self._left = place
        self._ours = {statement for one in OURS for statement in statements(one.text)}
        self.database = client.database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def command(self, sql: str, *args: Any, **options: Any) -> Any:
        self._client.database = self.database
        if sql in self._ours:
            if self._left == 0:
                self._server.kill()
            self._left -= 1
        return self._client.command(sql, *args, **options)


@pytest.mark.live
def test_a_worker_one_version_older_keeps_inserting_into_tables_of_the_next(db: Client, settings: Settings) -> None:
    older = Loader(db)
    assert older.load("audit", [audit("before")]).refusals == []
    newer = open_client(settings)
    migrate(newer, settings.clickhouse_database, [*OURS, NEXT])
    # It was connected all the time, and asks for no migration.
    for table, row in {"audit": audit("after"), "authentications": evidence(), "alerts": alert()}.items():
        assert older.load(table, [row]).refusals == []
    row = msgspec.json.decode(audit("new"))
    load(newer, "audit", msgspec.json.encode({**row, "region": "us"}))
    newer.close()
    regions = dict(select(db, "SELECT action_id, region FROM audit_current"))
    assert regions == {"before": "eu", "after": "eu", "new": "us"}
    assert dict(select(db, "SELECT action_id, region FROM audit")) == regions
