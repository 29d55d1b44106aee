"""Record sets handed on whole: what cannot be read is said where a reader hears it."""

from __future__ import annotations

import gzip
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

from stepwatch.agents.whole import batch_of, records_of, whole
from stepwatch.streams.native import is_built
from tests.core.chunks import record_set

pytestmark = pytest.mark.skipif(
    not is_built, reason="the native core is not built: cargo was missing when Stepwatch was installed"
)
TP = TopicPartition("t.actions", 3)


class Record(NamedTuple):
    offset: int
    timestamp: int = 1_000
    key: bytes | None = b"default/alice"
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes | None], ...] = ()


def handed_on(data: bytes, offset: int = 7) -> Any:
    """What aiokafka's fetcher makes of a record set for a consumer that asks for chunks."""
    from aiokafka.consumer import fetcher

    reads_whole = whole(2)
    return fetcher.PartitionRecords(TP, fetcher.MemoryRecords(data), [], offset, None, reads_whole, True, 1)


def test_chunks_say_from_where_to_fetch_on_after_each() -> None:
    chunks = handed_on(record_set([Record(7), Record(8), Record(9)]))
    assert chunks.next_fetch_offset == 7
    first = next(chunks)
    assert [record.offset for record in batch_of([first])] == [7, 8]
    assert chunks.next_fetch_offset == 9
    assert [record.offset for record in records_of(list(chunks))] == [9]
    assert chunks.next_fetch_offset == 10


def test_a_consumer_that_does_not_ask_for_chunks_gets_records() -> None:
    from aiokafka.consumer import fetcher

    whole(2)
    data = record_set([Record(7)])
    records = fetcher.PartitionRecords(TP, fetcher.MemoryRecords(data), [], 7, None, None, True, 1)
    assert [(record.offset, record.value) for record in records] == [(7, b"{}")]


def damaged() -> bytes:
    data = bytearray(record_set([Record(7)]))
    data[-3] ^= 1
    return bytes(data)


def badly_compressed() -> bytes:
    """A batch that says it is gzip, under a right checksum, and is cut off."""
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        2, 1, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1000
    )
    builder.append(0, 1, key=None, value=b"x" * 500, headers=[])
    data = bytearray(builder.build())
    assert gzip.decompress(data[61:])
    data[61:65] = b"no\0\0"
    from aiokafka.record.util import calc_crc32c_py

    data[17:21] = calc_crc32c_py(bytes(data[21:])).to_bytes(4)
    data[:8] = (7).to_bytes(8)
    return bytes(data)


@pytest.mark.parametrize("data", [damaged, badly_compressed])
def test_what_cannot_be_read_is_raised_to_the_reader_and_not_to_the_fetcher(data: Any) -> None:
    # An exception where they are made would end aiokafka's fetching, and nobody would be told.
    chunks = handed_on(data())
    assert chunks.next_fetch_offset == 7
    with pytest.raises(CorruptRecordException, match=r"t\.actions-3@7: "):
        next(chunks)


def test_a_header_whose_name_is_no_text_does_not_hide_the_record() -> None:
    data = bytearray(record_set([Record(7, headers=(("name", b"v"),))]))
    at = data.index(b"name")
    data[at : at + 2] = b"\xff\xfe"
    from aiokafka.record.util import calc_crc32c_py

    data[17:21] = calc_crc32c_py(bytes(data[21:])).to_bytes(4)
    (record,) = batch_of([next(handed_on(bytes(data)))])
    assert (record.value, record.headers) == (b"{}", (("\ufffd\ufffdme", b"v"),))
