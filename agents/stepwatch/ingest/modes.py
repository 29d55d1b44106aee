"""The events of a request, in each of the forms in which HTTP carries them (CloudEvents HTTP binding 1.0).

| content type | body |
|---|---|
| `application/cloudevents+json` | one event |
| `application/cloudevents-batch+json` | an array of events |
| `application/x-ndjson` | one event a line, blank lines aside |
| `application/json` | one event, or an array of events |
| `application/json` and `ce-*` headers | binary mode: the attributes in headers, the body is `data` |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from stepwatch.ingest.problems import EventError, Problem
from stepwatch.schemas import cloudevents
from stepwatch.streams.routing import FIRST_ARRIVAL, MOVES

EVENTS_MAX: Final = 1000
"""Of one request (contract section 9)."""
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
NDJSON: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")
PLAIN: Final = "application/json"
_BINARY: Final = b"ce-"
_OURS: Final = (FIRST_ARRIVAL.encode(), MOVES.encode())
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode

Headers = Sequence[tuple[bytes, bytes]]


def read_events(headers: Headers, content_type: str, body: bytes) -> list[bytes]:
    """The events as structured JSON text, each as its producer wrote it; whether they are right is asked later.

    Args:
        headers: of the request, names in lower case.
        content_type: as said, parameters too; `""` where none was.
        body: unpacked.

    Raises:
        Problem: 400 no JSON, no event, or a header that only workers write; 413 over 1000 events; 415 another type.
    """
    for name in _OURS:
        if any(said == name for said, _ in headers):
            raise Problem(400, f"the header {name.decode()} is written by workers only: leave it out")
    kind = content_type.partition(";")[0].strip().lower()
    attributes = [(name, value) for name, value in headers if name.startswith(_BINARY)]
    if attributes and kind not in (STRUCTURED, BATCH):
        return [_binary(attributes, kind, body)]
    if kind == STRUCTURED:
        events = [body]
    elif kind == BATCH:
        events = _array(body)
    elif kind in NDJSON:
        events = [line for line in body.split(b"\n") if line.strip()]
    elif kind == PLAIN:
        events = _array(body) if body.lstrip()[:1] == b"[" else [body]
    else:
        raise Problem(
            415,
            f"Content-Type: expected {STRUCTURED}, {BATCH}, {NDJSON[0]} or {PLAIN}, got {kind[:60]!r}",
        )
    if not events or not body.strip():
        raise Problem(400, "the body holds no event")
    if len(events) > EVENTS_MAX:
        raise Problem(413, f"{len(events)} events, and {EVENTS_MAX} are allowed: send them in several requests")
    return events


def _array(body: bytes) -> list[bytes]:
    try:
        return [bytes(event) for event in _decode_array(body)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON array: {error}") from None


def _binary(attributes: Headers, kind: str, body: bytes) -> bytes:
    if body.strip() and kind != PLAIN and not kind.endswith("+json"):
        raise Problem(415, f"Content-Type: in binary mode `data` is JSON: expected {PLAIN}, got {kind[:60]!r}")
    # As in Kafka's binary mode but for the prefix and the escapes, so one reading serves both.
    said = [
        (cloudevents.PREFIX + name[len(_BINARY) :].decode("latin-1"), unquote_to_bytes(value))
        for name, value in attributes
    ]
    try:
        return cloudevents.to_structured(body, said)
    except ValueError as error:
        raise Problem(
            400, "the event cannot be read", errors=[EventError(index=0, field="json", error=str(error))]
        ) from None
