"""What every process of the role `notify` must know, from partition 0: mutes, disabled channels, silent sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Counter

from stepwatch.agents.clients import close_client, in_words, open_producer, open_reader
from stepwatch.agents.logs import get_logger
from stepwatch.agents.reading import Record, read_until
from stepwatch.agents.settings import Settings
from stepwatch.notifiers.ledger import CHANNEL_KEY, Switch, Told, encode_switch, is_told, read_switch, read_told
from stepwatch.notifiers.mutes import MUTE_KEY, Mute, encode_mute, read_mute
from stepwatch.notifiers.notices import ShownAlert, read_alert

log = get_logger(__name__)

UNREADABLE = Counter("stepwatch_notify_unreadable_records", "Records that are not what their topic holds.", ["topic"])
_POLL_MS = 500


class Told0(Protocol):
    """Who is told of what partition 0 says: the engine."""

    def set_mute(self, mute: Mute) -> None: ...
    def set_disabled(self, channel: str, words: str, at: str) -> None: ...
    def see_silence(self, alert: ShownAlert) -> None: ...
    def see_silence_told(self, told: Told) -> None: ...


class Controls:
    """Follows partition 0 of the ledger and of the alerts, without a group: each process reads all of it."""

    def __init__(self, settings: Settings, engine: Told0) -> None:
        self._settings = settings
        self._engine = engine
        topics = settings.topics
        self._ledger = TopicPartition(topics.notifications, 0)
        self._alerts = TopicPartition(topics.alerts, 0)
        self._reader: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        """Read both to their ends."""
        tps = [self._alerts, self._ledger]
        reader = self._reader = await open_reader(self._settings, tps)
        try:
            ends = await reader.end_offsets(tps)
            for tp in tps:
                async for records in read_until(reader, tp, ends[tp]):
                    self._take(tp, records)
        except KafkaError as error:
            raise in_words(self._settings, error, "Read") from error
        reader.resume(*tps)

    async def follow(self) -> None:
        """Take what came since, waiting a moment for it."""
        assert self._reader is not None, "open"
        try:
            for tp, records in (await self._reader.getmany(timeout_ms=_POLL_MS)).items():
                self._take(tp, records)
        except KafkaError as error:
            raise in_words(self._settings, error, "Read") from error

    async def close(self) -> None:
        """Close the reader."""
        if self._reader is not None:
            await close_client(self._reader)

    def _take(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        for record in records:
            if record.value is None:
                continue
            try:
                if tp == self._alerts:
                    self._engine.see_silence(read_alert(record.value))
                else:
                    self._take_control(record.key or b"", record.value)
            except ValueError as error:
                UNREADABLE.labels(tp.topic).inc()
                where = f"{tp.topic}-{tp.partition}@{record.offset}"
                log.error(f"{where}: {error}; passed over", code="unreadable_record")

    def _take_control(self, key: bytes, value: bytes) -> None:
        if key.startswith(MUTE_KEY):
            self._engine.set_mute(read_mute(value))
        elif key.startswith(CHANNEL_KEY):
            switch = read_switch(value)
            self._engine.set_disabled(switch.channel, switch.words if switch.disabled else "", switch.at)
        elif is_told(key) and not (told := read_told(value)).tenant:
            # Of the alerts only those of silent sources have no tenant.
            self._engine.see_silence_told(told)


async def write_mute(settings: Settings, mute: Mute) -> None:
    """Put a mute on record, or that it was ended; every process of the role hears of it at once.

    Raises:
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    await _write(settings, [encode_mute(mute)])


async def write_switch(settings: Settings, switch: Switch) -> None:
    """Put on record that a channel was enabled; errors as `write_mute`."""
    await _write(settings, [encode_switch(switch)])


async def _write(settings: Settings, records: Iterable[tuple[bytes, bytes]]) -> None:
    producer = await open_producer(settings, acks="all")
    try:
        for key, value in records:
            await producer.send_and_wait(settings.topics.notifications, value, key, partition=0)
    except KafkaError as error:
        raise in_words(settings, error, "Write") from error
    finally:
        await close_client(producer)
