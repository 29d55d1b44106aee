"""The native chunks of a fetch answer hold the records that aiokafka reads of it; hostile bytes are refused."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from aiokafka.codec import gzip_decode
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

native = pytest.importorskip("stepwatch.streams._native", reason="not built: python streams/native/build_hook.py")

THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
ABORT, COMMIT = struct.pack(">hh", 0, 0), struct.pack(">hh", 0, 1)
BASE_AT, LENGTH_AT, CRC_AT, ATTRIBUTES_AT, LAST_DELTA_AT, FIRST_TIME_AT, MAX_TIME_AT = 0, 8, 17, 21, 23, 27, 35
Header = tuple[str, bytes | None]
Read = tuple[list[tuple[Any, ...]], int]


class Sent(NamedTuple):
    """One record; `gap` offsets before it were compacted away."""

    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: Sequence[Header] = ()
    timestamp: int = 1_000
    gap: int = 0


class Spec(NamedTuple):
    """One record batch; `end` offsets behind its records were compacted away."""

    records: Sequence[Sent] = (Sent(),)
    producer_id: int = -1
    attributes: int = 0
    codec: int = 0
    end: int = 0


def sealed(batch: bytes) -> bytes:
    """The batch with the CRC that it should have."""
    return batch[:CRC_AT] + struct.pack(">I", calc_crc32c(bytes(batch[ATTRIBUTES_AT:]))) + batch[ATTRIBUTES_AT:]


def put(batch: bytes, at: int, form: str, *values: int) -> bytes:
    """The batch with a field of its header written over."""
    field = struct.pack(form, *values)
    return batch[:at] + field + batch[at + len(field) :]


def encode(spec: Spec, base: int) -> tuple[bytes, int]:
    """The batch at an offset, and the offset behind it."""
    builder = DefaultRecordBatchBuilder(2, spec.codec, 0, spec.producer_id, 0, 0, 1 << 30)
    delta = -1
    for sent in spec.records:
        delta += 1 + sent.gap
        builder.append(delta, sent.timestamp, sent.key, sent.value, list(sent.headers))
    delta += spec.end
    batch = put(bytes(builder.build()), BASE_AT, ">q", base)
    (attributes,) = struct.unpack_from(">h", batch, ATTRIBUTES_AT)
    batch = put(put(batch, ATTRIBUTES_AT, ">h", attributes | spec.attributes), LAST_DELTA_AT, ">i", delta)
    return sealed(batch), base + delta + 1


def encode_all(specs: Sequence[Spec], base: int = 0) -> bytes:
    """Batches one behind the other."""
    data = b""
    for spec in specs:
        batch, base = encode(spec, base)
        data += batch
    return data


def gzip_only(codec: int, body: bytes) -> bytes:
    """What the tests compress with."""
    if codec != 1:
        raise ValueError(f"codec {codec}")
    try:
        return bytes(gzip_decode(body))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from None


def read(data: bytes, offset: int = 0, aborted: Sequence[tuple[int, int]] = (), max_records: int = 3) -> Read:
    """What the native core reads: fields of each record, and the next offset."""
    chunks, next_offset = native.read_chunks(data, offset, list(aborted), max_records, gzip_only)
    assert all(len(chunk) == max_records for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= max_records for chunk in chunks)
    if chunks:
        assert chunks[-1].next_offset == next_offset
    return [fields(record) for chunk in chunks for record in chunk], next_offset


def expected(data: bytes, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> Read:
    """The same by aiokafka."""
    partition = PartitionRecords(
        TopicPartition("t", 0), MemoryRecords(data), list(aborted), offset, None, None, True, READ_COMMITTED
    )
    return [fields(record) for record in partition], partition.next_fetch_offset


def fields(record: Any) -> tuple[Any, ...]:
    """What a record says."""
    return record.offset, record.timestamp, record.key, record.value, record.headers


SENT = st.builds(
    Sent,
    st.one_of(st.none(), st.binary(max_size=6)),
    st.one_of(st.none(), st.binary(max_size=6), st.just(b"x" * 300)),
    st.lists(st.tuples(st.text(max_size=3), st.one_of(st.none(), st.binary(max_size=3))), max_size=2),
    st.sampled_from([0, 1, 1_000, 999, 1_795_510_800_000]),
    st.sampled_from([0, 0, 0, 1, 5]),
)
CONTROLS = [
    Spec([Sent(marker, b"\0" * 6)], producer, TRANSACTIONAL | CONTROL)
    for marker in (ABORT, COMMIT)
    for producer in (1, 2)
]
SPEC = st.one_of(
    st.builds(
        Spec,
        st.lists(SENT, min_size=1, max_size=5),
        st.sampled_from([-1, 1, 2]),
        st.sampled_from([0, LOG_APPEND_TIME, TRANSACTIONAL, TRANSACTIONAL, TRANSACTIONAL | LOG_APPEND_TIME]),
        st.sampled_from([0, 0, 1]),
        st.sampled_from([0, 0, 3]),
    ),
    st.sampled_from(CONTROLS),
)
SPECS = st.lists(SPEC, max_size=6)
ABORTED = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, 40)), max_size=4)


@THOROUGH
@given(SPECS, st.integers(0, 30), ABORTED, st.integers(1, 6), st.integers(0, 200))
def test_chunks_hold_the_records_that_aiokafka_reads(
    specs: list[Spec], offset: int, aborted: list[tuple[int, int]], max_records: int, cut: int
) -> None:
    data = encode_all(specs, 7)
    data = data[: len(data) - cut]
    found = read(data, offset, aborted, max_records)
    event(f"records: {min(len(found[0]), 9)}")
    assert found == expected(data, offset, aborted)


@THOROUGH
@given(SPECS.filter(len), ABORTED, st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(
    specs: list[Spec], aborted: list[tuple[int, int]], data: st.DataObject
) -> None:
    answer = bytearray(encode_all(specs))
    answer[data.draw(st.integers(0, len(answer) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = read(bytes(answer), 0, aborted)
    except ValueError:
        event("refused")
        return
    event("read")
    assert found == expected(bytes(answer), 0, aborted)


@THOROUGH
@given(SPEC, st.data())
def test_nonsense_under_a_right_crc_is_refused_or_read_as_aiokafka_reads_it(spec: Spec, data: st.DataObject) -> None:
    batch = bytearray(encode(spec, 7)[0])
    for _ in range(data.draw(st.integers(1, 3))):
        batch[data.draw(st.integers(ATTRIBUTES_AT, len(batch) - 1))] = data.draw(st.integers(0, 255))
    answer = sealed(bytes(batch))
    try:
        found = read(answer)
    except ValueError:
        event("refused")
        return
    event("read")
    try:
        wanted = expected(answer)
    except UnicodeDecodeError:
        event("read, where aiokafka fails on the name of a header")
        return
    assert found == wanted


@THOROUGH
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(lambda a, b: a + b"\2" + b, st.binary(min_size=16, max_size=16), st.binary(min_size=44, max_size=90)),
    )
)
def test_no_bytes_bring_the_reader_down(answer: bytes) -> None:
    if len(answer) > 60:
        answer = sealed(put(answer, LENGTH_AT, ">i", len(answer) - 12))
    try:
        read(answer)
    except ValueError:
        return
    with contextlib.suppress(UnicodeDecodeError):  # aiokafka fails on the name of a header that is no text
        assert read(answer) == expected(answer)


# what is refused, in words


def refusal(answer: bytes) -> str:
    """What the error says."""
    try:
        read(answer)
    except ValueError as error:
        return str(error)
    raise AssertionError("it was read")


def test_a_damaged_batch_is_named_by_its_offset() -> None:
    first, next_offset = encode(Spec(), 40)
    second, _ = encode(Spec(), next_offset)
    assert "the batch at offset 41 is damaged" in refusal(first + second[:-1] + b"\xff")


@pytest.mark.parametrize("magic", [0, 1, 3, 127, 255])
def test_another_format_than_2_is_refused(magic: int) -> None:
    batch, _ = encode(Spec(), 40)
    assert f"offset 40 has format {magic}, expected 2" in refusal(batch[:16] + bytes([magic]) + batch[17:])


@pytest.mark.parametrize("length", [-1, -(2**31), 0, 4, 5, 48])
def test_a_batch_shorter_than_its_header_is_refused(length: int) -> None:
    batch, _ = encode(Spec(), 40)
    assert "the batch at offset 40" in refusal(put(batch, LENGTH_AT, ">i", length))


def test_bytes_behind_the_last_record_are_refused() -> None:
    batch, _ = encode(Spec([Sent(), Sent()]), 40)
    assert "bytes behind its records" in refusal(sealed(put(batch, 57, ">i", 1)))
    with pytest.raises(KafkaError):
        expected(sealed(put(batch, 57, ">i", 1)))


def test_a_record_missing_at_the_end_is_refused() -> None:
    batch, _ = encode(Spec(), 40)
    assert "in the batch at offset 40 a record is malformed" in refusal(sealed(put(batch, 57, ">i", 2)))


def test_offsets_and_times_beyond_64_bits_are_refused() -> None:
    batch, _ = encode(Spec([Sent(), Sent()]), 40)
    assert "beyond" in refusal(put(batch, BASE_AT, ">q", 2**63 - 1))
    late, _ = encode(Spec([Sent(), Sent(timestamp=1_001)]), 40)
    assert "beyond" in refusal(sealed(put(late, FIRST_TIME_AT, ">q", 2**63 - 1)))


def test_a_control_batch_without_a_marker_is_refused() -> None:
    for key in (None, b"\0\0\0"):
        batch, _ = encode(Spec([Sent(key)], 1, TRANSACTIONAL | CONTROL), 40)
        assert "control batch at offset 40" in refusal(batch)
    empty = sealed(put(encode(CONTROLS[0], 40)[0], 57, ">i", 0))
    assert "control batch at offset 40 has no record" in refusal(empty)


def test_a_chunk_of_no_records_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="max_records"):
        native.read_chunks(b"", 0, [], 0, gzip_only)


# transactions


def test_an_aborted_transaction_is_left_out_and_the_next_one_of_its_producer_is_not() -> None:
    abort, commit = CONTROLS[0], CONTROLS[2]
    one, other = Spec([Sent(value=b"gone")], 1, TRANSACTIONAL), Spec([Sent(value=b"other")], 2, TRANSACTIONAL)
    kept = Spec([Sent(value=b"kept")], 1, TRANSACTIONAL)
    data = encode_all([one, other, one, abort, kept, commit])
    records, next_offset = read(data, 0, [(1, 0)])
    assert [value for *_, value, _ in records] == [b"other", b"kept"]
    assert next_offset == 6
    assert (records, next_offset) == expected(data, 0, [(1, 0)])


def test_the_next_offset_counts_what_is_not_given() -> None:
    data = encode_all([Spec([Sent(gap=2)], end=4), CONTROLS[2]])
    assert read(data) == expected(data)
    assert read(data)[1] == 8
    chunks, _ = native.read_chunks(data, 0, [], 9, gzip_only)
    assert [chunk.next_offset for chunk in chunks] == [8]
    assert native.read_chunks(encode_all([CONTROLS[2]]), 0, [], 9, gzip_only) == ([], 1)


def test_a_chunk_that_is_full_ends_where_the_next_one_begins() -> None:
    data = encode_all([Spec([Sent(), Sent(gap=3)], end=2), CONTROLS[2], Spec([Sent(), Sent()])])
    chunks, next_offset = native.read_chunks(data, 0, [], 2, gzip_only)
    assert [[record.offset for record in chunk] for chunk in chunks] == [[0, 4], [8, 9]]
    assert [chunk.next_offset for chunk in chunks] == [8, 10]
    assert next_offset == 10


# codecs


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 6, 7])
def test_the_codec_of_a_batch_is_asked_for_by_its_number(codec: int) -> None:
    plain, _ = encode(Spec([Sent(value=b"inside")]), 40)
    packed = sealed(put(plain[:61] + b"packed", ATTRIBUTES_AT, ">h", codec))
    packed = put(packed, LENGTH_AT, ">i", len(packed) - 12)
    asked: list[tuple[int, bytes]] = []

    def decompress(number: int, body: bytes) -> bytes:
        asked.append((number, body))
        return plain[61:]

    chunks, _ = native.read_chunks(packed + encode(Spec(), 41)[0], 0, [], 9, decompress)
    assert asked == [(codec, b"packed")]
    assert [record.value for record in chunks[0]] == [b"inside", b"v"]


def test_what_decompressing_raises_is_raised() -> None:
    packed, _ = encode(Spec([Sent(value=b"x" * 300)], codec=1), 0)

    def fails(number: int, body: bytes) -> bytes:
        raise RuntimeError("no such codec")

    with pytest.raises(RuntimeError, match="no such codec"):
        native.read_chunks(packed, 0, [], 9, fails)
    with pytest.raises(TypeError, match="expected bytes of decompress"):
        native.read_chunks(packed, 0, [], 9, lambda codec, body: "text")
    with pytest.raises(ValueError, match="malformed"):
        native.read_chunks(packed, 0, [], 9, lambda codec, body: b"")


# a chunk is a sequence


def chunk_of(count: int) -> Any:
    """Records of the offsets 0, 2, 4, ..."""
    specs = [
        Spec([Sent(f"k{at}".encode(), None, [("h", None), ("é", b"1")], at, gap=int(at > 0))]) for at in range(count)
    ]
    return native.read_chunks(encode_all(specs), 0, [], 100, gzip_only)[0][0]


def test_a_chunk_is_read_by_index_slice_and_in_order() -> None:
    chunk = chunk_of(9)
    listed = list(chunk)
    assert len(chunk) == 9
    assert [record.offset for record in listed] == [2 * at for at in range(9)]
    assert fields(listed[3]) == (6, 3, b"k3", None, (("h", None), ("é", b"1")))
    assert [fields(chunk[at]) for at in (0, 8, -1, -9)] == [fields(listed[at]) for at in (0, 8, -1, -9)]
    for part in (slice(None), slice(2, 5), slice(-3, None), slice(None, None, -2), slice(7, 2, -3), slice(5, 2)):
        assert [record.offset for record in chunk[part]] == [record.offset for record in listed[part]]
    assert [record.offset for record in reversed(chunk)] == [record.offset for record in reversed(listed)]
    for beyond in (9, -10, 10**30):
        with pytest.raises((IndexError, OverflowError)):
            chunk[beyond]
    with pytest.raises(TypeError):
        chunk["0"]


def test_a_chunk_is_a_sequence_to_whoever_asks() -> None:
    from collections.abc import Sequence as AnySequence

    chunk = chunk_of(3)
    assert isinstance(chunk, AnySequence)
    assert chunk.count(None) == 0
    with pytest.raises(ValueError, match=r"^$"):
        chunk.index(None)


def test_the_index_of_an_offset_is_that_of_the_first_record_not_below_it() -> None:
    chunk = chunk_of(3)
    assert [chunk.index_of(offset) for offset in (-1, 0, 1, 2, 3, 4, 5, 2**62)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_chunk_outlives_the_answer_that_it_was_read_from() -> None:
    data = bytearray(encode_all([Spec([Sent(value=b"x" * 300)], codec=1), Spec([Sent(value=b"y" * 300)])]))
    chunks, _ = native.read_chunks(bytes(data), 0, [], 1, gzip_only)
    del data
    assert [record.value[:1] for chunk in chunks for record in chunk] == [b"x", b"y"]
