"""How often the patterns that count would hold with other counts (contract section 6).

The counts are the contract's, not a setting of a policy file: this says how far the alerts stand from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stepwatch.streams.alerts_of import fact_bucket
from stepwatch.streams.patterns.mfa_fatigue import CHALLENGES_MIN, MfaFatigue
from stepwatch.streams.patterns.otp_guessing import FAILURES_MIN, OtpGuessing
from stepwatch.streams.patterns.view import EvidencePattern, View, limit_of, may_anchor
from stepwatch.streams.tuning.rejudging import Evidence
from stepwatch.streams.tuning.tune_base import NothingToTune

_COUNTED: Final[dict[str, tuple[int, Callable[[int], EvidencePattern]]]] = {
    MfaFatigue.name: (CHALLENGES_MIN, MfaFatigue),
    OtpGuessing.name: (FAILURES_MIN, OtpGuessing),
}
"""Pattern -> the contract's count, and the pattern with another one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One count: at how many events the pattern holds, how many alerts these make, of how many people."""

    count: int
    anchors: int
    alerts: int
    people: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """One pattern.

    Attributes:
        now: the contract's count.
        events: that could be an anchor of it.
    """

    pattern: str
    now: int
    events: int
    candidates: list[Candidate]


def tune_patterns(evidence: Evidence) -> list[Thresholds]:
    """Ask the patterns with counts from 2 to twice the contract's.

    Raises:
        NothingToTune: no event that one of them looks back from.
    """
    found = [
        Thresholds(
            name,
            now,
            _events(evidence, made(now)),
            [_try(evidence, made(count), count) for count in range(2, 2 * now + 1)],
        )
        for name, (now, made) in _COUNTED.items()
    ]
    if not any(one.events for one in found):
        raise NothingToTune("no challenge, denial or failure is among these events, so no pattern counts anything")
    return found


def _events(evidence: Evidence, pattern: EvidencePattern) -> int:
    return sum(
        fact.time_us >= evidence.since_us and pattern.anchors(fact)
        for ledger in evidence.partition.ledgers.values()
        for fact in ledger.anchors
    )


def _try(evidence: Evidence, pattern: EvidencePattern, count: int) -> Candidate:
    sets = evidence.sets
    alerts: set[str] = set()
    people = set()
    anchors = 0
    for subject, ledger in evidence.partition.ledgers.items():
        for fact in ledger.anchors:
            if fact.time_us < evidence.since_us or not (pattern.anchors(fact) and may_anchor(fact, sets)):
                continue
            if pattern.holds(fact, View(ledger, sets, limit_of(fact))) is not None:
                anchors += 1
                people.add(subject)
                alerts.add(fact_bucket(pattern.name, sets.at(fact.time_us), subject, fact).alert_id)
    return Candidate(count, anchors, len(alerts), len(people))
