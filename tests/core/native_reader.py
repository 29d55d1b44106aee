"""Whether the native core reads a record, and if so that its row is Python's, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from stepwatch.schemas.keys import subject_key
from stepwatch.streams.decode import ACTION, Event, decode
from stepwatch.streams.rows import outcome_of, plain_rest, plain_row, sensitivity_of
from tests.core.chunks import as_chunk
from tests.core.driver import T0_US, Record, Row
from tests.core.raw_events import raw

native = pytest.importorskip("stepwatch.streams._native", reason="not built: python streams/native/build_hook.py")

REST = plain_rest("2026-11-24T09:00:00.000000Z", "stepwatch.actions", 0)
FOREVER = 2**62


def nothing_concerns(tenant: str, action: str, kind: str, sensitivity: str) -> bool:
    """No policy at all."""
    return False


def reader(
    may_concern: Callable[[str, str, str, str], bool] = nothing_concerns,
    canonical: Callable[[str, str], str] | None = None,
    from_us: int = 0,
    until_us: int = FOREVER,
    partition: int = 0,
    partitions: int = 1,
) -> Any:
    """A reader under some set."""
    plain = native.PlainActions(partition, partitions)
    plain.use(from_us, until_us, may_concern, canonical)
    return plain


def record(value: bytes | Row | None, at_us: int = T0_US, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
    """A record of offset 7."""
    return Record(7, at_us // 1000, b"k", raw(value) if isinstance(value, dict) else value, headers)


def row_of(what: bytes | Row | Record | None, plain: Any = None, log_time_us: int = -1) -> Row | None:
    """The row that is written of a record; None where it is left to Python."""
    its = what if isinstance(what, Record) else record(what)
    rows = native.Rows(1 << 20)
    stop, after_us = (plain or reader()).read(as_chunk([its]), 0, log_time_us, REST, rows)
    assert stop == len(rows)
    if stop == 0:
        assert after_us == log_time_us
        return None
    assert after_us == max(log_time_us, its.timestamp * 1000)
    ((key, value),) = rows
    row: Row = json.loads(value)
    assert key == subject_key(row["tenant"], row["subject"])
    assert value == by_python(its, row["subject"], after_us)
    return row


def by_python(its: Record, subject: str, arrival_us: int) -> bytes:
    """The row as Python writes it."""
    outcome = decode(its.value or b"", arrival_us, ACTION)
    assert isinstance(outcome, Event), outcome
    return plain_row(outcome, subject, sensitivity_of(outcome), outcome_of(outcome), its.offset, REST)


def is_read(what: bytes | Row | Record | None, plain: Any = None) -> bool:
    """Whether a record is read natively; the row is compared with Python's."""
    return row_of(what, plain) is not None
