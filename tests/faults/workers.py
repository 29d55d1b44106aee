"""Scenarios of workers that die, freeze, come and go: the outputs are exact whatever happens to them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import psutil
from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from tests.faults.grounds import alter_topics
from tests.faults.load import Load, append, policy, send
from tests.faults.points import POINTS
from tests.faults.stage import Actor, Outcome, Scenario, Stage
from tests.faults.verifier import verify
from tests.live.harness import until

SESSION_MS = 4000
BATCH_RECORDS = 500
"""A worker sends no heartbeat while its core works on what was fetched: short sessions want small batches."""
TAKING_OVER = ("in_sweep", "after_sweep", "restoring")
_LIFE_S = 20.0


async def town(stage: Stage, subjects: int = 20_000, *, crc32: bool = False, **changes: Any) -> tuple[Settings, Load]:
    """Topics of its own and a load for them."""
    subjects = stage.scaled(subjects, least=200)
    short = {"session_timeout_ms": SESSION_MS, "batch_records": BATCH_RECORDS, "start_timeout_ms": 30_000}
    changes = {"partitions": 4, **short, **changes}
    # A header of an hour ago must count.
    settings = await stage.road(policy(subjects, accept_late="24h" if crc32 else "2h"), **changes)
    return settings, Load(settings, stage.rng, subjects, crc32=crc32)


def workers(stage: Stage, settings: Settings, count: int = 3, **options: Any) -> list[Actor]:
    """Some workers of one group."""
    return [stage.start(settings, **options) for _ in range(count)]


async def kill_random(stage: Stage) -> Outcome:
    """Three workers are killed (-9) at random moments while half a million events are read."""
    settings, load = await town(stage, **stage.with_clickhouse())
    count = stage.scaled(500_000)
    crew = workers(stage, settings)
    store = stage.start(settings, "stepwatch.cli.main store")
    filling = asyncio.create_task(send(load, count))
    kills = 0
    for _ in range(stage.scaled(20, least=2)):
        await asyncio.sleep(stage.rng.uniform(1.0, 9.0))
        await stage.rng.choice([*crew, *crew, store]).kill()
        kills += 1
    await filling
    report = await verify(settings, clickhouse=True, seconds=300)
    return Outcome(report.records, kills, report.words)


async def at_points(stage: Stage, points: Sequence[str], deaths: int) -> Outcome:
    """Workers kill themselves at these points in turn, at a random time of coming there, then one that does not."""
    settings, load = await town(stage, subjects=2000, crc32=points[0].startswith("mov"), partitions=2)

    def next_life(life: int) -> str:
        point = points[(life - 1) % len(points)]
        # A take-over comes to its points once for each partition, a worker that reads to its own many times a second.
        return f"tests.faults.points {point}={stage.rng.randint(1, 2 if point in TAKING_OVER else 12)}"

    mortal = stage.start(settings, next_life)
    filling = asyncio.create_task(send(load, stage.scaled(15_000, least=2000), per_second=1500))
    begun, life = time.monotonic(), 1
    while mortal.lives <= deaths:
        if filling.done():
            # To come to a point of reading it needs something to read.
            await send(load, 200)
        await asyncio.sleep(0.5)
        if mortal.lives > life:
            begun, life = time.monotonic(), mortal.lives
        elif time.monotonic() > begun + _LIFE_S:
            # It came to the point less often than was wanted.
            await mortal.kill()
    await mortal.kill_for_good()
    await filling
    stage.start(settings)
    report = await verify(settings)
    told = {point: mortal.said.count(f"SIGKILL to itself at the point {point}") for point in points}
    assert min(told.values()) > 0, (told, mortal.said[-5000:])
    return Outcome(report.records, deaths, f"{sum(told.values())} at the point; {report.words}")


async def frozen(stage: Stage) -> Outcome:
    """A worker is stopped (SIGSTOP) past its session, another takes over, it wakes in the middle: it is fenced."""
    settings, load = await town(stage, subjects=5000)
    times = stage.scaled(10, least=1)
    other = stage.start(settings)

    def next_life(life: int) -> str:
        # Only one that wakes within its commit asks Kafka before it hears that the group went on without it.
        point = "before_commit" if life == 1 else stage.rng.choice(["before_begin", "before_commit", "moving"])
        return f"tests.faults.points {point}={stage.rng.randint(3, 20)}:STOP"

    zombie = stage.start(settings, next_life)
    filling = asyncio.create_task(send(load, stage.scaled(40_000, least=5000), per_second=1500))
    owned = 0
    for _ in range(times):
        while not (stopped := _is_stopped(zombie)) or zombie.said.count("took over") == owned:
            if stopped:
                # It came to the point once more before it heard that it owns nothing: nobody can take that over.
                zombie.wake()
            if filling.done():
                await send(load, 200)
            await asyncio.sleep(0.1)
        owned = zombie.said.count("took over")
        seen = other.said.count("took over")
        await until(partial(_took_over, other, seen), 60, "the other worker's take-over")
        await asyncio.sleep(stage.rng.uniform(0.0, 2.0))
        zombie.wake()
        await asyncio.sleep(stage.rng.uniform(0.5, 2.0))
    await filling
    await zombie.kill_for_good()
    report = await verify(settings)
    fenced = zombie.said.count("was fenced")
    assert fenced, zombie.said[-5000:]
    return Outcome(report.records, times, f"{fenced} of them fenced in words; {report.words}")


def _is_stopped(worker: Actor) -> bool:
    return bool(psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)


async def _took_over(worker: Actor, seen: int) -> bool:
    return worker.said.count("took over") > seen


async def stopped(stage: Stage) -> Outcome:
    """SIGTERM at random moments: each ends with status 0 within its time, and is started again."""
    settings, load = await town(stage, subjects=5000)
    crew = workers(stage, settings, 2)
    times = stage.scaled(12, least=2)
    filling = asyncio.create_task(send(load, stage.scaled(40_000, least=5000), per_second=2000))
    for _ in range(times):
        await asyncio.sleep(stage.rng.uniform(0.3, 4.0))
        worker = stage.rng.choice(crew)
        await _stop(worker)
        worker.start()
    await filling
    report = await verify(settings)
    return Outcome(report.records, times, report.words)


async def come_and_go(stage: Stage) -> Outcome:
    """Every few seconds a worker joins the group or leaves it, so that partitions change hands without end."""
    settings, load = await town(stage, subjects=5000)
    crew = workers(stage, settings, 1)
    times = stage.scaled(24, least=3)
    filling = asyncio.create_task(send(load, stage.scaled(60_000, least=5000), per_second=1500))
    for _ in range(times):
        await asyncio.sleep(stage.rng.uniform(1.5, 4.0))
        if len(crew) == 1 or (len(crew) < 4 and stage.rng.random() < 0.5):
            crew += workers(stage, settings, 1)
        else:
            leaver = crew.pop(stage.rng.randrange(len(crew)))
            await _stop(leaver)
    await filling
    report = await verify(settings)
    return Outcome(report.records, times, report.words)


async def everything(stage: Stage) -> Outcome:
    """All of it at once: kills at random moments and at points, freezes, stops, joins and leaves."""
    settings, load = await town(stage, subjects=10_000)
    points = sorted(POINTS)
    crew = workers(stage, settings, 2)
    crew.append(stage.start(settings, lambda _: _random_death(stage, points)))
    filling = asyncio.create_task(send(load, stage.scaled(80_000, least=5000), per_second=1500))
    faults: list[Callable[[Actor], Awaitable[Any]]] = [_kill, _freeze, _stop_and_start]
    times = stage.scaled(30, least=3)
    for _ in range(times):
        await asyncio.sleep(stage.rng.uniform(0.5, 4.0))
        await stage.rng.choice(faults)(stage.rng.choice(crew))
    await crew.pop().kill_for_good()
    await filling
    report = await verify(settings, seconds=180)
    return Outcome(report.records, times, report.words)


def _random_death(stage: Stage, points: list[str]) -> str:
    return f"tests.faults.points {stage.rng.choice(points)}={stage.rng.randint(2, 40)}"


async def _kill(worker: Actor) -> None:
    await worker.kill()


async def _freeze(worker: Actor) -> None:
    worker.freeze()
    await asyncio.sleep(SESSION_MS / 1000 + 1.0)
    worker.wake()


async def _stop(worker: Actor) -> None:
    """SIGTERM: it ends with 0, or by the signal itself where it had not even said that it starts."""
    status = await worker.stop()
    if status == -signal.SIGTERM:
        assert worker.said.count(" starting ") < worker.lives, worker.said[-3000:]
    else:
        assert status == 0, f"ended with {status}: {worker.said[-3000:]}"


async def _stop_and_start(worker: Actor) -> None:
    await worker.stop()
    worker.start()


async def moved_after_an_outage(stage: Stage) -> Outcome:
    """Producers with crc32 wrote for ten minutes, an hour ago, while every worker was away: first arrivals count."""
    settings, load = await town(stage, subjects=2000, crc32=True)
    inputs = (settings.topics.actions, settings.topics.authentications)
    await alter_topics(settings, inputs, {"message.timestamp.type": "CreateTime", "retention.ms": "-1"})
    begin_ms = time.time_ns() // 1_000_000 - 4_200_000
    chunk = stage.scaled(50, least=5)
    async with AIOKafkaProducer(**settings.kafka_client_options()) as producer:
        for second in range(600):
            at_ms = begin_ms + second * 1000
            await asyncio.gather(*await append(producer, load.some(chunk, at_ms * 1000), at_ms))
    await alter_topics(settings, inputs, {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"})
    points = ["moving", "moved"]
    deaths = stage.scaled(10, least=2)
    mortal = stage.start(
        settings, lambda _: f"tests.faults.points {stage.rng.choice(points)}={stage.rng.randint(1, 30)}"
    )
    while mortal.lives <= deaths:
        # To come to a point again it needs more of the same.
        await send(load, 100)
        await asyncio.sleep(0.5)
    await mortal.kill_for_good()
    stage.start(settings)
    report = await verify(settings)
    assert report.classes["moved"] > 300 * chunk, report.words
    return Outcome(report.records, deaths, report.words)


def _at(point: str) -> Scenario:
    async def scenario(stage: Stage) -> Outcome:
        # What a take-over meets is what another death left behind: an open transaction, a state that has grown.
        points = ["before_commit", point] if point in TAKING_OVER else [point]
        return await at_points(stage, points, stage.scaled(8 * len(points), least=2 * len(points)))

    scenario.__doc__ = f"Kill -9 at the point {point}, again and again."
    return scenario


SCENARIOS: dict[str, Scenario] = {
    "workers.kill_random": kill_random,
    **{f"workers.at_{point}": _at(point) for point in POINTS},
    "workers.frozen": frozen,
    "workers.stopped": stopped,
    "workers.come_and_go": come_and_go,
    "workers.moved_after_an_outage": moved_after_an_outage,
    "workers.everything": everything,
}
