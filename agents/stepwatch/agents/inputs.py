"""The consumer of the inputs: which partitions are ours, taking them over, reading them, giving them back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from mode import Service

from stepwatch.agents import metrics
from stepwatch.agents.clients import close_client, in_words, open_client, open_producer
from stepwatch.agents.errors import NotCoPartitioned, TransactionFailed
from stepwatch.agents.feeder import Feeder
from stepwatch.agents.health import Health
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.moves import send_moves
from stepwatch.agents.policies import PolicyService
from stepwatch.agents.pulse_writer import PulseWriter
from stepwatch.agents.reading import read_one
from stepwatch.agents.settings import Settings
from stepwatch.agents.takeover import Build, take_over
from stepwatch.agents.task import Batch, PartitionTask
from stepwatch.agents.topics import require_topics, retention_needed_ms
from stepwatch.agents.trials import Trials, TryAgain
from stepwatch.agents.whole import whole
from stepwatch.streams.effects import Move

log = get_logger(__name__)
_TAKEOVERS_AT_ONCE = 4
_AGAIN_S = 0.2
"""Between two tries of a partition on which the core failed."""
_FETCH_MS = 50
"""How long a broker may hold back an answer: a partition with data waits so long for one without."""
_FETCH_BYTES = 2 << 20


class InputService(Service):
    """Owns the group's consumer and one task for each partition that Kafka gives to this worker.

    Nothing that takes time or may fail is done when the listener hears of an assignment: aiokafka swallows
    its exceptions and sends no heartbeats meanwhile. It only notes what happened; `_run` acts on it.
    """

    logger = FRAMEWORK

    def __init__(
        self,
        settings: Settings,
        health: Health,
        policies: PolicyService,
        put: Callable[[Batch], Awaitable[Any]],
        build: Build,
        **kwargs: Any,
    ) -> None:
        """A service that reads the inputs.

        Args:
            settings: of the role.
            health: told what is waited for.
            policies: read to their end before the first partition is taken over.
            put: takes a batch on its way to its task.
            build: makes the correlator of a partition.
        """
        super().__init__(**kwargs)
        self._settings = settings
        self._health = health
        self._policies = policies
        self._put = put
        self._build = build
        self._whole = whole(settings.batch_records) if settings.native else None
        self._consumer: AIOKafkaConsumer | None = None
        self._producer: AIOKafkaProducer | None = None
        self._pulses = PulseWriter(settings)
        self._owners: dict[int, _Owner] = {}
        self._parked: dict[int, _Owner] = {}
        self._restored = False
        self._changed = asyncio.Event()
        self._assigned: frozenset[Any] | None = None
        self._failure: BaseException | None = None
        self._slots = asyncio.Semaphore(_TAKEOVERS_AT_ONCE)
        self._trials: dict[int, Trials] = {}

    @property
    def tasks(self) -> Iterable[PartitionTask]:
        """The tasks of the partitions that are taken over, and surely still ours."""
        return [owner.task for owner in self._owners.values() if owner.task is not None and owner.is_working]

    async def write_pulses(self) -> None:
        """Write the pulses that are due (contract section 2)."""
        await self._pulses.write(task.pulse for task in self.tasks)

    async def commit_offsets(self) -> None:
        """Tell the group how far we are, for lag tools; of ours only a take-over without state reads it."""
        offsets = {
            TopicPartition(topic, task.partition): offset
            for task in self.tasks
            for topic, offset in task.committed.items()
        }
        if offsets and self._consumer is not None:
            try:
                await asyncio.wait_for(self._consumer.commit(offsets), self._settings.request_timeout_ms / 1000)
            except (KafkaError, IllegalStateError, TimeoutError) as error:
                log.debug("offsets for lag tools were not committed", error=str(error))

    def fail(self, error: BaseException) -> None:
        """End the process: what failed cannot be carried on."""
        if self._failure is None:
            self._failure = in_words(self._settings, error, "Read")
        self._changed.set()

    def assigned(self, partitions: Iterable[Any]) -> None:
        """Note what Kafka gave us, and read none of it before it is taken over."""
        self._assigned = frozenset(partitions)
        self._health.waits("inputs", "taking over partitions")
        assert self._consumer is not None
        self._consumer.pause(*self._assigned)
        self._changed.set()

    async def park(self) -> None:
        """Stop working on every partition, and keep what is in memory: most come back to us when the group has settled.

        What is inside a transaction finishes it, all else is dropped.
        """
        owners, self._owners = self._owners, {}
        self._assigned = None
        metrics.PARTITIONS_OWNED.set(0)
        kept = await asyncio.gather(*(owner.park() for owner in owners.values()))
        self._parked.update(
            (owner.partition, owner) for owner, clean in zip(owners.values(), kept, strict=True) if clean
        )

    async def release(self) -> None:
        """Give back every partition, with all that is known of it."""
        await self.park()
        parked, self._parked = self._parked, {}
        await asyncio.gather(*(owner.close() for owner in parked.values()))

    async def on_stop(self) -> None:
        """Finish what is begun, leave the group."""
        tasks = list(self.tasks)
        await self.release()
        if tasks:
            log.info("gave back", partitions=sorted(task.partition for task in tasks))
        for client in (self._consumer, self._producer):
            if client is not None:
                await close_client(client)
        await self._pulses.close()

    @Service.task
    async def _run(self) -> None:
        self._health.waits("inputs", "waiting for Kafka")
        await require_topics(self._settings)
        self._health.waits("inputs", "waiting for a policy set")
        sets = await self._policies.first()
        await require_topics(self._settings, retention_needed_ms(sets))
        self._health.waits("inputs", "waiting for partitions")
        self._producer = await open_producer(self._settings)
        await self._pulses.open()
        await open_client(self._new_consumer, self._settings)
        while not self.should_stop:
            await self._changed.wait()
            self._changed.clear()
            if self._failure is not None:
                raise self._failure
            if self._assigned is not None:
                await self._own(self._assigned)

    def _new_consumer(self) -> AIOKafkaConsumer:
        self._consumer = AIOKafkaConsumer(
            **self._settings.kafka_client_options(),
            value_deserializer=self._whole,
            group_id=self._settings.group("correlate"),
            partition_assignment_strategy=(RangePartitionAssignor,),
            isolation_level="read_committed",
            enable_auto_commit=False,
            # A position that retention deleted while we were behind must end us, not be skipped.
            auto_offset_reset="none",
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 5,
            rebalance_timeout_ms=self._settings.session_timeout_ms,
            # A worker that waits for policies or for memory is not dead.
            max_poll_interval_ms=2**31 - 1,
            fetch_max_wait_ms=_FETCH_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        log.info("reading", core="native" if self._whole is not None else "python")
        self._consumer.subscribe(self._settings.topics.inputs, listener=_Listener(self))
        return self._consumer

    async def _own(self, assigned: frozenset[Any]) -> None:
        """Go on with what is still ours, and begin to take over what is new.

        An assignment is whole each time, and `park` came before it.
        """
        partitions = sorted({tp.partition for tp in assigned})
        for partition in partitions:
            topics = {tp.topic for tp in assigned if tp.partition == partition}
            if missing := set(self._settings.topics.inputs) - topics:
                raise NotCoPartitioned(
                    f"Kafka gave this worker partition {partition} of {', '.join(sorted(topics))} but not "
                    f"of {', '.join(sorted(missing))}: every worker of group "
                    f"{self._settings.group('correlate')} must use the range assignor and read the same "
                    "topics; stop those of another version"
                )
            if (parked := self._parked.pop(partition, None)) is not None:
                self._owners[partition] = parked
                parked.go_on()
            elif partition not in self._owners:
                self._owners[partition] = _Owner(self, partition)
        others, self._parked = self._parked, {}
        await asyncio.gather(*(owner.close() for owner in others.values()))
        metrics.PARTITIONS_OWNED.set(len(partitions))
        if not partitions:
            self._health.works("inputs")

    async def _take_over(self, partition: int) -> tuple[PartitionTask, Mapping[str, int]]:
        async with self._slots:
            owned = await take_over(self._settings, partition, self._build)
        task = PartitionTask(
            self._settings,
            owned.transaction,
            owned.correlator,
            self._policies.fresh,
            self._send_moves,
            self._trials.setdefault(partition, Trials(partition)),
            lambda topic, offset: read_one(self._settings, TopicPartition(topic, partition), offset),
        )
        self._read_on(task, owned.starts)
        return task, owned.starts

    def _read_on(self, task: PartitionTask, starts: Mapping[str, int]) -> None:
        """Read the inputs from where the task stands, or from their starts: beyond it where a loss was accepted."""
        consumer: Any = self._consumer
        tps = []
        for topic, start in starts.items():
            tps.append(TopicPartition(topic, task.partition))
            consumer.seek(tps[-1], max(start, task.correlator.positions.get(topic, 0)))
        consumer.resume(*tps)
        if self._policies.sets is not None:
            # Others may have become known meanwhile.
            task.correlator.use(self._policies.sets)

    def _pause(self, partition: int) -> None:
        assert self._consumer is not None
        self._consumer.pause(*(TopicPartition(topic, partition) for topic in self._settings.topics.inputs))

    async def _send_moves(self, moves: Sequence[Move]) -> None:
        assert self._producer is not None, "it is opened before the first partition is taken over"
        await send_moves(self._settings, self._producer, moves)

    def _begun(self, restored: bool) -> None:
        """One more partition is worked on; `restored`: from the state topic, not from memory."""
        self._restored |= restored
        if not all(owner.is_working for owner in self._owners.values()):
            return
        if self._restored:
            # What was restored lives long: keep the collector from walking it again and again.
            self._restored = False
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        self._health.works("inputs")

    def _feeder(self, task: PartitionTask) -> Feeder:
        assert self._consumer is not None
        items_max = 1 if self._whole is not None else self._settings.batch_records
        return Feeder(self._consumer, task, self._settings.topics.inputs, self._put, items_max)


class _Owner:
    """One partition in our hands: its take-over, then its task and what feeds it."""

    def __init__(self, service: InputService, partition: int) -> None:
        self.partition = partition
        self.task: PartitionTask | None = None
        self._service = service
        self._starts: Mapping[str, int] = {}
        self.is_working = False
        self._working: asyncio.Task[None] | None = None
        self._starting = asyncio.create_task(self._start(), name=f"partition {partition}")
        self._feeding: asyncio.Task[None] | None = None
        self._watch(self._starting)

    async def _start(self) -> None:
        self.task, self._starts = await self._service._take_over(self.partition)
        self._work(self.task)
        self._service._begun(restored=True)

    def _work(self, task: PartitionTask) -> None:
        self.is_working = True
        self._working = asyncio.create_task(task.run(), name=f"task of {self.partition}")
        self._feeding = asyncio.create_task(self._service._feeder(task).run(), name=f"feeder of {self.partition}")
        self._watch(self._working)
        self._watch(self._feeding)

    def go_on(self) -> None:
        """The partition has come back to us: work on it as it is in memory."""
        self._starting = asyncio.create_task(self._go_on(), name=f"partition {self.partition} goes on")
        self._watch(self._starting)

    async def _go_on(self) -> None:
        task = self.task
        assert task is not None, "what is parked has a task"
        try:
            # Refused where another worker has had it meanwhile: its take-over has fenced our producer.
            await task.transaction.abort_one_each()
        except TransactionFailed as error:
            log.info("another worker has had a partition meanwhile: taking it over anew", partition=self.partition)
            log.debug("what Kafka said", error=str(error))
            await self._drop()
            self.task = None
            await self._start()
            return
        task.resume()
        self._service._read_on(task, self._starts)
        self._work(task)
        self._service._begun(restored=False)
        log.info("goes on", partition=self.partition)

    async def _start_again(self) -> None:
        """Take the partition over anew: what is in memory is ahead of the log."""
        self._service._pause(self.partition)
        self.is_working = False
        await self._drop()
        self.task = None
        await asyncio.sleep(_AGAIN_S)
        await self._start()

    def _watch(self, running: asyncio.Task[None]) -> None:
        def done(ended: asyncio.Task[None]) -> None:
            if ended.cancelled() or (error := ended.exception()) is None:
                return
            if isinstance(error, TryAgain):
                self._starting = asyncio.create_task(self._start_again(), name=f"partition {self.partition} again")
                self._watch(self._starting)
            else:
                self._service.fail(error)

        running.add_done_callback(done)

    async def park(self) -> bool:
        """Stop working on the partition; True where it may go on later, else all that is known of it is gone."""
        self.is_working = False
        if self.task is not None and self._working is not None and self._starting.done():
            await self._stop_feeding()
            if await self.task.park(self._working):
                return True
        await self.close()
        return False

    async def close(self) -> None:
        if not self._starting.done():
            self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._drop()

    async def _stop_feeding(self) -> None:
        if self._feeding is not None and not self._feeding.done():
            self._feeding.cancel()
            await asyncio.wait({self._feeding})

    async def _drop(self) -> None:
        await self._stop_feeding()
        if self.task is not None:
            await self.task.close(self._working)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Notes what the group decided; see InputService."""

    def __init__(self, service: InputService) -> None:
        self._service = service

    async def on_partitions_revoked(self, revoked: Any) -> None:
        try:
            await self._service.park()
        except Exception as error:
            self._service.fail(error)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        try:
            self._service.assigned(assigned)
        except Exception as error:
            self._service.fail(error)
