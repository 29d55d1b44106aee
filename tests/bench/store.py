"""`python -m tests.bench.store`: how fast the role `store` fills ClickHouse, and how far that is behind a verdict.

1. The topic of audit rows is full before the role starts: rows a second and CPU a row, of the role and of ClickHouse.
2. A steady rate through `correlate` and `store`: from the worker's decision on a row until ClickHouse stores it, and
   the age of the newest verdict that a reader of the table sees, in the partition that is furthest behind.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics
from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.store.client import open_client
from tests.bench.corelog import BEGIN_US, CoreLog
from tests.bench.data import GRACE_S, events
from tests.bench.figures import Figures, figures_of, percentile
from tests.bench.fill import new_settings
from tests.bench.ground import Ground, heading, say, servers
from tests.bench.latency_load import Plan, Report
from tests.bench.watch import cpu_s, watch
from tests.faults.soak_watch import is_ready, metrics_of
from tests.live.harness import ROOT, environment, until
from tests.live.road import Role

PARTITIONS = 4
_BATCH = 4000
_PRODUCE_BYTES = 900_000
_READY_S = 120.0
_LOOK_S = 0.1
_WARM_S = 5.0
_STORED_S = 60.0
_VISIBLE = """
SELECT toUnixTimestamp64Micro(min(newest)), count()
FROM (SELECT kafka_partition, max(decided_at) AS newest FROM audit WHERE kafka_topic = {topic:String} GROUP BY ALL)
"""
_LATE = """
SELECT quantileExact(0.5)(late), quantileExact(0.99)(late), max(late), count()
FROM (
  SELECT (toUnixTimestamp64Milli(stored_at) * 1000 - toUnixTimestamp64Micro(decided_at)) / 1e6 AS late
  FROM audit WHERE kafka_topic = {topic:String} AND decided_at >= fromUnixTimestamp64Micro({from_us:Int64})
)
"""
_STORED = "SELECT uniqExact(action_id) FROM audit WHERE kafka_topic = {topic:String}"


class Filling(NamedTuple):
    """Part 1.

    Attributes:
        rows: how many.
        figures: of the role; an event is a row.
        clickhouse_us: CPU of ClickHouse a row, while it was filled.
    """

    rows: int
    figures: Figures
    clickhouse_us: float


class Behind(NamedTuple):
    """Part 2; seconds.

    Attributes:
        rows: how many.
        p50_s, p99_s, max_s: from the decision on a row until it is stored, without the insert's end.
        seen_p99_s, seen_max_s: age of the newest verdict that is seen, by looks ten times a second.
    """

    rows: int
    p50_s: float
    p99_s: float
    max_s: float
    seen_p99_s: float
    seen_max_s: float


@dataclass(frozen=True, slots=True)
class Tables:
    """The server, and how the roles reach it.

    Attributes:
        pid: of the server.
    """

    settings: Settings
    pid: int

    def client(self) -> Client:
        """A client of the database; it need not be there yet."""
        client = open_client(self.settings, with_database=False)
        client.database = self.settings.clickhouse_database
        return client


def tables_of(bootstrap: str, clickhouse: EmbeddedClickHouse, folder: Path, prefix: str) -> Tables:
    """Settings of the roles on topics of their own and on the server's database of that name."""
    changes = {
        "clickhouse_url": clickhouse.url,
        "clickhouse_user": clickhouse.user,
        "clickhouse_password": clickhouse.password,
        "clickhouse_database": clickhouse.database,
        "store_web_port": ports.any_free(),
    }
    values = new_settings(bootstrap, folder, prefix, PARTITIONS).model_dump(exclude_unset=True)
    return Tables(Settings(**{**values, **changes}), clickhouse.pid)


async def fill_audit(settings: Settings, count: int) -> int:
    """Write the rows of `count` events of the data into topic `audit`, as workers do: in batches, in transactions.

    Returns:
        The number of rows.
    """
    await create_topics(settings)
    log = CoreLog()
    rows = 0
    producer = AIOKafkaProducer(
        **settings.kafka_client_options(),
        transactional_id=f"{settings.prefix}bench",
        max_batch_size=_PRODUCE_BYTES,
    )
    async with producer:
        for batch in log.batches(events(count, BEGIN_US), _BATCH):
            (effects,) = log.take([batch])
            pairs = list(effects.audit_rows())
            if not pairs:
                continue
            async with producer.transaction():
                for number in range(PARTITIONS):
                    await _send(producer, settings.topics.audit, number, pairs[number::PARTITIONS])
            rows += len(pairs)
    return rows


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, pairs: Sequence[tuple[bytes | None, bytes | None]]
) -> None:
    flights = []
    batch = producer.create_batch()
    for key, value in pairs:
        if batch.append(key=key, value=value, timestamp=None) is None:
            batch.close()
            flights.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    batch.close()
    flights.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*flights)


async def measure_filling(tables: Tables, count: int, folder: Path) -> Filling:
    """Part 1: the role starts on a full topic, and is watched until ClickHouse has every row."""
    settings = tables.settings
    say(f"writing the rows of {count:,} events")
    rows = await fill_audit(settings, count)

    async def stored() -> int:
        found = await metrics_of(settings, settings.store_web_port)
        return int(sum(value for (name, _), value in found.items() if name == "stepwatch_stored_rows_total"))

    say(f"storing {rows:,} rows")
    server = [psutil.Process(tables.pid)]
    before_s = cpu_s(server)
    role = Role(settings, folder / "store.log", "store")
    try:
        samples = await watch([role.process], [role.log], stored, rows)
        clickhouse_us = (cpu_s(server) - before_s) / rows * 1e6
    finally:
        role.kill()
    return Filling(rows, figures_of(samples), clickhouse_us)


async def measure_behind(tables: Tables, rate: float, seconds: float, folder: Path) -> Behind:
    """Part 2: a steady rate through both roles."""
    settings = tables.settings
    await create_topics(settings)
    roles = [Role(settings, folder / f"behind-{name}.log", name) for name in ("correlate", "store")]
    client = await asyncio.to_thread(tables.client)
    try:
        await until(lambda: _are_ready(settings), _READY_S, "the roles")
        say(f"{rate:g} events/s for {seconds:g} s")
        sent = folder / "sent.json"
        plan = Plan(rate, _WARM_S + seconds, 7, str(sent))
        command = [sys.executable, "-m", "tests.bench.latency_load", msgspec.json.encode(plan).decode()]
        load = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment(settings))
        watching = _Watching(client, settings.topics.actions, time.time_ns() // 1000 + int(_WARM_S * 1e6))
        try:
            ages = await asyncio.wait_for(watching.ages(load), 2 * plan.seconds + _READY_S)
        finally:
            if load.returncode is None:
                load.kill()
                await load.wait()
        actions = msgspec.json.decode(sent.read_bytes(), type=Report).actions
        late = await watching.late(len({number for each in actions for number, _ in each}))
    finally:
        client.close()
        for role in roles:
            role.kill()
    return Behind(int(late[3]), late[0], late[1], late[2], percentile(ages, 99), max(ages))


async def _are_ready(settings: Settings) -> bool:
    ports_of = (settings.correlate_web_port, settings.store_web_port)
    return all([port is not None and await is_ready(settings, port) for port in ports_of])


class _Watching:
    """Asks the table, one question at a time.

    Args:
        client: of the database.
        topic: of the actions whose rows are looked at.
        from_us: rows decided before are not counted.
    """

    def __init__(self, client: Client, topic: str, from_us: int) -> None:
        self._client = client
        self._from_us = from_us
        self._asked = {"topic": topic, "from_us": from_us}

    async def ages(self, load: Any) -> list[float]:
        """Ages of the newest verdict that is seen, until the load has ended, seconds."""
        ages = []
        while load.returncode is None:
            await asyncio.sleep(_LOOK_S)
            newest_us, partitions = await self._ask(_VISIBLE)
            now_us = time.time_ns() // 1000
            if now_us >= self._from_us and partitions == PARTITIONS and load.returncode is None:
                ages.append((now_us - newest_us) / 1e6)
        if load.returncode:
            raise RuntimeError(f"the load ended with status {load.returncode}")
        return ages

    async def late(self, actions: int) -> Any:
        """p50, p99, most, rows: when so many actions have their rows, for one that is late must not be left out."""

        async def stored() -> bool:
            (count,) = await self._ask(_STORED)
            return bool(count >= actions)

        await until(stored, _STORED_S, "the row of every action")
        # A second row may follow the first: that of a grace that has ended.
        await asyncio.sleep(2 * GRACE_S)
        return await self._ask(_LATE)

    async def _ask(self, sql: str) -> Any:
        (row,) = (await asyncio.to_thread(self._client.query, sql, self._asked)).result_rows
        return row


async def run(ground: Ground, options: argparse.Namespace) -> tuple[Filling, Behind]:
    """Both parts, on one pair of servers."""
    assert ground.clickhouse is not None
    behind = tables_of(ground.kafka.bootstrap, ground.clickhouse, ground.folder, "behind.")
    found = await measure_behind(behind, options.rate, options.seconds, ground.folder)
    full = tables_of(ground.kafka.bootstrap, ground.clickhouse, ground.folder, "full.")
    return await measure_filling(full, options.events, ground.folder), found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.store", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="whose rows are stored (default 200,000)")
    parser.add_argument("--rate", type=float, default=200, help="events a second (default 200)")
    parser.add_argument("--seconds", type=float, default=60, help="for so long (default 60)")
    parser.add_argument("--folder", type=Path, help="where the servers' data goes (default: a temporary folder)")
    options = parser.parse_args()
    with servers(options.folder, clickhouse=True) as ground:
        filling, behind = asyncio.run(run(ground, options))
    figures = filling.figures
    print(heading())
    print()
    print("| the store | figure |")
    print("|---|---|")
    print(f"| rows/s, warm, of {filling.rows:,} that lay in the topic | {figures.events_per_s:,.0f} |")
    print(f"| us CPU/row of the role, warm | {figures.us_per_event:.2f} |")
    print(f"| us CPU/row of the role, whole life | {figures.whole_us_per_event:.2f} |")
    print(f"| us CPU/row of ClickHouse | {filling.clickhouse_us:.1f} |")
    print(f"| peak memory of the role, MB | {figures.peak_mb:.0f} |")
    print(
        f"| decision to stored at {options.rate:g} events/s, s: p50 / p99 / most, of {behind.rows:,} rows "
        f"| {behind.p50_s:.2f} / {behind.p99_s:.2f} / {behind.max_s:.2f} |"
    )
    print(f"| age of the newest row seen, s: p99 / most | {behind.seen_p99_s:.2f} / {behind.seen_max_s:.2f} |")


if __name__ == "__main__":
    main()
