"""The check itself: the worker's own models over the event's JSON (contract section 3).

A module of its own, loaded by the first check, which is when the first `Source` is made: pydantic takes longer to load
than all the rest of the SDK.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stepwatch.schemas import events as ev
from stepwatch.schemas.compiled import decode_data, decode_envelope, encode_json
from stepwatch.schemas.faults import AHEAD_MAX_US, EVENT_DEPTH_MAX, TENANT, is_deeper, read_data
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.times import SECOND_US, parse_time
from stepwatch.schemas.topics import EVENT_BYTES_MAX
from stepwatch.sdk.checking import Checked, EventError

_NO_DATA: Final = (b"", b"null", b'""')
_BIG: Final = 2**63
_UNSAYABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


def check(event: Mapping[str, Any]) -> Checked:
    """Check and encode one event; see `checking.check_event`.

    Raises:
        EventError: the worker would dead-letter it, or does not know its type.
    """
    if not isinstance(event, Mapping):
        raise EventError("json", f"expected an object, got {type(event).__name__}")
    try:
        value = encode_json(event if type(event) is dict else dict(event))
    except _UNSAYABLE as error:
        raise _unsayable(event, error) from None
    return _check_fast(value) or _check_slowly(value)


def _check_fast(value: bytes) -> Checked | None:
    """Accept what is right at first sight; None: something is wrong, or only looks so."""
    if len(value) > EVENT_BYTES_MAX or value.count(b"{") + value.count(b"[") > EVENT_DEPTH_MAX:
        return None
    try:
        envelope: Any = decode_envelope(value)
        kind, subject = envelope.type, envelope.subject
        if not (envelope.id and envelope.source and envelope.time) or kind not in ev.EVENT_TYPES:
            return None
        time_us = parse_time(envelope.time)
        if time_us is None or time_us - time.time_ns() // 1000 > AHEAD_MAX_US:
            return None
        if kind == ev.HEARTBEAT:
            return Checked(kind, b"", value)
        raw = bytes(envelope.data)
        data = decode_data(b"{}" if raw in _NO_DATA else raw)
    except msgspec.MsgspecError:
        return None
    tenant = data.tenant or "default"
    if not subject or not TENANT.fullmatch(tenant):
        return None
    if not all(getattr(data, name) for name in ev.REQUIRED_FIELDS.get(kind, ())):
        return None
    if data.auth_time is not None and not -_BIG < data.auth_time * SECOND_US <= time_us + AHEAD_MAX_US:
        return None
    return Checked(kind, subject_key(tenant, subject), value)


def _check_slowly(value: bytes) -> Checked:
    """Find the first fault in the contract's order, or accept what only looked wrong."""
    if len(value) > EVENT_BYTES_MAX:
        raise EventError("json", f"{len(value)} bytes; {EVENT_BYTES_MAX} are allowed")
    event: dict[str, Any] = msgspec.json.decode(value)
    if is_deeper(event, EVENT_DEPTH_MAX):
        raise EventError("json", f"nested deeper than {EVENT_DEPTH_MAX}")
    for name in ("id", "source", "type"):
        _text(event, name)
    kind = event["type"]
    if kind not in ev.EVENT_TYPES:
        raise EventError("type", f"expected one of {', '.join(sorted(ev.EVENT_TYPES))}, got {kind[:60]!r}")
    time_us = parse_time(_text(event, "time"))
    if time_us is None:
        raise EventError("time", f"expected RFC 3339 with a zone, years 1970 to 2261, got {event['time'][:60]!r}")
    if time_us - time.time_ns() // 1000 > AHEAD_MAX_US:
        raise EventError("time", f"{event['time']} is more than 10 minutes ahead of this machine's clock")
    data = event.get("data")
    if data is None or data == "":
        data = {}
    if not isinstance(data, dict):
        raise EventError("data", f"expected an object, got {type(data).__name__}")
    if kind == ev.HEARTBEAT:
        return Checked(kind, b"", value)
    known = _known_fields(event, data)
    for name in ev.REQUIRED_FIELDS.get(kind, ()):
        if not getattr(known, name):
            raise EventError(f"data.{name}", f"missing; {kind} must have it")
    if known.auth_time is not None and int(known.auth_time) * SECOND_US > time_us + AHEAD_MAX_US:
        raise EventError("data.auth_time", "more than 10 minutes after time (is it in milliseconds?)")
    return Checked(kind, subject_key(known.tenant or "default", event["subject"]), value)


def _known_fields(event: dict[str, Any], data: dict[str, Any]) -> ev.Data:
    known, faults = read_data(data)
    if "data.tenant" in faults:
        raise EventError("data.tenant", faults["data.tenant"])
    _text(event, "subject")
    for field, problem in faults.items():
        raise EventError(field, problem)
    assert known is not None
    return known


def _text(event: dict[str, Any], name: str) -> str:
    value = event.get(name)
    if value is None or value == "":
        raise EventError(name, "missing")
    if not isinstance(value, str):
        raise EventError(name, f"expected a string, got {type(value).__name__}")
    return value


def _unsayable(event: Mapping[str, Any], error: Exception) -> EventError:
    """Which member JSON cannot say: a lone surrogate, an object of a class of its own, endless nesting."""
    data = event.get("data")
    members = {f"data.{name}": value for name, value in data.items()} if isinstance(data, Mapping) else {}
    for path, value in {**members, **event}.items():
        try:
            encode_json(value)
        except _UNSAYABLE as found:
            return EventError(str(path), f"is no JSON: {found}")
    return EventError("json", str(error))
