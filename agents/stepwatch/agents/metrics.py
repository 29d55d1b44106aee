"""What a role counts and measures, in the contract's words; served as Prometheus metrics on /metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info

__all__ = ["REGISTRY"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

RECORDS_IN = Counter("stepwatch_records_in", "Records read from an input topic and accounted for.", ["topic"])
VERDICTS = Counter("stepwatch_verdicts", "Revisions of verdicts published.", ["verdict"])
ALERTS = Counter("stepwatch_alerts", "Changes of alerts published, by the state after it.", ["state"])
DEAD_LETTERS = Counter("stepwatch_dead_letters", "Records that could not be taken, by error.", ["error"])
LATE_EVIDENCE = Counter(
    "stepwatch_late_evidence", "Evidence that arrived after an action that it speaks of had closed."
)
SKIPPED = Counter("stepwatch_skipped", "Events of a type of ours that this version does not know.", ["type"])
MOVED = Counter("stepwatch_moved", "Records moved to the partition where they belong.")
COUNTED = Counter("stepwatch_counted", "Other things that the correlator counts.", ["what"])
ACCOUNTED = Gauge(
    "stepwatch_accounted_records",
    "Records of an input by what became of them, since its first one; kept with the positions, so no crash changes it.",
    ["topic", "partition", "as"],
)
PULSES = Counter("stepwatch_pulses", "Pulses written into quiet partitions.", ["topic"])
TRANSACTIONS = Counter("stepwatch_transactions", "Transactions committed.")
COMMIT_SECONDS = Histogram(
    "stepwatch_commit_seconds", "From the begin of a transaction to its commit.", buckets=_SECONDS
)
TAKEOVER_SECONDS = Histogram(
    "stepwatch_takeover_seconds", "From the assignment of a partition to its first fetch.", buckets=_SECONDS
)
LOG_TIME_LAG = Gauge(
    "stepwatch_log_time_lag_seconds",
    "Between now and the log time, where the log is not read to its end; else 0.",
    ["topic", "partition"],
)
WAITING_ACTIONS = Gauge("stepwatch_waiting_actions", "Actions whose grace has not ended.", ["partition"])
OPEN_ACTIONS = Gauge("stepwatch_open_actions", "Actions that have not closed.", ["partition"])
OVERDUE = Gauge(
    "stepwatch_overdue_seconds",
    "How long a moment at which something is to be published has passed unread, by the log's own clock; else 0.",
    ["partition"],
)
DEADMAN_BEATS = Counter("stepwatch_deadman_beats", "Beats that the dead-man's address took.")
DEADMAN_MISSED = Gauge(
    "stepwatch_deadman_missed", "Beats in a row that were withheld, or that the dead-man's address did not take."
)
PARTITIONS_OWNED = Gauge("stepwatch_partitions_owned", "Partitions that this worker correlates.")
POLICY_SETS = Gauge("stepwatch_policy_sets", "Policy sets known.")
POLICIES = Info("stepwatch_policies", "The set that was applied last, as far as this worker has read: its digest.")
POLICIES_AGE = Gauge("stepwatch_policies_age_seconds", "Since the policies topic was last read to its end.")

_LABELS_MAX = 100
"""Of one metric: a producer chooses the types that are skipped, and each label is kept for ever."""
_seen: dict[str, set[str]] = {}
_LABELLED = {"verdicts": VERDICTS, "alerts": ALERTS, "dead_letters": DEAD_LETTERS, "skipped": SKIPPED}
_PLAIN = {"late_evidence": LATE_EVIDENCE, "moved": MOVED}


def add_counts(counts: Mapping[str, int]) -> None:
    """Add what the correlator counted in a batch.

    Args:
        counts: `name` or `name.label` to increment; those without a metric go to `counted{what}`.
    """
    for name, increment in counts.items():
        family, _, label = name.partition(".")
        if name == "records_in":
            continue  # the task counts them by topic
        if label and family in _LABELLED:
            _LABELLED[family].labels(_bounded(family, label)).inc(increment)
        elif name in _PLAIN:
            _PLAIN[name].inc(increment)
        else:
            COUNTED.labels(name).inc(increment)


def set_accounts(partition: int, accounts: Mapping[str, Mapping[str, int]]) -> None:
    """Show what became of the records of a partition: topic -> what -> how many."""
    for topic, account in accounts.items():
        for what, count in account.items():
            ACCOUNTED.labels(topic, partition, what).set(count)


def forget_partition(partition: int, topics: Sequence[str]) -> None:
    """Show no more what only the owner of a partition knows."""
    for gauge in (WAITING_ACTIONS, OPEN_ACTIONS, OVERDUE):
        gauge.remove_by_labels({"partition": str(partition)})
    for topic in topics:
        ACCOUNTED.remove_by_labels({"topic": topic, "partition": str(partition)})
        LOG_TIME_LAG.remove_by_labels({"topic": topic, "partition": str(partition)})


def _bounded(family: str, label: str) -> str:
    seen = _seen.setdefault(family, set())
    if label not in seen and len(seen) >= _LABELS_MAX:
        return "other"
    seen.add(label)
    return label
