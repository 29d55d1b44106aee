"""Why a line is no event, in words: the worker's own fault, what was expected, what came, and what to do."""

from __future__ import annotations

import difflib
import math
from typing import Any, Final

from stepwatch.cli.events_findings import ERROR, Finding, shown_value
from stepwatch.schemas.events import TYPE_PREFIX
from stepwatch.schemas.fields import MEANINGS, TYPES
from stepwatch.schemas.times import parse_time
from stepwatch.streams.decode import Fault, read_object
from stepwatch.streams.limits import EVENT_BYTES_MAX, EVENT_DEPTH_MAX

_MILLISECONDS: Final = 100_000_000_000
"""Seconds since 1970 of the year 5138: a larger number counts something smaller than seconds."""
_JSON: Final = (
    f"one JSON object, UTF-8, at most {EVENT_BYTES_MAX // 1024} KiB and {EVENT_DEPTH_MAX} levels deep, without NaN"
)
_TIME: Final = "an RFC 3339 time with a zone, years 1970 to 2261"
_EXPECTED: Final = {
    "time": _TIME,
    "arrival": _TIME,
    "type": f"a type that begins with {TYPE_PREFIX}",
    "data": "an object",
    "data.tenant": "1 to 64 of A-Z a-z 0-9 . _ -",
    "data.client": "an object",
    "data.resource": "an object",
    "data.token": "an object",
    "data.decision": "an object",
    "data.amr": "an array of strings",
    "data.auth_time": "a finite number, seconds since 1970, at most 10 minutes after `time`",
    "data.otp_step": "an integer",
}
_MISSING: Final = {
    "id": "give each event an id of its own, and the same one whenever it is sent again",
    "source": "name the feed as the policy file lists it, like /payments/api",
    "type": "take one of `stepwatch events example --list`",
    "time": "say when it happened, like 2026-11-24T09:15:02.120Z",
    "subject": "say who acts or proves, by the canonical id",
}


def explain(fault: Fault, value: bytes) -> Finding:
    """A fault of the decoder as a finding.

    Args:
        fault: as `decode` found it.
        value: the line.
    """
    try:
        event: Any = read_object(value)
    except ValueError:
        event = None
    field = fault.field
    if event is None or field == "json":
        return Finding(ERROR, "json", field, _JSON, f"{_without_place(fault.message)}: write one event a line")
    got = _at(event, field)
    code = _code(field, got)
    hint = _hint(code, field, got, event)
    return Finding(
        ERROR,
        code,
        field,
        _EXPECTED.get(field, "a non-empty string" if code == "missing" else "a string"),
        hint,
        None if got is None or got == "" else _shown(got),
    )


def _without_place(message: str) -> str:
    """The decoder's words without where it stopped: of a thousand lines that are cut off each stops elsewhere."""
    return message.partition(": line ")[0].partition(" at byte")[0].partition(" (byte")[0]


def _shown(value: Any) -> str:
    try:
        return shown_value(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a huge number"


def _at(event: dict[str, Any], path: str) -> Any:
    value: Any = event
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _code(field: str, got: Any) -> str:
    if got is None or got == "":
        return "missing"
    is_text = isinstance(got, str)
    if field in ("time", "arrival") and is_text:
        return "ahead" if parse_time(got) is not None else "time_form"
    if field == "type" and is_text:
        return "foreign_type"
    if field == "data.tenant" and is_text:
        return "tenant_form"
    if field == "data.auth_time" and isinstance(got, int | float) and not isinstance(got, bool) and math.isfinite(got):
        return "ahead"
    return "wrong_type"


def _hint(code: str, field: str, got: Any, event: dict[str, Any]) -> str:
    if code == "missing":
        return _missing(field, event)
    if code == "time_form":
        return _time_form(got)
    if code == "foreign_type":
        return _foreign_type(got)
    if code == "tenant_form":
        return "take a short name without spaces; what people read does not belong here"
    if code == "ahead" and field == "time":
        return "the clock of whoever wrote it is ahead, or its `arrival` is wrong: 10 minutes are allowed"
    if code == "ahead":
        return (
            "it is in milliseconds: divide it by 1000" if got > _MILLISECONDS else "a proof cannot be from the future"
        )
    return _wrong_type(field, got)


def _missing(field: str, event: dict[str, Any]) -> str:
    data = event.get("data")
    name = field.rpartition(".")[2]
    if field in _MISSING:
        if isinstance(data, dict) and data.get(name) and field not in ("type", "id"):
            return f"it stands in data: put it beside data, where `{field}` belongs"
        near = difflib.get_close_matches(name, [key for key in event if key not in _MISSING], n=1, cutoff=0.7)
        return f"did you mean `{name}` by `{near[0]}`?" if near else _MISSING[field]
    if event.get(name):
        return f"it stands beside data: put it into data, where `{field}` belongs"
    keys = [key for key in data if f"data.{key}" not in MEANINGS] if isinstance(data, dict) else []
    near = difflib.get_close_matches(name, keys, n=1, cutoff=0.7)
    return f"did you mean `{name}` by `{near[0]}`?" if near else f"write {MEANINGS.get(field, 'it')}"


def _time_form(text: str) -> str:
    for other, hint in (
        (text + "Z", "add the zone: Z for UTC"),
        (text.replace(" ", "T", 1), "put a T between day and time"),
        (text.replace(" ", "T", 1) + "Z", "put a T between day and time, and add the zone: Z for UTC"),
    ):
        if parse_time(other) is not None:
            return hint
    return "write it like 2026-11-24T09:15:02.120Z"


def _foreign_type(kind: str) -> str:
    near = difflib.get_close_matches(TYPE_PREFIX + kind, TYPES, n=1, cutoff=0.7)
    if near:
        return f"write {near[0]}"
    return "events of other products are read with --from SOURCE (`stepwatch sources list`)"


def _wrong_type(field: str, got: Any) -> str:
    if field in ("time", "arrival"):
        return "write it like 2026-11-24T09:15:02.120Z, not as a number"
    if field in ("data.auth_time", "data.otp_step"):
        return "write the number without quotes" if isinstance(got, str) and got.isdecimal() else "write a number"
    if field == "data.amr":
        return 'write a list of texts, like ["otp"]'
    if field in _EXPECTED and _EXPECTED[field] == "an object":
        quoted = isinstance(got, str) and got.lstrip().startswith("{")
        return "write the object itself, not its text in quotes" if quoted else 'write an object, like {"...": "..."}'
    if isinstance(got, int | float) and not isinstance(got, bool):
        return "write it in quotes: ids are texts"
    return "write one text in quotes"
