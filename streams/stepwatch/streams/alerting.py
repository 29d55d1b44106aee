"""Members -> alerts, their states and versions (contract section 7).

Open alerts are a function of the current verdicts and pattern anchors, so an alert is kept as the set of its members;
what a person decided, and the version, lie beside it.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from stepwatch.schemas.compiled import FastAlertRow, encode_json
from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import format_time
from stepwatch.streams.facts import Order
from stepwatch.streams.limits import ALERT_ACTIONS_BYTES_MAX, ALERT_ACTIONS_MAX

OPEN = "open"
ACKNOWLEDGED = "acknowledged"
RESOLVED = "resolved"

LATE_VERIFICATION = "late_verification"
SOURCE_RECOVERED = "source_recovered"
REVISION = "revision"
PERSON = "person"
EXPIRED = "expired"

UNVERIFIED_ACTION = "unverified_action"
BLIND = "blind"
SOURCE_SILENCE = "source_silence"

COUNTED_KINDS = frozenset({UNVERIFIED_ACTION, BLIND, "denied_then_acted", "fresh_credential", "policy_gap"})
"""Kinds whose members are deeds of their own: their number belongs into the title."""

SEVERITY_ORDER = ("low", "medium", "high", "critical")


class Bucket(msgspec.Struct, frozen=True):
    """Which alert a member belongs to: one per tenant, kind, subject, policy and bucket of time."""

    tenant: str
    kind: str
    subject: str
    policy: str
    bucket_us: int
    dedup_us: int
    own: tuple[str, ...] = ()
    """With `dedup` 0, source and id of the one member."""

    @property
    def alert_id(self) -> str:
        """`al_` and 32 hex digits."""
        return _alert_id([self.tenant, self.kind, self.subject, self.policy, self.bucket_us, self.dedup_us, *self.own])

    @classmethod
    def of(
        cls,
        tenant: str,
        kind: str,
        subject: str,
        policy: str,
        dedup_us: int,
        time_us: int,
        source: str,
        event_id: str,
    ) -> Bucket:
        """The bucket of a member with that time (or that arrival, where it came too late)."""
        if dedup_us == 0:
            return cls(tenant, kind, subject, policy, time_us, 0, (source, event_id))
        return cls(tenant, kind, subject, policy, time_us - time_us % dedup_us, dedup_us)


def silence_id(source: str, heartbeat_id: str) -> str:
    """The id of a `source_silence` alert: a new one for each silence of a source."""
    return _alert_id(["", SOURCE_SILENCE, source, heartbeat_id])


def _alert_id(parts: list[Any]) -> str:
    text = encode_json(["stepwatch-alert-1", *parts])
    return "al_" + hashlib.sha256(text).hexdigest()[:32]


class Member(msgspec.Struct, array_like=True):
    """One member of an alert. It stays on record when it leaves, so that a person's decision still covers it.

    Attributes:
        joined: the version of the alert that first counted it.
        inside: it is a member now.
    """

    source: str
    id: str
    time_us: int
    arrival_us: int
    grace_end_us: int
    closes_us: int
    severity: str
    reason: str
    title: str
    explanation: str
    nearest: str = ""
    joined: int = 0
    inside: bool = True

    @property
    def order(self) -> Order:
        """(time, source, id)."""
        return (self.time_us, self.source, self.id)


class Alert(msgspec.Struct, array_like=True):
    """One alert as it was last written, without its members.

    Attributes:
        touched_us: log time of the last change, for `expired`.
        shown: hash of the last row without what every row changes: an equal one is no new version.
    """

    alert_id: str
    kind: str
    tenant: str
    subject: str
    policy: str
    runbook: str
    owner: str
    bucket_end_us: int
    version: int = 0
    state: str = OPEN
    resolved_by: str = ""
    opened_us: int = 0
    touched_us: int = 0
    closes_us: int = 0
    last_arrival_us: int = 0
    last_grace_us: int = 0
    shown: int = 0


class Standing:
    """An alert with its members, sorted."""

    __slots__ = ("alert", "leaving", "members", "order")

    def __init__(self, alert: Alert) -> None:
        self.alert = alert
        self.members: dict[tuple[str, str], Member] = {}
        self.order: list[Order] = []
        self.leaving = REVISION

    def put(self, member: Member) -> None:
        """Take a member in, or back in, or with a new reason."""
        known = self.members.get((member.source, member.id))
        if known is not None:
            member.joined = known.joined
            if known.inside:
                self.order.remove(known.order)
        self.members[member.source, member.id] = member
        if member.inside:
            insort(self.order, member.order)

    def inside(self) -> Iterator[Member]:
        """The members of now, by (time, source, id)."""
        return (self.members[source, event_id] for _, source, event_id in self.order)


class Alerting:
    """The alerts of one partition. `dirty` are those to look at when the batch ends."""

    def __init__(self) -> None:
        self.standing: dict[str, Standing] = {}
        self.dirty: set[str] = set()
        self.dirty_members: set[tuple[str, tuple[str, str]]] = set()

    def members_of(self, alert_id: str) -> int:
        """How many members an alert has ever had; 0 where there is none."""
        standing = self.standing.get(alert_id)
        return len(standing.members) if standing is not None else 0

    def join(self, alert: Alert, member: Member) -> None:
        """A member has come, or what it says has changed."""
        standing = self.standing.get(alert.alert_id)
        if standing is None:
            standing = self.standing[alert.alert_id] = Standing(alert)
        known = standing.members.get((member.source, member.id))
        if known is not None and known.inside and _says(known) == _says(member):
            return
        standing.put(member)
        if known is None or not known.inside:
            held = standing.alert
            held.last_arrival_us, held.last_grace_us = member.arrival_us, member.grace_end_us
        self._touch(alert.alert_id, member)

    def leave(self, alert_id: str, source: str, event_id: str, cause: str) -> None:
        """A member is none any more; no alert, or no member: nothing happens."""
        standing = self.standing.get(alert_id)
        member = standing.members.get((source, event_id)) if standing is not None else None
        if standing is None or member is None or not member.inside:
            return
        standing.order.remove(member.order)
        member.inside = False
        standing.leaving = cause
        self._touch(alert_id, member)

    def _touch(self, alert_id: str, member: Member) -> None:
        self.dirty.add(alert_id)
        self.dirty_members.add((alert_id, (member.source, member.id)))

    def respond(self, response: Response) -> bool:
        """Do what a person decided; False where it decides nothing (unknown alert, or nothing to decide).

        A decision covers the members that the person had seen: where one joined after `seen_version`, the alert stays.
        """
        standing = self.standing.get(response.alert_id)
        if standing is None or response.decision == "note":
            return False
        alert = standing.alert
        unseen = any(member.joined > response.seen_version for member in standing.inside())
        if alert.state == RESOLVED or unseen or response.seen_version > alert.version:
            return False
        if response.decision == "resolve":
            alert.state, alert.resolved_by = RESOLVED, PERSON
        elif alert.state == OPEN:
            alert.state = ACKNOWLEDGED
        self.dirty.add(response.alert_id)
        return True

    def expire(self, alert_id: str) -> None:
        """Nobody has touched it for 30 days."""
        standing = self.standing.get(alert_id)
        if standing is not None and standing.alert.state != RESOLVED:
            standing.alert.state, standing.alert.resolved_by = RESOLVED, EXPIRED
            self.dirty.add(alert_id)

    def settle(self, log_time_us: int, now_us: int) -> Iterator[tuple[Standing, bytes]]:
        """The rows of all alerts that have changed since the last call, at most one each.

        Args:
            log_time_us: the later of both inputs, for `expired` only.
            now_us: the worker's wall clock, for `opened_at`, `updated_at` and the two durations only.
        """
        for alert_id in sorted(self.dirty):
            standing = self.standing[alert_id]
            self._move(standing)
            row = self._row(standing, now_us)
            if row is not None:
                standing.alert.touched_us = log_time_us
                yield standing, row
            elif standing.alert.version == 0:
                # All its members came and left within the batch: there was no alert.
                del self.standing[alert_id]
                self.dirty_members = {member for member in self.dirty_members if member[0] != alert_id}
        self.dirty.clear()

    def _move(self, standing: Standing) -> None:
        """Open, reopen or resolve by what members there are."""
        alert = standing.alert
        news = [member for member in standing.inside() if member.joined == 0]
        if not standing.order:
            if alert.state != RESOLVED:
                alert.state, alert.resolved_by = RESOLVED, standing.leaving
        elif alert.state == RESOLVED and (news or alert.resolved_by not in (PERSON, EXPIRED)):
            alert.state, alert.resolved_by = OPEN, ""
        for member in news:
            member.joined = alert.version + 1
            self.dirty_members.add((alert.alert_id, (member.source, member.id)))

    def _row(self, standing: Standing, now_us: int) -> bytes | None:
        alert = standing.alert
        inside = list(standing.inside())
        shown = inside or sorted(standing.members.values(), key=lambda member: member.order)
        if alert.version == 0 and not inside:
            return None
        first = shown[0]
        alert.closes_us = max(alert.closes_us, *(member.closes_us for member in shown))
        more = f" (and {len(inside) - 1} more)" if len(inside) > 1 and alert.kind in COUNTED_KINDS else ""
        is_silence = alert.kind == SOURCE_SILENCE
        row = FastAlertRow(
            alert_id=alert.alert_id,
            version=0,
            tenant=alert.tenant,
            kind=alert.kind,
            severity=highest_severity(shown),
            state=alert.state,
            resolved_by=alert.resolved_by,
            subject=alert.subject,
            policy=alert.policy,
            reason=first.reason,
            title=first.title + more,
            explanation=first.explanation,
            nearest_miss=first.nearest,
            runbook=alert.runbook,
            owner=alert.owner,
            count=len(inside),
            actions=[] if is_silence else list(_named(inside)),
            first_time=format_time(shown[0].time_us),
            last_time=format_time(shown[-1].time_us),
            opened_at="",
            updated_at="",
            closes_at=format_time(alert.closes_us),
            detection_ms=0,
            overdue_ms=0,
        )
        says = int.from_bytes(hashlib.blake2b(encode_json(row), digest_size=7).digest())
        if says == alert.shown:
            return None
        alert.shown = says
        alert.version += 1
        if alert.version == 1:
            alert.opened_us = now_us
        row.version = alert.version
        row.opened_at, row.updated_at = format_time(alert.opened_us), format_time(now_us)
        row.detection_ms = (now_us - alert.last_arrival_us) // 1000
        row.overdue_ms = (now_us - alert.last_grace_us) // 1000
        return encode_json(row)


def highest_severity(members: Iterable[Member]) -> str:
    """The severity of an alert: the highest of its members', at least one."""
    return max((member.severity for member in members), key=SEVERITY_ORDER.index)


def _named(members: list[Member]) -> Iterator[str]:
    """The ids of the first members, as many as a row has room for."""
    room = ALERT_ACTIONS_BYTES_MAX
    for member in members[:ALERT_ACTIONS_MAX]:
        room -= len(member.id.encode())
        if room < 0:
            return
        yield member.id


def _says(member: Member) -> tuple[str, ...]:
    return (member.severity, member.reason, member.title, member.explanation, member.nearest)
