"""`--since`: from when on, said as a duration or as a time."""

from __future__ import annotations

import time

from stepwatch.cli.errors import Misused
from stepwatch.schemas.policy import parse_duration
from stepwatch.schemas.times import parse_time


def since_us(text: str) -> int:
    """Microseconds since 1970.

    Args:
        text: a duration back from now (`2h`, `7d`), or an RFC 3339 time.

    Raises:
        Misused: it is neither.
    """
    time_us = parse_time(text)
    if time_us is not None:
        return time_us
    try:
        return time.time_ns() // 1000 - parse_duration(text)
    except ValueError as error:
        raise Misused(
            f"--since {text}: expected a duration like 2h or 7d, or a time like 2026-11-24T09:00:00Z"
        ) from error
