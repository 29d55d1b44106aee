"""What may go is let go: forgetting never changes a verdict (contract section 5, the last sentence of the law)."""

from __future__ import annotations

from stepwatch.streams.alerting import RESOLVED
from stepwatch.streams.facts import Action, Fact, Key, Remembered
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.limits import ALERT_EXPIRES_US
from stepwatch.streams.moments import alert_forget_from, alert_moment, forget_from
from stepwatch.streams.partition import Partition
from stepwatch.streams.settling import alert_key
from stepwatch.streams.state import drop, drop_alert
from stepwatch.streams.waiting import SubjectKey


def forget_items(partition: Partition) -> None:
    """Let go of all whose moment both log times have passed, and of what is more than is kept of one subject."""
    for subject, key in partition.overloaded:
        full = partition.ledgers[subject]
        _forget(partition, subject, full, key, full.kept[key])
    partition.overloaded.clear()
    for moment_us, tenant, subject_id, source, event_id in partition.going.passed(partition.both_us):
        subject, key = (tenant, subject_id), (source, event_id)
        ledger = partition.ledgers.get(subject)
        if ledger is None:
            continue
        for item in (ledger.facts.get(key), ledger.remembered.get(key), ledger.kept.get(key)):
            if item is None or (isinstance(item, Action) and not item.closed):
                continue
            # A set with larger values may have come since: then it has to stay longer.
            again_us = forget_from(partition.sets, item.time_us, item.arrival_us)
            if again_us >= partition.both_us:
                if again_us > moment_us:
                    partition.going.add(again_us, subject, *key)
                continue
            _forget(partition, subject, ledger, key, item)
        if ledger.is_empty:
            del partition.ledgers[subject]
    _forget_signs(partition)


def _forget(
    partition: Partition, subject: SubjectKey, ledger: Ledger, key: Key, item: Fact | Action | Remembered
) -> None:
    if isinstance(item, Fact):
        ledger.forget_fact(key)
    elif isinstance(item, Action):
        ledger.forget_action(key)
    else:
        ledger.forget_remembered(key)
    partition.anchored.pop((subject, key), None)
    drop(partition.writes, subject, item)


def _forget_signs(partition: Partition) -> None:
    sets = partition.sets
    keep_us = sets.silent_after_max_us + sets.horizon_max_us + sets.accept_late_max_us
    partition.liveness.forget(partition.both_us - keep_us)


def forget_alerts(partition: Partition) -> None:
    """Expire alerts that nobody touched, and send to their tombstones those that are long resolved."""
    for moment_us, tenant, subject_id, _, alert_id in partition.alert_moments.passed(partition.both_us):
        standing = partition.alerting.standing.get(alert_id)
        if standing is None:
            continue
        if alert_id in partition.alerting.dirty:
            # It is about to be written, or what changed does not show: it is asked again with the next record.
            partition.alert_moments.add(partition.both_us, (tenant, subject_id), "", alert_id)
            continue
        alert = standing.alert
        if alert.state != RESOLVED:
            if alert_moment(alert) <= moment_us:
                partition.alerting.expire(alert_id)
            else:
                partition.alert_moments.add(alert_moment(alert), (tenant, subject_id), "", alert_id)
        elif (again_us := alert_forget_from(partition.sets, alert)) > moment_us:
            partition.alert_moments.add(again_us, (tenant, subject_id), "", alert_id)
        elif any(alert_id == silent_id for silent_id, _ in partition.silent.values()):
            # It expired, but the source is still silent: without it, that would look like a new silence.
            partition.alert_moments.add(moment_us + ALERT_EXPIRES_US, (tenant, subject_id), "", alert_id)
        else:
            drop_alert(partition.writes, standing)
            partition.effects.alerts.append((alert_key(alert), None))
            del partition.alerting.standing[alert_id]
