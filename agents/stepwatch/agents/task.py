"""The loop of one partition: batches in, one transaction for their effects, acknowledgements out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepwatch.agents import metrics
from stepwatch.agents.logs import get_logger
from stepwatch.agents.moves import SendMoves
from stepwatch.agents.pulse import Pulse, Waits
from stepwatch.agents.settings import Settings
from stepwatch.agents.transaction import Transaction
from stepwatch.agents.trials import Gone, Trials
from stepwatch.streams.effects import Effects

log = get_logger(__name__)
_TRANSACTION_EVENTS_MAX = 20_000
_FINISH_S = 5.0


class CorrelatorLike(Waits, Protocol):
    """What the shell needs of `stepwatch.streams.correlator.Correlator`."""

    @property
    def waiting_count(self) -> int:
        """Actions whose grace has not ended."""

    @property
    def open_count(self) -> int:
        """Actions that have not closed."""

    @property
    def accounts(self) -> Mapping[str, Mapping[str, int]]:
        """Topic -> what became of its records, by `stepwatch.streams.accounting`."""

    def take(self, topic: str, records: Sequence[Any], now_us: int, condemned: Mapping[int, str] = ...) -> Effects:
        """Take a batch of one input; what lies below the position is dropped, what is condemned not read."""

    def condemn(self, topic: str, record: Any, why: str, now_us: int) -> Effects:
        """Let go of an action of an earlier batch on which the core fails."""

    def use(self, sets: Any) -> None:
        """A longer list of policy sets became known."""


@dataclass(slots=True)
class Batch:
    """Records of one input of one partition, in the order of their offsets, on their way to its task.

    Attributes:
        task: of the partition.
        topic: of the input.
        records: at least one.
        at_end: nothing more of this input was to be had when it was read.
        acknowledge: called once, when the task is done with it or drops it.
        stint: of the task, when it was read.
    """

    task: PartitionTask
    topic: str
    records: Sequence[Any]
    at_end: bool
    acknowledge: Callable[[], None]
    stint: int = 0


class PartitionTask:
    """One partition: its correlator, its transactional producer, its pulse.

    Each round:
    1. wait for a batch; take what else has come, up to 20,000 records;
    2. wait while it is not known whether a newer policy set applies (contract section 4);
    3. `correlator.take` each batch, which drops what lies below the input position;
    4. send the records that belong elsewhere to their partitions, and wait until Kafka has them;
    5. commit all effects in one transaction; where nothing but positions moved, that may wait for
       `position_events` records or `position_ms`;
    6. acknowledge the batches, whatever happened.
    An exception ends the process, since memory is ahead of the log; one of the core on an event has the partition
    taken over anew instead (`trials`).
    """

    def __init__(
        self,
        settings: Settings,
        transaction: Transaction,
        correlator: CorrelatorLike,
        policies_fresh: Callable[[], Awaitable[None]],
        send_moves: SendMoves,
        trials: Trials,
        fetch: Callable[[str, int], Awaitable[Any]],
    ) -> None:
        """A task that owns an opened transaction.

        Args:
            settings: of the role.
            transaction: opened and swept.
            correlator: restored.
            policies_fresh: returns once the policies are known to be up to date.
            send_moves: appends records to the partitions where they belong.
            trials: on which events the core has failed before.
            fetch: the record of this partition at (topic, offset), or None where it is gone.
        """
        self._settings = settings
        self.partition = transaction.partition
        self.correlator = correlator
        self.pulse = Pulse(self.partition, settings.topics, correlator, every_s=settings.pulse_ms / 1000)
        self.transaction = transaction
        self._policies_fresh = policies_fresh
        self._send_moves = send_moves
        self._trials = trials
        self._fetch = fetch
        self._queue: asyncio.Queue[Batch] = asyncio.Queue()
        self._owed: dict[bytes, bytes | None] = {}
        self._owed_records = 0
        self._owed_since = 0.0
        self._committing = False
        self._busy = False
        self._closing = False
        self.stint = 0
        """How often it was parked: what was read before is read again after."""
        self.committed: dict[str, int] = dict(correlator.positions)
        self.lags_s: dict[str, float] = {}
        """Topic -> how late its last batch was read, s; 0 where it was read to its end."""
        self._records_in = {t: metrics.RECORDS_IN.labels(t) for t in settings.topics.inputs}

    def hand(self, batch: Batch) -> None:
        """Queue a batch; one that was read before the task was parked is dropped, and read again."""
        if self._closing or batch.stint != self.stint:
            batch.acknowledge()
        else:
            self._queue.put_nowait(batch)

    async def run(self) -> None:
        """Work until `close` or a failure.

        Raises:
            RoleError: the transaction failed.
            TryAgain: the core raised; the partition is to be taken over anew.
            Exception: the core raised, and another try would not help.
        """
        self._busy = True
        try:
            await self._condemn_accepted()
        finally:
            self._busy = False
        while not self._closing:
            batches = await self._next_batches()
            self._busy = True
            try:
                if batches:
                    await self._policies_fresh()
                    await self._process(batches)
                else:
                    await self._commit(Effects(), 0)
            finally:
                self._busy = False
                for batch in batches:
                    batch.acknowledge()

    async def park(self, running: asyncio.Task[None]) -> bool:
        """Finish the round at hand (5 s at most), drop all else, and keep what is in memory.

        Args:
            running: the asyncio task that runs `run`.

        Returns:
            Whether memory is what Kafka holds, so that `run` may go on with it once nobody else has had the partition.
        """
        self._closing = True
        self.stint += 1
        if self._busy:
            await asyncio.wait({running}, timeout=_FINISH_S)
        clean = not self._busy and not (running.done() and (running.cancelled() or running.exception() is not None))
        running.cancel()
        await asyncio.wait({running}, timeout=_FINISH_S)
        self._drop_queued()
        return clean

    def resume(self) -> None:
        """`run` may be called again."""
        self._closing = False

    async def close(self, running: asyncio.Task[None] | None) -> None:
        """Let a transaction that has begun finish (5 s at most), drop all else, and stop the producer.

        Args:
            running: the asyncio task that runs `run`.
        """
        self._closing = True
        if running is not None and not running.done():
            if self._committing:
                await asyncio.wait({running}, timeout=_FINISH_S)
            running.cancel()
            await asyncio.wait({running}, timeout=_FINISH_S)
        self._drop_queued()
        metrics.forget_partition(self.partition, self._settings.topics.inputs)
        await self.transaction.close()

    def _drop_queued(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait().acknowledge()

    async def _next_batches(self) -> list[Batch]:
        """The batches at hand; none where owed positions are due."""
        try:
            async with asyncio.timeout(self._owed_due_s()):
                batches = [await self._queue.get()]
        except TimeoutError:
            return []
        count = len(batches[0].records)
        while not self._queue.empty() and count < _TRANSACTION_EVENTS_MAX:
            batches.append(self._queue.get_nowait())
            count += len(batches[-1].records)
        return batches

    def _owed_due_s(self) -> float | None:
        if not self._owed:
            return None
        return max(0.0, self._owed_since + self._settings.position_ms / 1000 - time.monotonic())

    async def _process(self, batches: list[Batch]) -> None:
        effects = Effects()
        count = 0
        for batch in batches:
            for portion in self._trials.portions(batch.topic, batch.records):
                _add(effects, self._take(batch.topic, portion))
            self.pulse.read(batch.topic, at_end=batch.at_end)
            self._measure_lag(batch)
            count += len(batch.records)
            # The group's heartbeats run on this loop: a round of 20,000 records takes seconds on a busy machine.
            await asyncio.sleep(0)
        if effects.moves:
            await self._send_moves(effects.moves)
        await self._commit(effects, count)
        for batch in batches:
            self._records_in[batch.topic].inc(len(batch.records))
        metrics.add_counts(effects.counts)
        metrics.set_accounts(self.partition, self.correlator.accounts)
        metrics.WAITING_ACTIONS.labels(self.partition).set(self.correlator.waiting_count)
        metrics.OPEN_ACTIONS.labels(self.partition).set(self.correlator.open_count)

    def _take(self, topic: str, records: Sequence[Any]) -> Effects:
        try:
            return self.correlator.take(topic, records, time.time_ns() // 1000, self._trials.condemned(topic))
        except Exception as error:
            raise self._trials.failed(topic, records, error) from error

    async def _condemn_accepted(self) -> None:
        """Let go of what failed long after it was accepted: neither a record nor a moment gets by it."""
        for (topic, offset), why in self._trials.accepted(self.committed):
            record = await self._fetch(topic, offset) or Gone(offset)
            await self._commit(self.correlator.condemn(topic, record, why, time.time_ns() // 1000), 0)

    async def _commit(self, effects: Effects, count: int) -> None:
        if effects.only_position and self._may_owe(effects, count):
            return
        effects.state = [*self._owed.items(), *effects.state]
        if not effects.state and effects.only_position:
            return
        self._owed, self._owed_records = {}, 0
        started = time.monotonic()
        self._committing = True
        try:
            await self.transaction.commit(effects)
        finally:
            self._committing = False
        metrics.COMMIT_SECONDS.observe(time.monotonic() - started)
        metrics.TRANSACTIONS.inc()
        self.committed = dict(self.correlator.positions)
        self._trials.forget(self.committed)

    def _may_owe(self, effects: Effects, count: int) -> bool:
        """Keep positions for later; False where that has gone on for long enough."""
        if not self._owed:
            self._owed_since = time.monotonic()
        self._owed.update(effects.state)
        effects.state = []
        self._owed_records += count
        age_ms = (time.monotonic() - self._owed_since) * 1000
        return self._owed_records < self._settings.position_events and age_ms < self._settings.position_ms

    def _measure_lag(self, batch: Batch) -> None:
        lag_s = 0.0 if batch.at_end else max(0.0, time.time() - batch.records[-1].timestamp / 1000)
        self.lags_s[batch.topic] = lag_s
        metrics.LOG_TIME_LAG.labels(batch.topic, self.partition).set(lag_s)


def _add(all_effects: Effects, effects: Effects) -> None:
    """Append the effects of a later batch."""
    all_effects.audit += effects.audit
    all_effects.plain += effects.plain
    all_effects.evidence += effects.evidence
    all_effects.alerts += effects.alerts
    all_effects.dead_letters += effects.dead_letters
    all_effects.moves += effects.moves
    all_effects.state += effects.state
    for name, by in effects.counts.items():
        all_effects.count(name, by)
