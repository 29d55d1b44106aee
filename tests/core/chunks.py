"""Records as the broker would send them: for what is read natively, and for the tests of both ways of reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from stepwatch.streams.native import native

_BATCH_BYTES = 1 << 20


def record_set(records: Sequence[Any]) -> bytes:
    """Records with their offsets and times as one record batch of Kafka's log.

    Args:
        records: at least one, with `offset`, `timestamp`, `key`, `value` and `headers`, by their offsets.
    """
    first = records[0].offset
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=_BATCH_BYTES
    )
    for record in records:
        headers = list(record.headers)
        added = builder.append(
            record.offset - first, record.timestamp, key=record.key, value=record.value, headers=headers
        )
        assert added is not None, "the records do not fit into one batch"
    # The first 8 bytes are the broker's to fill in; no checksum covers them.
    return first.to_bytes(8) + bytes(builder.build())[8:]


def as_chunk(records: Sequence[Any]) -> Any:
    """The same records as one chunk of the native core."""
    data = b"".join(record_set([record]) for record in records)
    chunks, _ = native.read_chunks(data, records[0].offset, [], len(records), _refuse)
    assert len(chunks) == 1
    return chunks[0]


def _refuse(codec: int, body: bytes) -> bytes:
    raise AssertionError(f"nothing here is compressed, and not by {codec}")
