"""What the tests of reading start from: one right event of a kind, changed in one place, as bytes."""

from __future__ import annotations

import json
from typing import Any

from stepwatch.streams.decode import Event, Fault, Heartbeat, Skipped, decode
from tests.core.driver import T0_US, Row, an_event

GONE: Any = object()
"""Leaves a field out."""
ACTION = "action.performed"
VERIFIED = "stepup.verified"
STARTED = "session.started"
CHANGED = "credential.changed"
GRANTED = "approval.granted"
NEEDED: dict[str, Row] = {
    ACTION: {"action": "payments.payout.approve"},
    CHANGED: {"credential": "c-1", "change": "created"},
    GRANTED: {"approver": "bob"},
}


def event(kind: str = ACTION, /, data: Row | None = None, **envelope: Any) -> Row:
    """A right event of a kind with these envelope fields; `data` is added to what the kind needs."""
    made = an_event(kind, "e-1")
    made["data"] = {**NEEDED.get(kind, {}), **(data or {})}
    made.update(envelope)
    for fields in (made, made["data"]):
        if isinstance(fields, dict):
            for name in [name for name, value in fields.items() if value is GONE]:
                del fields[name]
    return made


def raw(fields: Row) -> bytes:
    """As a producer writes it."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def read(what: Row | bytes, arrival_us: int | None = T0_US, family: str | None = None) -> Any:
    """What `decode` makes of it; arrived at T0 unless said otherwise."""
    return decode(what if isinstance(what, bytes) else raw(what), arrival_us, family)


def accepted(what: Row | bytes, arrival_us: int | None = T0_US) -> Event:
    """The event; the test fails where it is none."""
    outcome = read(what, arrival_us)
    assert isinstance(outcome, Event), outcome
    return outcome


def heard(what: Row | bytes, arrival_us: int | None = T0_US) -> Heartbeat:
    """The heartbeat; the test fails where it is none."""
    outcome = read(what, arrival_us)
    assert isinstance(outcome, Heartbeat), outcome
    return outcome


def field_at_fault(what: Row | bytes, arrival_us: int | None = T0_US, family: str | None = None) -> str | None:
    """The path that the dead letter names; None where there is none."""
    outcome = read(what, arrival_us, family)
    assert isinstance(outcome, Event | Heartbeat | Skipped | Fault)
    return outcome.field if isinstance(outcome, Fault) else None


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """A right event that is so many objects and arrays deep, itself and its data counted."""
    inner = opening * (depth - 2) + ("1" if opening != "[" else "") + closing * (depth - 2)
    return raw(event(data={"extra": "HERE"})).replace(b'"HERE"', inner.encode() or b"1")


def of_size(size: int, filler: str = "x") -> bytes:
    """A right event of so many bytes."""
    empty = len(raw(event(data={"extra": ""})))
    return raw(event(data={"extra": filler * ((size - empty) // len(filler.encode()))}))
