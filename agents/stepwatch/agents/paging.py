"""The sending engine on Kafka: whose partitions are ours, what lies in them, and the ledger that they are written to.

Take-over of partition p: the group gives us `alerts-p`; the ledger and the alerts of p are read to their ends,
`read_committed`; then the engine goes on from where the ledger says that each channel stands. A former owner that was
slow to notice writes into the same ledger, which is read on, so it is put right. What everybody must know, mutes,
disabled channels and silent sources, lies in partition 0, which every process reads.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from mode import Service

from stepwatch.agents.clients import close_client, in_words, open_consumer, open_producer, open_reader
from stepwatch.agents.controls import UNREADABLE, Controls
from stepwatch.agents.dead_letters import letter_of
from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.health import Health
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.reading import Record, read_until
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import require_topics
from stepwatch.notifiers.engine import Engine
from stepwatch.notifiers.ledger import Switch, Told, encode_switch, encode_told, is_told, ledger_key, read_told
from stepwatch.notifiers.notices import NotJudged, ShownAlert, read_alert
from stepwatch.notifiers.routing import Routes, RoutesRefused, load_routes
from stepwatch.schemas.times import format_time
from stepwatch.streams.effects import BUG

log = get_logger(__name__)

_POLL_MS = 200
_RECORDS_MAX = 2000
_COMMIT_S = 1.0
_DAY_MS = 86_400_000


def require_routes(settings: Settings) -> Routes | None:
    """The routing file that is set; None where none is.

    Raises:
        SettingWrong: something in it is wrong.
    """
    if settings.notify_routes is None:
        return None
    try:
        return load_routes(settings.notify_routes)
    except RoutesRefused as refused:
        raise SettingWrong(f"STEPWATCH_NOTIFY_ROUTES: {refused}") from refused


class _Revoked(ConsumerRebalanceListener):  # type: ignore[misc]
    """Lets go of what is taken away, at once: it is another's from now on."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._paging.lose({tp.partition for tp in revoked})

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        return


class Paging(Service):
    """Feeds the engine from Kafka, and writes its ledger."""

    logger = FRAMEWORK
    mundane_level = "debug"

    def __init__(self, settings: Settings, routes: Routes, health: Health, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._topics = settings.topics
        self._health = health
        self._writer = uuid.uuid4().hex[:16]
        try:
            receivers = routes.open_receivers()
        except RoutesRefused as refused:
            raise SettingWrong(f"STEPWATCH_NOTIFY_ROUTES: {refused}") from refused
        self.engine = Engine(
            routes,
            receivers,
            self._record,
            disable=self._disable,
            clock=time.time,
            writer=self._writer,
            trouble=self._trouble,
        )
        self._controls = Controls(settings, self.engine)
        self._consumer: AIOKafkaConsumer | None = None
        self._producer: AIOKafkaProducer | None = None
        # Dead letters that are still to be told: partition -> offset -> key of the incident.
        self._letters: dict[int, dict[int, str]] = {}
        # Channels that left the routing file -> how many incidents were open there when it was said.
        self._strangers: dict[str, int] = {}
        self._committed_s = 0.0
        self._committed: dict[TopicPartition, int] = {}
        health.waits("kafka", "joining the group")

    async def on_start(self) -> None:
        """Learn what everybody must know, then join the group."""
        await require_topics(self._settings)
        self._producer = await open_producer(self._settings, acks="all")
        # Before the first page: an alert must not ring in a maintenance window that was not read yet.
        await self._controls.open()
        self._consumer = await open_consumer(
            self._settings,
            group_id=self._settings.group("notify"),
            auto_offset_reset="earliest",
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 5,
            max_poll_interval_ms=_DAY_MS,
            # The three topics' partitions of one number must come to one process; the default tears them apart.
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        topics = self._topics
        self._consumer.subscribe([topics.alerts, topics.dead_letters, topics.notifications], listener=_Revoked(self))
        self._health.works("kafka")

    async def on_stop(self) -> None:
        """Leave the group; what was not told is told by whoever comes next."""
        for client in (self._consumer, self._producer):
            if client is not None:
                await close_client(client)
        await self._controls.close()
        await self.engine.close()

    def lose(self, partitions: set[int]) -> None:
        """Partitions went to another process."""
        for partition in partitions:
            self.engine.lose(partition)
            self._committed = {tp: offset for tp, offset in self._committed.items() if tp.partition != partition}
            self._letters.pop(partition, None)
        self._say_strangers()

    def _say_strangers(self) -> None:
        """Say of each channel that left the routing file what is open there: nobody ends it."""
        strangers = self.engine.strangers()
        for channel in self._strangers.keys() - strangers.keys():
            self._health.thrives(f"channel {channel}")
        for channel, count in strangers.items():
            words = f"it is not in the file, and {count:,} incidents are open there: put it back until they are over"
            self._health.suffers(f"channel {channel}", words)
            if count > self._strangers.get(channel, 0):
                log.error(f"channel {channel}: {words}", code="channel_left_the_file")
        self._strangers = strangers

    @Service.task
    async def _read(self) -> None:
        while not self.should_stop:
            try:
                await self._round()
            except KafkaError as error:
                raise in_words(self._settings, error, "Read") from error

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            await self._controls.follow()

    @Service.task
    async def _send(self) -> None:
        await self.engine.run()

    async def _round(self) -> None:
        consumer = self._open
        for tp in sorted(consumer.assignment(), key=lambda tp: tp.partition):
            if tp.topic == self._topics.alerts and tp.partition not in self.engine.floor.books:
                await self._take_over(tp.partition)
        got = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_MAX)
        for tp, records in got.items():
            # Read before the take-over, which reads it again from where it must.
            if tp.partition in self.engine.floor.books:
                await self._take(tp, records)
        for partition, stale in self.engine.sweep().items():
            await self._forget(partition, stale)
        if time.monotonic() - self._committed_s >= _COMMIT_S:
            await self._commit()

    async def _take_over(self, partition: int) -> None:
        consumer, topics = self._open, self._topics
        alerts_tp, ledger_tp, letters_tp = (
            TopicPartition(topic, partition) for topic in (topics.alerts, topics.notifications, topics.dead_letters)
        )
        reader = await open_reader(self._settings, [alerts_tp, ledger_tp])
        try:
            ends = await reader.end_offsets([alerts_tp, ledger_tp])
            kept = {tp: await _latest(reader, tp, ends[tp]) for tp in (ledger_tp, alerts_tp)}
        finally:
            await close_client(reader)
        noted = await consumer.committed(letters_tp)
        begin = (await consumer.beginning_offsets([letters_tp]))[letters_tp]
        if not {alerts_tp, ledger_tp, letters_tp} <= consumer.assignment():
            return
        letters_from = max(noted or 0, begin)
        for tp, offset in ((alerts_tp, ends[alerts_tp]), (ledger_tp, ends[ledger_tp]), (letters_tp, letters_from)):
            consumer.seek(tp, offset)
        alerts = [alert for record in kept[alerts_tp].values() if (alert := _alert(record)) is not None]
        told = [one for record in kept[ledger_tp].values() if (one := _told(record)) is not None]
        self._letters[partition] = {}
        stale = self.engine.own(partition, alerts, told, letters_from)
        self._say_strangers()
        await self._forget(partition, stale)
        log.info("took over", partition=partition, alerts=len(alerts), told=len(told))

    async def _take(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        for record in records:
            if tp.topic == self._topics.alerts:
                await self._take_alert(tp.partition, record)
            elif tp.topic == self._topics.dead_letters:
                self._take_letter(tp.partition, record)
            elif record.value is not None and (told := _told(record)) is not None:
                self.engine.adopt(tp.partition, told)

    async def _take_alert(self, partition: int, record: Record) -> None:
        if record.value is None:
            key = (record.key or b"").decode(errors="replace").rpartition("/")[2]
            await self._forget(partition, self.engine.forget(partition, key))
        elif (alert := _alert(record)) is not None:
            self.engine.see(partition, alert)

    def _take_letter(self, partition: int, record: Record) -> None:
        letter = letter_of(record)
        if letter.said != BUG:
            return
        key = (letter.key or b"").decode(errors="replace")
        notice = NotJudged(letter.id, letter.where, key, letter.detail, format_time(letter.time_us))
        self._letters[partition][record.offset] = self.engine.see_bug(partition, notice)

    async def _commit(self) -> None:
        """Note how far we are: of the dead letters only as far as all of them were told."""
        self._committed_s = time.monotonic()
        consumer = self._open
        offsets = {}
        for tp in consumer.assignment():
            if tp.partition in self.engine.floor.books:
                offsets[tp] = await consumer.position(tp)
        told: list[tuple[int, int, str]] = []
        for partition, letters in self._letters.items():
            waiting = [offset for offset, key in letters.items() if not self.engine.is_told(partition, key)]
            tp = TopicPartition(self._topics.dead_letters, partition)
            if tp in offsets:
                offsets[tp] = min([*waiting, offsets[tp]])
                told += [(partition, offset, key) for offset, key in letters.items() if offset < offsets[tp]]
        news = {tp: offset for tp, offset in offsets.items() if self._committed.get(tp) != offset}
        if not news:
            return
        try:
            await consumer.commit(news)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("partitions went to another process, which reads them again", why=str(error))
            return
        self._committed |= news
        for partition, offset, key in told:
            self._letters.get(partition, {}).pop(offset, None)
            await self._forget(partition, self.engine.drop_bug(partition, key))

    # What the engine asks for.

    async def _record(self, partition: int, told: Sequence[Told]) -> None:
        records = [(ledger_key(one.channel, one.tenant, one.key), encode_told(one)) for one in told]
        await self._write(partition, records)

    async def _forget(self, partition: int, told: Sequence[Told]) -> None:
        await self._write(partition, [(ledger_key(one.channel, one.tenant, one.key), None) for one in told])

    async def _disable(self, channel: str, words: str) -> None:
        now = format_time(time.time_ns() // 1000)
        await self._write(0, [encode_switch(Switch(channel, True, words, "", now))])

    async def _write(self, partition: int, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        assert self._producer is not None, "started"
        try:
            sent = [
                await self._producer.send(self._topics.notifications, value, key, partition=partition)
                for key, value in records
            ]
            for future in sent:
                await future
        except KafkaError as error:
            raise in_words(self._settings, error, "Write") from error

    def _trouble(self, channel: str, words: str) -> None:
        part = f"channel {channel}"
        if words:
            self._health.waits(part, f"its receiver does not take what it is sent: {words}")
        else:
            self._health.works(part)

    @property
    def _open(self) -> AIOKafkaConsumer:
        assert self._consumer is not None, "started"
        return self._consumer


async def _latest(reader: AIOKafkaConsumer, tp: TopicPartition, end: int) -> dict[bytes, Record]:
    """The last record of each key below an offset; deleted ones left out."""
    kept: dict[bytes, Record] = {}
    async for records in read_until(reader, tp, end):
        for record in records:
            kept.pop(record.key or b"", None)
            if record.value is not None:
                kept[record.key or b""] = record
    return kept


def _alert(record: Record) -> ShownAlert | None:
    try:
        return read_alert(record.value)
    except ValueError as error:
        pass_over(record, "an alert", error)
        return None


def _told(record: Record) -> Told | None:
    if not is_told(record.key or b""):
        return None
    try:
        return read_told(record.value)
    except ValueError as error:
        pass_over(record, "a record of the ledger", error)
        return None


def pass_over(record: Record, what: str, error: ValueError) -> None:
    """Say that a record is not what it must be, and go on."""
    UNREADABLE.labels(record.topic).inc()
    where = f"{record.topic}-{record.partition}@{record.offset}"
    log.error(f"{where}: expected {what}: {error}; passed over", code="unreadable_record")
