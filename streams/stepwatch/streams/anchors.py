"""Where patterns hold: anchors join and leave their alerts (contract section 6)."""

from __future__ import annotations

from stepwatch.streams.alerting import REVISION, SOURCE_RECOVERED
from stepwatch.streams.alerts_of import (
    VERDICT_KINDS,
    action_bucket,
    alert_of,
    anchor_member,
    fact_bucket,
    fact_closes_us,
    silence_member,
)
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.judge import VERIFIED, Decision
from stepwatch.streams.ledger import Ledger, between
from stepwatch.streams.partition import Named, Partition
from stepwatch.streams.patterns import EVIDENCE_PATTERNS, denied_then_acted, fresh_credential, none_can_hold
from stepwatch.streams.patterns.source_silence import silent_sources
from stepwatch.streams.patterns.view import EvidencePattern, View, limit_of, may_anchor
from stepwatch.streams.waiting import SubjectKey


def weigh_evidence(partition: Partition, ledger: Ledger, subject: SubjectKey, news: list[Fact | Action]) -> None:
    """Look again at every anchor that an event of the batch may concern."""
    if none_can_hold(ledger, news):
        return
    everything = View(ledger, partition.sets, 2**62)
    for pattern in EVIDENCE_PATTERNS:
        if ledger.prompts < pattern.prompts_min:
            continue
        anchors: dict[tuple[str, str], Fact] = {}
        for event in news:
            reach = pattern.reach(event, everything)
            if reach is None:
                continue
            for fact in _anchors(pattern, ledger, *reach):
                if event.arrival_us <= limit_of(fact) and may_anchor(fact, partition.sets):
                    anchors[fact.key] = fact
        for fact in anchors.values():
            severity = pattern.holds(fact, View(ledger, partition.sets, limit_of(fact)))
            _move(partition, pattern.name, subject, fact, severity)


def _anchors(pattern: EvidencePattern, ledger: Ledger, first_us: int, last_us: int) -> list[Fact]:
    facts = between(ledger.anchors, first_us, last_us)
    return [fact for fact in facts if pattern.anchors(fact)]


def _move(partition: Partition, pattern: str, subject: SubjectKey, fact: Fact, severity: str | None) -> None:
    named = (subject, fact.key)
    if severity is None and pattern not in partition.anchored.get(named, ()):
        return
    bucket = fact_bucket(pattern, partition.sets.at(fact.time_us), subject, fact)
    if severity is None:
        _let_go(partition, pattern, named)
        partition.alerting.leave(bucket.alert_id, *fact.key, REVISION)
    else:
        partition.anchored.setdefault(named, set()).add(pattern)
        member = anchor_member(pattern, severity, subject, fact, fact_closes_us(fact))
        partition.alerting.join(alert_of(bucket), member)


def _let_go(partition: Partition, pattern: str, named: Named) -> None:
    held = partition.anchored.get(named)
    if held is not None:
        held.discard(pattern)
        if not held:
            del partition.anchored[named]


def weigh_action(partition: Partition, ledger: Ledger, named: Named, action: Action, decision: Decision) -> None:
    """Ask the patterns whose anchor is a policed action."""
    if not action.counts or action.too_late:
        return
    held = partition.anchored.get(named, ())
    if not (ledger.denials or ledger.credentials or held):
        return  # neither holds, as nearly always, and neither did
    subject = named[0]
    view = View(ledger, partition.sets, action.closes_us)
    fresh = decision.verdict == VERIFIED and fresh_credential.holds(action, decision.chosen, view)
    for name, severity, holds in (
        (denied_then_acted.NAME, denied_then_acted.SEVERITY, denied_then_acted.holds(action, view)),
        (fresh_credential.NAME, fresh_credential.SEVERITY, fresh),
    ):
        if not holds and name not in held:
            continue
        bucket = action_bucket(name, partition.judge.terms(action), subject, action)
        if holds:
            partition.anchored.setdefault(named, set()).add(name)
            member = anchor_member(name, severity, subject, action, action.closes_us)
            partition.alerting.join(alert_of(bucket), member)
        else:
            _let_go(partition, name, named)
            partition.alerting.leave(bucket.alert_id, *action.key, REVISION)


def leave_alerts(partition: Partition, subject: SubjectKey, item: Fact | Action) -> None:
    """Take an event out of its alerts before its arrival changes: it may be bucketed by it.

    Whoever changes the arrival has the event judged and weighed again, and so it comes back.
    """
    buckets = []
    if isinstance(item, Action):
        terms = partition.judge.terms(item)
        kinds = [VERDICT_KINDS.get(item.published.verdict, "")] if item.published is not None else []
        for kind in (*kinds, denied_then_acted.NAME, fresh_credential.NAME):
            buckets.append(action_bucket(kind, terms, subject, item))
    else:
        policy_set = partition.sets.at(item.time_us)
        buckets += [fact_bucket(pattern.name, policy_set, subject, item) for pattern in EVIDENCE_PATTERNS]
    for bucket in buckets:
        _let_go(partition, bucket.kind, (subject, item.key))
        partition.alerting.leave(bucket.alert_id, *item.key, REVISION)


def weigh_sources(partition: Partition, log_time_us: int) -> None:
    """Raise `source_silence` for sources that have fallen silent, and take back what has recovered.

    An alert keeps its id while the silence lasts, whatever late heartbeats come meanwhile.
    """
    if partition.first_log_us is None:
        return
    silent = {
        silence.source: silence
        for silence in silent_sources(partition.liveness, partition.sets, log_time_us, partition.first_log_us)
    }
    listed = partition.sets.at(log_time_us).sources
    for source in [source for source in partition.silent if source not in silent]:
        cause = SOURCE_RECOVERED if source in listed else REVISION
        alert_id, member_id = partition.silent.pop(source)
        partition.alerting.leave(alert_id, source, member_id, cause)
    for source, silence in silent.items():
        if source not in partition.silent:
            alert, member = silence_member(silence, log_time_us)
            partition.silent[source] = (alert.alert_id, member.id)
            partition.alerting.join(alert, member)
