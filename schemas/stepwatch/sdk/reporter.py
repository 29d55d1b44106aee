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
    """What became of the events reported in this process: `reported = sent + waiting + all dropped`.

    Attributes:
        reported: accepted by `report`; heartbeats are none.
        sent: acknowledged.
        waiting, waiting_bytes: held in memory, not yet acknowledged.
        dropped: by reason: `backlog_full` (a bound was reached), `refused` (the broker will not take it: too
            large, or nobody here may write to its topic, and that for a minute), `unsent`
            (still waiting when the reporter was closed), `closed` (reported after that).
        heartbeats: sent, each counted once.
        away: why nothing can be sent at the moment, in words; "" where it can.
    """

    reported: int = 0
    sent: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    heartbeats: int = 0
    away: str = ""
