"""Our tables come up by themselves, once, and never over something that is not ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from stepwatch.agents.settings import Settings
from stepwatch.store.migrate import Migration, MigrationRefused, load_migrations, migrate, statements
from tests.store.rows import audit, load, select

ONE = Migration(1, "0001_one.sql", "CREATE TABLE IF NOT EXISTS one (a UInt8) ENGINE = MergeTree ORDER BY a;")
TWO = Migration(2, "0002_two.sql", "CREATE TABLE IF NOT EXISTS two (a UInt8) ENGINE = MergeTree ORDER BY a;")
NAMES = [migration.name for migration in load_migrations()]


def test_a_database_that_is_missing_is_made_with_every_table(server: Client, settings: Settings) -> None:
    assert migrate(server, settings.clickhouse_database) == NAMES
    names = {row[0] for row in select(server, "SELECT name FROM system.tables WHERE database = currentDatabase()")}
    assert names >= {
        "audit", "audit_latest", "audit_current", "authentications", "authentications_current", "alerts",
        "alerts_current", "dead_letters", "trigger_quality", "bypasses", "verification_quality",
        "subject_timeline",
    }  # fmt: skip


def test_a_second_run_does_nothing_and_keeps_the_rows(db: Client, settings: Settings) -> None:
    load(db, "audit", audit())
    assert migrate(db, settings.clickhouse_database) == []
    assert select(db, "SELECT count() FROM audit_current") == [(1,)]


def test_every_statement_may_run_again_over_rows_that_are_there(db: Client, settings: Settings) -> None:
    load(db, "audit", audit())
    db.command("TRUNCATE TABLE schema_migrations")
    assert migrate(db, settings.clickhouse_database) == NAMES
    assert select(db, "SELECT count() FROM audit_current") == [(1,)]


def test_a_file_changed_after_it_was_applied_is_refused_by_name(server: Client, settings: Settings) -> None:
    migrate(server, settings.clickhouse_database, [ONE])
    changed = dataclasses.replace(ONE, text=ONE.text + " ")
    with pytest.raises(MigrationRefused, match=r"0001_one\.sql was begun with another text"):
        migrate(server, settings.clickhouse_database, [changed, TWO])
    assert select(server, "EXISTS TABLE two") == [(0,)]


def test_a_database_of_a_newer_program_is_refused(server: Client, settings: Settings) -> None:
    migrate(server, settings.clickhouse_database, [ONE, TWO])
    with pytest.raises(MigrationRefused, match=r"has migration 0002_two\.sql.*ends at 0001.*newer Stepwatch"):
        migrate(server, settings.clickhouse_database, [ONE])


def test_a_run_that_died_half_way_is_finished_by_the_next(server: Client, settings: Settings) -> None:
    # The second statement dies as a kill would: the file is begun, its first statement is there.
    dies = Migration(2, "0002_two.sql", TWO.text + "\nINSERT INTO two SELECT throwIf(number = 0) FROM missing;")
    with pytest.raises(DatabaseError):
        migrate(server, settings.clickhouse_database, [ONE, dies])
    assert select(server, "EXISTS TABLE two") == [(1,)]
    server.command("CREATE TABLE missing (number UInt8) ENGINE = MergeTree ORDER BY number")
    assert migrate(server, settings.clickhouse_database, [ONE, dies]) == ["0002_two.sql"]
    steps = select(server, "SELECT version, state FROM schema_migrations ORDER BY at")
    assert steps == [(1, "started"), (1, "done"), (2, "started"), (2, "started"), (2, "done")]


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1")
    (tmp_path / "1_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match="have one number"):
        load_migrations(tmp_path)


def test_statements_are_split_outside_quotes_and_comments() -> None:
    text = "-- a; b\nSELECT 'x;''\\';y' /* ; */ AS `c;d`;\n\n; SELECT \"e;\" - 1 -- end"
    assert statements(text) == ["SELECT 'x;''\\';y'  AS `c;d`", 'SELECT "e;" - 1']


def test_every_column_of_every_table_says_what_it_is(db: Client) -> None:
    silent = select(
        db,
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
        " AND table IN (SELECT name FROM system.tables WHERE engine LIKE '%MergeTree')",
    )
    assert silent == []
