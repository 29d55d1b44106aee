"""All that is known of one subject: its facts, its actions, in the order of their times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from operator import attrgetter
from typing import Protocol, TypeVar

from stepwatch.schemas import events as ev
from stepwatch.streams.facts import Action, Fact, Key, Remembered
from stepwatch.streams.limits import PROOFS_INDEXED_MIN

Timed = TypeVar("Timed", Fact, Action)
# As the properties `order` and `rank` say it, without a call into Python for each item that a search looks at.
by_order = attrgetter("time_us", "source", "id")
_rank = attrgetter("at_us", "time_us", "source", "id")
_time = attrgetter("time_us")

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


class ActionKeys(Protocol):
    """Which actions are kept or remembered, of all subjects: kept up to date for the native core (`skimming`)."""

    def remember(self, tenant: str, subject: str, source: str, event_id: str, /) -> None:
        """An action of this key is known."""

    def forget(self, tenant: str, subject: str, source: str, event_id: str, /) -> None:
        """It is known no more."""


class Ledger:
    """The facts of one subject. Lists are sorted by (time, source, id), `proofs` by (at, time, source, id).

    `sessions` finds proofs by session and root, once a subject has many; `unproved` are the open actions that no
    verification covered when last judged, with the reason.
    """

    __slots__ = (
        "actions",
        "anchors",
        "credentials",
        "denials",
        "facts",
        "kept",
        "keys",
        "open",
        "prompts",
        "proofs",
        "remembered",
        "revocations",
        "sessions",
        "steps",
        "subject",
        "tenant",
        "unproved",
        "verifications",
    )

    def __init__(self, tenant: str, subject: str, keys: ActionKeys | None = None) -> None:
        self.tenant = tenant
        self.subject = subject
        self.keys = keys
        self.facts: dict[Key, Fact] = {}
        self.kept: dict[Key, Action] = {}
        self.open: dict[Key, Action] = {}
        self.remembered: dict[Key, Remembered] = {}
        self.actions: list[Action] = []
        self.unproved: dict[Key, str] = {}
        self.verifications: list[Fact] = []
        self.proofs: list[Fact] = []
        self.sessions: dict[str, list[Fact]] | None = None
        self.steps: list[Fact] = []
        self.denials: list[Fact] = []
        self.revocations: list[Fact] = []
        self.credentials: list[Fact] = []
        self.anchors: list[Fact] = []
        self.prompts = 0

    def _lists(self, fact: Fact) -> Sequence[list[Fact]]:
        """The lists by time that a fact stands in."""
        lists = (self.verifications,) if fact.kind else ()
        if fact.type in STEPS:
            denials = (self.denials,) if fact.type == ev.STEPUP_DENIED else ()
            return (*lists, self.anchors, self.steps, *denials)
        if fact.type in ANCHORS:
            return (*lists, self.anchors)
        if fact.type == ev.SESSION_REVOKED:
            return (*lists, self.revocations)
        if fact.type == ev.CREDENTIAL_CHANGED:
            return (*lists, self.credentials)
        return lists

    def add_fact(self, fact: Fact) -> None:
        """Keep a fact that is no copy."""
        time_us = fact.time_us
        self.facts[fact.source, fact.id] = fact
        self.prompts += fact.type in PROMPTS
        for facts in self._lists(fact):
            # Most come in the order of their times, and a restart with a million of them should take seconds.
            if not facts or facts[-1].time_us < time_us:
                facts.append(fact)
            else:
                insort(facts, fact, key=by_order)
        if fact.kind:
            proofs = self.proofs
            if not proofs or proofs[-1].at_us < fact.at_us:
                proofs.append(fact)
            else:
                insort(proofs, fact, key=_rank)
            if self.sessions is not None:
                self._index(fact)
            elif len(proofs) >= PROOFS_INDEXED_MIN:
                self.sessions = {}
                for proof in proofs:
                    self._index(proof)

    def add_action(self, action: Action) -> None:
        """Keep an action that a policy matches."""
        self.kept[action.key] = action
        if self.keys is not None:
            self.keys.remember(self.tenant, self.subject, *action.key)
        if not action.closed:
            self.open[action.key] = action
        if not self.actions or self.actions[-1].time_us < action.time_us:
            self.actions.append(action)
        else:
            insort(self.actions, action, key=by_order)

    def forget_fact(self, key: Key) -> None:
        """Let a fact go."""
        fact = self.facts.pop(key)
        self.prompts -= fact.type in PROMPTS
        for facts in self._lists(fact):
            _take_out(facts, fact)
        if fact.kind:
            at = 0 if self.proofs[0] is fact else bisect_left(self.proofs, fact.rank, key=_rank)
            del self.proofs[at]
            if self.sessions is not None:
                for name in {fact.session, fact.root}:
                    self.sessions[name].remove(fact)
                    if not self.sessions[name]:
                        del self.sessions[name]

    def remember(self, known: Remembered) -> None:
        """Keep an action for its copies alone."""
        if self.keys is not None and known.key not in self.remembered:
            self.keys.remember(self.tenant, self.subject, *known.key)
        self.remembered[known.key] = known

    def forget_remembered(self, key: Key) -> None:
        """Let go of an action that was kept for its copies."""
        del self.remembered[key]
        if self.keys is not None:
            self.keys.forget(self.tenant, self.subject, *key)

    def _index(self, fact: Fact) -> None:
        assert self.sessions is not None
        for name in {fact.session, fact.root}:
            insort(self.sessions.setdefault(name, []), fact, key=_rank)

    def proofs_of(self, session: str, root: str) -> list[Fact]:
        """Those of a session or its root, and maybe a few others, by (at, time, source, id); all where they are few."""
        if self.sessions is None:
            return self.proofs
        found = self.sessions.get(session, [])
        if root == session or root not in self.sessions:
            return found
        both = {fact.key: fact for fact in (*found, *self.sessions[root])}
        return sorted(both.values(), key=_rank)

    def forget_action(self, key: Key) -> None:
        """Let an action go that has closed."""
        action = self.kept.pop(key)
        if self.keys is not None:
            self.keys.forget(self.tenant, self.subject, *key)
        self.open.pop(key, None)
        self.unproved.pop(key, None)
        _take_out(self.actions, action)

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
    if not items:
        return items
    return items[bisect_left(items, first_us, key=_time) : bisect_right(items, last_us, key=_time)]


def _take_out(items: list[Timed], item: Timed) -> None:
    """Remove an item, which is mostly the first: what is forgotten is the oldest."""
    del items[0 if items[0] is item else bisect_left(items, item.order, key=by_order)]
