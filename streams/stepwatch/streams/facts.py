"""What is kept of one event: the authentication fact and the policed action (contract sections 3 and 5)."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import SECOND_US, format_time
from stepwatch.streams.decode import Event, body_hash
from stepwatch.streams.failing import Where
from stepwatch.streams.limits import ADDRESSES_CACHED_MAX

if TYPE_CHECKING:
    from stepwatch.streams.sets import PolicySet, PolicySets, Requirement

    Row = Any
else:  # derived at import, so a type checker cannot see it
    from stepwatch.schemas.compiled import FastAuditRow

    Row = FastAuditRow | None

_STEP_PREFIX = "stepwatch.stepup."
STEP_UP = "step_up"
LOGIN = "login"

Key = tuple[str, str]
"""(source, id): an event among those of one subject and family."""
Order = tuple[int, str, str]
"""(time, source, id): the order of events of one subject; strings compare as their UTF-8 bytes do."""
Proof = str | tuple[str, str]
"""What makes two verifications one proof: the `verification` id, or where missing (source, id)."""


class Fact(msgspec.Struct, gc=False, array_like=True):
    """One accepted authentication event, as the rules need it. `""` is absent.

    Attributes:
        kind: `step_up` or `login` of a verification, else `""`.
        at_us: when it was proved (`v.at`); of other events, `time_us`.
        root: the login that its session descends from: `root_session`, or else `session`.
        scope: of a `session.revoked`: the session that it names, `session` or else `root_session`.
        ip: as `address` writes it.
        approver: of an approval, the canonical subject.
        hash: tells copies from conflicts.
    """

    type: str
    source: str
    id: str
    time_us: int
    arrival_us: int
    hash: int
    at_us: int
    kind: str = ""
    session: str = ""
    root: str = ""
    scope: str = ""
    amr: tuple[str, ...] = ()
    acr: str = ""
    credential: str = ""
    change: str = ""
    otp_step: str = ""
    challenge: str = ""
    verification: str = ""
    bound_action: str = ""
    transaction: str = ""
    device: str = ""
    ip: str = ""
    approver: str = ""

    @property
    def key(self) -> Key:
        """(source, id)."""
        return (self.source, self.id)

    @property
    def order(self) -> Order:
        """(time, source, id)."""
        return (self.time_us, self.source, self.id)

    @property
    def rank(self) -> tuple[int, int, str, str]:
        """(at, time, source, id): the greatest of those that pass is chosen."""
        return (self.at_us, self.time_us, self.source, self.id)

    @property
    def proof(self) -> Proof:
        """Equal for two reports of one proof."""
        return self.verification or (self.source, self.id)

    @property
    def shown_id(self) -> str:
        """What rows call it: its `verification` id, or else its event id."""
        return self.verification or self.id


class Published(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """What the last published row of an action said; the next differs from it or is not published."""

    verdict: str
    reason: str
    verification: str
    nearest: str


class Action(msgspec.Struct, array_like=True):
    """One action that a policy matches and does not exempt, until it may be forgotten.

    Attributes:
        policy: id of its policy in the set in force at its time.
        set_digest: that set: it judges the action in every revision.
        counts: its outcome is `success` or `unknown`: it uses a verification up and can raise an alert.
        too_late: it arrived more than `accept_late` after its time.
        overloaded: its subject had more than `subject_facts_max` live facts when it came.
        grace_end_us, closes_us: the moments of waiting and of finality, in arrivals.
        row: the columns of its audit row that no verdict changes, for revisions.
        proof: the proof that it chose: once closed the final one, before the last judged.
    """

    source: str
    id: str
    time_us: int
    arrival_us: int
    hash: int
    policy: str
    set_digest: str
    counts: bool
    too_late: bool
    grace_end_us: int
    closes_us: int
    session: str = ""
    root: str = ""
    action: str = ""
    transaction: str = ""
    device: str = ""
    ip: str = ""
    row: Row = None
    revision: int = 0
    published: Published | None = None
    proof: Proof | None = None
    closed: bool = False
    overloaded: bool = False

    @property
    def key(self) -> Key:
        """(source, id)."""
        return (self.source, self.id)

    @property
    def order(self) -> Order:
        """(time, source, id)."""
        return (self.time_us, self.source, self.id)

    @property
    def where(self) -> Where:
        """The record by which it was accepted."""
        return (self.row.kafka_topic, self.row.kafka_offset)

    def judged_by(self, sets: PolicySets) -> tuple[PolicySet, Requirement]:
        """The set that judges it in every revision, and its policy there."""
        policy_set = sets.judging(self.set_digest, self.time_us)
        return policy_set, policy_set.requirements[self.policy]


class Remembered(msgspec.Struct, gc=False, array_like=True):
    """An action kept only so that its copies are known: exempt, or a `policy_gap`."""

    source: str
    id: str
    time_us: int
    arrival_us: int
    hash: int

    @property
    def key(self) -> Key:
        """(source, id)."""
        return (self.source, self.id)


@lru_cache(maxsize=ADDRESSES_CACHED_MAX)
def address(text: str | None) -> str:
    """An address so that equal ones are equal texts: IPv4-mapped as IPv4; what is no address stays as it is."""
    if not text:
        return ""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


_OLDEST_S = -62_135_596_800
"""The year 1: an `auth_time` before it proves as little, and still fits into 64 bits of microseconds."""


def proved_at(event: Event) -> int:
    """`v.at` in microseconds: `auth_time` where that is an earlier whole second than `time`, else `time`."""
    auth_time = event.data.auth_time
    if auth_time is not None and int(auth_time) < event.time_us // SECOND_US:
        return max(int(auth_time), _OLDEST_S) * SECOND_US
    return event.time_us


def kind_of(event: Event) -> str:
    """`step_up` or `login` where the event is a verification (contract section 1), else `""`."""
    if event.type == ev.STEPUP_VERIFIED:
        return STEP_UP
    if event.type == ev.SESSION_STARTED and any(event.data.amr or ()):
        return LOGIN
    return ""


def fact_of(event: Event, approver: str) -> Fact:
    """The fact of an accepted authentication event.

    Args:
        event: of the family `authentication`.
        approver: the canonical subject who approved, or `""`.
    """
    data, client = event.data, event.data.client
    kind, session, root_session = kind_of(event), data.session or "", data.root_session or ""
    # On a login these two mean nothing (the table's column "in"), so a login never satisfies a binding.
    is_step = event.type.startswith(_STEP_PREFIX)
    return Fact(  # in the order of its fields: to name them would take longer than all the rest
        event.type,
        event.source,
        event.id,
        event.time_us,
        event.arrival_us,
        body_hash(event.value),
        proved_at(event) if kind else event.time_us,
        kind,
        session,
        root_session or session,
        session or root_session,  # scope
        tuple(filter(None, data.amr)) if data.amr else (),
        data.acr or "",
        data.credential or "",
        data.change or "",
        "" if data.otp_step is None else str(data.otp_step),
        data.challenge or "",
        data.verification or "",
        (data.bound_action or "") if is_step else "",
        (data.transaction or "") if is_step else "",
        (client.device or "") if client else "",
        address(client.ip) if client else "",
        approver,
    )


def action_of(event: Event, requirement: Requirement, set_digest: str, row: Row, overloaded: bool) -> Action:
    """The policed action of an accepted event; its row says from now on when it closes.

    Args:
        event: of the family `action`.
        requirement: the policy that matches it and does not exempt it.
        set_digest: of that policy's set.
        row: its audit row, without a verdict.
        overloaded: its subject has too many live facts.
    """
    data, client = event.data, event.data.client
    session, arrival_us = data.session or "", event.arrival_us
    grace_end_us = arrival_us + requirement.grace_us
    closes_us = grace_end_us + requirement.revise_within_us
    row.closes_at = format_time(closes_us)
    return Action(  # in the order of its fields
        event.source,
        event.id,
        event.time_us,
        arrival_us,
        body_hash(event.value),
        requirement.id,
        set_digest,
        row.outcome in ("success", "unknown"),  # counts
        arrival_us - event.time_us > requirement.accept_late_us,  # too_late
        grace_end_us,
        closes_us,
        session,
        data.root_session or session,
        data.action,
        data.transaction or "",
        (client.device or "") if client else "",
        address(client.ip) if client else "",
        row,
        overloaded=overloaded,
    )
