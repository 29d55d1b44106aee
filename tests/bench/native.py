"""What the native core costs: nanoseconds a record, from the bytes of a fetch answer to the bytes of a produce request.

    python -m tests.bench.native [events]

The records are the benchmark's actions (`data.py`), in record batches as a producer's linger makes them. `mixed` holds
the policed ones too: at each of these reading stops, and begins again behind it. On a busy machine every figure grows,
so the cost of decoding the same events by msgspec, in C, is measured in turn with it: compare with that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from stepwatch.schemas.compiled import decode_data, decode_envelope
from stepwatch.schemas.keys import subject_key
from stepwatch.streams.decode import ACTION
from stepwatch.streams.rows import plain_rest
from stepwatch.streams.sets import PolicySet, build_set
from tests.bench.data import POLICY, TENANT, events, subject_of

BATCH_RECORDS = 300
OUT_BATCH_BYTES = 900_000
FETCH_BYTES = 1_000_000
BEGIN_US = 1_795_511_702_000_000
ROUNDS = 7
REFERENCE = "(msgspec: decode envelope and data)"
Pair = tuple[bytes | None, bytes | None]
Fetch = tuple[int, bytes]
"""The offset that was asked for, and the record set that came."""


def record_batch(base_offset: int, timestamp_ms: int, pairs: Sequence[Pair]) -> bytes:
    """One record batch as a broker stores it, of records with key and value."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
    for delta, (key, value) in enumerate(pairs):
        builder.append(delta, timestamp_ms, key, value, [])
    # The base offset is not under the CRC: the broker writes it.
    return base_offset.to_bytes(8, "big") + bytes(builder.build())[8:]


def is_plain(body: bytes) -> bool:
    """Whether no policy of the benchmark matches the action."""
    return b'"sensitivity":"critical"' not in body


def actions(count: int, *, mixed: bool) -> list[Pair]:
    """The records of input `actions` among the first `count` events, with their keys."""
    return [
        (subject_key(TENANT, subject_of(sent.who)), sent.body)
        for sent in events(count, BEGIN_US)
        if sent.family == ACTION and (mixed or is_plain(sent.body))
    ]


def fetches(pairs: Sequence[Pair]) -> list[Fetch]:
    """The records as fetch answers of about a megabyte; all come a minute after the last event."""
    now_ms = BEGIN_US // 1000 + len(pairs) + 60_000
    found: list[Fetch] = []
    start, data = 0, b""
    for at in range(0, len(pairs), BATCH_RECORDS):
        data += record_batch(at, now_ms, pairs[at : at + BATCH_RECORDS])
        if len(data) >= FETCH_BYTES:
            found.append((start, data))
            start, data = at + BATCH_RECORDS, b""
    return [*found, (start, data)] if data else found


def plain_actions(native: Any, policy_set: PolicySet) -> Any:
    """The native reader under the benchmark's policies."""
    reader = native.PlainActions(0, 1)
    reader.use(0, 2**62, lambda tenant, action, kind, sensitivity: policy_set.may_match(tenant, action), None)
    return reader


def read_all(reader: Any, chunks: Iterable[Any], rest: bytes, rows: Any) -> int:
    """Read every chunk to its end, passing over what is left to Python; how many were plain."""
    plain, log_time_us = 0, 0
    for chunk in chunks:
        at = 0
        while True:
            stop, log_time_us = reader.read(chunk, at, log_time_us, rest, rows)
            plain += stop - at
            if stop == len(chunk):
                break
            at = stop + 1
    return plain


def no_codec(codec: int, body: bytes) -> bytes:
    """What the benchmark has no use for."""
    raise AssertionError(f"codec {codec}")


class _Watch:
    """Sums up CPU nanoseconds by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = {}
        self._since = time.process_time_ns()

    def lap(self, stage: str) -> None:
        """What was done since the last one was this."""
        now = time.process_time_ns()
        self.spent[stage] = self.spent.get(stage, 0) + now - self._since
        self._since = time.process_time_ns()


def measure(native: Any, pairs: Sequence[Pair]) -> tuple[int, dict[str, float]]:
    """Records that were plain, and nanoseconds a record of each stage in the median of several rounds.

    Each fetch answer is a batch of the worker: its rows are built and let go before the next is read.
    """
    policy_set = build_set([("high-risk.yaml", POLICY)], None)
    answers = fetches(pairs)
    rest = plain_rest("2026-11-24T09:00:00.000000Z", "bench.actions", 0)
    rounds = []
    values = [value for _, value in pairs if value is not None]
    for _ in range(ROUNDS):
        reader, plain = plain_actions(native, policy_set), 0
        watch = _Watch()
        for at, data in answers:
            chunks, _ = native.read_chunks(data, at, [], 4000, no_codec)
            watch.lap("read_chunks")
            rows = native.Rows(OUT_BATCH_BYTES)
            plain += read_all(reader, chunks, rest, rows)
            watch.lap("read")
            for batch in rows.batches():
                batch.build(7, 0, 0, True, 1_000)
            watch.lap("build")
        for value in values:
            decode_data(decode_envelope(value).data)
        watch.lap(REFERENCE)
        rounds.append(watch.spent)
    median = sorted(rounds, key=lambda spent: whole(spent) / spent[REFERENCE])[ROUNDS // 2]
    return plain, {stage: spent / len(pairs) for stage, spent in median.items()}


def whole(spent: Mapping[str, float]) -> float:
    """All stages of the core together."""
    return sum(cost for stage, cost in spent.items() if stage != REFERENCE)


def main() -> None:
    """Print the table."""
    from stepwatch.streams import _native

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for name, mixed in (("plain", False), ("mixed", True)):
        pairs = actions(count, mixed=mixed)
        plain, spent = measure(_native, pairs)
        stages = " + ".join(f"{stage} {cost:.0f}" for stage, cost in spent.items() if stage != REFERENCE)
        print(f"{name}: {len(pairs):,} records, {plain:,} of them plain; nanoseconds a record")
        print(f"  {stages} = {whole(spent):.0f}; {REFERENCE} {spent[REFERENCE]:.0f}")


if __name__ == "__main__":
    main()
