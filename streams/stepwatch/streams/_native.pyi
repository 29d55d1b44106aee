"""The native batch core: record sets of Kafka in, audit rows of plain actions out. Built from `streams/native`.

It is there to save time and decides nothing of its own. A *plain action* is an action event that no policy matches and
that is no `policy_gap`; all that follows from one is its audit row. The core reads plain actions that are right at
first sight, and leaves every other record to the Python core, in its order. Its rows are those of `rows.plain_row`,
byte for byte.

    chunks, next_offset = read_chunks(data, position, aborted, 4000, decompress)
    at, log_time_us = plain_actions.read(chunks[0], 0, log_time_us, rest, rows)
    # chunks[0][at] is none: Python reads it, and `read` goes on from at + 1
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import final, overload

EVENT_BYTES_MAX: int
"""As `topics.EVENT_BYTES_MAX`, of which it is a copy: a larger record is left to Python."""
EVENT_DEPTH_MAX: int
"""As `limits.EVENT_DEPTH_MAX`: an event with more objects and arrays in all is left to Python."""
AHEAD_MAX_US: int
"""As `limits.AHEAD_MAX_US`: an event further ahead of its arrival is left to Python."""

@final
class Record:
    """One record of an input, copied out of its chunk: what `reading.InputRecord` asks for."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""
    @property
    def timestamp(self) -> int:
        """Its append time, milliseconds since 1970."""
    @property
    def key(self) -> bytes | None:
        """Its key."""
    @property
    def value(self) -> bytes | None:
        """Its value; None: a tombstone."""
    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """Its headers in their order."""

@final
class Chunk(Sequence[Record]):
    """Records of one partition in the order of their offsets.

    It holds on to the bytes of the fetch answer that it was read from; a `Record` is made each time one is asked for.
    """

    @property
    def next_offset(self) -> int:
        """Where reading goes on behind it: control batches and what was compacted away are behind it too."""
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __iter__(self) -> Iterator[Record]: ...
    def index_of(self, offset: int) -> int:
        """The index of the first record with at least that offset; `len(chunk)` where there is none."""

def read_chunks(
    data: bytes,
    fetch_offset: int,
    aborted: list[tuple[int, int]],
    max_records: int,
    decompress: Callable[[int, bytes], bytes],
) -> tuple[list[Chunk], int]:
    """The committed records of one partition in a fetch answer, by the rules of aiokafka's `PartitionRecords`.

    A last batch that the answer cuts off is left out, as are records below `fetch_offset`.

    Args:
        data: record batches of version 2, one behind the other.
        fetch_offset: that was asked for.
        aborted: (producer id, first offset) of the aborted transactions that the answer names, in any order.
        max_records: of one chunk, at least 1.
        decompress: called with a codec (1 gzip, 2 snappy, 3 lz4, 4 zstd; a later one as it is) and the body of a batch
            that it compresses; what it raises is raised.

    Returns:
        The chunks, none of them empty, and the offset to fetch from next.

    Raises:
        ValueError: a batch is damaged (its CRC-32C differs), of another format, or malformed; the message names its
            offset. Nothing of the answer is returned then.
    """

def canonical(value: bytes) -> bytes | None:
    """An event as `decode.canonical_text` writes it, byte for byte; None: that has to.

    That is where a string is escaped, a number is a fraction, `-0` or long, something nests deep, or the value is no
    JSON object.
    """

@final
class EncodedBatch:
    """Records as they go into a record batch of version 2, uncompressed, without its header."""

    def record_count(self) -> int:
        """How many records it holds, at least 1."""
    def size(self) -> int:
        """Bytes of the batch, its header included."""
    def build(
        self, producer_id: int, producer_epoch: int, base_sequence: int, transactional: bool, timestamp_ms: int
    ) -> bytes:
        """The whole batch with its CRC. It may be built again with other values, as after a new epoch.

        Args:
            producer_id, producer_epoch, base_sequence: of the producer; -1 each where it is not idempotent.
            transactional: it belongs to the producer's open transaction.
            timestamp_ms: create time of every record, milliseconds since 1970.

        Raises:
            OverflowError: a number is beyond the bits that the format has for it.
        """

@final
class Rows:
    """Output records, encoded into record batches as they come.

    Args:
        batch_bytes: the most bytes of one batch, header included. A record never splits: one that is larger has a batch
            of its own.
    """

    def __init__(self, batch_bytes: int) -> None: ...
    def __len__(self) -> int:
        """Records, in whatever batch."""
    def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Key and value of every record so far, decoded again: for tests and tools."""
    def extend(self, pairs: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Append records of key and value.

        Raises:
            ValueError: one is of 2 GiB or more; those before it are appended.
        """
    def batches(self) -> list[EncodedBatch]:
        """Every batch so far, in order; what is appended later begins a new one."""

@final
class PlainActions:
    """Reads the plain actions of one partition. It leaves everything to Python until `use` is called.

    Args:
        partition: its number.
        partitions: how many there are; a record whose subject belongs to another one is left to Python.

    Raises:
        ValueError: there is no such partition.
    """

    def __init__(self, partition: int, partitions: int) -> None: ...
    def use(
        self,
        from_us: int,
        until_us: int,
        may_concern: Callable[[str, str, str, str], bool],
        canonical: Callable[[str, str], str] | None,
    ) -> None:
        """Read by this policy set from now on. Answers of its callbacks are kept, 65,536 of each.

        Args:
            from_us, until_us: the event times at which it is in force, the second not included; other events are left
                to Python.
            may_concern: (tenant, action, resource type, sensitivity, each `""` where it is missing) -> whether some
                policy could match; it must not depend on anything else.
            canonical: (tenant, subject) -> the canonical subject; None where the set has no alias.
        """
    def remember(self, tenant: str, subject: str, source: str, id: str) -> None:
        """An action of this key (canonical subject) is kept: a record with it may be a copy, and is left to Python.

        Several times the same counts several times.
        """
    def forget(self, tenant: str, subject: str, source: str, id: str) -> None:
        """Take one `remember` of the same key back. Only what was remembered may be forgotten."""
    def line(self, text: bytes) -> tuple[str, str, str, str, int] | None:
        """The plain action of a line of a file, whatever partition its subject belongs to.

        Args:
            text: one line, without spaces around it.

        Returns:
            (tenant, canonical subject, source, id, arrival in microseconds); None: not clearly a plain action.

        Raises:
            Exception: a callback raised it.
        """
    def read(self, chunk: Chunk, start: int, log_time_us: int, rest: bytes, rows: Rows) -> tuple[int, int]:
        """Read plain actions, and append the key and the audit row of each to `rows`.

        Args:
            chunk: of input `actions`.
            start: index of the first record to be read, 0 to `len(chunk)`.
            log_time_us: of the input before that record; -1 before the first record of all.
            rest: the end of every row (`rows.plain_rest`).
            rows: that are appended to.

        Returns:
            The index of the first record that is no plain action, or `len(chunk)`; and the log time after those before
            it.

        Raises:
            IndexError: `start` is beyond the chunk.
            ValueError: `rest` is no end of a row.
            Exception: a callback raised it; the rows of the records before are appended.
        """
