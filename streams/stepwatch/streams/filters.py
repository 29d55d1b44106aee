"""The eight filters of contract section 5, in its order, and the case that they look at.

Each says whether a candidate fails it. A *horizon* bounds what counts: what arrived at or before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from stepwatch.streams.facts import Action, Fact, Proof
from stepwatch.streams.ledger import Ledger, between
from stepwatch.streams.sets import PolicySet, Requirement

if TYPE_CHECKING:
    from stepwatch.streams.judge import Judge

_at = attrgetter("at_us")


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What one policy of one set asks for.

    Attributes:
        rules: the filters that it can fail a candidate by, in their order: the others cost nothing.
        numbers: their places among the eight.
        other_rules: the same without `wrong_session` and `stale`, for candidates that are known to pass these.
    """

    policy_set: PolicySet
    requirement: Requirement
    rules: tuple[Rule, ...]
    numbers: tuple[int, ...]
    other_rules: tuple[Rule, ...]


class Case(msgspec.Struct, gc=False):
    """One action with all that its judgement stands on.

    Attributes:
        action: that a policy matches and does not exempt.
        requirement: the policy, in the set in force at the action's time.
        terms: the same with its set and its filters.
        ledger: of the action's subject.
        horizon_us: the last arrival that counts.
        judge: for `max_uses`, which asks about other actions.
        used: how many earlier actions chose which proof, once it was asked.
    """

    action: Action
    requirement: Requirement
    terms: Terms
    ledger: Ledger
    horizon_us: int
    judge: Judge
    used: Counter[Proof | None] | None = None

    def candidates(self, proofs: list[Fact], within_us: int) -> Iterator[Fact]:
        """Verifications of an accepted kind that were proved within a span and not after the skew, greatest first.

        Args:
            proofs: those to look at, sorted by (at, time, source, id).
            within_us: how far before the action they may lie.
        """
        requirement = self.requirement
        oldest_us = self.action.time_us - within_us
        newest_us = self.action.time_us + requirement.clock_skew_us
        horizon_us, accept = self.horizon_us, requirement.accept
        for i in range(count_until(proofs, newest_us) - 1, -1, -1):
            fact = proofs[i]
            if fact.at_us < oldest_us:
                return
            if fact.time_us <= newest_us and fact.arrival_us <= horizon_us and fact.kind in accept:
                yield fact

    def of_session(self) -> list[Fact]:
        """All that the filter `wrong_session` may let through, sorted as `candidates` wants it."""
        if not self.requirement.same_session:
            return self.ledger.proofs
        return self.ledger.proofs_of(self.action.session, self.action.root)

    def arrived(self, facts: Iterable[Fact]) -> Iterable[Fact]:
        """Those that count."""
        return (fact for fact in facts if fact.arrival_us <= self.horizon_us)

    def age_us(self, fact: Fact) -> int:
        """`a.time - v.at`."""
        return self.action.time_us - fact.at_us


def count_until(proofs: list[Fact], newest_us: int) -> int:
    """How many of the proofs, sorted by `at`, were proved at or before a time.

    Nothing is proved after it was reported, so whatever was proved after the skew came after it too.
    """
    if not proofs or proofs[-1].at_us <= newest_us:
        return len(proofs)
    return bisect_right(proofs, newest_us, key=_at)


# The eight filters, in the contract's order. Each says whether a candidate fails it.


def untrusted_source(case: Case, fact: Fact) -> bool:
    """Some source of the set has `proves`, and the fact's source does not prove its kind."""
    policy_set = case.terms.policy_set
    if not policy_set.any_proves:
        return False
    source = policy_set.sources.get(fact.source)
    return source is None or source.proves is None or fact.kind not in source.proves


def wrong_session(case: Case, fact: Fact) -> bool:
    """With `same_session`, neither both sessions nor both roots are present and equal."""
    if not case.requirement.same_session:
        return False
    action = case.action
    return not (
        (action.session != "" and action.session == fact.session) or (action.root != "" and action.root == fact.root)
    )


def voided(case: Case, fact: Fact) -> bool:
    """Its session or its credential was revoked after the proof and not after the action."""
    revocations, credentials = case.ledger.revocations, case.ledger.credentials
    if not (revocations or credentials):
        return False
    first_us, last_us = fact.at_us + 1, case.action.time_us
    for revoked in case.arrived(between(revocations, first_us, last_us)):
        if revoked.scope == "" or revoked.scope == fact.session or revoked.scope == fact.root:
            return True
    if fact.credential == "":
        return False
    return any(
        changed.credential == fact.credential and changed.change == "revoked"
        for changed in case.arrived(between(credentials, first_us, last_us))
    )


def weak_factor(case: Case, fact: Fact) -> bool:
    """None of its methods is in `amr_any`, or its class not in `acr_any`, where these are set."""
    requirement = case.requirement
    if requirement.amr_any and requirement.amr_any.isdisjoint(fact.amr):
        return True
    return bool(requirement.acr_any) and fact.acr not in requirement.acr_any


def stale(case: Case, fact: Fact) -> bool:
    """It is older than `max_age`."""
    return case.age_us(fact) > case.requirement.max_age_us


def wrong_binding(case: Case, fact: Fact) -> bool:
    """It was not given for this action, or not for this transaction."""
    binding, action = case.requirement.binding, case.action
    if binding == "action":
        return fact.bound_action != action.action
    if binding == "transaction":
        return fact.transaction == "" or fact.transaction != action.transaction
    return False


def context_mismatch(case: Case, fact: Fact) -> bool:
    """With `same_device` or `same_ip`, these are not both present and equal."""
    requirement, action = case.requirement, case.action
    if requirement.same_device and (action.device == "" or action.device != fact.device):
        return True
    return requirement.same_ip and (action.ip == "" or action.ip != fact.ip)


def over_used(case: Case, fact: Fact) -> bool:
    """With `max_uses`, so many earlier actions chose the same proof already."""
    limit = case.requirement.max_uses
    return limit is not None and case.judge.uses(case)[fact.proof] >= limit


Rule = Callable[[Case, Fact], bool]
FILTERS: tuple[tuple[str, Rule], ...] = tuple(
    (rule.__name__, rule)
    for rule in (
        untrusted_source,
        wrong_session,
        voided,
        weak_factor,
        stale,
        wrong_binding,
        context_mismatch,
        over_used,
    )
)
_IDLE: dict[Rule, Callable[[Requirement, PolicySet], bool]] = {
    untrusted_source: lambda required, policy_set: not policy_set.any_proves,
    wrong_session: lambda required, policy_set: not required.same_session,
    voided: lambda required, policy_set: False,
    weak_factor: lambda required, policy_set: not (required.amr_any or required.acr_any),
    stale: lambda required, policy_set: False,
    wrong_binding: lambda required, policy_set: required.binding == "none",
    context_mismatch: lambda required, policy_set: not (required.same_device or required.same_ip),
    over_used: lambda required, policy_set: required.max_uses is None,
}
"""When a filter cannot fail any candidate."""


def terms_of(policy_set: PolicySet, requirement: Requirement) -> Terms:
    """A policy with the filters that it can fail a candidate by."""
    numbers = tuple(n for n, (_, rule) in enumerate(FILTERS) if not _IDLE[rule](requirement, policy_set))
    rules = tuple(FILTERS[number][1] for number in numbers)
    other_rules = tuple(rule for rule in rules if rule not in (wrong_session, stale))
    return Terms(policy_set, requirement, rules, numbers, other_rules)
