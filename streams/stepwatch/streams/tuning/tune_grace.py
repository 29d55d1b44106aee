"""Which pages a longer `grace` would have spared, since the proof came after all, and by which source's delay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US
from stepwatch.streams.alerting import UNVERIFIED_ACTION
from stepwatch.streams.alerts_of import action_bucket
from stepwatch.streams.facts import Fact
from stepwatch.streams.judge import Judge, covering
from stepwatch.streams.tuning.chances import Interval, wilson
from stepwatch.streams.tuning.rejudging import Evidence, Judged
from stepwatch.streams.tuning.tune_base import Advice, NothingToTune, is_fair, requirement_of, too_few

LADDER_US: Final = (
    0, SECOND_US, 2 * SECOND_US, 5 * SECOND_US, 10 * SECOND_US, 20 * SECOND_US, 30 * SECOND_US, MINUTE_US,
    2 * MINUTE_US, 5 * MINUTE_US, 10 * MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US, HOUR_US,
)  # fmt: skip
WITHDRAWN_MOST: Final = 0.05
"""The grace that is recommended lets at most this share of the pages be withdrawn."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One grace.

    Attributes:
        grace_us: the grace.
        pages: alerts that would have been raised, one for each bucket of a subject's actions.
        withdrawn: of these, those of which every action turned out verified by the close.
        share: `withdrawn` of `pages`, as a 95 % interval.
        actions, actions_withdrawn: the same counted by actions.
    """

    grace_us: int
    pages: int
    withdrawn: int
    share: Interval
    actions: int
    actions_withdrawn: int


@dataclass(frozen=True, slots=True)
class Grace:
    """Everything about the `grace` of one policy.

    Attributes:
        now_us, revise_within_us: as the youngest set has them.
        actions, people: with outcome `success` or `unknown`, not too late to be judged.
        delays_us: by source of the covering proof, how long after the action's arrival it arrived, sorted; only those
            that came later than the action.
        candidates: by grace.
    """

    policy: str
    owner: str
    now_us: int
    revise_within_us: int
    actions: int
    people: int
    delays_us: dict[str, list[int]]
    candidates: list[Candidate]
    advice: Advice


def tune_grace(evidence: Evidence, policy: str, also_us: Iterable[int] = ()) -> Grace:
    """Try graces on what was judged.

    What would have been said at the end of a grace is the judgement of what had arrived by then.

    Raises:
        NothingToTune: no such policy, or no action of it.
    """
    requirement = requirement_of(evidence.sets, policy)
    acted = [one for one in evidence.under(evidence.sets, policy) if is_fair(one) and one.action.counts]
    if not acted:
        raise NothingToTune(f"no action that policy {policy} can raise an alert for is among these events")
    judge = Judge(evidence.sets, evidence.partition.liveness)
    delays_us: dict[str, list[int]] = {}
    for one in acted:
        chosen = one.decision.chosen
        if chosen is not None and chosen.arrival_us > one.action.arrival_us:
            delays_us.setdefault(chosen.source, []).append(chosen.arrival_us - one.action.arrival_us)
    people = len({one.subject for one in acted})
    graces = sorted({*LADDER_US, *also_us, requirement.grace_us})
    found = Grace(
        policy=policy,
        owner=requirement.owner,
        now_us=requirement.grace_us,
        revise_within_us=requirement.revise_within_us,
        actions=len(acted),
        people=people,
        delays_us={source: sorted(delays) for source, delays in sorted(delays_us.items())},
        candidates=[_try(judge, acted, grace_us) for grace_us in graces],
        advice=Advice(None, ""),
    )
    facts = (fact for ledger in evidence.partition.ledgers.values() for fact in ledger.facts.values())
    if all(fact.arrival_us == fact.time_us for fact in facts):
        why = "every proof arrives at its own time, so these events do not say how late a source is"
        return replace(found, advice=Advice(None, f"{why}: take stored events, or a file with `arrival`"))
    return replace(found, advice=_advise(found))


def _try(judge: Judge, acted: list[Judged], grace_us: int) -> Candidate:
    pages: dict[str, bool] = {}
    actions = withdrawn = 0
    for one in acted:
        if _proved_by(judge, one, grace_us) is not None:
            continue
        terms = judge.terms(one.action)
        spared = _proved_by(judge, one, grace_us + terms.requirement.revise_within_us) is not None
        actions += 1
        withdrawn += spared
        alert_id = action_bucket(UNVERIFIED_ACTION, terms, one.subject, one.action).alert_id
        pages[alert_id] = pages.get(alert_id, True) and spared
    gone = sum(pages.values())
    return Candidate(
        grace_us, len(pages), gone, wilson(gone / len(pages) if pages else 0.0, len(pages)), actions, withdrawn
    )


def _proved_by(judge: Judge, one: Judged, after_us: int) -> Fact | None:
    """The proof that covers an action by what had arrived so long after it."""
    return covering(judge.case(one.action, one.ledger, one.action.arrival_us + after_us))


def _advise(found: Grace) -> Advice:
    now = next(candidate for candidate in found.candidates if candidate.grace_us == found.now_us)
    few = too_few(found.actions, "actions", found.people)
    if few is not None:
        return few
    shown = show_duration(found.now_us)
    enough = [one for one in found.candidates if one.withdrawn <= WITHDRAWN_MOST * one.pages]
    if not enough:
        tried = show_duration(found.candidates[-1].grace_us)
        return Advice(None, f"no grace up to {tried} spares the pages: see which source is late")
    best = enough[0]
    said = f"{best.withdrawn} of {best.pages} pages withdrawn (95 %: {best.share.low:.1%} to {best.share.high:.1%})"
    if best.grace_us == found.now_us:
        return Advice(found.now_us, f"keep {shown}: the shortest with at most {WITHDRAWN_MOST:.0%}: {said}")
    step = f"{shown} -> {show_duration(best.grace_us)}: the shortest with at most {WITHDRAWN_MOST:.0%}: {said}"
    return Advice(best.grace_us, f"{step}, now {now.withdrawn} of {now.pages}")
