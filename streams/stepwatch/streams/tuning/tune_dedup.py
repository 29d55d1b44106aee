"""How many alerts each `dedup` would have made of the same verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US
from stepwatch.streams.alerts_of import VERDICT_KINDS, action_bucket
from stepwatch.streams.judge import Judge
from stepwatch.streams.matching import Requirement
from stepwatch.streams.tuning.chances import knee
from stepwatch.streams.tuning.rejudging import Evidence, Judged
from stepwatch.streams.tuning.tune_base import Advice, NothingToTune, requirement_of, too_few
from stepwatch.streams.tuning.variants import varied

LADDER_US: Final = (
    0, MINUTE_US, 5 * MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US, HOUR_US, 2 * HOUR_US, 4 * HOUR_US, 8 * HOUR_US,
    12 * HOUR_US, DAY_US,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """One length of the buckets: the alerts that it makes, and how many actions the largest holds."""

    dedup_us: int
    alerts: int
    largest: int


@dataclass(frozen=True, slots=True)
class Dedup:
    """Everything about the `dedup` of one policy.

    Attributes:
        actions, people: that are members of an alert, unverified or blind.
    """

    policy: str
    owner: str
    now_us: int
    actions: int
    people: int
    candidates: list[Candidate]
    advice: Advice


def tune_dedup(evidence: Evidence, policy: str, also_us: Iterable[int] = ()) -> Dedup:
    """Try lengths of the buckets on what was judged.

    Raises:
        NothingToTune: no such policy, or nothing of it raises an alert.
    """
    requirement = requirement_of(evidence.sets, policy)
    members = [
        one
        for one in evidence.under(evidence.sets, policy)
        if one.action.counts and one.decision.verdict in VERDICT_KINDS
    ]
    if not members:
        raise NothingToTune(f"no action of policy {policy} among these events raises an alert")
    lengths = sorted({*LADDER_US, *also_us, requirement.dedup_us})
    found = Dedup(
        policy=policy,
        owner=requirement.owner,
        now_us=requirement.dedup_us,
        actions=len(members),
        people=len({one.subject for one in members}),
        candidates=[_try(evidence, members, policy, dedup_us) for dedup_us in lengths],
        advice=Advice(None, ""),
    )
    return replace(found, advice=_advise(found))


def _try(evidence: Evidence, members: list[Judged], policy: str, dedup_us: int) -> Candidate:
    def change(requirement: Requirement) -> Requirement:
        return replace(requirement, dedup_us=dedup_us) if requirement.id == policy else requirement

    judge = Judge(varied(evidence.sets, change), evidence.partition.liveness)
    sizes: dict[str, int] = {}
    for one in members:
        kind = VERDICT_KINDS[one.decision.verdict]
        alert_id = action_bucket(kind, judge.terms(one.action), one.subject, one.action).alert_id
        sizes[alert_id] = sizes.get(alert_id, 0) + 1
    return Candidate(dedup_us, len(sizes), max(sizes.values()))


def _advise(found: Dedup) -> Advice:
    few = too_few(found.actions, "actions", found.people)
    if few is not None:
        return few
    shown = show_duration(found.now_us)
    now = next(one for one in found.candidates if one.dedup_us == found.now_us)
    points = [(one.dedup_us, float(found.actions - one.alerts)) for one in found.candidates if one.dedup_us > 0]
    bend_us = knee(points)
    if bend_us is None:
        return Advice(found.now_us, f"keep {shown}: no length spares much more than its neighbours")
    best = next(one for one in found.candidates if one.dedup_us == bend_us)
    if bend_us <= found.now_us:
        said = f"keep {shown}: {now.alerts} alerts of {found.actions} actions, and a longer one spares few more"
        return Advice(found.now_us, said)
    said = f"{now.alerts} alerts become {best.alerts}, of {found.actions} actions of {found.people} people"
    return Advice(bend_us, f"{shown} -> {show_duration(bend_us)}: {said}; longer spares few more")
