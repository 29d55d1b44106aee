"""Scenarios of versions: a newer worker reads an older one's state, an older one refuses a newer one's with words."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator

from stepwatch.agents.settings import Settings
from stepwatch.streams.state import STATE_VERSION, STATE_VERSIONS
from tests.faults.grounds import CORRELATE, ODD, verified
from tests.faults.stage import Actor, Outcome, Scenario, Stage
from tests.live.account import took_over
from tests.live.harness import read, until
from tests.live.road import Town, audited, now_us, play

NEXT = f"{ODD} next-version"
REFUSED = f"a record of version {STATE_VERSION + 1}, this worker reads the versions"
REFUSED_STATUS = 2


async def one_after_the_other(stage: Stage) -> Outcome:
    """This version, the next one, this one again (it refuses, and changes nothing), the next one again."""
    settings = await stage.road()
    town = Town(stage.rng.randrange(10**9), now_us())
    each = stage.scaled(3000, 300)
    ours = stage.start(settings, again=False)
    await play(settings, town, each)
    await _read_some(settings, each // 2)
    await ours.kill_for_good()
    newer = stage.start(settings, NEXT, again=False)
    await play(settings, town, each)
    await took_over(newer, settings.partitions)
    await _read_some(settings, each)
    assert await newer.stop() == 0, newer.said
    before = await audited(settings)
    said = len(ours.said)
    ours.start()
    status = await asyncio.to_thread(ours.process.wait, 60)
    refusal = ours.said[said:]
    assert status == REFUSED_STATUS, refusal
    assert REFUSED in refusal, refusal
    assert " and ".join(map(str, STATE_VERSIONS)) in refusal, refusal
    assert "run the version that wrote it, or a newer one" in refusal, refusal
    assert f"{settings.topics.state}-" in refusal, refusal
    assert "Traceback" not in refusal, refusal
    assert await audited(settings) == before
    newer.start()
    await play(settings, town, each)
    await verified(settings)
    assert await newer.stop() == 0, newer.said
    return Outcome(town.count, 1, f"version {STATE_VERSION + 1} reads {STATE_VERSION}; the other way status {status}")


async def _read_some(settings: Settings, count: int) -> None:
    """Until so many rows are there: of the load some is left for the next worker."""

    async def read_some() -> bool:
        return len(await read(settings, settings.topics.audit)) >= count // 2

    await until(read_some, 60, "rows")


async def rolling(stage: Stage) -> Outcome:
    """Three workers become the next version one by one, under load; then an older one comes back."""
    settings = await stage.road(partitions=6, session_timeout_ms=10_000)
    old = [stage.start(settings, CORRELATE) for _ in range(3)]
    async with _load(stage, settings) as town:
        await _all_owned(old, settings)
        for each in old:
            # One that was refused is starting again, or at its end: then nothing but the signal itself ends it.
            assert await each.stop() in (0, REFUSED_STATUS, -signal.SIGTERM), each.said
            await _all_owned([stage.start(settings, NEXT)], settings)
            await asyncio.sleep(stage.rng.uniform(1, 4))
        upgraded_ms = now_us() // 1000
        back = stage.start(settings, CORRELATE)
        await until(lambda: _ended(back, 2), 120, "refusals of an older worker beside newer ones")
        await back.kill_for_good()
        back_ms = now_us() // 1000
        await asyncio.sleep(3)
    refusals = [len(each.ends) for each in (*old, back)]
    for each in (*old, back):
        # Whatever ended an older one was the refusal, each time in words.
        assert set(each.ends) <= {REFUSED_STATUS}, (each.ends, each.said)
        assert each.said.count(REFUSED) >= len(each.ends), each.said
    words = (
        f"while upgrading {sum(refusals[:3])} refusals, {await _standstill(settings, 0, upgraded_ms)}; an older one "
        f"that comes back: {refusals[3]}, {await _standstill(settings, upgraded_ms, back_ms + 3000)}"
    )
    await verified(settings)
    return Outcome(town.count, 3, words)


async def _ended(worker: Actor, times: int) -> bool:
    return len(worker.ends) >= times


async def all_at_once(stage: Stage) -> Outcome:
    """Three workers are stopped together, and three of the next version started: no refusal."""
    settings = await stage.road(partitions=6, session_timeout_ms=10_000)
    old = [stage.start(settings, CORRELATE) for _ in range(3)]
    async with _load(stage, settings) as town:
        await _all_owned(old, settings)
        assert await asyncio.gather(*(each.stop() for each in old)) == [0, 0, 0]
        new = [stage.start(settings, NEXT) for _ in range(3)]
        await _all_owned(new, settings)
        await asyncio.sleep(5)
    assert not any(each.ends for each in (*old, *new))
    words = await _standstill(settings)
    await verified(settings)
    return Outcome(town.count, 3, words)


@contextlib.asynccontextmanager
async def _load(stage: Stage, settings: Settings) -> AsyncIterator[Town]:
    """Events go in evenly for as long as the block lasts, some into each partition several times a second."""
    town = Town(stage.rng.randrange(10**9), now_us())

    async def go_on() -> None:
        while True:
            await play(settings, town, 30)
            await asyncio.sleep(0.15)

    going = asyncio.create_task(go_on())
    try:
        yield town
        assert not going.done(), going.exception()
    finally:
        going.cancel()
        await asyncio.wait({going})


async def _all_owned(workers: list[Actor], settings: Settings) -> None:
    """Until all three work and every partition is somebody's."""

    async def owned() -> bool:
        return all("took over" in each.said for each in workers)

    await until(owned, 90, "a partition for each worker")


async def _standstill(settings: Settings, from_ms: int = 0, until_ms: int = 2**62) -> str:
    """The longest time for which a partition had no row, by the broker's stamps, while events came evenly."""
    stamps: dict[int, list[int]] = {}
    for topic in (settings.topics.audit, settings.topics.evidence):
        for record in await read(settings, topic):
            if from_ms <= record.timestamp <= until_ms:
                stamps.setdefault(record.partition, []).append(record.timestamp)
    longest = []
    for times in stamps.values():
        times.sort()
        longest.append(max(after - before for before, after in itertools.pairwise(times)) / 1000)
    longest.sort()
    return f"a partition stood still for {longest[0]:.1f} to {longest[-1]:.1f} s at most"


SCENARIOS: dict[str, Scenario] = {
    "upgrade.one_after_the_other": one_after_the_other,
    "upgrade.rolling": rolling,
    "upgrade.all_at_once": all_at_once,
}
