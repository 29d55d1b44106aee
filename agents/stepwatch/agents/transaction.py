"""One Kafka transaction for all effects of a batch: rows, alerts, dead letters, state with positions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Protocol

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
)

from stepwatch.agents.clients import close_client, in_words, open_client
from stepwatch.agents.errors import RoleError, TransactionFailed
from stepwatch.agents.produce import FlatProduceRequest
from stepwatch.agents.refusals import NO_RIGHT
from stepwatch.agents.settings import Settings
from stepwatch.schemas.topics import Topics
from stepwatch.streams.limits import PRODUCE_BYTES_MAX
from stepwatch.streams.native import is_built, native

# The second transaction in a row meets "concurrent transactions" while the broker still writes the markers of
# the first; waiting 20 ms there costs a tenth of the throughput. tests/shell holds this private name.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002
aiokafka.producer.sender.ProduceRequest = FlatProduceRequest

Keyed = Sequence[tuple[bytes | None, bytes | None]]


class Performable(Protocol):
    """What a transaction needs of `stepwatch.streams.effects.Effects`."""

    audit: Any
    plain: Any
    evidence: Any
    alerts: Any
    dead_letters: Any
    state: Any


class Transaction:
    """The transactional producer of one partition; its id lets the broker refuse a former owner.

    The order of one commit:
    1. begin;
    2. hand over the batches of every output topic, all to this partition;
    3. await every one of them: a commit does not look at a batch that failed, and would say that all is well;
    4. commit.
    Whatever fails leaves the producer unusable and memory ahead of the log: the process has to end.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._topics: Topics = settings.topics
        self.partition = partition
        self.id = settings.transactional_id(partition)
        self.producer: AIOKafkaProducer | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every topic that this producer may write."""
        t = self._topics
        return (t.audit, t.evidence, t.alerts, t.dead_letters, t.state)

    async def open(self) -> None:
        """Start the producer: a former owner is fenced and what it left open is aborted.

        Raises:
            KafkaAway, KafkaRefused: no answer, or no permission.
        """
        self.producer = await open_client(
            lambda: AIOKafkaProducer(
                **self._settings.kafka_client_options(),
                transactional_id=self.id,
                transaction_timeout_ms=self._settings.transaction_timeout_ms,
                max_batch_size=PRODUCE_BYTES_MAX,
            ),
            self._settings,
        )

    async def commit(self, effects: Performable) -> None:
        """Perform the effects of a batch; when this returns, all of them are committed.

        Raises:
            TransactionFailed: another worker took the partition over, or a record was refused; nothing of the
                batch is visible to a `read_committed` reader.
            KafkaAway: no broker answered in time; it is not known whether the batch was committed.
        """
        producer = self._open_producer()
        sent: list[Any] = []
        try:
            await self._begin(producer)
            # Of two rows of one action a reader that takes the last shall see the one that a policy asked for.
            for rows in effects.plain:
                sent += await self._send_encoded(producer, self._topics.audit, rows)
            for topic, records in (
                (self._topics.audit, effects.audit),
                (self._topics.evidence, effects.evidence),
                (self._topics.alerts, effects.alerts),
                (self._topics.state, effects.state),
            ):
                if records:
                    sent += await self._send(producer, topic, records)
            if effects.dead_letters:
                sent += await self._send_dead_letters(producer, effects.dead_letters)
            await _await_all(sent)
            await producer.commit_transaction()
        except (KafkaError, IllegalOperation, OSError, AssertionError) as error:
            raise self._failed(_first_cause(producer, error, sent)) from error

    async def abort_one_each(self) -> None:
        """Begin, write one record to each output, abort: its marker closes what hangs there (`takeover`)."""
        producer = self._open_producer()
        sent: list[Any] = []
        try:
            await self._begin(producer)
            for topic in self.outputs:
                sent += await self._send(producer, topic, [(b"sweep", b"")])
            await _await_all(sent)
            await producer.abort_transaction()
        except (KafkaError, IllegalOperation, OSError, AssertionError) as error:
            raise self._failed(_first_cause(producer, error, sent)) from error

    async def close(self) -> None:
        """Stop the producer; what is not committed will never be visible."""
        if self.producer is not None:
            producer, self.producer = self.producer, None
            await close_client(producer)

    def _open_producer(self) -> AIOKafkaProducer:
        assert self.producer is not None, "open() comes first"
        return self.producer

    async def _begin(self, producer: AIOKafkaProducer) -> None:
        await producer.begin_transaction()
        producer._txn_manager.wait_for_transaction_end().add_done_callback(_look)

    async def _send(self, producer: AIOKafkaProducer, topic: str, records: Keyed) -> list[Any]:
        if is_built and self._settings.native:
            rows = native.Rows(PRODUCE_BYTES_MAX)
            rows.extend(records)
            return await self._send_encoded(producer, topic, rows)
        now_ms = time.time_ns() // 1_000_000
        sent = []
        batch = producer.create_batch()
        append = batch.append
        for key, value in records:
            if append(key=key, value=value, timestamp=now_ms) is None:
                sent.append(await self._hand_over(producer, topic, batch))
                batch = producer.create_batch()
                append = batch.append
                # An empty batch takes one record of any size; the broker has the last word on it.
                append(key=key, value=value, timestamp=now_ms)
        sent.append(await self._hand_over(producer, topic, batch))
        return sent

    async def _send_encoded(self, producer: AIOKafkaProducer, topic: str, rows: Any) -> list[Any]:
        return [await self._hand_over(producer, topic, EncodedBatch(batch)) for batch in rows.batches()]

    async def _send_dead_letters(self, producer: AIOKafkaProducer, letters: Sequence[Any]) -> list[Any]:
        now_ms = time.time_ns() // 1_000_000
        sent = []
        batch = producer.create_batch()
        for letter in letters:
            record = {"key": letter.key, "value": letter.value, "headers": letter.headers}
            if batch.append(**record, timestamp=now_ms) is None:
                sent.append(await self._hand_over(producer, self._topics.dead_letters, batch))
                batch = producer.create_batch()
                batch.append(**record, timestamp=now_ms)
        sent.append(await self._hand_over(producer, self._topics.dead_letters, batch))
        return sent

    async def _hand_over(self, producer: AIOKafkaProducer, topic: str, batch: Any) -> Any:
        batch.close()
        future: Any = await producer.send_batch(batch, topic, partition=self.partition)
        future.add_done_callback(_look)
        return future

    def _failed(self, error: BaseException) -> RoleError:
        if isinstance(said := in_words(self._settings, error, "Write"), RoleError):
            return said
        if isinstance(error, ProducerFenced | InvalidProducerEpoch):
            return TransactionFailed(
                f"partition {self.partition}: another worker took it over, or Kafka gave up waiting for us after "
                f"{self._settings.transaction_timeout_ms} ms ({self.id} was fenced); nothing of this batch is visible. "
                "Nothing to do: this worker starts again"
            )
        return TransactionFailed(
            f"partition {self.partition}: a transaction of {self.id} failed: {type(error).__name__}: "
            f"{error}; nothing of this batch is visible. This worker starts again; if that does not help, "
            "read the broker's log"
        )


class EncodedBatch:
    """A batch that the native core has encoded, with what aiokafka's sender asks of its own BatchBuilder."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self._state = (-1, -1, 0)
        self._now_ms = time.time_ns() // 1_000_000
        self._built: bytes | None = None

    def close(self) -> None:
        """It takes no records."""

    def closed(self) -> bool:
        """It takes no records."""
        return True

    def record_count(self) -> int:
        """How many records it holds."""
        count: int = self._batch.record_count()
        return count

    def size(self) -> int:
        """Its bytes."""
        size: int = self._batch.size()
        return size

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._state = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        # Asked for again where the batch has to be sent again.
        if self._built is None:
            self._built = self._batch.build(*self._state, True, self._now_ms)
        return self._built


def _first_cause(producer: AIOKafkaProducer, error: BaseException, sent: Sequence[Any]) -> BaseException:
    """Of all that failed with a transaction the missing right, where there is one.

    It puts the producer into a state in which whatever is asked next fails with words about that state, and those may
    reach us first.
    """
    futures = [*sent, producer._txn_manager.wait_for_transaction_end()]
    failures: list[BaseException | None] = [
        error,
        *(one.exception() for one in futures if one is not None and one.done() and not one.cancelled()),
    ]
    return next((one for one in failures if isinstance(one, NO_RIGHT)), error)


def _look(future: Any) -> None:
    """Look at a failure that nobody may come to ask for: asyncio reports at the exit what nobody looked at."""
    if not future.cancelled():
        future.exception()


async def _await_all(futures: list[Any]) -> None:
    """Wait for every future, then raise the first failure: one left alone would be lost, and warn at exit."""
    if futures:
        await asyncio.wait(futures)
        for future in futures:
            future.result()
