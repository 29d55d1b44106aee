"""What a longer or shorter `lookback` would have said, and how much it keeps in memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import DAY_US, HOUR_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.limits import REMEMBER_MIN_US
from stepwatch.streams.moments import forget_from
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.tuning.rejudging import Evidence
from stepwatch.streams.tuning.tune_base import Advice, NothingToTune
from stepwatch.streams.tuning.variants import with_lookback

LADDER_US: Final = (HOUR_US, 4 * HOUR_US, 8 * HOUR_US, 12 * HOUR_US, DAY_US, 2 * DAY_US, 3 * DAY_US, 7 * DAY_US)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One lookback.

    Attributes:
        lookback_us: the lookback.
        verdicts: actions whose verdict would change, by `was -> becomes`.
        reasons: the same where only the reason changes.
        nearest: actions of which only the nearest miss on record changes.
        facts: the most facts and actions that a worker would have held at one time.
    """

    lookback_us: int
    verdicts: Counter[str]
    reasons: Counter[str]
    nearest: int
    facts: int


@dataclass(frozen=True, slots=True)
class Lookback:
    """Everything about `lookback`, which is one for all policies here.

    Attributes:
        now_us: the largest of any file.
        least_us: the largest `max_age`, below which no set is taken.
    """

    now_us: int
    least_us: int
    actions: int
    candidates: list[Candidate]
    advice: Advice


def tune_lookback(evidence: Evidence, also_us: Iterable[int] = ()) -> Lookback:
    """Try lookbacks on what was judged.

    Raises:
        NothingToTune: no action that a policy demands a proof of, or a lookback shorter than a `max_age`.
    """
    sets = evidence.sets
    before = evidence.under(sets)
    if not before:
        raise NothingToTune("no action that a policy demands a proof of is among these events")
    required = [one for policy_set in sets.sets for one in policy_set.requirements.values()]
    least_us, now_us = max(one.max_age_us for one in required), sets.lookback_max_us
    for lookback_us in also_us:
        if lookback_us < least_us:
            said = f"expected at least {show_duration(least_us)}, the longest `max_age`"
            raise NothingToTune(f"{show_duration(lookback_us)}: {said}")
    windows = sorted({one for one in (*LADDER_US, *also_us) if one >= least_us} | {now_us})
    decided = [one.decision for one in before]
    candidates = []
    for lookback_us in windows:
        variant = with_lookback(sets, lookback_us)
        verdicts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        nearest = 0
        for was, one in zip(decided, evidence.under(variant), strict=True):
            now = one.decision
            if now.verdict != was.verdict:
                verdicts[f"{was.verdict} -> {now.verdict}"] += 1
            elif now.reason != was.reason:
                reasons[f"{was.reason} -> {now.reason}"] += 1
            elif now.nearest != was.nearest:
                nearest += 1
        candidates.append(Candidate(lookback_us, verdicts, reasons, nearest, _most_held(evidence, variant)))
    return Lookback(now_us, least_us, len(before), candidates, _advise(now_us, candidates))


def _most_held(evidence: Evidence, sets: PolicySets) -> int:
    """The most events of which a worker would hold a fact at one log time, by the law of forgetting."""
    kept = []
    for ledger in evidence.partition.ledgers.values():
        times: list[Fact | Action] = [*ledger.facts.values(), *ledger.actions]
        kept += [(one.arrival_us, forget_from(sets, one.time_us, one.arrival_us)) for one in times]
    ends: list[int] = []
    most = 0
    for arrival_us, end_us in sorted(kept):
        while ends and ends[0] < arrival_us:
            heapq.heappop(ends)
        heapq.heappush(ends, end_us)
        most = max(most, len(ends))
    return most


def _advise(now_us: int, candidates: list[Candidate]) -> Advice:
    shown = show_duration(now_us)
    same = [one for one in candidates if not (one.verdicts or one.reasons)]
    now = next(one for one in candidates if one.lookback_us == now_us)
    # Facts are kept for a day at least, whatever is looked back: shorter saves nothing.
    useful = [one for one in same if one.facts < now.facts and one.lookback_us >= min(REMEMBER_MIN_US, now_us)]
    if useful:
        best = useful[0]
        said = f"no verdict and no reason changes, {now.facts} facts at most become {best.facts}"
        return Advice(best.lookback_us, f"{shown} -> {show_duration(best.lookback_us)}: {said}")
    return Advice(now_us, f"keep {shown}: no shorter one keeps fewer facts and says the same")
