"""A fault of ours: the core raised on an event (nothing that an event holds may do that)."""

from __future__ import annotations

Where = tuple[str, int]
"""(topic, offset) of a record of the partition."""


class EventFailed(Exception):
    """The core raised, and it is known on which event; `__cause__` is what it raised.

    Memory is ahead of the log: whoever catches this builds the correlator anew before it goes on.

    Attributes:
        where: the record of the event; of an earlier batch where an action failed that was accepted long ago.
        code: stable name of the error.
        retriable: True: another worker, or this one once more, may have better luck.
    """

    code = "event_failed"
    retriable = True

    def __init__(self, where: Where) -> None:
        super().__init__(f"{where[0]}@{where[1]}")
        self.where = where
