"""What is wrong with an event, said alike by the worker and by its producer (contract section 3, dead letters)."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import MINUTE_US

AHEAD_MAX_US: Final = 10 * MINUTE_US
"""How far `time` may lie after arrival, and `auth_time` after `time`."""
EVENT_DEPTH_MAX: Final = 16
"""Nested objects and arrays of one event, the event itself counted."""
TENANT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_deeper(value: object, depth: int) -> bool:
    """Whether objects and arrays nest deeper; it never looks further down than that."""
    if isinstance(value, dict):
        return depth == 0 or any(is_deeper(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(is_deeper(item, depth - 1) for item in value)
    return False


def read_data(data: dict[str, Any]) -> tuple[ev.Data | None, dict[str, str]]:
    """The known fields of an event's `data`.

    Returns:
        The fields, None where one is wrong; and what is wrong by path (`data.client.ip`), in the order of the fields.
    """
    known: ev.Data | None = None
    faults: dict[str, str] = {}
    try:
        known = ev.Data.model_validate(data)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_input=False):
            # The path ends where the names end: `data.amr`, not `data.amr.0`.
            names = [str(part) for part in error["loc"] if isinstance(part, str)]
            if names[:1] == ["auth_time"]:
                names = names[:1]
            faults.setdefault("data." + ".".join(names), error["msg"].removeprefix("Value error, "))
    tenant = data.get("tenant")
    if "data.tenant" not in faults and tenant not in (None, "") and not TENANT.fullmatch(tenant):
        faults["data.tenant"] = f"expected 1 to 64 of A-Z a-z 0-9 . _ -, got {tenant[:80]!r}"
    return known, faults
