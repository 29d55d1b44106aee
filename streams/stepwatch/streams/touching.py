"""Which open actions one more fact may concern: the others keep their decision, and are not judged again.

A subject may have tens of thousands of open actions, and each fact of it would have all of them judged. What decides an
action lies in windows around its time (contract section 5), so most facts can concern only the latest few.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import DAY_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.judge import AFTER_THE_FACT, SOURCE_SILENT, Judge, may_come_after
from stepwatch.streams.ledger import STEPS, Ledger, between
from stepwatch.streams.sets import PolicySets


class Spans(msgspec.Struct, frozen=True):
    """How far a fact may reach by any set, in microseconds.

    Attributes:
        same_session: every policy asks for proofs of the action's session.
        limited: some policy has `max_uses`: there an action's decision may change that of later ones.
        feeds: sources with `silent_after`: an event of theirs is a sign of life.
    """

    skew_us: int
    lookback_us: int
    max_age_us: int
    same_session: bool
    limited: bool
    feeds: frozenset[str]


def spans_of(sets: PolicySets) -> Spans:
    """The largest of all policies of all sets."""
    required = [requirement for policy_set in sets.sets for requirement in policy_set.requirements.values()]
    feeds = {source.name for one in sets.sets for source in one.sources.values() if source.silent_after_us is not None}
    return Spans(
        max((requirement.clock_skew_us for requirement in required), default=0),
        max((requirement.lookback_us for requirement in required), default=0),
        max((requirement.max_age_us for requirement in required), default=0),
        all(requirement.same_session for requirement in required),
        any(requirement.max_uses is not None for requirement in required),
        frozenset(feeds),
    )


def touched_by_fact(fact: Fact, ledger: Ledger, judge: Judge, spans: Spans) -> Iterator[Action]:
    """Open actions, each once or more often, whose decision or whose patterns a new fact may change.

    Args:
        fact: in the ledger already.
        ledger: of its subject.
        judge: knows the policies of actions.
        spans: of all sets.
    """
    first_us, last_us = _near(fact, spans)
    for action in between(ledger.actions, first_us, last_us):
        if not action.closed:
            yield action
    if fact.source in spans.feeds:
        yield from (ledger.open[key] for key, reason in ledger.unproved.items() if reason == SOURCE_SILENT)
    if not fact.kind:
        return
    is_last = ledger.verifications[-1] is fact
    for key, reason in ledger.unproved.items():
        action = ledger.open[key]
        if action.time_us >= first_us or (is_last and reason == AFTER_THE_FACT):
            # Seen above; or another came after the fact before this one, and the first of them counts.
            continue
        if spans.same_session and fact.session != action.session and fact.root != action.root:
            continue
        if may_come_after(judge.case(action, ledger, action.closes_us), fact):
            yield action


def _near(fact: Fact, spans: Spans) -> tuple[int, int]:
    """The first and the last time of actions that a fact concerns by its own time, unless it came after the fact."""
    first_us, last_us = fact.time_us + 1, fact.time_us
    if fact.kind or fact.type in STEPS:
        first_us = fact.time_us - spans.skew_us
    if fact.kind:
        last_us = max(last_us, fact.at_us + spans.lookback_us)
    if fact.type in STEPS:
        last_us = max(last_us, fact.time_us + spans.max_age_us)
    if fact.type in (ev.SESSION_REVOKED, ev.CREDENTIAL_CHANGED):
        first_us, last_us = fact.time_us, max(last_us, fact.time_us + max(spans.lookback_us, DAY_US))
    return first_us, last_us
