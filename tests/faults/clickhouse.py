"""Scenarios of ClickHouse: whatever it does, detection and paging go on, and the tables end as the topics are.

Every one of them plays on the whole road: correlate and notify, whose ClickHouse is an address that nobody may ask, and
the role store behind a proxy (`http_proxy`) before a real ClickHouse.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time

from tests.faults import http_proxy
from tests.faults.full_disk import small_disk
from tests.faults.http_proxy import Exchange, Fault, inserts
from tests.faults.site import BACK, STORE, TROUBLE, Site, site, watch_rss
from tests.faults.stage import Outcome, Scenario, Stage, beside
from tests.faults.tables import repeats, settled, tenant_of
from tests.live.harness import read, until
from tests.live.road import now_us, query
from tests.shell.output_roles import Sent, send
from tests.store.rows import audit

_GROWTH_MB_MAX = 100.0
"""What a store may grow while ClickHouse is away: one batch (16 MiB of rows, twice joined) and Kafka's fetches."""

_PAGE = "<html><body>Service unavailable (DNS_ERROR) (OUT_OF_ORDER)</body></html>"
REFUSALS = [
    http_proxy.exception(241, "MEMORY_LIMIT_EXCEEDED", "(total) memory limit exceeded: would use 1.00 GiB"),
    http_proxy.exception(252, "TOO_MANY_PARTS", "Too many parts (3000). Merges are slower than inserts"),
    http_proxy.exception(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: 100"),
    *(http_proxy.says(status, _PAGE) for status in (500, 502, 503, 404, 200)),
    http_proxy.reset,
]
REPLIES_LOST = [http_proxy.lose_reply, http_proxy.cut_reply, http_proxy.cut_request]


@beside
async def away(stage: Stage) -> Outcome:
    """It is killed under load and stays away for ten minutes."""
    seconds = max(4.0, 600 * stage.scale)
    there_s = min(seconds / 2, 60.0)
    async with site(stage, session_timeout_ms=10_000) as it:
        there_us = now_us()
        async with it.load():
            before = max(await watch_rss(it.store.pid, there_s))
        await it.until_judged()
        paged = len(await it.until_paged())
        said = len(it.store.said)
        away_us, away_s = now_us(), time.monotonic()
        await asyncio.to_thread(it.server.kill)
        async with it.load(each=50):
            memory = await watch_rss(it.store.pid, seconds)
        # While it is still away everything is judged, and on-call knows of it.
        await it.until_judged()
        told = len(await it.until_paged())
        came_mb = sum(len(record.value) for record in await read(it.settings, it.settings.topics.audit)) / 1e6
        assert told > paged, "no new alert in all the time"
        back_us = now_us()
        asked = it.proxy.inserts(away_s)
        _assert_backs_off(len(asked), time.monotonic() - away_s)
        await asyncio.to_thread(it.server.start)
        records = await it.exact()
        heard = it.store.said[said:]
        assert heard.count(" is away (") == 1, heard
        # While it takes in ten minutes of rows and we look at its tables, a server of 1 GB may be full for a moment.
        assert heard.count(TROUBLE) == heard.count(BACK) <= 3, heard
        there_ms, away_ms = await it.latency_ms(there_us, away_us), await it.latency_ms(away_us, back_us)
    assert max(memory) - before < _GROWTH_MB_MAX, (before, memory)
    # In a few seconds on a busy machine this says little.
    if seconds >= 300:
        assert away_ms < 3 * there_ms, f"arrival to verdict: {there_ms:.0f} ms with ClickHouse, {away_ms:.0f} without"
    return Outcome(
        records,
        1,
        f"away {seconds:.0f} s: store {before:.0f} MB before, at most {max(memory):.0f} ({came_mb:.0f} MB of rows), "
        f"{len(asked)} attempts, verdict after {there_ms:.0f} ms there and {away_ms:.0f} away, "
        f"{told - paged} alerts told",
    )


async def refusals(stage: Stage) -> Outcome:
    """Half of all requests get 500s: ClickHouse's own words, a gate's page with any status, or its page with 200."""
    return await _flapping(stage, REFUSALS)


async def replies_lost(stage: Stage) -> Outcome:
    """Half of all inserts are done, or half sent, and the connection is reset before or in the reply."""
    return await _flapping(stage, REPLIES_LOST)


async def _flapping(stage: Stage, faults: list[Fault]) -> Outcome:
    async with site(stage) as it:
        asked = await flap(it, faults, max(4.0, 30 * stage.scale))
        records = await it.exact()
        twice = repeats(it.direct)
    return Outcome(records, 0, f"{asked} inserts tried, {twice} rows still stored twice")


async def flap(it: Site, faults: list[Fault], seconds: float) -> int:
    """One of the faults for every second request, under load; returns how many inserts were tried."""
    since = time.monotonic()
    it.proxy.fault = http_proxy.sometimes(it.stage.rng, 0.5, faults)
    async with it.load():
        await asyncio.sleep(seconds)
    it.proxy.fault = http_proxy.none
    return len(it.proxy.inserts(since))


@beside
async def silent(stage: Stage) -> Outcome:
    """It hangs, answers late, answers only after minutes, and never; a store that is told to stop meanwhile stops."""
    silent_s, answer_s = (10, 60) if stage.scale >= 1 else (1, 1)
    async with site(stage, store=f"tests.faults.hasty {silent_s} {answer_s}") as it:
        before = len(it.store.said)
        # Longer than two limits of growing patience: the third attempt hears the answer.
        it.proxy.fault = inserts(http_proxy.late(2.5 * answer_s))
        since = time.monotonic()
        await it.play(50)
        await it.until_judged()
        await it.until_paged()

        async def thrice() -> bool:
            return len(it.proxy.inserts(since)) >= 3

        await until(thrice, 10 * answer_s, "the third attempt")
        it.proxy.fault = http_proxy.none
        await it.until_said(BACK, since=before)
        first = it.proxy.inserts(since)[0].body
        times = len([request for request in it.proxy.inserts(since) if request.body == first])
        # A fourth is that of a busy machine, on which seconds are short.
        assert times == 3 or (times == 4 and stage.scale < 1), f"a batch was sent {times} times"
        _assert_said_once(it, before)
        # The next one is never answered, and has minutes of patience left.
        await it.store.stop()
        it.proxy.fault = inserts(http_proxy.never)
        it.store = it.add_store("tests.faults.hasty 0.5 600")
        await it.play(50)
        await it.until_said(TROUBLE)
        assert await it.store.stop() == 0, it.store.said
        it.proxy.fault = http_proxy.none
        it.add_store()
        records = await it.exact()
    return Outcome(records, 0, f"answers after {2.5 * answer_s:.0f} s heard at the third attempt")


async def killed(stage: Stage) -> Outcome:
    """kill -9 of the server in the middle of an insert, again and again."""
    kills = stage.scaled(12, 2)
    async with site(stage) as it:
        unheard = await kill_server(it, kills)
        records = await it.exact()
        twice = repeats(it.direct)
    return Outcome(records, kills, f"{unheard} inserts without a reply, {twice} rows still stored twice")


async def kill_server(it: Site, kills: int) -> int:
    """Kill it with an insert in its hands, so many times, under load; returns how many inserts got no reply."""
    unheard = 0
    async with it.load():
        for _ in range(kills):
            strike = _Strike(it)
            it.proxy.fault = inserts(strike.kill_server)
            await strike.done()
            await asyncio.to_thread(it.server.start)
            unheard += strike.unheard
    return unheard


class _Strike:
    """One blow at the first insert that comes; all else passes."""

    def __init__(self, it: Site) -> None:
        self.it = it
        self.unheard = False
        self._begun = False
        self._done = threading.Event()
        # About what an insert takes: at its begin, in its middle, at its end.
        self._delay_s = it.stage.rng.uniform(0, 0.03)
        self._heard = it.stage.rng.random() < 0.5

    async def done(self) -> None:
        """Until it was struck; nothing more is."""
        assert await asyncio.to_thread(self._done.wait, 60), "no insert came"
        self.it.proxy.fault = http_proxy.none

    async def kill_server(self, exchange: Exchange) -> None:
        """The server dies while it has the insert."""
        if self._begun:
            await http_proxy.none(exchange)
            return
        self._begun = True
        working = asyncio.create_task(exchange.forward())
        await asyncio.sleep(self._delay_s)
        await asyncio.to_thread(self.it.server.kill)
        await asyncio.wait({working})
        self.unheard = working.exception() is not None
        exchange.reset()
        self._done.set()

    async def kill_store(self, exchange: Exchange) -> None:
        """The store dies when the server has done the insert: before it hears of it, or before it can commit."""
        if self._begun:
            await http_proxy.none(exchange)
            return
        self._begun = True
        reply = await exchange.forward()
        if self._heard:
            await exchange.answer(reply)
        self.it.store.signal(signal.SIGKILL)
        self._done.set()


async def full(stage: Stage) -> Outcome:
    """Its disk is full, and after a while it is not."""
    with small_disk(stage.tmp / "disk") as disk:
        async with site(stage, server=disk.server) as it:
            since, before = time.monotonic(), len(it.store.said)
            it.proxy.fault = disk.fault or http_proxy.none
            disk.fill()
            async with it.load():
                await it.until_said(TROUBLE, since=before)
                await asyncio.sleep(max(2.0, 20 * stage.scale))
            await it.until_judged()
            await it.until_paged()
            _assert_backs_off(len(it.proxy.inserts(since)), time.monotonic() - since)
            assert "space" in it.store.said, it.store.said
            it.proxy.fault = http_proxy.none
            disk.empty()
            records = await it.exact()
            _assert_said_once(it, before)
    return Outcome(records, 0, f"full by {disk.how}")


async def store_killed(stage: Stage) -> Outcome:
    """kill -9 of the store when ClickHouse has the rows and Kafka not yet the commit."""
    kills = stage.scaled(12, 2)
    async with site(stage) as it:
        await kill_store(it, kills)
        records = await it.exact()
        twice = repeats(it.direct)
    return Outcome(records, kills, f"{twice} rows still stored twice")


async def kill_store(it: Site, kills: int) -> None:
    """Kill the store between insert and commit, so many times, under load."""
    async with it.load():
        for _ in range(kills):
            lives = it.store.lives
            strike = _Strike(it)
            it.proxy.fault = inserts(strike.kill_store)
            await strike.done()

            async def lives_again(lives: int = lives) -> bool:
                return it.store.lives > lives

            await until(lives_again, 60, "the store's next life")


async def two_stores(stage: Stage) -> Outcome:
    """Two stores share the work; one leaves, one dies and one comes, all while ClickHouse is away."""
    async with site(stage, partitions=4) as it:
        second = it.add_store()
        async with it.load():
            await asyncio.sleep(3)
            await asyncio.to_thread(it.server.kill)
            await it.until_said(TROUBLE)
            await it.until_said(TROUBLE, store=second)
            third = it.add_store()
            await it.until_said(TROUBLE, store=third)
            assert await it.store.stop() == 0, it.store.said
            for _ in range(stage.scaled(5)):
                await second.kill()
                await asyncio.sleep(4)
            await asyncio.to_thread(it.server.start)
        records = await it.exact()
        twice = repeats(it.direct)
    return Outcome(records, stage.scaled(5), f"{twice} rows still stored twice")


async def poison(stage: Stage) -> Outcome:
    """Rows that ClickHouse refuses, among good ones, while half of all inserts fail as well."""
    count = stage.scaled(10_000, 500)
    bad = set(stage.rng.sample(range(count), max(5, count // 300)))
    to = stage.clickhouse
    with http_proxy.HttpProxy(to.port) as proxy:
        settings = await stage.road(**{**stage.with_clickhouse(), "clickhouse_url": proxy.url})
        direct = settings.model_copy(update={"clickhouse_url": to.url})
        sent: list[Sent] = []
        for n in range(count):
            where = {"tenant": tenant_of(settings), "kafka_topic": settings.topics.actions}
            row = audit(f"a{n}", **where, **({"time": ""} if n in bad else {}))
            sent.append((settings.topics.audit, n % settings.partitions, b"acme/alice", row, []))
        await asyncio.to_thread(send, settings, sent)
        proxy.fault = inserts(http_proxy.sometimes(stage.rng, 0.5, REFUSALS + REPLIES_LOST))
        store = stage.start(settings, STORE)

        async def all_stored() -> bool:
            return settled(direct) == (count - len(bad), len(bad))

        await until(all_stored, 240, "all rows in audit or dead_letters")
        ours = f"startsWith(kafka_topic, '{settings.prefix}')"
        good = {row["action_id"] for row in query(direct, f"select action_id from audit_current where {ours}")}
        assert good == {f"a{n}" for n in range(count) if n not in bad}
        found = query(direct, f"select error, value from dead_letters_current where {ours}")
        assert {json.loads(row["value"])["action_id"] for row in found} == {f"a{n}" for n in bad}
        assert {row["error"] for row in found} == {"refused_by_clickhouse"}
        proxy.fault = http_proxy.none
        assert await store.stop() == 0, store.said
        assert "Traceback" not in store.said, store.said
        assert store.said.count("its bytes are in dead_letters") == len(bad)
    return Outcome(count, 0, f"{len(bad)} rows refused, in {len(proxy.inserts())} inserts tried")


def _assert_said_once(it: Site, before: int) -> None:
    """One line when trouble starts and one when it is over; `before`: how much was said before it."""
    said = it.store.said[before:]
    assert (said.count(TROUBLE), said.count(BACK)) == (1, 1), said


def _assert_backs_off(asked: int, seconds: float) -> None:
    """Doubling waits from 0.25 to 15 s, and the client's own second try where a connection was reset."""
    assert 2 <= asked <= 2 * (8 + seconds / 15), f"{asked} inserts tried in {seconds:.0f} s"


SCENARIOS: dict[str, Scenario] = {
    "clickhouse.away": away,
    "clickhouse.refusals": refusals,
    "clickhouse.replies_lost": replies_lost,
    "clickhouse.silent": silent,
    "clickhouse.killed": killed,
    "clickhouse.full": full,
    "clickhouse.store_killed": store_killed,
    "clickhouse.two_stores": two_stores,
    "clickhouse.poison": poison,
}
