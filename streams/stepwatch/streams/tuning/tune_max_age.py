"""How old a proof is when the action happens, and what each `max_age` would have said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from stepwatch.streams.alerting import UNVERIFIED_ACTION
from stepwatch.streams.alerts_of import action_bucket
from stepwatch.streams.facts import Key
from stepwatch.streams.judge import UNVERIFIED, VERIFIED, Judge
from stepwatch.streams.matching import Requirement
from stepwatch.streams.tuning.chances import Share, knee, knees_drawn, middle_of, share_of
from stepwatch.streams.tuning.rejudging import Evidence, Judged
from stepwatch.streams.tuning.tune_base import (
    Advice,
    NothingToTune,
    is_fair,
    person_of,
    requirement_of,
    too_few,
)
from stepwatch.streams.tuning.variants import varied
from stepwatch.streams.waiting import SubjectKey

LADDER_US: Final = (
    SECOND_US, 10 * SECOND_US, 30 * SECOND_US, MINUTE_US, 2 * MINUTE_US, 3 * MINUTE_US, 5 * MINUTE_US,
    10 * MINUTE_US, 15 * MINUTE_US, 30 * MINUTE_US, HOUR_US, 2 * HOUR_US, 4 * HOUR_US, 8 * HOUR_US, 12 * HOUR_US,
    DAY_US,
)  # fmt: skip
"""The windows that are tried, as far as `lookback` allows, beside the one of now."""
GAIN_MIN: Final = 0.02
"""Where the longest window verifies less than this share more than the shortest, the window hardly matters."""

_Name = tuple[SubjectKey, Key]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One window, and what it would have said.

    Attributes:
        window_us: the `max_age`.
        verified: of all actions, with its interval.
        to_verified, to_unverified: actions whose verdict would change, by subject (`tenant/subject`).
        alerts: open `unverified_action` alerts of the policy on these verdicts.
    """

    window_us: int
    verified: Share
    to_verified: Counter[str]
    to_unverified: Counter[str]
    alerts: int


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Everything about the `max_age` of one policy.

    Attributes:
        now_us, lookback_us: as the youngest set has them.
        actions, people: that the policy demands a proof of; those that came too late to be judged are left out.
        left_out: how many these are.
        ages_us: of the proof of each action that passes every other filter, sorted; below 0: within the clock skew.
        unproved: why the rest has none of any age, by reason.
        candidates: by window.
        knee_us: None where the curve has none.
        knees_us: between which the knee lies in 95 of 100 cases when the people are drawn anew; None without any.
    """

    policy: str
    owner: str
    now_us: int
    lookback_us: int
    actions: int
    people: int
    left_out: int
    ages_us: list[int]
    unproved: Counter[str]
    candidates: list[Candidate]
    knee_us: int | None
    knees_us: tuple[int, int] | None
    advice: Advice

    def at(self, window_us: int) -> Candidate:
        """The candidate with that window, one of those tried."""
        return next(candidate for candidate in self.candidates if candidate.window_us == window_us)


def tune_max_age(evidence: Evidence, policy: str, also_us: Iterable[int] = ()) -> MaxAge:
    """Try windows on what was judged.

    Args:
        evidence: events and sets.
        policy: whose `max_age`.
        also_us: windows to try beside the ladder, each above 0 and at most `lookback`.

    Raises:
        NothingToTune: no such policy, no action of it, or a window that no set would take.
    """
    requirement = requirement_of(evidence.sets, policy)
    now_us, lookback_us = requirement.max_age_us, requirement.lookback_us
    for window_us in also_us:
        if not 0 < window_us <= lookback_us:
            said = f"expected more than 0s and at most {show_duration(lookback_us)}, the `lookback` of {policy}"
            raise NothingToTune(f"{show_duration(window_us)}: {said}")
    usual = {window_us for window_us in LADDER_US if window_us <= lookback_us}
    windows = sorted(usual | {*also_us, now_us, lookback_us})
    everything = evidence.under(evidence.sets, policy)
    now = {_name(one): one.decision.verdict for one in everything if is_fair(one)}
    if not now:
        raise NothingToTune(f"no action that policy {policy} demands a proof of is among these events")
    tried = [_Tried(evidence, policy, window_us, now) for window_us in windows]
    widest = tried[-1].judged
    ages_us = [_age_us(one) for one in widest if one.decision.verdict == VERIFIED]
    by_person = {name: [one.verified[name][0] for one in tried if one.window_us > 0] for name in tried[0].verified}
    points = [(one.window_us, float(one.candidate.verified.count)) for one in tried if one.window_us > 0]
    drawn = knees_drawn([window_us for window_us, _ in points], by_person)
    found = MaxAge(
        policy=policy,
        owner=requirement.owner,
        now_us=now_us,
        lookback_us=lookback_us,
        actions=len(now),
        people=len(by_person),
        left_out=len(everything) - len(now),
        ages_us=sorted(ages_us),
        unproved=Counter(one.decision.reason for one in widest if one.decision.verdict != VERIFIED),
        candidates=[one.candidate for one in tried],
        knee_us=knee(points),
        knees_us=middle_of(drawn) if drawn else None,
        advice=Advice(None, ""),
    )
    return replace(found, advice=_advise(found))


def alerts_of(some: Iterable[Judged], judge: Judge) -> set[str]:
    """The `unverified_action` alerts that are open on these verdicts, by id."""
    return {
        action_bucket(UNVERIFIED_ACTION, judge.terms(one.action), one.subject, one.action).alert_id
        for one in some
        if one.decision.verdict == UNVERIFIED and one.action.counts
    }


class _Tried:
    """One window with all that it said."""

    def __init__(self, evidence: Evidence, policy: str, window_us: int, now: dict[_Name, str]) -> None:
        variant = varied(evidence.sets, _with_window(policy, window_us))
        self.window_us = window_us
        self.judged = [one for one in evidence.under(variant, policy) if is_fair(one)]
        self.verified: dict[str, tuple[int, int]] = {}
        flips: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for one in self.judged:
            person, proved = person_of(one.subject), one.decision.verdict == VERIFIED
            ours, of = self.verified.get(person, (0, 0))
            self.verified[person] = (ours + proved, of + 1)
            if proved != (now[_name(one)] == VERIFIED):
                flips[proved][person] += 1
        alerts = len(alerts_of(self.judged, Judge(variant, evidence.partition.liveness)))
        self.candidate = Candidate(window_us, share_of(dict(self.verified)), flips[True], flips[False], alerts)


def _with_window(policy: str, window_us: int) -> Callable[[Requirement], Requirement]:
    def change(requirement: Requirement) -> Requirement:
        return replace(requirement, max_age_us=window_us) if requirement.id == policy else requirement

    return change


def _name(one: Judged) -> _Name:
    return one.subject, one.action.key


def _age_us(one: Judged) -> int:
    assert one.decision.chosen is not None
    return one.action.time_us - one.decision.chosen.at_us


def _advise(found: MaxAge) -> Advice:
    few = too_few(found.actions, "actions", found.people)
    if few is not None:
        return few
    now, shown = found.at(found.now_us), show_duration(found.now_us)
    gain = (found.candidates[-1].verified.count - found.candidates[0].verified.count) / found.actions
    if gain < GAIN_MIN:
        return Advice(found.now_us, f"keep {shown}: between the shortest and the longest window hardly a verdict flips")
    if found.knee_us is None or found.knees_us is None:
        return Advice(found.now_us, f"keep {shown}: the curve has no knee, so every window is as good a choice")
    low_us, high_us = found.knees_us
    between = show_duration(low_us)
    if low_us != high_us:
        between = f"{between} to {show_duration(high_us)}"
    if low_us <= found.now_us <= high_us:
        why = f"keep {shown}: the curve bends at {show_duration(found.knee_us)}, and with other people at {between}"
        return Advice(found.now_us, f"{why}, so these events give no reason to change")
    best = found.at(found.knee_us)
    why = f"{_step(found, now, best)}; the curve bends there, and with other people at {between}"
    alike_us = [
        one.window_us
        for one in found.candidates
        if one.verified.count == best.verified.count and (one.window_us < found.now_us or best.window_us > found.now_us)
    ]
    if alike_us[-1] > best.window_us:
        why += f"; every window up to {show_duration(alike_us[-1])} says as much, and leaves people more time"
    return Advice(found.knee_us, why)


def _step(found: MaxAge, now: Candidate, best: Candidate) -> str:
    """What the step from now to the knee does."""
    flips = best.to_verified if best.window_us > found.now_us else best.to_unverified
    becomes = "verified" if best.window_us > found.now_us else "unverified"
    low, high = best.verified.interval
    return (
        f"{show_duration(found.now_us)} -> {show_duration(best.window_us)}: {flips.total()} of {found.actions} "
        f"verdicts become {becomes} (people: {len(flips)}), alerts go from {now.alerts} to {best.alerts}, and "
        f"{best.verified.count / found.actions:.1%} are verified (95 %: {low:.1%} to {high:.1%})"
    )


def histogram(ages_us: Sequence[int], edges_us: Sequence[int]) -> list[int]:
    """How many ages lie in each bin: up to the first edge, above it up to the second, ...

    Args:
        ages_us: none above the last edge.
        edges_us: growing; each belongs to the bin that it ends.
    """
    counts = [0] * len(edges_us)
    for age_us in ages_us:
        counts[next(index for index, edge_us in enumerate(edges_us) if age_us <= edge_us)] += 1
    return counts
