"""Record sets handed on whole: what a broker sent for one partition as chunks, instead of an object for each record.

aiokafka makes a ConsumerRecord of each record at 2 us; the native core reads the bytes as they came. Two of its names
are replaced, for consumers that ask for it by their `value_deserializer`; all others are served as before
(tests/shell holds these private names).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import aiokafka.codec
import aiokafka.consumer.fetcher as fetcher
from aiokafka.errors import CorruptRecordException

from stepwatch.streams.native import is_built, is_chunk, native

_MemoryRecords: Any = fetcher.MemoryRecords
_PartitionRecords = fetcher.PartitionRecords
_DECODERS = {
    1: aiokafka.codec.gzip_decode,
    2: aiokafka.codec.snappy_decode,
    3: aiokafka.codec.lz4_decode,
    4: aiokafka.codec.zstd_decode,
}


class Whole:
    """Stands in the place of a consumer's value deserializer: hand on chunks.

    Args:
        records_max: of one chunk.
    """

    def __init__(self, records_max: int) -> None:
        self.records_max = records_max

    def __call__(self, value: bytes) -> bytes:
        """What it would be as a deserializer: the value as it is."""
        return value


class _KeptRecords(_MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's reader of a record set, which keeps the bytes that it reads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _Chunks:
    """In the place of aiokafka's PartitionRecords: an iterator of chunks that says from where to fetch on."""

    def __init__(self, tp: Any, data: bytes, aborted: Sequence[tuple[int, int]], offset: int, records_max: int) -> None:
        self.next_fetch_offset = offset
        self._chunks: Sequence[Any] = ()
        self._end = offset
        self._next = 0
        self._failure: CorruptRecordException | None = None
        try:
            self._chunks, self._end = native.read_chunks(data, offset, list(aborted), records_max, _decompress)
        except Exception as error:
            # Raised where it is made, it would end aiokafka's fetching without a word to anybody.
            self._failure = CorruptRecordException(f"{tp.topic}-{tp.partition}@{offset}: {error}")
            self._failure.__cause__ = error

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> Any:
        if self._failure is not None:
            raise self._failure
        if self._next == len(self._chunks):
            self.next_fetch_offset = self._end
            raise StopIteration
        chunk = self._chunks[self._next]
        self._next += 1
        self.next_fetch_offset = chunk.next_offset
        return chunk


def whole(records_max: int) -> Whole | None:
    """The `value_deserializer` of a consumer that hands on chunks of so many records; None without the native core."""
    if not is_built:
        return None
    fetcher.MemoryRecords = _KeptRecords
    fetcher.PartitionRecords = _partition_records
    return Whole(records_max)


def records_of(items: Sequence[Any]) -> Iterable[Any]:
    """The records of all that a consumer handed on, be they records or chunks."""
    return chain.from_iterable(items) if items and is_chunk(items[0]) else items


def batch_of(items: Sequence[Any]) -> Sequence[Any]:
    """The records of what a consumer handed on: of a chunk, of which one is to be asked for at a time, its own."""
    if not is_chunk(items[0]):
        return items
    chunk: Sequence[Any]
    (chunk,) = items
    return chunk


def _partition_records(
    tp: Any, records: Any, aborted: Any, offset: int, key_with: Any, value_with: Any, check_crcs: bool, isolation: int
) -> Any:
    if isinstance(value_with, Whole):
        return _Chunks(tp, records.data, aborted or (), offset, value_with.records_max)
    return _PartitionRecords(tp, records, aborted, offset, key_with, value_with, check_crcs, isolation)


def _decompress(codec: int, body: bytes) -> bytes:
    return bytes(_DECODERS[codec](body))
