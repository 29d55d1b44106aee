"""Which alert an action, an anchor or a silent source belongs to, and as what member."""

from __future__ import annotations

from stepwatch.schemas.times import format_time
from stepwatch.streams.alerting import (
    BLIND,
    SOURCE_SILENCE,
    UNVERIFIED_ACTION,
    Alert,
    Bucket,
    Member,
    silence_id,
)
from stepwatch.streams.decode import Event
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.filters import Terms
from stepwatch.streams.judge import UNVERIFIED, Decision
from stepwatch.streams.limits import PATTERN_LATENESS_US
from stepwatch.streams.patterns import BUCKET_US as PATTERN_BUCKET_US
from stepwatch.streams.patterns import policy_gap
from stepwatch.streams.patterns.source_silence import SEVERITY as SILENCE_SEVERITY
from stepwatch.streams.patterns.source_silence import Silence
from stepwatch.streams.sets import PolicySet, Requirement
from stepwatch.streams.waiting import SubjectKey
from stepwatch.streams.wording import PATTERNS, deed, reason_sentence

VERDICT_KINDS = {UNVERIFIED: UNVERIFIED_ACTION, "blind": BLIND}
"""Verdict -> the kind of alert that its actions are members of."""


def bucketed_time(policy_set: PolicySet, time_us: int, arrival_us: int) -> int:
    """The time by which a member is bucketed: its arrival where that is more than `accept_late` after its time."""
    return arrival_us if arrival_us - time_us > policy_set.accept_late_max_us else time_us


def action_bucket(kind: str, terms: Terms, subject: SubjectKey, a: Action) -> Bucket:
    """The bucket of a policed action: of its policy for verdicts, of an hour for patterns."""
    requirement = terms.requirement
    time_us = bucketed_time(terms.policy_set, a.time_us, a.arrival_us)
    if kind in (UNVERIFIED_ACTION, BLIND):
        return Bucket.of(subject[0], kind, subject[1], requirement.id, requirement.dedup_us, time_us, a.source, a.id)
    return Bucket.of(subject[0], kind, subject[1], "", PATTERN_BUCKET_US, time_us, a.source, a.id)


def fact_bucket(pattern: str, policy_set: PolicySet, subject: SubjectKey, fact: Fact) -> Bucket:
    """The bucket of an anchor that is an authentication event."""
    time_us = bucketed_time(policy_set, fact.time_us, fact.arrival_us)
    return Bucket.of(subject[0], pattern, subject[1], "", PATTERN_BUCKET_US, time_us, fact.source, fact.id)


def alert_of(bucket: Bucket, requirement: Requirement | None = None) -> Alert:
    """The alert of a bucket as it begins."""
    return Alert(
        alert_id=bucket.alert_id,
        kind=bucket.kind,
        tenant=bucket.tenant,
        subject=bucket.subject,
        policy=bucket.policy,
        runbook=requirement.runbook if requirement else "",
        owner=requirement.owner if requirement else "",
        bucket_end_us=bucket.bucket_us + bucket.dedup_us,
    )


def verdict_member(
    requirement: Requirement, subject: SubjectKey, action: Action, decision: Decision, nearest: str
) -> Member:
    """An action whose current verdict is `unverified` or `blind`."""
    row = action.row
    done = deed(subject[1], row.action, row.resource_type, row.resource_id, row.on_behalf_of)
    doubt = "not verified" if decision.verdict == UNVERIFIED else "cannot be judged"
    return Member(
        source=action.source,
        id=action.id,
        time_us=action.time_us,
        arrival_us=action.arrival_us,
        grace_end_us=action.grace_end_us,
        closes_us=action.closes_us,
        severity=requirement.severity,
        reason=decision.reason,
        title=f"{done}: {doubt}",
        explanation=reason_sentence(decision.reason, decision.nearest),
        nearest=nearest,
    )


def anchor_member(pattern: str, severity: str, subject: SubjectKey, anchor: Fact | Action, closes_us: int) -> Member:
    """An event at which a pattern holds."""
    title, explanation = PATTERNS[pattern]
    return Member(
        source=anchor.source,
        id=anchor.id,
        time_us=anchor.time_us,
        arrival_us=anchor.arrival_us,
        grace_end_us=anchor.arrival_us,
        closes_us=closes_us,
        severity=severity,
        reason=pattern,
        title=f"{subject[1]}: {title}",
        explanation=explanation,
    )


def fact_closes_us(fact: Fact) -> int:
    """After this no pattern changes its mind about an authentication event."""
    return fact.arrival_us + PATTERN_LATENESS_US


def policy_gap_member(policy_set: PolicySet, event: Event, subject: SubjectKey) -> tuple[Alert, Member]:
    """An action that no policy matches although it should, with its alert."""
    resource = event.data.resource
    resource_type, resource_id = (resource.type or "", resource.id or "") if resource else ("", "")
    time_us = bucketed_time(policy_set, event.time_us, event.arrival_us)
    bucket = Bucket.of(
        subject[0], policy_gap.NAME, subject[1], "", policy_gap.BUCKET_US, time_us, event.source, event.id
    )
    title, explanation = PATTERNS[policy_gap.NAME]
    done = deed(subject[1], event.data.action, resource_type, resource_id, event.data.on_behalf_of or "")
    member = Member(
        source=event.source,
        id=event.id,
        time_us=event.time_us,
        arrival_us=event.arrival_us,
        grace_end_us=event.arrival_us,
        closes_us=event.arrival_us,
        severity=policy_gap.SEVERITY,
        reason=policy_gap.NAME,
        title=f"{done}: {title}",
        explanation=explanation,
    )
    return alert_of(bucket), member


def silence_member(silence: Silence, log_time_us: int) -> tuple[Alert, Member]:
    """A source that has fallen silent, with its alert."""
    alert = Alert(
        alert_id=silence_id(silence.source, silence.heartbeat_id),
        kind=SOURCE_SILENCE,
        tenant="",
        subject="",
        policy="",
        runbook="",
        owner="",
        bucket_end_us=silence.since_us,
    )
    title, explanation = PATTERNS[SOURCE_SILENCE]
    heard = "last sign of life" if silence.was_heard else "no sign of life since"
    member = Member(
        source=silence.source,
        # Each silence is a member of its own, though two of a feed that numbers nothing share an alert.
        id=str(silence.since_us),
        time_us=silence.since_us,
        arrival_us=silence.since_us,
        grace_end_us=log_time_us,
        closes_us=log_time_us,
        severity=SILENCE_SEVERITY,
        reason=silence.source,
        title=f"{silence.source}: {title}",
        explanation=f"{explanation}; {heard} {format_time(silence.since_us)[:19]}Z",
    )
    return alert, member
