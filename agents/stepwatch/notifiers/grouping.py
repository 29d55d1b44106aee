"""Which incident speaks for an alert: its own, that of a storm, a digest, or the silence that explains it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from stepwatch.notifiers.notices import ShownAlert, rank_of

STORM = "st_"
DIGEST = "dg_"
SILENCE = "source_silence"
NOT_JUDGED = "not_judged"
GROUP_UPDATE_S = 60.0
"""A group that grows is told again at most so often, s."""


def storm_key(channel: str, partition: int, alert: ShownAlert) -> str:
    """The incident of many alerts of one tenant, kind and policy that opened within an hour.

    A partition's own, so that no two processes ever speak for one incident; from what the alert says alone, so that it
    is the same after every crash.
    """
    return STORM + _hash("stepwatch-storm-1", channel, partition, alert.tenant, alert.kind, alert.policy, _hour(alert))


def digest_key(channel: str, partition: int, alert: ShownAlert) -> str:
    """The incident of an hour's alerts that a channel's rate had no room for."""
    return DIGEST + _hash("stepwatch-digest-1", channel, partition, _hour(alert))


def _hash(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def _hour(alert: ShownAlert) -> str:
    return (alert.opened_at or alert.first_time)[:13]


def is_group(key: str) -> bool:
    """Whether an incident's key is of a group that was made here, not of an alert."""
    return key.startswith((STORM, DIGEST))


def group_alert(key: str, members: Sequence[ShownAlert]) -> ShownAlert:
    """A group as an alert: open while any member is, acknowledged when all open ones are; its count never falls.

    Args:
        key: of the group.
        members: all that joined it, at least one.
    """
    standing = [alert for alert in members if alert.state != "resolved"]
    state = "resolved" if not standing else "open"
    if standing and all(alert.state == "acknowledged" for alert in standing):
        state = "acknowledged"
    first = members[0]
    return ShownAlert(
        alert_id=key,
        version=sum(alert.version for alert in members),
        kind="digest",
        severity=max((alert.severity for alert in members), key=rank_of),
        state=state,
        tenant=first.tenant,
        policy=first.policy,
        count=len(members),
    )


def silence_of(alert: ShownAlert, silences: Iterable[ShownAlert]) -> ShownAlert | None:
    """The silence that explains a blind alert; None where none does.

    A blind alert does not name its source, so time decides: the first silence that overlaps it, from the source's last
    sign of life to its recovery.

    Args:
        alert: any.
        silences: every `source_silence` known, over or not.
    """
    if not needs_silence(alert):
        return None
    overlapping = [
        silence
        for silence in silences
        if silence.first_time <= alert.updated_at
        and (silence.state != "resolved" or silence.updated_at >= alert.opened_at)
    ]
    return min(overlapping, key=lambda silence: (silence.first_time, silence.alert_id), default=None)


def needs_silence(alert: ShownAlert) -> bool:
    """Whether a silent source is behind an alert."""
    return alert.kind == "blind" and alert.reason == "source_silent"
