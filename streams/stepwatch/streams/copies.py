"""Of several records of one event the first to arrive is the event (contract section 3)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from stepwatch.streams.decode import ACTION, Event, body_hash
from stepwatch.streams.facts import Action, Fact, Remembered
from stepwatch.streams.ledger import Ledger


class Seen(Enum):
    """What a record is among those of its key."""

    NEW = "new"
    COPY = "copy"
    CONFLICT = "conflict"


# Bound once: to look a member up in its class costs as much as three calls, and every event asks a few times.
NEW: Final = Seen.NEW
COPY: Final = Seen.COPY
CONFLICT: Final = Seen.CONFLICT


def seen(event: Event, ledger: Ledger | None) -> Seen:
    """Whether the event is known already: a copy changes nothing, another body is a conflict."""
    if ledger is None:
        return NEW
    key = (event.source, event.id)
    known: Action | Remembered | Fact | None
    if event.family == ACTION:
        known = ledger.kept.get(key) or ledger.remembered.get(key)
    else:
        known = ledger.facts.get(key)
    if known is None:
        return NEW
    return COPY if known.hash == body_hash(event.value) else CONFLICT
