"""Scenarios of the broker: killed, away, behind a bad network, its topics gone; workers come back, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from tests.faults.load import Load, append, policy
from tests.faults.lost import LOST
from tests.faults.markers import MARKERS, Hanging, open_ends
from tests.faults.network import Far, far_broker, require_calm, took_over, watched
from tests.faults.proxy import BLACK_HOLE, BOTH, NO_ANSWERS, PASS, TO_BROKER, TO_CLIENT, Mode
from tests.faults.stage import Actor, Outcome, Scenario, Stage, beside
from tests.faults.verifier import verify
from tests.live.harness import until
from tests.live.road import new_road

PATIENT = {"start_timeout_ms": 30_000}
HASTY = {"start_timeout_ms": 30_000, "request_timeout_ms": 5000, "transaction_timeout_ms": 4000, "batch_records": 200}
_SUBJECTS = 500


async def kill(stage: Stage) -> Outcome:
    """kill -9 of the broker, its data kept, under load, again and again; the workers live on."""
    return await _killed(stage, with_workers=False)


async def kill_with_worker(stage: Stage) -> Outcome:
    """The same, each time together with a worker, or with all of them."""
    return await _killed(stage, with_workers=True)


async def _killed(stage: Stage, *, with_workers: bool) -> Outcome:
    settings = await stage.road(policy(_SUBJECTS), partitions=4, batch_records=300, **PATIENT)
    crew = [stage.start(settings) for _ in range(2)]
    await took_over(crew[0], 1)
    kills = 0
    async with _loaded(stage, settings, per_second=1500):
        for _ in range(stage.scaled(8)):
            await asyncio.sleep(stage.rng.uniform(0.5, 3.0))
            victims = stage.rng.sample(crew, stage.rng.randint(1, 2)) if with_workers else []
            stage.note(f"killing the broker and {len(victims)} workers")
            await asyncio.gather(asyncio.to_thread(stage.kafka_server.kill), *(one.kill() for one in victims))
            kills += 1 + len(victims)
            await asyncio.to_thread(stage.kafka_server.start)
    report = await verify(settings)
    lives = sum(one.lives for one in crew)
    for one in crew:
        assert await one.stop() == 0, one.said
        assert "Traceback" not in one.said, one.said
    return Outcome(report.records, kills, f"{lives} lives of 2 workers; {report.words}")


@contextlib.asynccontextmanager
async def _loaded(stage: Stage, settings: Settings, per_second: int) -> AsyncIterator[None]:
    """Events go in while the block runs; all of them are there afterwards."""
    load, stop = Load(settings, stage.rng, _SUBJECTS), asyncio.Event()

    async def go_on() -> None:
        # One producer for all of it: a new one could not begin while the broker is away.
        async with AIOKafkaProducer(**settings.kafka_client_options(), enable_idempotence=True) as producer:
            sent: list[Any] = []
            while not stop.is_set():
                sent += await append(producer, load.some(per_second // 5))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.2)
            for future in sent:
                await future

    going = asyncio.create_task(go_on())
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait({going})
    await going


@beside
async def away(stage: Stage) -> Outcome:
    """The broker is away for ten minutes: workers wait in one line a minute, cost little, and go on by themselves."""
    settings = await stage.road(policy(_SUBJECTS), **PATIENT)
    worker = stage.start(settings)
    await took_over(worker, settings.partitions)
    async with _loaded(stage, settings, per_second=500):
        await asyncio.sleep(3)
    await asyncio.to_thread(stage.kafka_server.kill)
    late, stopped = stage.start(settings), stage.start(settings)
    async with watched(worker) as seen, watched(late) as seen_late:
        await asyncio.sleep(max(8.0, 600.0 * stage.scale))
        # One that is told to stop does not wait for a broker.
        assert await stopped.stop() in (0, 3), stopped.said
    require_calm(worker, seen)
    require_calm(late, seen_late)
    assert worker.lives == 1, worker.said
    assert set(late.ends) <= {3}, (late.ends, late.said)
    await asyncio.to_thread(stage.kafka_server.start)
    async with _loaded(stage, settings, per_second=500):
        await asyncio.sleep(2)
    report = await verify(settings)
    assert await worker.stop() == 0, worker.said
    assert await late.stop() == 0, late.said
    return Outcome(report.records, 1, f"a worker in it: {seen.words}; one begun in it: {seen_late.words}")


async def _refuse(stage: Stage, far: Far) -> None:
    await far.proxy.refuse()
    await asyncio.sleep(max(3.0, 15 * stage.scale))
    await far.proxy.open()


async def _cut(stage: Stage, far: Far) -> None:
    """Reset in the middle of a frame, in either direction, once after few bytes and once after many."""
    cuts = far.proxy.cuts
    for _ in range(stage.scaled(20, 5)):
        count = int(2 ** stage.rng.uniform(0, 17))
        far.proxy.cut_after(count, stage.rng.choice([TO_BROKER, TO_CLIENT]))
        await asyncio.sleep(stage.rng.uniform(0.1, 1.0))
    assert far.proxy.cuts > cuts


async def _flap(stage: Stage, far: Far) -> None:
    """Holes of a second or two, in one direction or both."""
    for _ in range(stage.scaled(8, 2)):
        hole = stage.rng.choice([BOTH, frozenset({TO_BROKER}), frozenset({TO_CLIENT})])
        far.proxy.mode = Mode(holes=hole)
        await asyncio.sleep(stage.rng.uniform(0.3, 2.5))
        far.proxy.mode = PASS
        await asyncio.sleep(stage.rng.uniform(0.1, 1.0))


def _mode(mode: Mode, seconds: float, least: float) -> Callable[[Stage, Far], Awaitable[None]]:
    async def go(stage: Stage, far: Far) -> None:
        far.proxy.mode = mode
        await asyncio.sleep(max(least, seconds * stage.scale))
        far.proxy.mode = PASS

    return go


TROUBLES: dict[str, tuple[Callable[[Stage, Far], Awaitable[None]], bool]] = {
    "slow": (_mode(Mode(delay_s=0.3), 10, 3), False),
    "narrow": (_mode(Mode(bytes_per_s=60_000), 10, 3), False),
    "black hole": (_mode(BLACK_HOLE, 30, 9), True),
    "no answers": (_mode(NO_ANSWERS, 30, 9), True),
    "flapping": (_flap, False),
    "cut in a frame": (_cut, False),
    "refused": (_refuse, True),
}
"""Name -> what happens to the network, and whether that is long enough for the worker to have to say so."""


@beside
async def bad_network(stage: Stage) -> Outcome:
    """Slow, narrow, black-holed, deaf, flapping, cut in mid-frame, refused: each under load, each exact afterwards."""
    records, words = 0, []
    chosen = TROUBLES if stage.scale >= 1 else dict(stage.rng.sample(list(TROUBLES.items()), stage.scaled(7)))
    async with far_broker(stage) as far:
        for name, (worsen, must_say) in chosen.items():
            stage.note(name)
            folder = stage.tmp / name.replace(" ", "_")
            folder.mkdir()
            settings = await new_road(far.server.bootstrap, folder, **HASTY)
            assert settings.policies_dir is not None
            (settings.policies_dir / "none.yaml").write_text(policy(_SUBJECTS))
            worker = stage.start(far.through_proxy(settings))
            await took_over(worker, settings.partitions)
            async with _loaded(stage, settings, per_second=400), watched(worker) as seen:
                await asyncio.sleep(1)
                await worsen(stage, far)
            if must_say:
                require_calm(worker, seen)
            assert "Traceback" not in worker.said, worker.said
            report = await verify(settings)
            assert await worker.stop() == 0, worker.said
            records += report.records
            words.append(f"{name}: {worker.lives} lives, {seen.lines} lines in {seen.seconds:.0f} s")
    return Outcome(records, 0, "; ".join(words))


async def timed_out(stage: Stage) -> Outcome:
    """A worker sleeps (SIGSTOP) in the middle of a transaction until Kafka aborts it, and wakes to commit it."""
    records, fenced, times = 0, 0, stage.scaled(6, 2)
    quick = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}
    async with far_broker(stage, quick) as far:
        folder = stage.tmp / "timed_out"
        folder.mkdir()
        # The session outlives the sleep: nobody else fences it.
        settings = await new_road(
            far.server.bootstrap, folder, transaction_timeout_ms=2000, session_timeout_ms=45_000, batch_records=20
        )
        worker = stage.start(settings, again=True)
        await took_over(worker, settings.partitions)
        async with open_ends(settings) as hanging:
            for _ in range(times):
                begun = worker.lives
                async with _loaded(stage, settings, per_second=500):
                    await _freeze_in_transaction(stage, hanging, worker)
                    await until(lambda: _closed(hanging), 60, "the broker's end of the transaction")
                    worker.wake()
                    await asyncio.sleep(1)
                fenced += worker.lives > begun
                await took_over(worker, settings.partitions * worker.lives)
        report = await verify(settings)
        assert "Traceback" not in worker.said, worker.said
        assert worker.said.count("was fenced") >= 1, worker.said
        assert await worker.stop() == 0, worker.said
        records = report.records
    return Outcome(records, times, f"{fenced} of {times} transactions timed out; {report.words}")


async def _freeze_in_transaction(stage: Stage, hanging: Hanging, worker: Actor) -> None:
    """SIGSTOP, and again where it hit no open transaction."""
    for _ in range(300):
        await asyncio.sleep(stage.rng.uniform(0.0, 0.05))
        worker.freeze()
        if await hanging():
            return
        worker.wake()
    raise AssertionError("no moment was hit in which a transaction was open")


async def _closed(hanging: Hanging) -> bool:
    return not await hanging()


SCENARIOS: dict[str, Scenario] = {
    "broker.kill": kill,
    "broker.kill_with_worker": kill_with_worker,
    "broker.away": away,
    "broker.bad_network": bad_network,
    "broker.timed_out": timed_out,
    **MARKERS,
    **LOST,
}
