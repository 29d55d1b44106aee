"""When what is kept may go (contract section 5, the last sentence of the law; DESIGN section 8)."""

from __future__ import annotations

from functools import lru_cache

from stepwatch.streams.alerting import Alert
from stepwatch.streams.limits import (
    ALERT_EXPIRES_US,
    ALERT_TOMBSTONE_US,
    FORGET_SLACK_MIN_US,
    REMEMBER_MIN_US,
)
from stepwatch.streams.sets import PolicySets


def forget_from(sets: PolicySets, time_us: int, arrival_us: int) -> int:
    """The log time past which a fact may be forgotten, by the largest values of any set.

    Args:
        sets: every known set.
        time_us: of the event.
        arrival_us: of the event.
    """
    after_time_us, after_arrival_us = _kept_for(sets)
    return max(time_us + after_time_us, arrival_us + after_arrival_us)


@lru_cache(maxsize=8)  # asked twice for each event, of one and the same sets until others come
def _kept_for(sets: PolicySets) -> tuple[int, int]:
    slack_us = max(sets.horizon_max_us, FORGET_SLACK_MIN_US)
    return (
        max(sets.lookback_max_us, REMEMBER_MIN_US) + sets.accept_late_max_us + slack_us,
        sets.silent_after_max_us + slack_us,
    )


def alert_moment(alert: Alert) -> int:
    """The log time at which an alert that is left open expires."""
    return alert.touched_us + ALERT_EXPIRES_US


def alert_forget_from(sets: PolicySets, alert: Alert) -> int:
    """The log time past which a resolved alert goes to its tombstone.

    Its last members can come until the end of its bucket and all that may follow it; the topic keeps each change of
    state for 7 days, so its tombstone comes no earlier.
    """
    last_us = alert.bucket_end_us + sets.accept_late_max_us + sets.horizon_max_us + FORGET_SLACK_MIN_US
    return max(last_us, alert.touched_us, alert.closes_us) + ALERT_TOMBSTONE_US
