"""The eight filters of contract section 5, in its order, and the case that they look at.

Each says whether a candidate fails it. A *horizon* bounds what counts: what arrived at or before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from stepwatch.streams.facts import Action, Fact, Proof
from stepwatch.streams.ledger import Ledger, between
from stepwatch.streams.sets import PolicySet, Requirement

if TYPE_CHECKING:
    from stepwatch.streams.judge import Judge

_at = attrgetter("at_us")


class Case:
    """One action with all that its judgement stands on.

    Args:
        action: that a policy matches and does not exempt.
        requirement: the policy, in the set in force at the action's time.
        policy_set: that set.
        ledger: of the action's subject.
        horizon_us: the last arrival that counts.
        judge: for `max_uses`, which asks about other actions.
    """

    __slots__ = ("action", "horizon_us", "judge", "ledger", "policy_set", "requirement", "used")

    def __init__(
        self,
        action: Action,
        requirement: Requirement,
        policy_set: PolicySet,
        ledger: Ledger,
        horizon_us: int,
        judge: Judge,
    ) -> None:
        self.action = action
        self.requirement = requirement
        self.policy_set = policy_set
        self.ledger = ledger
        self.horizon_us = horizon_us
        self.judge = judge
        self.used: Counter[Proof | None] | None = None

    def candidates(self, proofs: list[Fact] | None = None) -> Iterator[Fact]:
        """Verifications of an accepted kind that fall into the look-back and not after the skew, greatest first.

        Args:
            proofs: those to look at, sorted by (at, time, source, id); default: all of the subject.
        """
        requirement = self.requirement
        proofs = self.ledger.proofs if proofs is None else proofs
        oldest_us = self.action.time_us - requirement.lookback_us
        newest_us = self.action.time_us + requirement.clock_skew_us
        horizon_us, accept = self.horizon_us, requirement.accept
        # Nothing is proved after it was reported, so whatever was proved after the skew came after it too.
        for i in range(bisect_right(proofs, newest_us, key=_at) - 1, -1, -1):
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

    def rules(self) -> tuple[Rule, ...]:
        """The filters that this policy can fail a candidate by, in their order: the others cost nothing."""
        known = self.judge.rules.get((self.action.set_digest, self.requirement.id))
        if known is None:
            known = tuple(rule for _, rule in FILTERS if not _IDLE[rule](self.requirement, self.policy_set))
            self.judge.rules[self.action.set_digest, self.requirement.id] = known
        return known

    def age_us(self, fact: Fact) -> int:
        """`a.time - v.at`."""
        return self.action.time_us - fact.at_us


# The eight filters, in the contract's order. Each says whether a candidate fails it.


def untrusted_source(case: Case, fact: Fact) -> bool:
    """Some source of the set has `proves`, and the fact's source does not prove its kind."""
    if not case.policy_set.any_proves:
        return False
    source = case.policy_set.sources.get(fact.source)
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
    first_us, last_us = fact.at_us + 1, case.action.time_us
    for revoked in case.arrived(between(case.ledger.revocations, first_us, last_us)):
        if revoked.scope == "" or revoked.scope == fact.session or revoked.scope == fact.root:
            return True
    if fact.credential == "":
        return False
    return any(
        changed.credential == fact.credential and changed.change == "revoked"
        for changed in case.arrived(between(case.ledger.credentials, first_us, last_us))
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
