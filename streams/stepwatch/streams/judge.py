"""(action, requirement, facts) -> decision: contract section 5, word for word.

Total and pure: no clock, no I/O, no chance. Everything is judged at a *horizon*: only what arrived at or before it
counts. For an action itself that is its close; for an earlier action that `max_uses` asks about, the earlier of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from stepwatch.schemas import events as ev
from stepwatch.streams.facts import Action, Fact, Proof
from stepwatch.streams.filters import (
    FILTERS,
    Case,
    Terms,
    count_until,
    terms_of,
    untrusted_source,
    weak_factor,
    wrong_binding,
    wrong_session,
)
from stepwatch.streams.ledger import Ledger, between
from stepwatch.streams.liveness import Liveness
from stepwatch.streams.sets import PolicySets

VERIFIED = "verified"
UNVERIFIED = "unverified"
BLIND = "blind"
EXEMPT = "exempt"
NOT_REQUIRED = "not_required"

AFTER_THE_FACT = "after_the_fact"
SOURCE_SILENT = "source_silent"
_NAMES = [name for name, _ in FILTERS]
_STALE = _NAMES.index("stale")
_WRONG_SESSION = _NAMES.index("wrong_session")
_AFTER_THE_FACT_FILTERS = (untrusted_source, wrong_session, weak_factor, wrong_binding)


class Nearest(NamedTuple):
    """The verification that came nearest; `by_us` where age or the skew is what failed, else None."""

    fact: Fact
    failed: tuple[str, ...]
    by_us: int | None

    def shown(self) -> dict[str, Any]:
        """The object that rows show: `verification`, `failed`, `by_us`."""
        return {"verification": self.fact.shown_id, "failed": list(self.failed), "by_us": self.by_us}


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The judgement of one action.

    `chosen` covers it; `nearest` is the nearest miss where none does; `fair_us` is the arrival from which
    `unverified` is fair (see `Judge.fair_from`).
    """

    verdict: str
    reason: str
    chosen: Fact | None = None
    nearest: Nearest | None = None
    fair_us: int = 0


def covering(case: Case) -> Fact | None:
    """The greatest candidate that passes every filter."""
    # What is older than `max_age` is stale, and so is all that was proved before it. This is `case.candidates` once
    # more: each policed action comes here at least twice, and a generator would cost as much as the filters.
    action, requirement, rules = case.action, case.requirement, case.terms.other_rules
    oldest_us, newest_us = action.time_us - requirement.max_age_us, action.time_us + requirement.clock_skew_us
    horizon_us, accept, same_session = case.horizon_us, requirement.accept, requirement.same_session
    session, root = action.session, action.root
    proofs = case.of_session()
    for i in range(count_until(proofs, newest_us) - 1, -1, -1):
        fact = proofs[i]
        if fact.at_us < oldest_us:
            return None
        # As `wrong_session` says it: most are of other sessions, and a call would cost five times as much.
        if same_session and not (fact.session == session != "" or fact.root == root != ""):
            continue
        if fact.time_us > newest_us or fact.arrival_us > horizon_us or fact.kind not in accept:
            continue
        for rule in rules:
            if rule(case, fact):
                break
        else:
            return fact
    return None


def may_come_after(case: Case, fact: Fact) -> bool:
    """Whether a verification would do, had it not come after the action, within `revise_within`."""
    requirement, late_us = case.requirement, fact.time_us - case.action.time_us
    return (
        requirement.clock_skew_us < late_us <= requirement.revise_within_us
        and fact.kind in requirement.accept
        and not any(rule(case, fact) for rule in _AFTER_THE_FACT_FILTERS)
    )


def after_the_fact(case: Case) -> Fact | None:
    """The first verification that would do, had it not come after the action."""
    action, requirement = case.action, case.requirement
    first_us = action.time_us + requirement.clock_skew_us + 1
    for fact in between(case.ledger.verifications, first_us, action.time_us + requirement.revise_within_us):
        if fact.arrival_us <= case.horizon_us and may_come_after(case, fact):
            return fact
    return None


_STEP_REASONS = {
    ev.STEPUP_DENIED: "denied",
    ev.STEPUP_FAILED: "failed",
    ev.STEPUP_BYPASSED: "bypassed",
    ev.STEPUP_CHALLENGED: "abandoned",
    ev.STEPUP_EXPIRED: "abandoned",
    ev.STEPUP_CANCELLED: "abandoned",
}


def last_step_reason(case: Case) -> str | None:
    """What the last step before the action says; None where there is none or it was verified."""
    action, requirement = case.action, case.requirement
    first_us, last_us = action.time_us - requirement.max_age_us, action.time_us + requirement.clock_skew_us
    for fact in case.arrived(reversed(between(case.ledger.steps, first_us, last_us))):
        if not wrong_session(case, fact):
            return _STEP_REASONS.get(fact.type)
    return None


class Struck:
    """Candidates that all fail, greatest first: the nearest miss, and the filter that strikes the last of them.

    Each falls to the first filter that it fails; the last to fall falls to the latest of these. A subject may have ten
    thousands of candidates, so whoever has seen enough stops: of one when it is no nearer, of all when none can be.
    """

    def __init__(self, case: Case) -> None:
        self.nearest: Nearest | None = None
        self.any_fresh = False
        self._latest, self._fewest = -1, len(FILTERS) + 1
        lookback_us = case.requirement.lookback_us
        if not self._look_at(case, case.candidates(case.ledger.proofs, lookback_us), until_session=True):
            # What is left of other sessions falls to `wrong_session` at the latest, and is no nearer.
            self._look_at(case, case.candidates(case.of_session(), lookback_us), until_session=False)
        self.last_filter = _NAMES[self._latest] if self._latest >= 0 else ""

    def _look_at(self, case: Case, candidates: Iterator[Fact], until_session: bool) -> bool:
        """Look at candidates; False where it stopped since only those of the action's session matter any more."""
        rules, numbers = case.terms.rules, case.terms.numbers
        max_age_us = case.requirement.max_age_us
        for fact in candidates:
            age_us = case.age_us(fact)
            is_stale = age_us > max_age_us
            if self._fewest == 1:
                if self._latest >= (_STALE if is_stale else numbers[-1]):
                    return True
                if until_session and self._latest >= _WRONG_SESSION and case.requirement.same_session:
                    return False
            self.any_fresh |= not is_stale
            failed: list[int] = []
            for number, rule in zip(numbers, rules, strict=True):
                if rule(case, fact):
                    failed.append(number)
                    if len(failed) >= self._fewest:
                        break
            self._latest = max(self._latest, failed[0])
            if len(failed) < self._fewest:
                self._fewest = len(failed)
                by_us = age_us - max_age_us if is_stale else None
                self.nearest = Nearest(fact, tuple(_NAMES[number] for number in failed), by_us)
        return True


def unverified(case: Case) -> tuple[str, Nearest | None]:
    """Reason and nearest miss where no candidate covers the action."""
    struck = Struck(case)
    nearest = struck.nearest
    if struck.any_fresh:
        return struck.last_filter, nearest
    late = after_the_fact(case)
    if late is not None:
        if nearest is None:
            skew_end_us = case.action.time_us + case.requirement.clock_skew_us
            nearest = Nearest(late, (AFTER_THE_FACT,), late.time_us - skew_end_us)
        return AFTER_THE_FACT, nearest
    return last_step_reason(case) or struck.last_filter or "no_step_up", nearest


class Judge:
    """Decides the actions of one partition's subjects.

    `memo` holds what earlier actions chose at a horizon; it is good for as long as no fact is added, so whoever adds
    one calls `forget_choices` before the next judgement.
    """

    def __init__(self, sets: PolicySets, liveness: Liveness) -> None:
        self.sets = sets
        self.liveness = liveness
        self._terms: dict[tuple[str, str], Terms] = {}
        self._choices: dict[tuple[int, int], Proof | None] = {}

    def forget_choices(self) -> None:
        """Facts have changed: what earlier actions chose has to be judged again."""
        self._choices.clear()

    def terms(self, action: Action) -> Terms:
        """What its policy asks for, in the set that judges it in every revision."""
        known = self._terms.get((action.set_digest, action.policy))
        if known is None:
            policy_set, requirement = action.judged_by(self.sets)
            known = terms_of(policy_set, requirement)
            if policy_set.digest == action.set_digest:  # where it is not known yet, another stands in for it
                self._terms[action.set_digest, action.policy] = known
        return known

    def case(self, action: Action, ledger: Ledger, horizon_us: int) -> Case:
        """The action with its policy of the set in force at its own time."""
        terms = self.terms(action)
        return Case(action, terms.requirement, terms, ledger, horizon_us, self)

    def decide(self, action: Action, ledger: Ledger) -> Decision:
        """The verdict of an action on all that is known and counts for it."""
        if action.too_late:
            return Decision(BLIND, "too_late")
        if action.overloaded:
            return Decision(BLIND, "overload")
        case = self.case(action, ledger, action.closes_us)
        chosen = covering(case)
        if chosen is not None:
            return Decision(VERIFIED, chosen.kind, chosen)
        reason, nearest = unverified(case)
        fair_us = self.fair_from(case)
        if fair_us is None:
            return Decision(BLIND, SOURCE_SILENT, None, nearest)
        return Decision(UNVERIFIED, reason, None, nearest, fair_us)

    def choice(self, action: Action, ledger: Ledger, horizon_us: int) -> Proof | None:
        """The proof that an action chose, as it stood at a horizon; None where none covered it."""
        if action.closed and horizon_us >= action.closes_us:
            return action.proof
        if action.too_late or action.arrival_us > horizon_us:
            return None
        known = (id(action), horizon_us)
        if known not in self._choices:
            case = self.case(action, ledger, horizon_us)
            chosen = covering(case)
            self._choices[known] = chosen.proof if chosen is not None else None
        return self._choices[known]

    def uses(self, case: Case) -> Counter[Proof | None]:
        """How many earlier actions of the same policy chose which proof, each as it stood."""
        if case.used is None:
            case.used = Counter(
                self.choice(earlier, case.ledger, min(case.horizon_us, earlier.closes_us))
                for earlier in self._earlier(case)
            )
        return case.used

    def _earlier(self, case: Case) -> Iterator[Action]:
        action = case.action
        for earlier in between(case.ledger.actions, action.time_us - case.requirement.lookback_us, action.time_us):
            if earlier.order >= action.order:
                return
            if earlier.counts and earlier.policy == action.policy and earlier.arrival_us <= case.horizon_us:
                yield earlier

    def fair_from(self, case: Case) -> int | None:
        """The arrival from which `unverified` is fair: every source with `silent_after` has given a sign of life.

        Returns:
            The latest of the first signs, the start of the window where no source has to be heard; None: blind.
        """
        action = case.action
        fair_us = 0
        for source in case.terms.policy_set.sources.values():
            if source.silent_after_us is None:
                continue
            first_us = action.grace_end_us - source.silent_after_us
            sign_us = self._first_sign(case.ledger, source.name, source.silent_after_us, first_us, action.closes_us)
            if sign_us is None:
                return None
            fair_us = max(fair_us, sign_us)
        return fair_us

    def _first_sign(self, ledger: Ledger, source: str, silent_after_us: int, first_us: int, last_us: int) -> int | None:
        sign_us = self.liveness.first_sign((source, silent_after_us), first_us, last_us)
        if sign_us == first_us:
            return sign_us  # there is none before
        for fact in ledger.facts.values():
            arrival_us = fact.arrival_us
            if (
                first_us <= arrival_us <= (last_us if sign_us is None else sign_us)
                and fact.source == source
                and arrival_us - fact.time_us <= silent_after_us
            ):
                sign_us = arrival_us
        return sign_us
