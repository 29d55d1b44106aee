"""Ids of events: made once, kept over every retry (contract section 3: one action, one event, one id)."""

from __future__ import annotations

import os
import time
import uuid


def new_id() -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): the milliseconds since 1970, then 74 random bits.

    The system's random numbers: a process that was forked does not repeat its parent's ids.
    """
    now_ms = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    return str(
        uuid.UUID(int=now_ms << 80 | 0x7 << 76 | (random >> 64 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1)
    )
