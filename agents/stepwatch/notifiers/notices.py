"""Two states of an alert -> what a person should be told about it, or nothing (contract section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

SEVERITIES = ("low", "medium", "high", "critical")


class Happening(Enum):
    """What became of an alert."""

    OPENED = "opened"
    REOPENED = "reopened"
    WORSE = "worse"
    CHANGED = "changed"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class ShownAlert(msgspec.Struct, frozen=True):
    """What people are shown of an alert: fields of contract section 7; unknown ones are ignored."""

    alert_id: str
    version: int
    kind: str
    severity: str
    state: str
    tenant: str = ""
    resolved_by: str = ""
    subject: str = ""
    policy: str = ""
    reason: str = ""
    title: str = ""
    explanation: str = ""
    runbook: str = ""
    owner: str = ""
    count: int = 0
    actions: tuple[str, ...] = ()
    first_time: str = ""
    last_time: str = ""
    nearest_miss: str = ""
    opened_at: str = ""
    updated_at: str = ""
    closes_at: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of an alert to compare its next state with."""

    version: int
    state: str
    severity: str
    reason: str
    count: int


class Notice(NamedTuple):
    """Something to tell a person: what happened to which alert, and how it stood before."""

    happening: Happening
    alert: ShownAlert
    before: Seen | None


class NotJudged(NamedTuple):
    """An event on which the core failed, so that nobody judged it: a dead letter of kind `bug`.

    Attributes:
        letter_id: of the dead letter: partition@offset.
        where: of the event: topic-partition@offset.
        key: `tenant/subject`, as the record has it.
        raised: what the core raised, in words.
        time: of the event's arrival, RFC 3339.
    """

    letter_id: str
    where: str
    key: str
    raised: str
    time: str


def read_alert(value: bytes) -> ShownAlert:
    """An alert from its record.

    Raises:
        ValueError: the value is not an alert; the message names the field.
    """
    try:
        return msgspec.json.decode(value, type=ShownAlert)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def seen_of(alert: ShownAlert) -> Seen:
    """What to keep of an alert."""
    return Seen(alert.version, alert.state, alert.severity, alert.reason, alert.count)


def notice_of(before: Seen | None, alert: ShownAlert) -> Notice | None:
    """What to tell about the step from one state of an alert to another.

    Args:
        before: the last state that was told or passed over; None where the alert is new.
        alert: its state now.

    Returns:
        None where nobody needs to know: a version that is not newer, a count that only falls, a new wording.
    """
    happening = _happening(before, alert)
    return None if happening is None else Notice(happening, alert, before)


def _happening(before: Seen | None, alert: ShownAlert) -> Happening | None:
    if before is None:
        if alert.state == "resolved":
            # Opened and over before anybody was told. A later version may have been told by a former reader.
            return Happening.RESOLVED if alert.version > 1 else None
        return Happening.OPENED
    if alert.version <= before.version:
        return None
    if alert.state != before.state:
        if alert.state == "acknowledged":
            return Happening.ACKNOWLEDGED
        return Happening.RESOLVED if alert.state == "resolved" else Happening.REOPENED
    if alert.state == "resolved":
        return None
    if alert.count > before.count or rank_of(alert.severity) > rank_of(before.severity):
        return Happening.WORSE
    changed = alert.reason != before.reason or alert.severity != before.severity
    return Happening.CHANGED if changed else None


def rank_of(severity: str) -> int:
    """How grave a severity is, from 0; one that is not known counts as the gravest."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
