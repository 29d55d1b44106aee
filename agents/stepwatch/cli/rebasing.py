"""The times of an old log moved to now, for trials: the newest event becomes now, and all keep their distances."""

from __future__ import annotations

from typing import Any

import msgspec

from stepwatch.schemas.times import SECOND_US, format_time, parse_time


def shift_to(now_us: int, newest_us: int) -> int:
    """By how many whole seconds all times move; whole ones, since `auth_time` counts in them."""
    return (now_us - newest_us) // SECOND_US


def rebased(value: bytes, shift_s: int) -> bytes:
    """One event as if it had happened so many seconds later; what is no event comes back as it is.

    Its times move: `time`, `arrival`, and in `data` the `auth_time`, that of the `token`, and `complete_to`. Its id
    says the shift, since the same event at another time is another event: tried again tomorrow, it counts anew.
    """
    try:
        event = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return value
    if not isinstance(event, dict):
        return value
    for name in ("time", "arrival"):
        _move_text(event, name, shift_s)
    if isinstance(event.get("id"), str) and event["id"]:
        event["id"] = f"{event['id']}~{shift_s}"
    data = event.get("data")
    if isinstance(data, dict):
        _move_number(data, "auth_time", shift_s)
        _move_text(data, "complete_to", shift_s)
        if isinstance(data.get("token"), dict):
            _move_number(data["token"], "auth_time", shift_s)
    return msgspec.json.encode(event)


def _move_text(within: dict[str, Any], name: str, shift_s: int) -> None:
    said = within.get(name)
    time_us = parse_time(said) if isinstance(said, str) else None
    if time_us is not None:
        within[name] = format_time(time_us + shift_s * SECOND_US)


def _move_number(within: dict[str, Any], name: str, shift_s: int) -> None:
    said = within.get(name)
    if isinstance(said, int | float) and not isinstance(said, bool):
        within[name] = said + shift_s
