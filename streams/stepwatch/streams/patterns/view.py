"""What a pattern looks at: one subject's events that arrived by a limit (contract section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from stepwatch.schemas.times import MINUTE_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.ledger import Ledger, between
from stepwatch.streams.limits import PATTERN_LATENESS_US
from stepwatch.streams.sets import PolicySets

Reach = tuple[int, int]
"""First and last time of the anchors that an event may concern, both in, in microseconds."""

FATIGUE_WINDOW_US = 10 * MINUTE_US


class View(NamedTuple):
    """One subject's events as they had arrived by a limit."""

    ledger: Ledger
    sets: PolicySets
    limit_us: int

    def steps(self, after_us: int, until_us: int) -> Iterator[Fact]:
        """Steps with a time in (after, until]."""
        return self._arrived(between(self.ledger.steps, after_us + 1, until_us))

    def verifications(self, first_us: int, until_us: int) -> Iterator[Fact]:
        """Verifications with a time in [first, until]."""
        return self._arrived(between(self.ledger.verifications, first_us, until_us))

    def _arrived(self, facts: Sequence[Fact]) -> Iterator[Fact]:
        return (fact for fact in facts if fact.arrival_us <= self.limit_us)

    def until(self, limit_us: int) -> View:
        """The same with an earlier limit, where it is earlier."""
        return self if limit_us >= self.limit_us else View(self.ledger, self.sets, limit_us)


def limit_of(fact: Fact) -> int:
    """The last arrival that counts for an anchor that is an authentication event."""
    return fact.arrival_us + PATTERN_LATENESS_US


def may_anchor(fact: Fact, sets: PolicySets) -> bool:
    """It did not arrive more than `accept_late` (the largest of the set in force at its time) after its time."""
    return fact.arrival_us - fact.time_us <= sets.at(fact.time_us).accept_late_max_us


class EvidencePattern(Protocol):
    """A pattern whose anchor is an authentication event."""

    name: str
    severity: str
    prompts_min: int
    """With fewer prompts on record of a subject it cannot hold, and need not be asked."""

    def anchors(self, fact: Fact) -> bool:
        """Whether an event is of the kind that the pattern looks back from."""

    def reach(self, event: Fact | Action, view: View) -> Reach | None:
        """The times of anchors at which one more event may change whether the pattern holds."""

    def holds(self, anchor: Fact, view: View) -> str | None:
        """The severity where it holds at an anchor, else None."""
