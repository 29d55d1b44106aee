"""`stepwatch export`: parts that are whole or not there, and that a second run goes on after."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.store.cells import safe_cell
from stepwatch.store.export import Wanted, parts_of
from tests.cli.console import Finished, run
from tests.faults.http_proxy import Exchange, HttpProxy, cut_reply, none
from tests.servers import ClickHouseSettings
from tests.store import book_world
from tests.store.conftest import emptied
from tests.store.rows import audit, load, select

PERIOD = ("--since", book_world.SINCE, "--until", book_world.UNTIL)
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """The world, and a tenant whose subjects are formulas."""
    with emptied(clickhouse) as client:
        book_world.build(client, clickhouse.database)
        load(client, "audit", *(audit(f"f{n}", subject=name, tenant="csv") for n, name in enumerate(FORMULAS)))
        yield client


@pytest.fixture
def env(world: Client, clickhouse: ClickHouseSettings) -> dict[str, str]:
    return {
        "STEPWATCH_CLICKHOUSE_URL": clickhouse.url,
        "STEPWATCH_CLICKHOUSE_USER": clickhouse.reader_user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.reader_password,
        "STEPWATCH_CLICKHOUSE_DATABASE": clickhouse.database,
    }


def export(folder: Path, env: dict[str, str], *words: str) -> Finished:
    return run(folder, "export", "out", *words, **env)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "manifest.json").read_text())
    return found


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.live
def test_a_table_is_exported_by_days_and_the_manifest_says_what_is_there(
    tmp_path: Path, env: dict[str, str], world: Client
) -> None:
    done = export(tmp_path, env, *PERIOD, "--format", "csv")
    assert (done.status, done.out) == (0, "")
    files = ["audit_current-2026-11-23.csv", "audit_current-2026-11-24.csv", "manifest.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == files
    rows = [row for file in files[:2] for row in read_csv(tmp_path / "out" / file)]
    counted = select(world, "SELECT count() FROM audit_current WHERE time >= '2026-11-23'")
    assert [(len(rows),)] == counted
    for file, part in manifest(tmp_path)["parts"].items():
        content = (tmp_path / "out" / file).read_bytes()
        assert (part["bytes"], part["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert part["rows"] == len(read_csv(tmp_path / "out" / file))


@pytest.mark.live
def test_a_parquet_part_holds_the_rows_as_they_are(tmp_path: Path, env: dict[str, str], world: Client) -> None:
    assert export(tmp_path, env, *PERIOD, "--tenant", "csv").status == 0
    content = (tmp_path / "out" / "audit_current-2026-11-24.parquet").read_bytes()
    assert (content[:4], content[-4:]) == (b"PAR1", b"PAR1")
    # ClickHouse reads it back: what is in it is what is in the table.
    world.command("CREATE TABLE IF NOT EXISTS read_back AS audit_latest ENGINE = Memory")
    try:
        world.raw_insert("read_back", insert_block=content, fmt="Parquet")
        assert sorted(select(world, "SELECT subject FROM read_back")) == sorted((name,) for name in FORMULAS)
        columns = "tenant, subject, time, verdict, failed, action_id"
        in_table = select(world, f"SELECT {columns} FROM audit_current WHERE tenant = 'csv' ORDER BY action_id")
        assert select(world, f"SELECT {columns} FROM read_back ORDER BY action_id") == in_table
    finally:
        world.command("DROP TABLE read_back SYNC")


@pytest.mark.live
def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_a_text_in_csv(tmp_path: Path, env: dict[str, str]) -> None:
    assert export(tmp_path, env, *PERIOD, "--tenant", "csv", "--format", "csv").status == 0
    rows = read_csv(tmp_path / "out" / "audit_current-2026-11-24.csv")
    assert sorted(row["subject"] for row in rows) == sorted("'" + name for name in FORMULAS)
    assert {row["kafka_offset"] for row in rows} == {"0"}
    asked = run(tmp_path, "query", "run", "bypasses_by_subject", *PERIOD, "--tenant", "csv", "--format", "csv", **env)
    answer = list(csv.DictReader(io.StringIO(asked.out, newline="")))
    assert sorted(row["subject"] for row in answer) == sorted("'" + name for name in FORMULAS)


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("=1", "String", "'=1"),
        ("=1", "LowCardinality(Nullable(String))", "'=1"),
        ("-1", "Array(String)", "'-1"),
        ("-1", "Int64", "-1"),
        ("-1", "Nullable(Float64)", "-1"),
        ("a=1", "String", "a=1"),
        ("", "String", ""),
    ],
)
def test_only_texts_are_quoted_and_only_where_they_begin_like_a_formula(text: str, kind: str, shown: str) -> None:
    assert safe_cell(text, kind) == shown


@pytest.mark.live
def test_an_export_that_was_broken_off_goes_on_after_its_last_whole_part(
    tmp_path: Path, env: dict[str, str], clickhouse: ClickHouseSettings
) -> None:
    async def cut_the_second_day(exchange: Exchange) -> None:
        its = b"AS part" in exchange.request.body and b"2026-11-24" in exchange.request.head + exchange.request.body
        await (cut_reply if its and b"param_until=2026-11-25" in exchange.request.head else none)(exchange)

    with HttpProxy(clickhouse.port) as proxy:
        through = env | {"STEPWATCH_CLICKHOUSE_URL": proxy.url}
        proxy.fault = cut_the_second_day
        broken = export(tmp_path, through, *PERIOD, "--format", "csv")
        assert broken.status == 3
        assert "it closed the connection" in broken.err or "reset" in broken.err
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "audit_current-2026-11-23.csv", "manifest.json",
        ]  # fmt: skip
        first = manifest(tmp_path)["parts"]
        proxy.fault = none
        # Where no period is typed, the one of the export that is there is meant.
        assert export(tmp_path, through, "--format", "csv").status == 0
    after = manifest(tmp_path)["parts"]
    assert list(after) == ["audit_current-2026-11-23.csv", "audit_current-2026-11-24.csv"]
    assert after["audit_current-2026-11-23.csv"] == first["audit_current-2026-11-23.csv"]


@pytest.mark.live
def test_a_part_that_was_shortened_or_taken_away_is_written_again(tmp_path: Path, env: dict[str, str]) -> None:
    export(tmp_path, env, *PERIOD)
    days = [tmp_path / "out" / f"audit_current-2026-11-{day}.parquet" for day in (23, 24)]
    whole = days[0].read_bytes()
    days[0].write_bytes(whole[:-10])
    days[1].unlink()
    again = export(tmp_path, env, *PERIOD)
    assert again.status == 0
    assert "was there" not in again.err
    assert len(days[0].read_bytes()) == len(whole)
    assert days[1].exists()


@pytest.mark.live
def test_all_files_are_readable_by_their_owner_only(tmp_path: Path, env: dict[str, str]) -> None:
    export(tmp_path, env, *PERIOD)
    out = tmp_path / "out"
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}


@pytest.mark.live
@pytest.mark.parametrize("table", ["audit", "authentications", "alerts", "dead_letters"])
def test_every_table_is_exported_without_the_rows_that_were_redelivered(
    tmp_path: Path, env: dict[str, str], world: Client, table: str
) -> None:
    words = ("--table", table, "--since", "2026-11-16", "--until", "2026-11-26", "--format", "csv")
    assert export(tmp_path, env, *words).status == 0
    rows = sum(part["rows"] for part in manifest(tmp_path)["parts"].values())
    assert [(rows,)] == select(world, f"SELECT count() FROM {table} FINAL")
    assert rows == sum(len(read_csv(path)) for path in (tmp_path / "out").glob("*.csv"))


@pytest.mark.live
def test_an_answer_of_the_book_is_exported_whole(tmp_path: Path, env: dict[str, str]) -> None:
    words = ("--query", "resource_history", "--param", "resource_id=po_1", *PERIOD, "--format", "csv")
    assert export(tmp_path, env, *words).status == 0
    rows = read_csv(tmp_path / "out" / "resource_history.csv")
    assert [row["action_id"] for row in rows] == ["a-1", "a-6", "a-21"]
    # A question without a period of its own.
    history = ("--query", "action_history", "--param", "source=/app", "--param", "action_id=a-22", "--tenant", "acme")
    assert run(tmp_path, "export", "history", *history, **env).status == 0
    assert manifest_rows(tmp_path / "history") == 2


def manifest_rows(folder: Path) -> int:
    return sum(part["rows"] for part in json.loads((folder / "manifest.json").read_text())["parts"].values())


@pytest.mark.live
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "audit"], "out holds another export (name: 'audit_current', not 'audit')"),
        (["--tenant", "acme"], "out holds another export (tenant: '', not 'acme')"),
        (["--since", "2026-11-20", "--until", "2026-11-25"], "out holds another export (since: "),
        (["--table", "users"], "expected one of audit_current"),
        (["--table", "audit", "--query", "sample"], "leave one out"),
        (["--param", "a=b"], "with --query NAME only"),
        (["--query", "nope"], "no query nope"),
        (["--query", "what_subject_did"], "--param subject=VALUE is needed"),
        (["--since", "2026-11-25", "--until", "2026-11-24"], "turn them round"),
    ],
)
def test_another_export_into_the_same_folder_or_a_wrong_word_is_refused(
    tmp_path: Path, env: dict[str, str], words: list[str], said: str
) -> None:
    export(tmp_path, env, *PERIOD)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = export(tmp_path, env, *words)
    assert done.status == 2
    assert said in done.err
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.live
@pytest.mark.parametrize("content", ["{", "[]", '{"export": 1, "parts": {}}', '{"parts": {}}', "\x00"])
def test_a_manifest_that_is_none_is_left_alone(tmp_path: Path, env: dict[str, str], content: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text(content)
    done = export(tmp_path, env, *PERIOD)
    assert (done.status, "is no manifest of an export" in done.err) == (2, True)
    assert (tmp_path / "out" / "manifest.json").read_text() == content


def test_the_first_and_the_last_part_are_cut_where_the_period_is() -> None:
    wanted = Wanted(
        "audit", "csv", "", datetime(2026, 11, 23, 12, tzinfo=UTC), datetime(2026, 11, 25, 6, tzinfo=UTC), "stepwatch"
    )
    hours = [(part.file[6:16], part.since.hour, part.until.hour) for part in parts_of(wanted)]
    assert hours == [("2026-11-23", 12, 0), ("2026-11-24", 0, 0), ("2026-11-25", 0, 6)]
