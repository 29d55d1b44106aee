"""How far the clocks of sources contradict each other: an effect that is dated before its cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from stepwatch.schemas import events as ev
from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import MINUTE_US, SECOND_US
from stepwatch.streams.decode import Event
from stepwatch.streams.facts import kind_of
from stepwatch.streams.replay import Gathered
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.tuning.chances import Interval, wilson
from stepwatch.streams.tuning.rejudging import Evidence
from stepwatch.streams.tuning.tune_base import ACTIONS_MIN, Advice, NothingToTune
from stepwatch.streams.tuning.variants import varied
from stepwatch.streams.waiting import SubjectKey

LADDER_US: Final = (
    0, SECOND_US // 10, SECOND_US // 2, SECOND_US, 2 * SECOND_US, 5 * SECOND_US, 10 * SECOND_US, 30 * SECOND_US,
    MINUTE_US, 5 * MINUTE_US,
)  # fmt: skip
COVERED: Final = 0.99
"""The skew that is recommended covers this share of the contradictions between proofs and actions."""
_ANSWERS: Final = {ev.STEPUP_VERIFIED, ev.STEPUP_FAILED, ev.STEPUP_DENIED}


class Pair(NamedTuple):
    """A cause and its effect, by their times.

    Attributes:
        proves: the cause is a proof and the effect an action that relied on it: what `clock_skew` is for.
        late_us: the cause's time less the effect's: above 0 the clocks contradict each other.
    """

    cause: str
    effect: str
    proves: bool
    late_us: int


@dataclass(frozen=True, slots=True)
class Sources:
    """The pairs of two sources.

    Attributes:
        contradict: how many of the pairs do, as a share with its 95 % interval in `share`.
        late_us: by how much, sorted: the clocks differ by at least that.
    """

    cause: str
    effect: str
    pairs: int
    contradict: int
    share: Interval
    late_us: list[int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One skew: how many contradictions between proofs and actions it covers, and which verdicts would change."""

    skew_us: int
    covered: int
    verdicts: Counter[str]


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """Everything about `clock_skew`, which is one for all policies here.

    Attributes:
        now_us: the largest of any file.
        proofs: pairs of a proof and an action that relied on it; `contradict` of them do.
    """

    now_us: int
    proofs: int
    contradict: int
    sources: list[Sources]
    candidates: list[Candidate]
    advice: Advice


def tune_clock_skew(evidence: Evidence, also_us: Iterable[int] = ()) -> ClockSkew:
    """Find the pairs and try skews on what was judged.

    Raises:
        NothingToTune: no two events of which one must come first.
    """
    found = list(pairs(evidence.gathered))
    if not found:
        raise NothingToTune(
            "no two events of which one must come first: none names its `challenge`, `verification` or session"
        )
    now_us = max(policy_set.skew_max_us for policy_set in evidence.sets.sets)
    proofs = [pair for pair in found if pair.proves]
    late_us = sorted(pair.late_us for pair in proofs if pair.late_us > 0)
    before = [one.decision.verdict for one in evidence.under(evidence.sets)]
    candidates = []
    for skew_us in sorted({*LADDER_US, *also_us, now_us}):
        after = (one.decision.verdict for one in evidence.under(_with_skew(evidence.sets, skew_us)))
        flips = Counter(f"{was} -> {now}" for was, now in zip(before, after, strict=True) if was != now)
        candidates.append(Candidate(skew_us, sum(one <= skew_us for one in late_us), flips))
    advice = _advise(now_us, len(proofs), late_us, candidates)
    return ClockSkew(now_us, len(proofs), len(late_us), _by_source(found), candidates, advice)


def _with_skew(sets: PolicySets, skew_us: int) -> PolicySets:
    return varied(sets, lambda requirement: replace(requirement, clock_skew_us=skew_us))


def pairs(gathered: Gathered) -> Iterator[Pair]:
    """Every pair of one subject's events of which the first must have happened before the second.

    A challenge and its answer; a proof and an action that names it, or its challenge, as what it relied on; the
    beginning of a session and an action in it.
    """
    by_subject: dict[SubjectKey, list[Event]] = {}
    for key, event in gathered.events.items():
        if isinstance(event, Event):
            by_subject.setdefault((key[0], key[1]), []).append(event)
    for events in by_subject.values():
        yield from _pairs(sorted(events, key=lambda event: (event.time_us, event.source, event.id)))


def _pairs(events: list[Event]) -> Iterator[Pair]:
    """Of one subject, by time: the first event of a name is the cause."""
    causes: dict[tuple[str, str], Event] = {}
    for event in events:
        data = event.data
        names = []
        if event.type == ev.STEPUP_CHALLENGED:
            names.append(("challenge", data.challenge))
        if event.type == ev.SESSION_STARTED:
            names.append(("session", data.session))
        if kind_of(event):
            names += [("proof", data.verification or event.id), ("answer", data.challenge)]
        for kind, name in names:
            if name:
                causes.setdefault((kind, name), event)
    for event in events:
        data, names = event.data, []
        if event.type in _ANSWERS:
            names.append(("challenge", data.challenge))
        elif event.type == ev.ACTION_PERFORMED:
            names += [("proof", data.verification), ("answer", data.challenge), ("session", data.session)]
        for kind, name in names:
            cause = causes.get((kind, name)) if name else None
            if cause is not None:
                proves = kind in ("proof", "answer")
                yield Pair(cause.source, event.source, proves, cause.time_us - event.time_us)


def _by_source(found: list[Pair]) -> list[Sources]:
    groups: dict[tuple[str, str], list[int]] = {}
    for pair in found:
        groups.setdefault((pair.cause, pair.effect), []).append(pair.late_us)
    said = []
    for (cause, effect), differences in sorted(groups.items()):
        late_us = sorted(one for one in differences if one > 0)
        share = wilson(len(late_us) / len(differences), len(differences))
        said.append(Sources(cause, effect, len(differences), len(late_us), share, late_us))
    return said


def _advise(now_us: int, proofs: int, late_us: list[int], candidates: list[Candidate]) -> Advice:
    shown = show_duration(now_us)
    if proofs < ACTIONS_MIN:
        said = f"{proofs} actions that name the proof they relied on are too few to say"
        return Advice(None, f"{said}: take a longer period (at least {ACTIONS_MIN}), or let applications report it")
    if not late_us:
        most = wilson(0.0, proofs).high
        said = f"none of {proofs} proofs is dated after its action (95 %: at most {most:.1%} are)"
        return Advice(now_us, f"keep {shown}: {said}")
    best = next((one for one in candidates if one.covered >= COVERED * len(late_us)), None)
    said = f"{len(late_us)} of {proofs} proofs are dated after their action, by {show_duration(late_us[-1])} at most"
    if best is None:
        tried = show_duration(candidates[-1].skew_us)
        return Advice(None, f"{said}, more than {tried}: set the clock of the source right instead")
    if best.skew_us == now_us:
        return Advice(now_us, f"keep {shown}: {said}, and {COVERED:.0%} of them are covered")
    return Advice(best.skew_us, f"{shown} -> {show_duration(best.skew_us)}: {said}; that covers {COVERED:.0%} of them")
