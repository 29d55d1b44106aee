"""The store role on real servers: every row once, whatever dies or is away."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.store.client import open_client
from tests.servers import ClickHouseServer, ClickHouseSettings
from tests.shell.output_roles import Sent, role, send, settings_for, stop, wait_for
from tests.store.conftest import emptied
from tests.store.rows import alert, audit, evidence, select

pytestmark = pytest.mark.live
DECISION = (
    b'{"id":"rs_1","alert_id":"al_1","seen_version":1,"decision":"note","by":"rosa",'
    b'"at":"2026-11-24T09:16:00Z","note":"why"}'
)


@pytest.fixture
def db(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """A client of a database that is not there yet."""
    with emptied(clickhouse) as client:
        yield client


@pytest.fixture
def settings(kafka: str, clickhouse: ClickHouseSettings, db: Client) -> Settings:
    return settings_for(
        kafka,
        clickhouse_url=clickhouse.url,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_database=clickhouse.database,
    )


def audits(settings: Settings, names: range) -> list[Sent]:
    return [(settings.topics.audit, n % 2, b"acme/alice", audit(f"a{n}"), []) for n in names]


def count(db: Client, settings: Settings, view: str = "audit_current") -> int:
    """Rows of a view; 0 where the role has not made it yet."""
    if not there(db, settings, view):
        return 0
    db.database = settings.clickhouse_database
    return int(select(db, f"SELECT count() FROM {view}")[0][0])


def there(db: Client, settings: Settings, view: str) -> bool:
    """Whether the role has made a view."""
    sql = "SELECT count() FROM system.tables WHERE database = {database:String} AND name = {view:String}"
    return select(db, sql, database=settings.clickhouse_database, view=view) == [(1,)]


def test_rows_of_every_topic_reach_their_tables_and_a_bad_one_the_dead_letters(
    settings: Settings, db: Client, tmp_path: Path
) -> None:
    topics = settings.topics
    headers = [
        ("error", b"json"), ("field", b"json"), ("topic", topics.actions.encode()), ("partition", b"1"),
        ("offset", b"7"), ("time", b"2026-11-24T09:15:00.000000Z"),
    ]  # fmt: skip
    send(
        settings,
        [
            *audits(settings, range(20)),
            (topics.audit, 0, b"acme/alice", audit("bad", time=""), []),
            (topics.audit, 0, b"acme/alice", None, []),
            (topics.evidence, 1, b"acme/alice", evidence(), []),
            (topics.alerts, 1, b"acme/al_1", alert(1), []),
            (topics.alerts, 1, b"acme/al_1", alert(2, state="resolved", resolved_by="revision"), []),
            (topics.alerts, 1, b"acme/al_0", None, []),
            (topics.dead_letters, 1, b"acme/bob", b"\xff{", headers),
            (topics.responses, 1, b"acme/alice", DECISION, []),
            (topics.responses, 0, b"acme/alice", b"{", []),
        ],
    )
    send(settings, audits(settings, range(90, 99)), commit=False)
    with role("store", settings, tmp_path) as process:
        wait_for(lambda: count(db, settings, "dead_letters_current") == 2, process)
        wait_for(lambda: count(db, settings) == 20, process)
        wait_for(lambda: count(db, settings, "responses_current") == 1, process)
        assert stop(process) == 0
    assert count(db, settings, "authentications_current") == 1
    assert select(db, "SELECT version, state FROM alerts_current") == [(2, "resolved")]
    assert select(db, "SELECT alert_id, decision, by, note FROM responses_current") == [("al_1", "note", "rosa", "why")]
    letters = select(db, "SELECT error, subject, kafka_topic, value, encoding FROM dead_letters ORDER BY error")
    assert letters[0] == ("json", "bob", topics.actions, base64.b64encode(b"\xff{").decode(), "base64")
    assert letters[1] == (
        "refused_by_clickhouse", "alice", topics.audit, audit("bad", time="").decode(), "utf-8"
    )  # fmt: skip


def test_a_role_killed_at_any_moment_loses_no_row_and_shows_none_twice(
    settings: Settings, db: Client, tmp_path: Path
) -> None:
    sent = 0
    for kill_at in (0, 200, 600, 900):
        send(settings, audits(settings, range(sent, sent + 300)))
        sent += 300
        with role("store", settings, tmp_path) as process:
            wait_for(lambda at=kill_at: count(db, settings) >= at, process)  # type: ignore[misc]
            process.kill()
    with role("store", settings, tmp_path) as process:
        send(settings, audits(settings, range(sent, sent + 1)))
        sent += 1
        wait_for(lambda: count(db, settings) == sent, process)
        assert stop(process) == 0
    assert select(db, "SELECT count(), uniqExact(action_id) FROM audit_current") == [(sent, sent)]
    assert select(db, "SELECT count() FROM audit FINAL") == [(sent,)]


def test_a_clickhouse_that_is_away_delays_rows_and_is_said_once(
    settings: Settings, db: Client, clickhouse_server: ClickHouseServer, tmp_path: Path
) -> None:
    with role("store", settings, tmp_path) as process:
        send(settings, audits(settings, range(10)))
        wait_for(lambda: count(db, settings) == 10, process)
        clickhouse_server.kill()
        try:
            send(settings, audits(settings, range(10, 40)))
            said = tmp_path / "store.err"
            wait_for(lambda: "is away" in said.read_text(), process)
            # Several rounds of back-off pass, and more rows come.
            send(settings, audits(settings, range(40, 50)))
        finally:
            clickhouse_server.start()
        again = open_client(settings)
        wait_for(lambda: count(again, settings) == 50, process)
        assert stop(process) == 0
        again.close()
    text = said.read_text()
    assert text.count("is away") == 1
    assert text.count("ClickHouse is back") == 1
    assert "is away (Connection refused): rows wait in Kafka and nothing is lost" in text
    assert "Retrying" not in text
    assert "Traceback" not in text


def test_a_role_started_before_clickhouse_waits_for_it(
    settings: Settings, db: Client, clickhouse_server: ClickHouseServer, tmp_path: Path
) -> None:
    send(settings, audits(settings, range(5)))
    clickhouse_server.stop()
    try:
        with role("store", settings, tmp_path) as process:
            wait_for(lambda: "is away" in (tmp_path / "store.err").read_text(), process)
            clickhouse_server.start()
            again = open_client(settings, with_database=False)
            wait_for(lambda: count(again, settings) == 5, process)
            again.close()
            assert stop(process) == 0
    finally:
        clickhouse_server.start()


def test_a_role_that_waits_for_clickhouse_still_stops_when_it_is_told_to(
    settings: Settings, db: Client, clickhouse_server: ClickHouseServer, tmp_path: Path
) -> None:
    said = tmp_path / "store.err"
    with role("store", settings, tmp_path) as process:
        send(settings, audits(settings, range(5)))
        wait_for(lambda: count(db, settings) == 5, process)
        clickhouse_server.kill()
        try:
            send(settings, audits(settings, range(5, 9)))
            wait_for(lambda: said.read_text().count("is away") == 1, process)
            assert stop(process) == 0
            with role("store", settings, tmp_path) as next_process:
                wait_for(lambda: said.read_text().count("is away") == 2, next_process)
                assert stop(next_process) == 0
        finally:
            clickhouse_server.start()
    with role("store", settings, tmp_path) as process:
        again = open_client(settings)
        wait_for(lambda: count(again, settings) == 9, process)
        again.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clickhouse_password": "wrong"}, "check STEPWATCH_CLICKHOUSE_USER"),
        ({"clickhouse_url": "tcp://127.0.0.1:9000"}, "expected http://host:port"),
        ({"clickhouse_database": "not_ours"}, "may create and fill tables in database not_ours"),
    ],
)
def test_a_clickhouse_that_cannot_be_ours_ends_the_role_in_words(
    settings: Settings, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    wrong = Settings.model_validate({**settings.model_dump(exclude_unset=True), **change})
    with role("store", wrong, tmp_path) as process:
        assert process.wait(60) == 2
    text = (tmp_path / "store.err").read_text()
    assert words in text
    assert "Traceback" not in text


def test_a_database_of_a_newer_program_ends_the_role_in_words(settings: Settings, db: Client, tmp_path: Path) -> None:
    with role("store", settings, tmp_path) as process:
        wait_for(lambda: there(db, settings, "subject_timeline"), process)
        assert stop(process) == 0
    db.database = settings.clickhouse_database
    newer = "(version, name, checksum, state) VALUES (9999, '9999_x.sql', '', 'done')"
    db.command(f"INSERT INTO schema_migrations {newer}")
    with role("store", settings, tmp_path) as process:
        assert process.wait(60) == 2
    assert "written by a newer Stepwatch" in (tmp_path / "store.err").read_text()
