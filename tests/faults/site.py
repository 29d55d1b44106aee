"""The whole road with a proxy before ClickHouse, under load: what scenarios of ClickHouse's faults stand on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles
from typing import Any

from stepwatch.agents.settings import Settings
from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.times import parse_time
from stepwatch.streams.decode import ACTION
from tests.faults.http_proxy import HttpProxy
from tests.faults.stage import Actor, Stage
from tests.faults.tables import settled, tenant_of, until_tables_exact
from tests.faults.verifier import verify
from tests.live.harness import read, until
from tests.live.road import Town, audited, now_us, play
from tests.servers import ClickHouseServer, settings_of

STORE = "stepwatch.cli.main store"
TROUBLE, BACK = "rows wait in Kafka and nothing is lost", "ClickHouse is back"
_ALERT_ID = re.compile(r"al_[0-9a-f]{32}")


class Towns(Town):
    """Twenty towns as one, so that no subject does a thousand things in half an hour, and a lot of heavy reading.

    An event that no policy matches carries 3 KB, and its row has them twice.
    """

    def __init__(self, seed: int, tenant: str) -> None:
        super().__init__(seed, now_us(), tenant)
        self._towns = [Town(seed + n, self.now_us, f"{tenant}-{n}") for n in range(20)]

    def one(self) -> tuple[str, bytes, bytes]:
        """(family, key, body) of one more event, of the half hour before now."""
        self.now_us = now_us()
        if self.rng.random() < 0.5:
            town = self.rng.choice(self._towns)
            town.now_us = self.now_us
            self.count += 1
            return town.one()
        reader = f"reader-{self.rng.randrange(1000)}"
        client = {"ip": "203.0.113.7", "user_agent": f"{self.rng.randrange(10**9)}" * 333}
        data = {"session": "s", "action": "docs.file.read", "client": client}
        body = self._event(ev.ACTION_PERFORMED, reader, "/app", data)
        return ACTION, subject_key(self.tenant, reader), body


class Site:
    """Correlate, notify and a store whose way to ClickHouse is a proxy.

    Attributes:
        settings: of the store: its ClickHouse is the proxy.
        direct: the same with ClickHouse itself, for looking at tables.
        proxy: between.
        correlate, notify, store: the roles.
    """

    correlate: Actor
    notify: Actor
    store: Actor

    def __init__(self, stage: Stage, server: ClickHouseServer, settings: Settings, proxy: HttpProxy) -> None:
        self.stage = stage
        self.server = server
        self.settings = settings
        self.proxy = proxy
        self.direct = settings.model_copy(update={"clickhouse_url": server.url})
        self.town = Towns(stage.rng.randrange(10**9), tenant_of(settings))
        self.stores: list[Actor] = []

    def add_store(self, module: str = STORE) -> Actor:
        """One more worker of the role store."""
        store = self.stage.start(self.settings, module)
        self.stores.append(store)
        return store

    async def play(self, count: int) -> None:
        """So many events more, and a heartbeat."""
        await play(self.settings, self.town, count)

    @contextlib.asynccontextmanager
    async def load(self, each: int = 25, pause_s: float = 0.25) -> AsyncIterator[None]:
        """Events go in for as long as the block lasts."""

        async def go_on() -> None:
            while True:
                await self.play(each)
                await asyncio.sleep(pause_s)

        going = asyncio.create_task(go_on())
        try:
            yield
            assert not going.done(), going.exception()
        finally:
            going.cancel()
            await asyncio.wait({going})

    async def until_stored(self) -> None:
        """Until something of ours is in ClickHouse: the roles work."""

        async def stored() -> bool:
            return settled(self.direct)[0] > 0

        await until(stored, 90, "the first rows")

    async def until_said(self, words: str, *, since: int = 0, store: Actor | None = None) -> None:
        """Until the store has said something, after the first so many characters that it said."""

        async def said() -> bool:
            return words in (store or self.store).said[since:]

        await until(said, 400, f"the store's {words!r}")

    async def until_judged(self) -> None:
        """Until the outputs are exact, ClickHouse aside."""
        await verify(self.settings, seconds=240)

    async def until_paged(self) -> set[str]:
        """Until on-call was told of every alert that is open now; returns their ids."""
        last = {}
        for record in await read(self.settings, self.settings.topics.alerts):
            if record.value is not None:
                row = json.loads(record.value)
                last[row["alert_id"]] = row["state"]
        opened = {alert for alert, state in last.items() if state == "open"}

        async def told() -> bool:
            return opened <= set(_ALERT_ID.findall(self.notify.said))

        await until(told, 60, "notices of all open alerts")
        return opened

    async def exact(self) -> int:
        """Whatever happened: verdicts, account and tables are exact, nobody left a trace; returns how many came in."""
        await self._until_caught_up()
        records = (await verify(self.direct, clickhouse=True, seconds=240)).records
        await self.until_paged()
        await until_tables_exact(self.direct)
        for role in (self.correlate, self.notify, *self.stores):
            if role.running:
                assert await role.stop() == 0, role.said
            assert "Traceback" not in role.said, role.said
        return records

    async def _until_caught_up(self) -> None:
        """Until every action that was judged is in ClickHouse.

        The verifier reads whole views, again and again until they are exact: beside a store that catches up, that is
        more memory than the embedded server may take, and the store would be told to wait by us.
        """
        key = ("tenant", "subject", "source", "action_id")
        judged = len({tuple(row[name] for name in key) for row in await audited(self.settings)})

        async def there() -> bool:
            return settled(self.direct)[0] >= judged

        await until(there, 240, f"{judged} actions in audit_current")

    async def latency_ms(self, since_us: int, until_us: int) -> float:
        """From arrival to verdict of those that are published at once, decided between two wall clocks, ms.

        The lowest quarter's upper end: a worker that waits for anything is late with all of them, and what else this
        machine does makes a few of them late.
        """
        found = []
        for row in await audited(self.settings):
            decided_us, arrival_us = parse_time(row["decided_at"]), parse_time(row["arrival"])
            assert decided_us is not None
            assert arrival_us is not None
            if row["verdict"] in ("not_required", "exempt") and since_us <= decided_us < until_us:
                found.append((decided_us - arrival_us) / 1000)
        assert len(found) >= 20, f"{len(found)} verdicts are too few to compare"
        return quantiles(found, n=4)[0]


@contextlib.asynccontextmanager
async def site(
    stage: Stage, *, server: ClickHouseServer | None = None, store: str = STORE, **changes: Any
) -> AsyncIterator[Site]:
    """A site with all its roles at work, its first rows stored.

    Args:
        stage: of the scenario.
        server: a ClickHouse; None: the stage's.
        store: the module that runs the role store.
        changes: of the settings.
    """
    server = server or stage.clickhouse_server
    assert server is not None
    to = settings_of(server)
    with HttpProxy(to.port) as proxy, HttpProxy(to.port) as witness:
        login = {
            "clickhouse_user": to.user,
            "clickhouse_password": to.password,
            "clickhouse_database": to.database,
        }
        # A session that a busy machine does not end: who leaves the group here shall have been told to.
        changes = {"session_timeout_ms": 6000, **changes}
        settings = await stage.road(clickhouse_url=proxy.url, **login, **changes)
        it = Site(stage, server, settings, proxy)
        elsewhere = settings.model_copy(update={"clickhouse_url": witness.url})
        it.correlate = stage.start(elsewhere)
        it.notify = stage.start(elsewhere, "stepwatch.cli.main notify")
        it.store = it.add_store(store)
        await it.play(100)
        await it.until_stored()
        try:
            yield it
        finally:
            await stage.close()
        assert witness.requests == [], "detection or paging asked ClickHouse"


def rss_mb(pid: int) -> float:
    """Memory of a process that is in the machine's, MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def watch_rss(pid: int, seconds: float) -> list[float]:
    """The memory of a process, MB, every second for so long."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(rss_mb(pid))
        await asyncio.sleep(1)
    return found
