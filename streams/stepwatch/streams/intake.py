"""One decoded record -> what it adds to its subject's ledger, and the row that is due at once."""

from __future__ import annotations

from typing import Any

from stepwatch.schemas import events as ev
from stepwatch.schemas.compiled import encode_json
from stepwatch.schemas.times import format_time
from stepwatch.streams import state
from stepwatch.streams.alerts_of import policy_gap_member
from stepwatch.streams.anchors import leave_alerts
from stepwatch.streams.copies import CONFLICT, COPY, Seen, seen
from stepwatch.streams.decode import ACTION, Event, Heartbeat, body_hash, maps_of
from stepwatch.streams.facts import Action, Fact, Remembered, action_of, fact_of
from stepwatch.streams.judge import EXEMPT
from stepwatch.streams.ledger import STEPS, Ledger, between
from stepwatch.streams.limits import SUBJECT_FACTS_MAX
from stepwatch.streams.moments import forget_from
from stepwatch.streams.partition import Partition
from stepwatch.streams.patterns import policy_gap
from stepwatch.streams.rows import Coordinates, action_row, evidence_row, outcome_of, plain_row, sensitivity_of
from stepwatch.streams.sets import Match, PolicySet, Requirement
from stepwatch.streams.waiting import SubjectKey


class ActionView:
    """An action as matching sees it: values after defaults, normalising and aliases (contract section 4)."""

    __slots__ = ("_event", "subject")

    def __init__(self, event: Event, subject: str) -> None:
        self._event = event
        self.subject = subject

    @property
    def tenant(self) -> str:
        return self._event.tenant

    @property
    def source(self) -> str:
        return self._event.source

    @property
    def session(self) -> str:
        return self._event.data.session or ""

    @property
    def root_session(self) -> str:
        return self._event.data.root_session or ""

    @property
    def action(self) -> str:
        return str(self._event.data.action)

    @property
    def outcome(self) -> str:
        return outcome_of(self._event)

    @property
    def transaction(self) -> str:
        return self._event.data.transaction or ""

    @property
    def resource_type(self) -> str:
        resource = self._event.data.resource
        return (resource.type or "") if resource else ""

    @property
    def resource_id(self) -> str:
        resource = self._event.data.resource
        return (resource.id or "") if resource else ""

    @property
    def sensitivity(self) -> str:
        return sensitivity_of(self._event)

    @property
    def time_us(self) -> int:
        return self._event.time_us

    def maps(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """`client`, `token` and `decision` as sent."""
        return maps_of(self._event)


DECISIVE = STEPS | {ev.SESSION_STARTED, ev.SESSION_REVOKED, ev.CREDENTIAL_CHANGED}
"""Evidence that a verdict may stand on: what of it comes after a close is counted as `late_evidence`."""


def accept(partition: Partition, event: Event, subject: SubjectKey, where: Coordinates) -> Seen:
    """Take one event in.

    Args:
        partition: that the subject belongs to.
        event: as decoded.
        subject: (tenant, canonical subject) by the set in force at the event's own time.
        where: its record lies in Kafka.

    Returns:
        Whether it is new; a copy and a conflict change nothing.
    """
    what = seen(event, partition.ledgers.get(subject))
    if what is CONFLICT:
        return what
    if event.arrival_us < partition.both_us:
        # Only a moved record comes so late: what it may concern may have closed already.
        earliest_us = partition.stragglers.get(subject, event.arrival_us)
        partition.stragglers[subject] = min(earliest_us, event.arrival_us)
    if what is COPY:
        _arrive_earlier(partition, event, subject)
    elif event.family == ACTION:
        _accept_action(partition, event, subject, where)
    else:
        _accept_evidence(partition, event, subject, where)
    return what


def _arrive_earlier(partition: Partition, event: Event, subject: SubjectKey) -> None:
    """A copy that was moved here may have arrived first, somewhere else: then that is the event's arrival."""
    ledger = partition.ledgers[subject]
    key = (event.source, event.id)
    known = ledger.kept.get(key) if event.family == ACTION else ledger.facts.get(key)
    if known is None or event.arrival_us >= known.arrival_us:
        return
    leave_alerts(partition, subject, known)
    if isinstance(known, Action):
        partition.rebucketed.add((subject, key))
        earlier_us = known.arrival_us - event.arrival_us
        _, requirement = known.judged_by(partition.sets)
        known.grace_end_us -= earlier_us
        known.closes_us -= earlier_us
        known.too_late = event.arrival_us - known.time_us > requirement.accept_late_us
        known.row.arrival, known.row.closes_at = format_time(event.arrival_us), format_time(known.closes_us)
        if not known.closed:
            partition.closing.add(known.closes_us, subject, *key)
    known.arrival_us = event.arrival_us
    partition.news.setdefault(subject, []).append(known)
    state.save(partition.writes, subject, known)


def let_go(partition: Partition, topic: str, offset: int) -> int | None:
    """Forget the action that a record told of, but for its copies.

    Returns:
        Its arrival, us; None where no such action is kept.
    """
    for subject, ledger in partition.ledgers.items():
        for action in ledger.actions:
            if action.where == (topic, offset):
                leave_alerts(partition, subject, action)
                named = (subject, action.key)
                partition.withheld.pop(named, None)
                partition.blind.discard(named)
                ledger.forget_action(action.key)
                state.drop(partition.writes, subject, action)
                if action.revision == 0:
                    return action.arrival_us  # nothing was said of it: put back, it may be judged anew
                known = Remembered(action.source, action.id, action.time_us, action.arrival_us, action.hash)
                _keep(partition, subject, known)
                return action.arrival_us
    return None


def hear(partition: Partition, heartbeat: Heartbeat) -> None:
    """Take a heartbeat in: a sign of life lets blind actions be judged again."""
    if partition.liveness.hear(heartbeat) and partition.blind:
        partition.judge_again(partition.blind)


def _accept_action(partition: Partition, event: Event, subject: SubjectKey, where: Coordinates) -> None:
    policy_set = partition.sets.at(event.time_us)
    if policy_set.may_match(event.tenant, event.data.action):
        match = policy_set.match(ActionView(event, subject[1]))
        if match.notes:
            partition.effects.count("condition_errors", len(match.notes))
        if match.requirement is not None:
            _accept_matched(partition, event, subject, where, match, policy_set)
            return
    sensitivity, outcome = sensitivity_of(event), outcome_of(event)
    if policy_gap.holds(event, sensitivity, outcome) and _remember(partition, event, subject):
        alert, member = policy_gap_member(policy_set, event, subject)
        partition.alerting.join(alert, member)
    row = plain_row(event, subject[1], sensitivity, outcome, where.offset, partition.plain_rest)
    partition.effects.audit.append((partition.key(subject), row))
    partition.effects.count("verdicts.not_required")


def _accept_matched(
    partition: Partition,
    event: Event,
    subject: SubjectKey,
    where: Coordinates,
    match: Match,
    policy_set: PolicySet,
) -> None:
    requirement = match.requirement
    assert requirement is not None
    row = action_row(event, subject[1], where)
    row.notes = list(match.notes)
    row.policy, row.policy_version, row.trigger_reason = requirement.id, requirement.version, requirement.reason
    if not match.exempt:
        _accept_policed(partition, event, subject, requirement, row, policy_set.digest)
        return
    _remember(partition, event, subject)
    row.verdict, row.reason = EXEMPT, "exemption"
    row.closes_at, row.decided_at = row.arrival, partition.decided_at
    partition.effects.audit.append((partition.key(subject), encode_json(row)))
    partition.effects.count("verdicts.exempt")


def _remember(partition: Partition, event: Event, subject: SubjectKey) -> bool:
    """Keep an action so that its copies are known; False where its subject has too many."""
    if len(partition.ledger(subject).remembered) >= SUBJECT_FACTS_MAX:
        partition.effects.count("overload.remembered")
        return False
    known = Remembered(event.source, event.id, event.time_us, event.arrival_us, body_hash(event.value))
    _keep(partition, subject, known)
    return True


def _keep(partition: Partition, subject: SubjectKey, known: Remembered) -> None:
    partition.ledger(subject).remember(known)
    partition.going.add(forget_from(partition.sets, known.time_us, known.arrival_us), subject, *known.key)
    state.save(partition.writes, subject, known)


def _accept_policed(
    partition: Partition, event: Event, subject: SubjectKey, requirement: Requirement, row: Any, set_digest: str
) -> None:
    ledger = partition.ledger(subject)
    action = action_of(event, requirement, set_digest, row, ledger.live_facts >= SUBJECT_FACTS_MAX)
    if action.overloaded:
        partition.effects.count("overload.actions")
    ledger.add_action(action)
    partition.closing.add(action.closes_us, subject, action.source, action.id)
    partition.news.setdefault(subject, []).append(action)
    state.save(partition.writes, subject, action)


def _accept_evidence(partition: Partition, event: Event, subject: SubjectKey, where: Coordinates) -> None:
    policy_set = partition.sets.at(event.time_us)
    approver = event.data.approver
    fact = fact_of(event, policy_set.canonical(event.tenant, approver) if approver else "")
    ledger = partition.ledger(subject)
    late = fact.type in DECISIVE and _is_late(ledger, fact, policy_set)
    if late:
        partition.effects.count("late_evidence")
    row = evidence_row(event, subject[1], fact, where, late)
    partition.effects.evidence.append((partition.key(subject), row))
    partition.effects.count(f"evidence.{event.type.removeprefix(ev.TYPE_PREFIX)}")
    if ledger.live_facts >= SUBJECT_FACTS_MAX:
        partition.effects.count("overload.evidence")
        return
    ledger.add_fact(fact)
    partition.news.setdefault(subject, []).append(fact)
    partition.going.add(forget_from(partition.sets, fact.time_us, fact.arrival_us), subject, *fact.key)
    state.save(partition.writes, subject, fact)


def _is_late(ledger: Ledger, fact: Fact, policy_set: PolicySet) -> bool:
    """It speaks of the time of an action that had closed before it arrived."""
    first_us, last_us = fact.at_us - policy_set.skew_max_us, fact.at_us + policy_set.lookback_max_us
    return any(action.closes_us < fact.arrival_us for action in between(ledger.actions, first_us, last_us))
