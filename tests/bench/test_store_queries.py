"""The measurements of ClickHouse, on very little: they come to an end, and count what they say that they count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.store.querybook import questions
from tests.bench import console
from tests.bench.store_bytes import TRIED, bytes_by_column, codec_costs
from tests.bench.store_queries import measure_inserts, measure_question, samples
from tests.bench.tables import fill, owner_of
from tests.servers import ClickHouseServer
from tests.store.rows import select

pytestmark = pytest.mark.live
ROWS = 20_000
YEAR = "stepwatch_run_year"


@pytest.fixture(scope="module")
def embedded(clickhouse_server: ClickHouseServer) -> EmbeddedClickHouse:
    if not isinstance(clickhouse_server, EmbeddedClickHouse):
        pytest.skip("the CPU of a server in a container is not that of a process here")
    return clickhouse_server


@pytest.fixture(scope="module")
def year(embedded: EmbeddedClickHouse) -> Iterator[Client]:
    client = owner_of(embedded)
    fill(client, YEAR, ROWS)
    yield client
    client.command(f"DROP DATABASE {YEAR} SYNC")
    client.close()


def test_the_year_is_what_its_description_says(year: Client) -> None:
    counted = select(
        year,
        "SELECT count(), countIf(verdict != 'not_required') / count(), countIf(revision = 2) > 0,"
        " min(time) < '2026-01-02', max(time) > '2026-12-30', uniqExact(tenant) FROM audit_current",
    )
    (actions, policed, revised, begins, ends, tenants) = counted[0]
    assert actions == ROWS
    assert policed == pytest.approx(0.2, abs=0.02)
    assert (revised, begins, ends, tenants) == (1, 1, 1, 2)
    proved = "SELECT tenant, subject, verification FROM authentications"
    assert select(year, "SELECT count() FROM authentications_current") == [(ROWS // 4,)]
    verified = "FROM audit_current WHERE verdict = 'verified'"
    assert select(year, f"SELECT countIf((tenant, subject, verification) IN ({proved})) = count() {verified}") == [(1,)]


def test_a_question_is_asked_about_another_subject_each_time_and_finds_something(
    year: Client, embedded: EmbeddedClickHouse
) -> None:
    told = samples(year, 4)
    assert len({sample["action_id"] for sample in told}) == 4
    for name in ("bypass_rate_by_policy", "what_subject_did", "action_history", "proof_coverage", "session_timeline"):
        took = measure_question(year, embedded, questions()[name], told)
        assert took.rows > 0, name
        assert took.read > 0, name
        assert 0 < took.p50_ms <= took.p95_ms, name


def test_rows_are_inserted_once_more_and_leave_nothing_behind(year: Client, embedded: EmbeddedClickHouse) -> None:
    put = measure_inserts(year, embedded, YEAR, ROWS)
    assert put.rows == ROWS
    assert put.rows_s > 0
    assert put.rows_s_core > 0
    assert select(year, "SELECT name FROM system.databases WHERE name LIKE '%inserts'") == []
    assert select(year, "SELECT count() FROM audit_current") == [(ROWS,)]


def test_every_column_of_a_table_is_weighed_and_every_codec_tried(year: Client, embedded: EmbeddedClickHouse) -> None:
    kept = bytes_by_column(year, "audit", "2026-12-01")
    assert {name for (name,) in select(year, "SELECT name FROM system.columns WHERE table = 'audit'"
                                             " AND database = currentDatabase()")} == set(kept)  # fmt: skip
    assert kept["event_data"] > kept["verdict"] > 0
    assert bytes_by_column(year, "authentications", "2026-12-01")["event_data"] > 1
    costs = codec_costs(year, psutil.Process(embedded.pid), YEAR, 5000)
    assert len(costs) == sum(len(codecs) for codecs in TRIED.values())
    sizes = {(column, codec): float(size) for column, codec, size, *_ in costs}
    assert sizes["event_data", "ZSTD(3)"] < sizes["event_data", "LZ4"]


def test_every_page_of_the_console_is_timed_over_rows_that_it_shows(
    year: Client, embedded: EmbeddedClickHouse, tmp_path: Path
) -> None:
    found = {one.name: one for one in console.measure(year, embedded, tmp_path, runs=2)}
    assert min(one.p50_ms for one in found.values()) > 0
    assert found["search, newest"].size_bytes > 10_000, "fifty rows"
    assert found["a subject, 30 d"].size_bytes > found["a policy, 30 d"].size_bytes > 2000
