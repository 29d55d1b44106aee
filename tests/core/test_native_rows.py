"""Encoded rows are the record batches that aiokafka's own builder makes, byte for byte, and its reader reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

native = pytest.importorskip("stepwatch.streams._native", reason="not built: python streams/native/build_hook.py")

THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
HEADER_BYTES = 61
Pair = tuple[bytes | None, bytes | None]
PARTS = st.one_of(st.none(), st.binary(max_size=9), st.integers(60, 70).map(bytes), st.integers(8180, 8200).map(bytes))
PAIRS = st.lists(st.tuples(PARTS, PARTS), min_size=1, max_size=200)


def rows_of(pairs: Sequence[Pair], batch_bytes: int = 1 << 20) -> Any:
    """Rows of these records."""
    rows = native.Rows(batch_bytes)
    rows.extend(pairs)
    return rows


def built_by_aiokafka(
    pairs: Sequence[Pair], batch_bytes: int, who: tuple[int, int, int], transactional: bool, timestamp_ms: int
) -> list[bytes]:
    """The same records in batches of aiokafka."""

    def new() -> Any:
        # Its compiled builder leaves the last byte of a batch unused.
        return DefaultRecordBatchBuilder(2, 0, int(transactional), *who, batch_bytes + 1)

    builders = [new()]
    count = 0
    for key, value in pairs:
        if builders[-1].append(count, timestamp_ms, key, value, []) is None:
            builders.append(new())
            count = 0
            assert builders[-1].append(count, timestamp_ms, key, value, []) is not None
        count += 1
    return [bytes(builder.build()) for builder in builders]


@THOROUGH
@given(
    PAIRS,
    st.sampled_from([0, 61, 75, 200, 8_300, 20_000, 1 << 20]),
    st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(-1, 2**31 - 1)),
    st.booleans(),
    st.integers(0, 2**62),
)
def test_batches_are_those_of_aiokafka_byte_for_byte(
    pairs: list[Pair], batch_bytes: int, who: tuple[int, int, int], transactional: bool, timestamp_ms: int
) -> None:
    rows = rows_of(pairs, batch_bytes)
    batches = rows.batches()
    built = [batch.build(*who, transactional, timestamp_ms) for batch in batches]
    assert built == built_by_aiokafka(pairs, batch_bytes, who, transactional, timestamp_ms)
    assert [batch.size() for batch in batches] == [len(batch) for batch in built]
    assert sum(batch.record_count() for batch in batches) == len(pairs) == len(rows)
    assert list(rows) == pairs


def test_a_batch_is_read_by_aiokafka() -> None:
    pairs: list[Pair] = [(b"k", b"v"), (None, b"x" * 300), (b"", None)]
    (batch,) = rows_of(pairs).batches()
    read = DefaultRecordBatch(batch.build(7, 3, 11, True, 1_234))
    assert read.validate_crc()
    assert (read.producer_id, read.is_transactional, read.is_control_batch, read.next_offset) == (7, True, False, 3)
    assert (read.timestamp_type, read.first_timestamp, read.max_timestamp) == (0, 1_234, 1_234)
    assert [(record.key, record.value, record.offset) for record in read] == [(*pairs[at], at) for at in range(3)]


def test_a_batch_may_be_built_again_after_a_new_epoch() -> None:
    (batch,) = rows_of([(b"k", b"v")]).batches()
    first, other = batch.build(7, 0, 0, True, 5), batch.build(7, 1, 0, True, 5)
    assert first != other
    assert batch.build(7, 0, 0, True, 5) == first


@pytest.mark.parametrize(
    ("producer_id", "epoch", "sequence", "timestamp_ms"),
    [(2**63, 0, 0, 0), (0, 2**15, 0, 0), (0, 0, 2**31, 0), (0, 0, 0, 2**63)],
)
def test_a_number_that_the_format_does_not_hold_is_refused(
    producer_id: int, epoch: int, sequence: int, timestamp_ms: int
) -> None:
    (batch,) = rows_of([(b"k", b"v")]).batches()
    with pytest.raises(OverflowError):
        batch.build(producer_id, epoch, sequence, True, timestamp_ms)


def test_a_record_that_just_fits_stays_in_the_batch_and_one_byte_more_begins_another() -> None:
    # Length, attributes, two deltas, two lengths, count of headers: 7 bytes beside key and value.
    room = 2 * (7 + 2)
    for spare, batches in ((0, 1), (-1, 2)):
        rows = rows_of([(b"k", b"v"), (b"k", b"w")], HEADER_BYTES + room + spare)
        assert len(rows.batches()) == batches


def test_a_record_larger_than_a_batch_has_one_of_its_own() -> None:
    rows = rows_of([(b"a", b"1"), (b"b", b"2" * 1_000), (b"c", b"3")], 100)
    assert [batch.record_count() for batch in rows.batches()] == [1, 1, 1]


def test_what_is_appended_after_the_batches_were_taken_begins_a_new_one() -> None:
    rows = rows_of([(b"a", b"1")])
    assert len(rows.batches()) == 1
    assert len(rows.batches()) == 1
    rows.extend([(b"b", b"2")])
    assert list(rows) == [(b"a", b"1"), (b"b", b"2")]
    assert [batch.record_count() for batch in rows.batches()] == [1, 1]


def test_rows_of_nothing_make_no_batch() -> None:
    rows = native.Rows(100)
    assert (len(rows), list(rows), rows.batches()) == (0, [], [])


def test_what_is_no_pair_of_bytes_is_refused_and_what_came_before_it_stays() -> None:
    rows = native.Rows(100)
    for wrong in ((b"k", "text"), (b"k",), b"kv", 5):
        with pytest.raises((TypeError, ValueError)):
            rows.extend([(b"a", b"1"), wrong])
    assert list(rows) == [(b"a", b"1")] * 4
