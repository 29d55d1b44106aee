"""What every reporter is to the application: one door for events, and an account of what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

OnDrop = Callable[[str, int], None]
"""Told of dropped events: the reason, one of `Stats.dropped`, and how many since it was last told."""


class Reporter(Protocol):
    """One door: whatever a builder returns goes through `report`."""

    def report(self, event: Mapping[str, Any]) -> None:
        """Take over one event; never waits, and raises nothing but EventError.

        Args:
            event: one CloudEvents object of contract section 3; it may be changed afterwards.

        Raises:
            EventError: the worker would refuse it: a fault of the program, named by its field.
        """


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the events reported in this process.

    `reported + recovered = sent + waiting + spooled + all dropped`.

    Attributes:
        reported: accepted by `report`; heartbeats are none.
        sent: acknowledged.
        waiting, waiting_bytes: held in memory, not yet acknowledged.
        spooled: held on disk, not yet acknowledged.
        recovered: found on disk, left there by an earlier process.
        dropped: by reason: `backlog_full` (a bound was reached), `refused` (the broker or the server will not take it:
            too large, not as it should be, or nobody here may send it, and that for a minute), `unsent`
            (still waiting when the reporter was closed), `closed` (reported after that), `torn` (on disk, and damaged
            there; found at a start, each damaged place counts as one).
        heartbeats: sent, each counted once.
        away: why nothing can be sent at the moment, in words; "" where it can.
        refusal: which event was refused last and why, in words; "" where none was, or nobody said.
        skipped: of those sent, how many the server keeps and its version does not know: an older one.
        unknown: of which types the last of them were, in words; "" where there were none.
    """

    reported: int = 0
    sent: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    heartbeats: int = 0
    spooled: int = 0
    recovered: int = 0
    away: str = ""
    refusal: str = ""
    skipped: int = 0
    unknown: str = ""
