"""One partition's task: what it does with batches over a rebalance (DESIGN section 7)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stepwatch.agents.settings import Settings
from stepwatch.agents.task import Batch, PartitionTask
from stepwatch.agents.trials import Trials
from stepwatch.streams.effects import Effects


class Counting:
    """A correlator that counts what it is given, and moves its position."""

    waiting_count = open_count = 0

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}
        self.accounts: dict[str, dict[str, int]] = {}
        self.taken: list[int] = []

    def take(self, topic: str, records: Any, now_us: int, condemned: Any = None) -> Effects:
        self.taken += [record.offset for record in records]
        self.positions[topic] = records[-1].offset + 1
        effects = Effects()
        effects.audit.append((b"k", b"row"))
        return effects


class Committing:
    """A transaction that commits once it is let."""

    partition = 0

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.commits = 0

    async def commit(self, effects: Effects) -> None:
        await self.let.wait()
        self.commits += 1


def new_task(tmp_path: Path) -> tuple[PartitionTask, Counting, Committing]:
    correlator, transaction = Counting(), Committing()

    async def fresh() -> None:
        """The policies are known."""

    async def nothing(*_: Any) -> None:
        """Nothing to be sent, nothing to be fetched."""

    settings = Settings(data=tmp_path)
    task = PartitionTask(settings, transaction, correlator, fresh, nothing, Trials(0), nothing)  # type: ignore[arg-type]
    return task, correlator, transaction


def batch_of(task: PartitionTask, *offsets: int, stint: int, acknowledged: list[int]) -> Batch:
    records = [SimpleNamespace(offset=offset, timestamp=0) for offset in offsets]
    topic = task._settings.topics.actions
    return Batch(task, topic, records, True, lambda: acknowledged.append(offsets[0]), stint)


def test_a_task_is_parked_clean_when_its_round_is_committed_and_drops_what_is_queued(tmp_path: Path) -> None:
    async def story() -> None:
        task, correlator, transaction = new_task(tmp_path)
        acknowledged: list[int] = []
        running = asyncio.create_task(task.run())
        task.hand(batch_of(task, 0, 1, stint=0, acknowledged=acknowledged))
        await asyncio.sleep(0.01)
        task.hand(batch_of(task, 2, 3, stint=0, acknowledged=acknowledged))
        parking = asyncio.create_task(task.park(running))
        await asyncio.sleep(0.01)
        transaction.let.set()
        assert await parking
        assert (correlator.taken, transaction.commits, sorted(acknowledged)) == ([0, 1], 1, [0, 2])

    asyncio.run(story())


def test_a_round_that_does_not_end_leaves_memory_ahead_of_the_log(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("stepwatch.agents.task._FINISH_S", 0.05)

    async def story() -> None:
        task, _, transaction = new_task(tmp_path)
        running = asyncio.create_task(task.run())
        task.hand(batch_of(task, 0, stint=0, acknowledged=[]))
        await asyncio.sleep(0.01)
        assert not await task.park(running)
        assert transaction.commits == 0

    asyncio.run(story())


def test_a_batch_read_before_the_task_was_parked_is_dropped_after_it_since_it_is_read_again(tmp_path: Path) -> None:
    async def story() -> None:
        task, correlator, transaction = new_task(tmp_path)
        transaction.let.set()
        acknowledged: list[int] = []
        running = asyncio.create_task(task.run())
        await asyncio.sleep(0)
        assert await task.park(running)
        task.resume()
        running = asyncio.create_task(task.run())
        # 0 and 1 were dropped when it was parked: to take these first would be to pass over them.
        task.hand(batch_of(task, 2, 3, stint=0, acknowledged=acknowledged))
        task.hand(batch_of(task, 0, 1, stint=task.stint, acknowledged=acknowledged))
        await asyncio.sleep(0.05)
        assert (correlator.taken, acknowledged) == ([0, 1], [2, 0])
        assert await task.park(running)

    asyncio.run(story())
