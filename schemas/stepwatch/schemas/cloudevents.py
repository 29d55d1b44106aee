"""CloudEvents 1.0 over Kafka: binary mode turned into the structured form (contract section 3)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

PREFIX = "ce_"


class _Whole(msgspec.Struct):
    """What tells an envelope from mere data."""

    specversion: msgspec.Raw = msgspec.Raw()


def is_binary(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Whether a record carries attributes of its event in `ce_` headers."""
    return any(name.startswith(PREFIX) for name, _ in headers)


def to_structured(value: bytes, headers: Sequence[tuple[str, bytes | None]], *, may_be_whole: bool = True) -> bytes:
    """The structured form of a record in binary mode; `ce_` headers win over the body.

    A body that is an envelope itself (it has a `specversion`) keeps what no header says; any other body is the
    event's `data`. The body's own bytes stay as they are; a header without a value is absent.

    Args:
        value: the body.
        headers: of the record, others too.
        may_be_whole: False where it is known that the body is `data`, whatever its members are called.

    Raises:
        ValueError: the body is not one JSON value, or a header no UTF-8.
    """
    attributes = {
        name[len(PREFIX) :]: raw.decode()
        for name, raw in headers
        if name.startswith(PREFIX) and name != PREFIX + "data" and raw is not None
    }
    said = json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode()
    body = value.strip()
    if not body:
        return said
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"the body is no JSON: {error}") from None
    if not attributes:
        return body
    if may_be_whole and _is_envelope(body):
        # Of a key given twice the last counts, so the headers come last.
        return body[:-1] + b"," + said[1:]
    return said[:-1] + b',"data":' + body + b"}"


def _is_envelope(body: bytes) -> bool:
    try:
        return bytes(msgspec.json.decode(body, type=_Whole).specversion) != b""
    except msgspec.MsgspecError:
        return False
