"""CloudEvents 1.0 over Kafka: binary mode turned into the structured form (contract section 3)."""

from __future__ import annotations

import json
from collections.abc import Sequence

PREFIX = "ce_"


def is_binary(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether a record carries attributes of its event in `ce_` headers."""
    return any(name.startswith(PREFIX) for name, _ in headers)


def to_structured(value: bytes, headers: Sequence[tuple[str, bytes]]) -> bytes:
    """The structured form of a record in binary mode; `ce_` headers win over the body.

    A body that is an envelope itself (it has a `specversion`) keeps what no header says; any other body is the
    event's `data`.

    Raises:
        ValueError: the body is no JSON, or a header no UTF-8.
    """
    attributes: dict[str, object] = {
        name[len(PREFIX) :]: raw.decode() for name, raw in headers if name.startswith(PREFIX)
    }
    attributes.pop("data", None)
    body = json.loads(value.decode()) if value else {}
    if isinstance(body, dict) and "specversion" in body:
        event = {**body, **attributes}
    else:
        event = {**attributes, "data": body}
    return json.dumps(event, ensure_ascii=False).encode()
