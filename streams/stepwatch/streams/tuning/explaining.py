"""Why one action was judged so: every filter on every verification, as the stream's own judge sees them.

The judge decides what a candidate is, what each filter says and which proof is chosen; here its answers are only put
into words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from stepwatch.streams.decode import ACTION, Event, decode
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.filters import FILTERS, Case
from stepwatch.streams.intake import ActionView
from stepwatch.streams.judge import EXEMPT, NOT_REQUIRED, Decision, after_the_fact
from stepwatch.streams.ledger import between
from stepwatch.streams.matching import Requirement
from stepwatch.streams.partition import Partition
from stepwatch.streams.replay import EventKey, Gathered, PlainLine
from stepwatch.streams.sets import PolicySet, PolicySets
from stepwatch.streams.tuning.policy_lines import PolicyLines, policy_lines
from stepwatch.streams.tuning.rejudging import judged
from stepwatch.streams.wording import duration, reason_sentence

PASSES: Final = "pass"
FAILS: Final = "fail"
NOT_ASKED: Final = "not asked"


@dataclass(frozen=True, slots=True)
class Check:
    """One filter on one verification.

    Attributes:
        filter: its name in contract section 5.
        result: `PASSES`, `FAILS`, or `NOT_ASKED` where the policy sets no such demand.
        by_us: of `stale`, age less `max_age`: above 0 too old; None elsewhere.
        detail: what was compared, in words; `""` where not asked.
    """

    filter: str
    result: str
    by_us: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One verification of the subject.

    Attributes:
        age_us: of the proof when the action happened; below 0: proved after it.
        is_candidate: the judge looked at it.
        why_not: why it did not; `""` where it did.
        checks: all eight filters in their order.
        chosen: it is the proof that covers the action.
    """

    fact: Fact
    age_us: int
    is_candidate: bool
    why_not: str
    checks: list[Check]
    chosen: bool

    @property
    def failed(self) -> list[str]:
        """The filters that it fails, in their order."""
        return [check.filter for check in self.checks if check.result == FAILS]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about the verdict of one action.

    Attributes:
        key: the action among all events that were gathered.
        event: the action as it was reported.
        action, requirement: None where no policy demands a proof of it.
        policies: of the set in force at its time, in the order in which they match.
        candidates: verifications from `lookback` before it to `revise_within` after it, the youngest proof first.
        others: what else was recorded of the subject in that time, in the order of the times.
    """

    key: EventKey
    event: Event
    decision: Decision
    sentence: str
    policy_set: PolicySet
    action: Action | None
    requirement: Requirement | None
    policies: list[PolicyLines]
    candidates: list[Candidate]
    others: list[Fact]


def find_actions(gathered: Gathered, said: str, tenant: str = "", source: str = "") -> list[EventKey]:
    """The actions that somebody may mean.

    Args:
        gathered: of a file.
        said: an id, `source/id` or `tenant/source/id`.
        tenant, source: only of these; empty: of any.
    """
    return [
        key
        for key in gathered.events
        if key[2] == ACTION
        and said in (key[4], f"{key[3]}/{key[4]}", f"{key[0]}/{key[3]}/{key[4]}")
        and tenant in ("", key[0])
        and source in ("", key[3])
    ]


def of_subject(gathered: Gathered, key: EventKey) -> Gathered:
    """What of all events a verdict of one subject stands on: its own, and every heartbeat."""
    mine = Gathered()
    mine.heartbeats, mine.arrivals = gathered.heartbeats, gathered.arrivals
    mine.events = {one: event for one, event in gathered.events.items() if one[:2] == key[:2]}
    return mine


def judged_action(gathered: Gathered, sets: PolicySets, key: EventKey) -> tuple[Partition, Action | None, Decision]:
    """Judge the events of one subject.

    Args:
        gathered: by `of_subject`.
        sets: to judge by.
        key: of the action.

    Returns:
        The partition, the action where a policy demands a proof of it, and its last decision.
    """
    event = whole(gathered, key)
    partition = judged(gathered, sets)
    ledger = partition.ledger((key[0], key[1]))
    action = ledger.kept.get((key[3], key[4]))
    if action is not None:
        return partition, action, partition.judge.decide(action, ledger)
    match = sets.at(event.time_us).match(ActionView(event, key[1]))
    said = Decision(EXEMPT, "exemption") if match.exempt else Decision(NOT_REQUIRED, "no_policy")
    return partition, None, said


def whole(gathered: Gathered, key: EventKey) -> Event:
    """The event of a key, read whole where it was only skimmed."""
    kept = gathered.events[key]
    event = decode(kept.value, None) if isinstance(kept, PlainLine) else kept
    assert isinstance(event, Event)
    return event


def explain(gathered: Gathered, sets: PolicySets, key: EventKey) -> Explanation:
    """Explain the verdict of one action.

    Args:
        gathered: by `of_subject`.
        sets: that it is judged by.
        key: of the action, as `find_actions` gives it.
    """
    event = whole(gathered, key)
    partition, action, decision = judged_action(gathered, sets, key)
    policy_set = sets.at(event.time_us)
    candidates: list[Candidate] = []
    others: list[Fact] = []
    requirement = None
    if action is not None:
        ledger = partition.ledger((key[0], key[1]))
        case = partition.judge.case(action, ledger, action.closes_us)
        requirement = case.requirement
        candidates = list(_candidates(case, decision))
        first_us, last_us = _span(case)
        others = [
            fact
            for fact in sorted(ledger.facts.values(), key=lambda fact: fact.order)
            if not fact.kind and first_us <= fact.time_us <= last_us
        ]
    return Explanation(
        key=key,
        event=event,
        decision=decision,
        sentence=reason_sentence(decision.reason, decision.nearest),
        policy_set=policy_set,
        action=action,
        requirement=requirement,
        policies=policy_lines(policy_set, ActionView(event, key[1])),
        candidates=candidates,
        others=others,
    )


def _span(case: Case) -> tuple[int, int]:
    """What may speak of an action: event times, both ends in."""
    action, requirement = case.action, case.requirement
    return action.time_us - requirement.lookback_us, action.time_us + requirement.revise_within_us


def _candidates(case: Case, decision: Decision) -> Iterator[Candidate]:
    looked_at = {fact.key for fact in case.candidates(case.ledger.proofs, case.requirement.lookback_us)}
    first_us, last_us = _span(case)
    facts = [fact for fact in between(case.ledger.verifications, first_us, last_us) if fact.at_us >= first_us]
    for fact in sorted(facts, key=lambda fact: fact.rank, reverse=True):
        is_candidate = fact.key in looked_at
        yield Candidate(
            fact=fact,
            age_us=case.age_us(fact),
            is_candidate=is_candidate,
            why_not="" if is_candidate else _why_not(case, fact),
            checks=[_check(case, fact, number) for number in range(len(FILTERS))],
            chosen=decision.chosen is not None and decision.chosen.key == fact.key,
        )


def _why_not(case: Case, fact: Fact) -> str:
    """What keeps a verification from being a candidate, in words."""
    said = []
    if fact.kind not in case.requirement.accept:
        said.append(f"a {fact.kind}, and only {' or '.join(sorted(case.requirement.accept))} counts")
    if fact.arrival_us > case.horizon_us:
        said.append(f"arrived {duration(fact.arrival_us - case.horizon_us)} after the verdict was final")
    if (late_us := fact.time_us - case.action.time_us - case.requirement.clock_skew_us) > 0:
        first = after_the_fact(case)
        said.append(f"{duration(late_us)} too late" + (", and would have done before" if first is fact else ""))
    return "; ".join(said)


def _check(case: Case, fact: Fact, number: int) -> Check:
    name, rule = FILTERS[number]
    if number not in case.terms.numbers:
        return Check(name, NOT_ASKED, None, "")
    by_us = case.age_us(fact) - case.requirement.max_age_us if name == "stale" else None
    return Check(name, FAILS if rule(case, fact) else PASSES, by_us, _DETAILS[name](case, fact))


def _age(case: Case, fact: Fact) -> str:
    age_us = case.age_us(fact)
    by_us = age_us - case.requirement.max_age_us
    said = f"{duration(by_us)} too old" if by_us > 0 else f"{duration(-by_us)} left"
    return f"{duration(age_us)} old, {said}"


def _session(case: Case, fact: Fact) -> str:
    return f"{_or_none(fact.session, fact.root)}, the action {_or_none(case.action.session, case.action.root)}"


def _or_none(session: str, root: str) -> str:
    if not session and not root:
        return "no session"
    return f"session {session or '(none)'}" + (f" below {root}" if root not in ("", session) else "")


def _factors(case: Case, fact: Fact) -> str:
    requirement, said = case.requirement, []
    if requirement.amr_any:
        said.append(f"{', '.join(fact.amr) or 'no amr'}; one of {', '.join(sorted(requirement.amr_any))}")
    if requirement.acr_any:
        said.append(f"acr {fact.acr or '(none)'}; one of {', '.join(sorted(requirement.acr_any))}")
    return "; ".join(said) or "any factor"


def _binding(case: Case, fact: Fact) -> str:
    if case.requirement.binding == "action":
        return f"for {fact.bound_action or 'no action'}, the action is {case.action.action}"
    return f"for transaction {fact.transaction or '(none)'}, the action's is {case.action.transaction or '(none)'}"


def _context(case: Case, fact: Fact) -> str:
    said, requirement, action = [], case.requirement, case.action
    if requirement.same_device:
        said.append(f"device {fact.device or '(none)'}, the action {action.device or '(none)'}")
    if requirement.same_ip:
        said.append(f"address {fact.ip or '(none)'}, the action {action.ip or '(none)'}")
    return "; ".join(said)


def _uses(case: Case, fact: Fact) -> str:
    return f"used by {case.judge.uses(case)[fact.proof]} earlier actions, at most {case.requirement.max_uses}"


_DETAILS: Final[dict[str, Callable[[Case, Fact], str]]] = {
    "untrusted_source": lambda case, fact: f"{fact.kind} from {fact.source}",
    "wrong_session": _session,
    "voided": lambda case, fact: "revocations between the proof and the action",
    "weak_factor": _factors,
    "stale": _age,
    "wrong_binding": _binding,
    "context_mismatch": _context,
    "over_used": _uses,
}
"""Filter -> what it compared, in words; whether it fails is the engine's to say."""
