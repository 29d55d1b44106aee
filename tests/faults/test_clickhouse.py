"""ClickHouse away, silent, full, lying and dying: seconds of what `tests.faults --only clickhouse.*` plays long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from stepwatch.store.client import open_client
from stepwatch.store.loader import Loader, Loading
from stepwatch.store.migrate import migrate
from tests.faults import http_proxy
from tests.faults.clickhouse import (
    REFUSALS,
    REPLIES_LOST,
    away,
    flap,
    full,
    kill_server,
    kill_store,
    poison,
    silent,
)
from tests.faults.http_proxy import HttpProxy
from tests.faults.site import site
from tests.faults.stage import Outcome, Scenario, Stage, act
from tests.servers import ClickHouseServer, ClickHouseSettings, KafkaServer
from tests.store.conftest import settings_of
from tests.store.rows import audit

pytestmark = pytest.mark.live
SEED = 20261125


async def everything(stage: Stage) -> Outcome:
    """Refusals, lost replies, a killed server and a killed store, one after the other."""
    async with site(stage) as it:
        await flap(it, REFUSALS + REPLIES_LOST, 2)
        await kill_server(it, 1)
        await kill_store(it, 1)
        return Outcome(await it.exact(), 2, "")


@pytest.mark.parametrize("scenarios", [[everything], [away, full], [silent, poison]])
def test_whatever_clickhouse_does_paging_goes_on_and_the_tables_end_exact(
    scenarios: list[Scenario], kafka_server: KafkaServer, clickhouse_server: ClickHouseServer, tmp_path: Path
) -> None:
    """Beside one another where they wait for long; only one of those together kills the server that they share."""
    print(f"seed {SEED}")

    async def play(scenario: Scenario) -> Outcome:
        tmp = tmp_path / scenario.__name__
        tmp.mkdir()
        return await act(scenario, Stage(tmp.name, tmp, kafka_server, clickhouse_server, seed=SEED, scale=0.001))

    async def all_of_them() -> list[Outcome]:
        return await asyncio.gather(*map(play, scenarios))

    assert all(outcome.records > 0 for outcome in asyncio.run(all_of_them()))


def test_a_batch_goes_on_where_trouble_met_it(clickhouse: ClickHouseSettings) -> None:
    """Twenty bad rows need forty requests, and a server that fails at every other one answers two in a row never."""
    with HttpProxy(clickhouse.port) as proxy:
        through = settings_of(clickhouse).model_copy(update={"clickhouse_url": proxy.url})
        direct = open_client(through, with_database=False)
        try:
            migrate(direct, through.clickhouse_database)
            odd = [0]

            async def every_other(exchange: http_proxy.Exchange) -> None:
                odd[0] += 1
                await (http_proxy.says(503, "busy") if odd[0] % 2 else http_proxy.none)(exchange)

            proxy.fault = http_proxy.inserts(every_other)
            rows = [audit(f"b{n}", **({"time": ""} if n % 10 == 5 else {})) for n in range(200)]
            loading, tries = Loading("audit", rows), 0
            while loading.left:
                tries += 1
                # Any other trouble is raised by the last try, or ends nothing, which the test's time limit ends.
                with contextlib.suppress(DatabaseError):
                    Loader(direct).go_on(loading)
            assert [refusal.index for refusal in loading.refusals] == list(range(5, 200, 10))
            assert (loading.rows, tries > 20) == (180, True)
        finally:
            direct.close()


def sql(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as somebody types it."""
    env = {**os.environ, "STEPWATCH_CLICKHOUSE_URL": url}
    command = [sys.executable, "-m", "stepwatch.cli.main", "sql", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=100, check=False)


def test_a_question_to_a_clickhouse_that_hangs_ends_in_words(clickhouse: ClickHouseSettings) -> None:
    with HttpProxy(clickhouse.port) as proxy:
        proxy.fault = http_proxy.never
        begun = time.monotonic()
        done = sql(proxy.url, "--timeout", "2", "select 1")
        # Far below what the store would wait; a slow machine may take its time.
        assert time.monotonic() - begun < 50
    assert done.returncode == 3, done
    assert f"ClickHouse at {proxy.url} is there, but silent (no answer in 2 s)" in done.stderr
    assert "--timeout" in done.stderr


def test_a_refused_question_is_repeated_as_it_was_typed(clickhouse: ClickHouseSettings, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEPWATCH_CLICKHOUSE_USER", clickhouse.reader_user)
        patch.setenv("STEPWATCH_CLICKHOUSE_PASSWORD", clickhouse.reader_password)
        patch.setenv("STEPWATCH_CLICKHOUSE_DATABASE", clickhouse.database)
        for query in ("select 1 from", "select (1"):
            done = sql(clickhouse.url, query)
            assert done.returncode == 2, done
            assert "JSONCompact" not in done.stderr, done.stderr
        # What is not in the query is not swallowed by it either.
        assert sql(clickhouse.url, "--json", "select 1 as one -- and a remark").stdout == '{"one":1}\n'
