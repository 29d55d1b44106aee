"""All that is known of one subject: its facts, its actions, in the order of their times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TypeVar

from stepwatch.schemas import events as ev
from stepwatch.streams.facts import Action, Fact, Key, Order, Remembered

Timed = TypeVar("Timed", Fact, Action)
_order = attrgetter("order")

STEPS = frozenset(
    {
        ev.STEPUP_CHALLENGED,
        ev.STEPUP_VERIFIED,
        ev.STEPUP_FAILED,
        ev.STEPUP_DENIED,
        ev.STEPUP_EXPIRED,
        ev.STEPUP_CANCELLED,
        ev.STEPUP_BYPASSED,
    }
)
"""Every `stepup.*` but `required`: what became of a request to prove identity again."""

PROMPTS = STEPS - {ev.STEPUP_VERIFIED, ev.STEPUP_BYPASSED}
"""What a person who is being pestered with prompts leaves behind."""
ANCHORS = STEPS | {ev.APPROVAL_GRANTED}
"""What patterns look back from, where it is no action."""


class Ledger:
    """The facts of one subject. Lists are sorted by (time, source, id)."""

    __slots__ = (
        "actions",
        "anchors",
        "credentials",
        "facts",
        "kept",
        "open",
        "prompts",
        "remembered",
        "revocations",
        "steps",
        "subject",
        "tenant",
        "verifications",
    )

    def __init__(self, tenant: str, subject: str) -> None:
        self.tenant = tenant
        self.subject = subject
        self.facts: dict[Key, Fact] = {}
        self.kept: dict[Key, Action] = {}
        self.open: dict[Key, Action] = {}
        self.remembered: dict[Key, Remembered] = {}
        self.actions: list[Action] = []
        self.verifications: list[Fact] = []
        self.steps: list[Fact] = []
        self.revocations: list[Fact] = []
        self.credentials: list[Fact] = []
        self.anchors: list[Fact] = []
        self.prompts = 0

    def _lists(self, fact: Fact) -> Iterator[list[Fact]]:
        if fact.kind:
            yield self.verifications
        if fact.type in ANCHORS:
            yield self.anchors
        if fact.type in STEPS:
            yield self.steps
        elif fact.type == ev.SESSION_REVOKED:
            yield self.revocations
        elif fact.type == ev.CREDENTIAL_CHANGED:
            yield self.credentials

    def add_fact(self, fact: Fact) -> None:
        """Keep a fact that is no copy."""
        self.facts[fact.key] = fact
        self.prompts += fact.type in PROMPTS
        for facts in self._lists(fact):
            insort(facts, fact, key=_order)

    def add_action(self, action: Action) -> None:
        """Keep an action that a policy matches."""
        self.kept[action.key] = action
        if not action.closed:
            self.open[action.key] = action
        insort(self.actions, action, key=_order)

    def forget_fact(self, key: Key) -> None:
        """Let a fact go."""
        fact = self.facts.pop(key)
        self.prompts -= fact.type in PROMPTS
        for facts in self._lists(fact):
            del facts[bisect_left(facts, fact.order, key=_order)]

    def forget_action(self, key: Key) -> None:
        """Let an action go that has closed."""
        action = self.kept.pop(key)
        self.open.pop(key, None)
        del self.actions[bisect_left(self.actions, action.order, key=_order)]

    @property
    def live_facts(self) -> int:
        """How many facts and actions are kept: bounded by `subject_facts_max`."""
        return len(self.facts) + len(self.kept)

    @property
    def is_empty(self) -> bool:
        """Nothing is known any more."""
        return not (self.facts or self.kept or self.remembered)


def between(items: Sequence[Timed], first_us: int, last_us: int) -> Sequence[Timed]:
    """Those with a time from first to last, both ends in."""
    start: Order = (first_us, "", "")
    return items[bisect_left(items, start, key=_order) : bisect_right(items, last_us, key=attrgetter("time_us"))]
