"""The dead letters as they lie in Kafka: what is known of each, finding one, reading all (contract section 2)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_reader
from stepwatch.agents.reading import FETCH_BYTES, FETCH_MS, Record, partition_count, read_until, record_at
from stepwatch.agents.settings import Settings
from stepwatch.schemas.times import parse_time
from stepwatch.streams.effects import BUG, NAMED_ERRORS

_ID = re.compile(r"([0-9]{1,9})@([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    Attributes:
        partition, offset: where it lies in the dead-letters topic; together they are its id.
        said: the header `error` as it is: a name, or the field and what is wrong with it.
        field: the field that is wrong.
        topic, from_partition, from_offset: where the record came from; `""` and -1 where a header is garbled.
        time_us: the record's arrival.
        detail: what was raised, of a bug.
        key, value: the record's own bytes.
    """

    partition: int
    offset: int
    said: str
    field: str
    topic: str
    from_partition: int
    from_offset: int
    time_us: int
    detail: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def id(self) -> str:
        """How commands call it: partition@offset in the dead-letters topic."""
        return f"{self.partition}@{self.offset}"

    @property
    def error(self) -> str:
        """What it is to be found by: a name (`conflict`, `misrouted`, `bug`), or else the field that is wrong."""
        return self.said if self.said in NAMED_ERRORS else self.field

    @property
    def words(self) -> str:
        """What is wrong, without the field."""
        if self.said == BUG:
            return f"{BUG}: {self.detail}" if self.detail else BUG
        return self.said.removeprefix(f"{self.field}: ")

    @property
    def where(self) -> str:
        """Where the record came from."""
        return f"{self.topic}-{self.from_partition}@{self.from_offset}" if self.topic else "unknown"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are meant; what is None sets no condition.

    Attributes:
        error: a name or a field; `data` means every field in it too.
        topic: where they came from, with or without the prefix.
        since_us: the earliest arrival.
    """

    error: str | None = None
    topic: str | None = None
    since_us: int | None = None

    def holds(self, letter: Letter, prefix: str) -> bool:
        """Whether a letter is meant."""
        if self.error is not None and letter.error != self.error and not letter.error.startswith(self.error + "."):
            return False
        if self.topic is not None and letter.topic not in (self.topic, prefix + self.topic):
            return False
        return self.since_us is None or letter.time_us >= self.since_us


def parse_id(text: str) -> tuple[int, int] | None:
    """(partition, offset) of a letter's id; None where it is none."""
    found = _ID.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def letter_of(record: Record) -> Letter:
    """What a record of the topic says; no header that is missing or garbled is a reason to fail."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value is not None}
    time_us = parse_time(headers.get("time", ""))
    return Letter(
        partition=record.partition,
        offset=record.offset,
        said=headers.get("error", ""),
        field=headers.get("field", ""),
        topic=headers.get("topic", ""),
        from_partition=_number(headers.get("partition")),
        from_offset=_number(headers.get("offset")),
        time_us=record.timestamp * 1000 if time_us is None else time_us,
        detail=headers.get("detail", ""),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


class DeadLetters:
    """The topic, open for reading; an async context.

    Attributes:
        partitions: how many it has, and so how many each input has.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.partitions = 0
        self._tps: list[TopicPartition] = []

    async def __aenter__(self) -> DeadLetters:
        """Open it.

        Raises:
            KafkaAway, KafkaRefused, TopicsWrong: in words.
        """
        topic = self._settings.topics.dead_letters
        self.partitions = await partition_count(self._settings, topic)
        self._tps = [TopicPartition(topic, number) for number in range(self.partitions)]
        self._reader = await open_reader(
            self._settings, self._tps, max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=FETCH_MS
        )
        return self

    async def __aexit__(self, *raised: object) -> None:
        await close_client(self._reader)

    async def find(self, partition: int, offset: int) -> Letter | None:
        """The letter of an id; None where there is none, or none any more."""
        if partition >= self.partitions:
            return None
        try:
            record = await record_at(self._reader, self._tps[partition], offset)
        except KafkaError as error:
            raise in_words(self._settings, error, "Read") from error
        return None if record is None else letter_of(record)

    async def newest(self, most: int) -> list[Letter]:
        """The newest letters by arrival, at most so many of each partition, however many there are."""
        found: list[Letter] = []
        try:
            begins = await self._reader.beginning_offsets(self._tps)
            ends = await self._reader.end_offsets(self._tps)
            for tp in self._tps:
                self._reader.seek(tp, max(begins[tp], ends[tp] - most))
                async for records in read_until(self._reader, tp, ends[tp]):
                    found += map(letter_of, records)
        except KafkaError as error:
            raise in_words(self._settings, error, "Read") from error
        return sorted(found, key=lambda letter: letter.time_us, reverse=True)

    async def all(self, wanted: Callable[[Letter], bool]) -> AsyncIterator[Letter]:
        """Every letter that is wanted and was there when this was called, partition after partition."""
        try:
            ends = await self._reader.end_offsets(self._tps)
            for tp in self._tps:
                await self._reader.seek_to_beginning(tp)
                async for records in read_until(self._reader, tp, ends[tp]):
                    for letter in map(letter_of, records):
                        if wanted(letter):
                            yield letter
        except KafkaError as error:
            raise in_words(self._settings, error, "Read") from error


def _number(text: str | None) -> int:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else -1
