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

import json
from collections.abc import Sequence
from io import BytesIO
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
_LINES_MAX: Final = 100 * EVENTS_MAX
"""Of NDJSON, blank ones too."""
_COMMAS_MAX: Final = 20_000
"""Of an array that is taken apart before its elements are counted: more may be half a million elements of 1 MiB."""
_BLANK: Final = " \t\r\n"
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
    if attributes and kind not in (STRUCTURED, BATCH, *NDJSON):
        return [_binary(attributes, kind, body)]
    if kind == STRUCTURED:
        events = [body]
    elif kind == BATCH:
        events = _array(body)
    elif kind in NDJSON:
        events = _lines(body)
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
        raise _too_many()
    return events


def _lines(body: bytes) -> list[bytes]:
    """What is no blank line; one more than are allowed at most."""
    if body.count(b"\n") > _LINES_MAX:
        raise _too_many()
    events = []
    for line in BytesIO(body):
        if line.strip():
            events.append(line.removesuffix(b"\n"))
            if len(events) > EVENTS_MAX:
                break
    return events


def _array(body: bytes) -> list[bytes]:
    """The elements, each as it was written."""
    if body.count(b",") > _COMMAS_MAX:
        _count_elements(body)
    try:
        return [bytes(event) for event in _decode_array(body)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON array: {error}") from None


def _count_elements(body: bytes) -> None:
    """Read an array no further than to one element more than are allowed; what is no JSON is left to its decoder."""
    read, at = json.JSONDecoder().raw_decode, 0
    try:
        text = body.decode().lstrip(_BLANK)
        for _ in range(EVENTS_MAX + 1):
            # Past "[" the first time, and past the comma each other time.
            start = at + 1
            while text[start] in _BLANK:
                start += 1
            _, at = read(text, start)
            while text[at] in _BLANK:
                at += 1
            if text[at] != ",":
                return
    except (ValueError, IndexError, RecursionError):
        return
    raise _too_many()


def _too_many() -> Problem:
    return Problem(413, f"more than {EVENTS_MAX} events: send them in several requests")


def _binary(attributes: Headers, kind: str, body: bytes) -> bytes:
    if body.strip() and kind != PLAIN and not kind.endswith("+json"):
        raise Problem(415, f"Content-Type: in binary mode `data` is JSON: expected {PLAIN}, got {kind[:60]!r}")
    # As in Kafka's binary mode but for the prefix and the escapes, so one reading serves both.
    said = [
        (cloudevents.PREFIX + name[len(_BINARY) :].decode("latin-1"), unquote_to_bytes(value))
        for name, value in attributes
    ]
    try:
        return cloudevents.to_structured(body, said, may_be_whole=False)
    except ValueError as error:
        raise Problem(
            400, "the event cannot be read", errors=[EventError(index=0, field="json", error=str(error))]
        ) from None
