"""Which incident speaks for an alert: its own, that of a storm, a digest, or the silence that explains it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from stepwatch.notifiers.ledger import Told
from stepwatch.notifiers.notices import ShownAlert, rank_of

STORM = "st_"
DIGEST = "dg_"
SILENCE = "source_silence"
NOT_JUDGED = "not_judged"
FORGOTTEN = "forgotten"
"""The kind of what stands for an alert, or a group, that the alerts topic says nothing of any more."""
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


class Past(NamedTuple):
    """The members that a group has no more: they ring by themselves, or the alerts topic has forgotten them.

    Attributes:
        members: how many.
        versions: theirs, added up.
    """

    members: int = 0
    versions: int = 0


def group_alert(key: str, members: Sequence[ShownAlert], past: Past) -> ShownAlert:
    """A group as an alert: open while any member is, acknowledged when all open ones are.

    Its count, of all that ever joined, and its version never fall: whoever joins after others left is news.

    Args:
        key: of the group.
        members: those in it, at least one.
        past: those that were.
    """
    standing = [alert for alert in members if alert.state != "resolved"]
    state = "resolved" if not standing else "open"
    if standing and all(alert.state == "acknowledged" for alert in standing):
        state = "acknowledged"
    first = members[0]
    return ShownAlert(
        alert_id=key,
        version=past.versions + sum(alert.version for alert in members),
        kind="digest",
        severity=max((alert.severity for alert in members), key=rank_of),
        state=state,
        tenant=first.tenant,
        policy=first.policy,
        reason=first.kind if key.startswith(STORM) else "",
        count=past.members + len(members),
    )


def forgotten(key: str, told: Iterable[Told]) -> ShownAlert:
    """What stands for an alert or a group of which only the ledger knows: it is over.

    Args:
        key: of the incident.
        told: what its channels were told, at least one record.
    """
    told = list(told)
    return ShownAlert(
        key,
        max(one.version for one in told) + 1,
        FORGOTTEN,
        max((one.severity for one in told), key=rank_of),
        "resolved",
        told[0].tenant,
        count=max(one.count for one in told),
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
