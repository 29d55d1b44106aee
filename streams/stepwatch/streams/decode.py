"""Raw record -> event, or a dead letter with the field and the reason (contract section 3).

The fast decoder of `compiled.py` reads what is right; whatever it refuses is read once more, slowly, to find the first
fault in the contract's order, or to accept what only looked wrong (`""` where an object belongs).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from stepwatch.schemas import cloudevents
from stepwatch.schemas import events as ev
from stepwatch.schemas.compiled import (
    FastData,
    decode_data,
    decode_data_only,
    decode_envelope,
    decode_file_envelope,
    decode_json,
    encode_sorted,
)
from stepwatch.schemas.faults import TENANT, is_deeper, read_data
from stepwatch.schemas.times import SECOND_US, parse_time
from stepwatch.streams.limits import AHEAD_MAX_US, EVENT_BYTES_MAX, EVENT_DEPTH_MAX
from stepwatch.streams.native import native

ACTION = "action"
AUTHENTICATION = "authentication"

_NO_DATA = (b"", b"null", b'""')
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    kind: (ACTION if kind == ev.ACTION_PERFORMED else AUTHENTICATION, ev.REQUIRED_FIELDS.get(kind, ()))
    for kind in ev.EVENT_TYPES - {ev.HEARTBEAT}
}
"""Type -> (family, required fields of `data`); heartbeats are few and read slowly."""
_BIG = 2**63
"""Numbers beyond 64 bits are left to the slow decoder: the libraries disagree about them."""
_canonical = native.canonical if native is not None else lambda _: None
"""What is right at first sight is put in order natively; None: `canonical_text` has to."""
_tenants: dict[str | None, str] = {None: "default", "": "default"}
_TENANTS_MAX = 65_536


class Event(msgspec.Struct, gc=False):
    """One accepted event. `subject` is as sent until its alias is mapped; `raw_data` is `data` as sent."""

    family: str
    type: str
    tenant: str
    subject: str
    source: str
    id: str
    time_us: int
    arrival_us: int
    data: Any
    raw_data: bytes
    value: bytes


class Heartbeat(NamedTuple):
    """A sign of a feed. `lag_us` = arrival - complete_to: how far behind it says it is."""

    source: str
    id: str
    time_us: int
    arrival_us: int
    lag_us: int


class Skipped(NamedTuple):
    """An event of a type that a newer producer knows: counted, nothing else."""

    type: str


class Fault(NamedTuple):
    """Why a record is a dead letter: the path of the first wrong field, and what is wrong with it."""

    field: str
    message: str
    id: str | None = None


Decoded = Event | Heartbeat | Skipped | Fault


def text_of(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> bytes | Fault:
    """The event of a Kafka record as JSON text, whatever mode it came in; what cannot be read as such is a fault."""
    text = value or b""
    if headers and cloudevents.is_binary(headers):
        try:
            return cloudevents.to_structured(text, headers)
        except ValueError as error:
            return Fault("json", str(error))
    return text


def decode(value: bytes, arrival_us: int | None, family: str | None = None) -> Decoded:
    """Read one record.

    Args:
        value: the structured form of a CloudEvents event.
        arrival_us: of the record in its partition; None in a file, where the event says it itself.
        family: what the topic takes, `action` or `authentication`; None takes both.

    Returns:
        The event, a heartbeat, or what became of the record instead.
    """
    if len(value) <= EVENT_BYTES_MAX and _is_plain(value):
        try:
            decoded = _decode_fast(value, arrival_us, family)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            decoded = None
        if decoded is not None:
            return decoded
    return _decode_slowly(value, arrival_us, family)


def _is_plain(value: bytes) -> bool:
    """No chance of bad UTF-8, of a lone surrogate or of too much depth in what the fast decoder skips."""
    if value.count(b"{") + value.count(b"[") > EVENT_DEPTH_MAX:
        return False
    # One byte is looked for ten times as fast as two, and most events hold no backslash at all.
    if ord("\\") in value and b"\\u" in value and (b"\\ud" in value or b"\\uD" in value):
        return False
    return value.isascii() or _is_utf8(value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_fast(value: bytes, arrival_us: int | None, family: str | None) -> Decoded | None:
    """Read what is right at first sight; None: something is wrong, or only looks so, and must be read slowly."""
    envelope: Any
    if arrival_us is None:
        envelope = decode_file_envelope(value)
        said = envelope.arrival or envelope.time
        arrival_us = parse_time(said) if said else None
    else:
        envelope = decode_envelope(value)
    kind, source, event_id, subject = envelope.type, envelope.source, envelope.id, envelope.subject
    if not (event_id and source and kind):
        return None
    known = _KINDS.get(kind)
    if known is None:
        return Skipped(kind) if kind.startswith(ev.TYPE_PREFIX) and kind != ev.HEARTBEAT else None
    its_family, required = known
    if (family is not None and its_family != family) or not subject or not envelope.time or arrival_us is None:
        return None
    time_us = parse_time(envelope.time)
    if time_us is None or time_us - arrival_us > AHEAD_MAX_US:
        return None
    raw_data = bytes(envelope.data)
    data = FastData() if raw_data in _NO_DATA else decode_data(raw_data)
    tenant = _tenants.get(data.tenant) or _known_tenant(data.tenant)
    if tenant is None:
        return None
    for name in required:
        if not getattr(data, name):
            return None
    if data.auth_time is not None and not -_BIG < data.auth_time * SECOND_US <= time_us + AHEAD_MAX_US:
        return None
    if data.otp_step is not None and not -_BIG < data.otp_step < _BIG:
        return None
    return Event(its_family, kind, tenant, subject, source, event_id, time_us, arrival_us, data, raw_data, value)


def _known_tenant(tenant: str) -> str | None:
    if not TENANT.fullmatch(tenant):
        return None
    if len(_tenants) >= _TENANTS_MAX:
        _tenants.clear()
        _tenants[None] = _tenants[""] = "default"
    _tenants[tenant] = tenant
    return tenant


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _read_int(digits: str) -> int | float:
    # Python refuses to read integers of more digits; as numbers they are beyond any field of ours anyway.
    return int(digits) if len(digits) <= 4000 else math.inf


def read_object(value: bytes) -> dict[str, Any]:
    """The JSON object of a record.

    Raises:
        ValueError: it is none by contract section 3; the message says why.
    """
    if len(value) > EVENT_BYTES_MAX:
        raise ValueError(f"{len(value)} bytes; the limit is {EVENT_BYTES_MAX}")
    try:
        event = json.loads(value.decode(), parse_constant=_no_constant, parse_int=_read_int)
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {EVENT_DEPTH_MAX}") from None
    if not isinstance(event, dict):
        raise ValueError(f"expected a JSON object, got {type(event).__name__}")
    if is_deeper(event, EVENT_DEPTH_MAX):
        raise ValueError(f"nested deeper than {EVENT_DEPTH_MAX}")
    try:
        json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate") from None
    return event


def _decode_slowly(value: bytes, arrival_us: int | None, family: str | None) -> Decoded:
    try:
        event = read_object(value)
    except ValueError as error:
        return Fault("json", str(error))
    event_id = event.get("id") if isinstance(event.get("id"), str) else None
    try:
        return _judge_envelope(event, value, arrival_us, family)
    except _Wrong as wrong:
        return Fault(wrong.field, wrong.message, event_id or None)


class _Wrong(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message


def _text(event: dict[str, Any], name: str) -> str:
    value = event.get(name)
    if value is None or value == "":
        raise _Wrong(name, "missing")
    if not isinstance(value, str):
        raise _Wrong(name, f"expected a string, got {type(value).__name__}")
    return value


def _moment(event: dict[str, Any], name: str) -> int:
    text = _text(event, name)
    time_us = parse_time(text)
    if time_us is None:
        raise _Wrong(name, f"expected an RFC 3339 time with a zone, years 1970 to 2261, got {text[:60]!r}")
    return time_us


def _judge_envelope(event: dict[str, Any], value: bytes, arrival_us: int | None, family: str | None) -> Decoded:
    """Find the first fault in the contract's order, or accept."""
    event_id, source, kind = _text(event, "id"), _text(event, "source"), _text(event, "type")
    if not kind.startswith(ev.TYPE_PREFIX):
        raise _Wrong("type", f"expected a type that begins with {ev.TYPE_PREFIX!r}, got {kind[:60]!r}")
    if kind not in ev.EVENT_TYPES:
        return Skipped(kind)
    its_family = ACTION if kind == ev.ACTION_PERFORMED else AUTHENTICATION
    if family is not None and its_family != family and kind != ev.HEARTBEAT:
        raise _Wrong("type", f"{kind} belongs into the other topic, this one takes the family {family}")
    time_us = _moment(event, "time")
    if arrival_us is None:
        arrival_us = time_us if event.get("arrival") in (None, "") else _moment(event, "arrival")
    if time_us - arrival_us > AHEAD_MAX_US:
        raise _Wrong("time", f"{(time_us - arrival_us) / SECOND_US:g} s after arrival; 10 minutes are allowed")
    data = event.get("data")
    if data is None or data == "":
        data = {}
    if not isinstance(data, dict):
        raise _Wrong("data", f"expected an object, got {type(data).__name__}")
    if kind == ev.HEARTBEAT:
        return _heartbeat(source, event_id, time_us, arrival_us, data)
    fast = _judge_data(event, kind, time_us, data)
    tenant = fast.tenant or "default"
    try:
        raw_data = bytes(decode_data_only(value).data)
    except msgspec.DecodeError as error:
        # What a later key of the same name hides is not seen by json, but it is still no JSON.
        raise _Wrong("json", str(error)) from None
    return Event(
        its_family,
        kind,
        tenant,
        event["subject"],
        source,
        event_id,
        time_us,
        arrival_us,
        fast,
        raw_data,
        value,
    )


def _heartbeat(source: str, event_id: str, time_us: int, arrival_us: int, data: dict[str, Any]) -> Heartbeat:
    said = data.get("complete_to")
    complete_us = parse_time(said) if isinstance(said, str) else None
    return Heartbeat(
        source, event_id, time_us, arrival_us, arrival_us - (time_us if complete_us is None else complete_us)
    )


def _judge_data(event: dict[str, Any], kind: str, time_us: int, data: dict[str, Any]) -> Any:
    model, faults = read_data(data)
    if "data.tenant" in faults:
        raise _Wrong("data.tenant", faults["data.tenant"])
    _text(event, "subject")
    for field, message in faults.items():
        raise _Wrong(field, message)
    assert model is not None
    for name in ev.REQUIRED_FIELDS.get(kind, ()):
        if not getattr(model, name):
            raise _Wrong(f"data.{name}", f"missing; {kind} must have it")
    if model.auth_time is not None and int(model.auth_time) * SECOND_US > time_us + AHEAD_MAX_US:
        raise _Wrong("data.auth_time", "more than 10 minutes after time (is it in milliseconds?)")
    return msgspec.convert(model.model_dump(), FastData)


def body_hash(value: bytes) -> int:
    """64 bits that tell two bodies of one event apart, whatever their spaces and the order of their keys."""
    canonical = _canonical(value) or canonical_text(value)
    return int.from_bytes(hashlib.blake2b(canonical, digest_size=8).digest())


def canonical_text(value: bytes) -> bytes:
    """An event so that bodies that say the same are the same bytes: keys in order, no spaces, without its arrival."""
    try:
        event = decode_json(value)
        event.pop("arrival", None)
        return encode_sorted(event)
    except (msgspec.MsgspecError, OverflowError):
        # Numbers that 64 bits do not hold: compare them as they are written.
        event = json.loads(value, parse_int=repr, parse_float=repr)
        event.pop("arrival", None)
        return json.dumps(event, sort_keys=True).encode()


def tie_hash(value: bytes) -> str:
    """What decides between two records of one event with one arrival in a file (contract section 3)."""
    event = read_object(value)
    event.pop("arrival", None)
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def maps_of(event: Event) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """`client`, `token` and `decision` as sent, without members that are null: what CEL sees (contract section 4)."""
    if event.raw_data in _NO_DATA:
        return {}, {}, {}
    try:
        data = msgspec.json.decode(event.raw_data)
    except msgspec.MsgspecError:
        data = json.loads(event.raw_data, parse_int=_read_int)
    client, token, decision = (
        {name: value for name, value in (data.get(part) or {}).items() if value is not None}
        for part in ("client", "token", "decision")
    )
    return client, token, decision
