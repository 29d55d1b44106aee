"""At the end of a batch: judge what it touched, publish what is due, close what is final (contract section 5)."""

from __future__ import annotations

from stepwatch.streams import state
from stepwatch.streams.alerting import LATE_VERIFICATION, RESOLVED, REVISION, SOURCE_RECOVERED, Alert
from stepwatch.streams.alerts_of import VERDICT_KINDS, action_bucket, alert_of, verdict_member
from stepwatch.streams.anchors import weigh_action, weigh_evidence
from stepwatch.streams.facts import Action, Fact, Key, Published
from stepwatch.streams.failing import EventFailed
from stepwatch.streams.judge import BLIND, SOURCE_SILENT, UNVERIFIED, VERIFIED, Decision
from stepwatch.streams.ledger import Ledger, between, by_order
from stepwatch.streams.limits import OVERLOADED_MEMBERS_MAX
from stepwatch.streams.moments import alert_forget_from, alert_moment, forget_from
from stepwatch.streams.partition import Partition
from stepwatch.streams.publishing import publish_from, published_form
from stepwatch.streams.rows import judged_row
from stepwatch.streams.touching import touched_by_fact
from stepwatch.streams.waiting import SubjectKey


def settle(partition: Partition) -> None:
    """Judge and publish all that the batch and the log time have made due."""
    for moment_us, tenant, subject_id, source, event_id in partition.due.reached(partition.evidence_us):
        named = ((tenant, subject_id), (source, event_id))
        if partition.withheld.get(named) == moment_us:
            partition.judge_again([named])
    partition.judge.forget_choices()
    for subject, news in partition.news.items():
        _settle_news(partition, subject, news)
    # Sorted, so that a batch done again after a restart says the same in the same order.
    for subject, keys in sorted(partition.again.items()):
        ledger = partition.ledgers.get(subject)
        touched = [ledger.open[key] for key in keys if key in ledger.open] if ledger is not None else []
        touched.sort(key=by_order)
        for action in touched:
            assert ledger is not None
            try:
                consider(partition, ledger, subject, action)
            except Exception as error:
                if subject in partition.news:
                    raise  # what has just come may be to blame
                raise EventFailed(action.where) from error
    partition.news.clear()
    partition.again.clear()
    close(partition)
    for subject, arrival_us in partition.stragglers.items():
        _judge_closed(partition, subject, arrival_us)
    partition.stragglers.clear()
    partition.rebucketed.clear()
    partition.judge.forget_choices()


def _settle_news(partition: Partition, subject: SubjectKey, news: list[Fact | Action]) -> None:
    """New evidence touches the open actions that it may concern; an action itself, and later ones by `max_uses`."""
    ledger = partition.ledgers[subject]
    touched: dict[Key, Action] = {}
    for item in news:
        if isinstance(item, Action):
            touched[item.key] = item
        elif ledger.open:
            for action in touched_by_fact(item, ledger, partition.judge, partition.spans):
                touched[action.key] = action
    if touched:
        if partition.spans.limited:
            first_us = min(action.time_us for action in touched.values())
            touched.update((a.key, a) for a in between(ledger.actions, first_us, 2**62) if _is_limited(partition, a))
        partition.again.setdefault(subject, set()).update(touched)
    weigh_evidence(partition, ledger, subject, news)


def _is_limited(partition: Partition, action: Action) -> bool:
    return not action.closed and partition.judge.terms(action).requirement.max_uses is not None


def consider(
    partition: Partition, ledger: Ledger, subject: SubjectKey, action: Action, final: bool = False
) -> Decision:
    """Judge one open action, and publish the decision or note from when it may be published."""
    decision = partition.judge.decide(action, ledger)
    key = action.key
    named = (subject, key)
    if decision.reason == SOURCE_SILENT:
        partition.blind.add(named)
    else:
        partition.blind.discard(named)
    if decision.verdict == VERIFIED or final or action.too_late or action.overloaded:
        ledger.unproved.pop(key, None)
    else:
        ledger.unproved[key] = decision.reason
    weigh_action(partition, ledger, named, action, decision)
    form = published_form(decision)
    if form == action.published:
        partition.withheld.pop(named, None)
        if named in partition.rebucketed:
            _enlist(partition, subject, action, decision, form)
        return decision
    from_us = 0 if final else publish_from(action, decision)
    if from_us <= partition.evidence_us or from_us == 0:
        partition.withheld.pop(named, None)
        publish(partition, subject, action, decision, form)
        if action.overloaded:
            partition.overloaded.append(named)
    elif partition.withheld.get(named) != from_us:
        partition.withheld[named] = from_us
        partition.due.add(from_us, subject, *key)
    return decision


def publish(partition: Partition, subject: SubjectKey, action: Action, decision: Decision, form: Published) -> None:
    """Write the next revision, and move the action between its alerts."""
    before = action.published
    action.revision += 1
    action.published = form
    row = judged_row(action, decision, form, partition.decided_at)
    partition.effects.audit.append((partition.key(subject), row))
    partition.effects.count(f"verdicts.{decision.verdict}")
    state.save(partition.writes, subject, action)
    left = VERDICT_KINDS.get(before.verdict) if before is not None else None
    if action.counts and left is not None and left != VERDICT_KINDS.get(decision.verdict):
        bucket = action_bucket(left, partition.judge.terms(action), subject, action)
        partition.alerting.leave(bucket.alert_id, *action.key, _cause(before, decision))
    _enlist(partition, subject, action, decision, form)


def _enlist(partition: Partition, subject: SubjectKey, action: Action, decision: Decision, form: Published) -> None:
    """Make an action a member of the alert of its verdict, where that has one."""
    kind = VERDICT_KINDS.get(decision.verdict)
    if kind is None or not action.counts:
        return
    terms = partition.judge.terms(action)
    bucket = action_bucket(kind, terms, subject, action)
    if action.overloaded and partition.alerting.members_of(bucket.alert_id) >= OVERLOADED_MEMBERS_MAX:
        partition.effects.count("overload.unlisted")
        return
    member = verdict_member(terms.requirement, subject, action, decision, form.nearest)
    partition.alerting.join(alert_of(bucket, terms.requirement), member)


def _cause(before: Published | None, decision: Decision) -> str:
    """By what an alert resolves when its last member leaves."""
    if decision.verdict == VERIFIED:
        return LATE_VERIFICATION
    if before is not None and before.verdict == BLIND and decision.verdict == UNVERIFIED:
        return SOURCE_RECOVERED
    return REVISION


def close(partition: Partition) -> None:
    """Say the last word on every action whose close both inputs have passed, in the order of their closes."""
    for moment_us, tenant, subject_id, source, event_id in partition.closing.passed(partition.both_us):
        subject, key = (tenant, subject_id), (source, event_id)
        ledger = partition.ledgers.get(subject)
        action = ledger.open.get(key) if ledger is not None else None
        if ledger is None or action is None or action.closes_us != moment_us:
            continue  # an earlier arrival came to light meanwhile, and with it an earlier close
        try:
            _conclude(partition, ledger, subject, action)
        except Exception as error:
            raise EventFailed(action.where) from error
        action.closed = True
        del ledger.open[key]
        partition.going.add(forget_from(partition.sets, action.time_us, action.arrival_us), subject, *key)
        state.save(partition.writes, subject, action)


def _conclude(partition: Partition, ledger: Ledger, subject: SubjectKey, action: Action) -> None:
    decision = consider(partition, ledger, subject, action, final=True)
    partition.blind.discard((subject, action.key))
    action.proof = decision.chosen.proof if decision.chosen is not None else None


def _judge_closed(partition: Partition, subject: SubjectKey, arrival_us: int) -> None:
    """A record was moved here late: what it may concern is judged once more, though it has closed.

    Nobody is told of a verdict before all that counts for it was read (the law, section 5); a record on its way from a
    wrong partition is all that can come after a close. In the order of closes, as they were closed.
    """
    ledger = partition.ledgers.get(subject)
    closed = [] if ledger is None else [a for a in ledger.actions if a.closed and a.closes_us >= arrival_us]
    partition.judge.forget_choices()
    for action in sorted(closed, key=lambda action: (action.closes_us, action.order)):
        assert ledger is not None
        proof = action.proof
        _conclude(partition, ledger, subject, action)
        if action.proof != proof:
            partition.judge.forget_choices()
            state.save(partition.writes, subject, action)


def alert_key(alert: Alert) -> bytes:
    """The key `tenant/alert_id` of topic `alerts`."""
    return f"{alert.tenant}/{alert.alert_id}".encode()


def settle_alerts(partition: Partition, now_us: int) -> None:
    """Write each alert that has changed, at most one version a batch."""
    for standing, row in partition.alerting.settle(max(partition.actions_us, partition.evidence_us), now_us):
        alert = standing.alert
        partition.effects.alerts.append((alert_key(alert), row))
        partition.effects.count(f"alerts.{alert.state}")
        moment_us = alert_forget_from(partition.sets, alert) if alert.state == RESOLVED else alert_moment(alert)
        partition.alert_moments.add(moment_us, (alert.tenant, alert.subject), "", alert.alert_id)
        state.save_alert(partition.writes, alert)
    for alert_id, key in partition.alerting.dirty_members:
        state.save_member(partition.writes, alert_id, partition.alerting.standing[alert_id].members[key])
    partition.alerting.dirty_members.clear()
