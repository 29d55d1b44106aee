"""Records that could not be used -> rows of table `dead_letters` (contract sections 2 and 8)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Protocol

from stepwatch.schemas.times import format_time, parse_time

REFUSED = "refused_by_clickhouse"
"""Error of a row that the store itself set aside."""

_KEY = re.compile(r"([A-Za-z0-9._-]{1,64})/(.+)", re.S)
_INT64_END = 2**63


class Record(Protocol):
    """What is read of a Kafka record (aiokafka's ConsumerRecord fits)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def build_dead_letter(record: Record) -> bytes:
    """The row of a record of topic `dead-letters`: its headers say what was wrong with key and value.

    A header that is missing or garbled is left empty (numbers: -1; time: the record's own); none is a reason
    to fail.
    """
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value is not None}
    time = headers.get("time", "")
    return _build_row(
        record,
        error=headers.get("error", ""),
        field=headers.get("field", ""),
        kafka_topic=headers.get("topic", ""),
        kafka_partition=_int_of(headers.get("partition")),
        kafka_offset=_int_of(headers.get("offset")),
        time=time if parse_time(time) is not None else format_time(record.timestamp * 1000),
        dead_letter_partition=record.partition,
        dead_letter_offset=record.offset,
    )


def build_refused(record: Record, words: str, *, keyed_by_alert: bool = False) -> bytes:
    """The row of a record of another topic that ClickHouse refuses.

    Args:
        record: as read; its own time is used, so a redelivery makes the same row.
        words: what the server said.
        keyed_by_alert: its key is `tenant/alert_id`, so it names no subject.
    """
    return _build_row(
        record,
        subject_known=not keyed_by_alert,
        error=REFUSED,
        field=words,
        kafka_topic=record.topic,
        kafka_partition=record.partition,
        kafka_offset=record.offset,
        time=format_time(record.timestamp * 1000),
        dead_letter_partition=-1,
        dead_letter_offset=-1,
    )


def _build_row(record: Record, *, subject_known: bool = True, **columns: str | int) -> bytes:
    key, value = record.key or b"", record.value or b""
    try:
        texts, encoding = (key.decode(), value.decode()), "utf-8"
    except UnicodeDecodeError:
        texts, encoding = (base64.b64encode(key).decode(), base64.b64encode(value).decode()), "base64"
    tenant, subject = subject_of(key)
    row = {
        "tenant": tenant,
        "subject": subject if subject_known else "",
        **columns,
        "key": texts[0],
        "value": texts[1],
        "encoding": encoding,
    }
    return json.dumps(row, ensure_ascii=False).encode()


def subject_of(key: bytes) -> tuple[str, str]:
    """Tenant and subject of a key `tenant/subject`; two empty ones where it is none."""
    try:
        found = _KEY.fullmatch(key.decode())
    except UnicodeDecodeError:
        return "", ""
    return (found[1], found[2]) if found else ("", "")


def _int_of(text: str | None) -> int:
    if text is None or not re.fullmatch(r"[0-9]{1,19}", text):
        return -1
    number = int(text)
    return number if number < _INT64_END else -1
