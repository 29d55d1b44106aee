"""Every event that a producer may send, as pydantic models (contract section 3).

These models are the only definition: `compiled.py` derives the fast decoders of the hot path from them, and a property
test holds the two to the same decision. `null` and `""` mean absent. Unknown fields are kept and ignored.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

TYPE_PREFIX: Final = "stepwatch."
ACTION_PERFORMED: Final = "stepwatch.action.performed"
HEARTBEAT: Final = "stepwatch.heartbeat"
STEPUP_REQUIRED: Final = "stepwatch.stepup.required"
STEPUP_CHALLENGED: Final = "stepwatch.stepup.challenged"
STEPUP_VERIFIED: Final = "stepwatch.stepup.verified"
STEPUP_FAILED: Final = "stepwatch.stepup.failed"
STEPUP_DENIED: Final = "stepwatch.stepup.denied"
STEPUP_EXPIRED: Final = "stepwatch.stepup.expired"
STEPUP_CANCELLED: Final = "stepwatch.stepup.cancelled"
STEPUP_BYPASSED: Final = "stepwatch.stepup.bypassed"
SESSION_STARTED: Final = "stepwatch.session.started"
SESSION_REVOKED: Final = "stepwatch.session.revoked"
CREDENTIAL_CHANGED: Final = "stepwatch.credential.changed"
APPROVAL_GRANTED: Final = "stepwatch.approval.granted"
APPROVAL_REVOKED: Final = "stepwatch.approval.revoked"

AUTHENTICATION_TYPES: Final = frozenset(
    {
        STEPUP_REQUIRED,
        STEPUP_CHALLENGED,
        STEPUP_VERIFIED,
        STEPUP_FAILED,
        STEPUP_DENIED,
        STEPUP_EXPIRED,
        STEPUP_CANCELLED,
        STEPUP_BYPASSED,
        SESSION_STARTED,
        SESSION_REVOKED,
        CREDENTIAL_CHANGED,
        APPROVAL_GRANTED,
        APPROVAL_REVOKED,
    }
)
"""The types of the family `authentication`."""
EVENT_TYPES: Final = AUTHENTICATION_TYPES | {ACTION_PERFORMED, HEARTBEAT}

REQUIRED_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    ACTION_PERFORMED: ("action",),
    CREDENTIAL_CHANGED: ("credential", "change"),
    APPROVAL_GRANTED: ("approver",),
}
"""Fields of `data` without which an event of the type is a dead letter."""

SENSITIVITIES: Final = ("low", "moderate", "high", "critical")
OUTCOMES: Final = ("success", "failure", "denied")


def _absent(value: object) -> object:
    return None if value == "" else value


def _without_empty(value: object) -> object:
    return [item for item in value if item != ""] if isinstance(value, list) else value


def _number(value: object) -> object:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(f"expected a finite number, got {_named(value)}")


def _named(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


Text = Annotated[str | None, BeforeValidator(_absent)]
"""A string; null and `""` are absent."""


class _Part(BaseModel):
    """Strict: a number is no string. Unknown members are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Client(_Part):
    """Whoever initiated what happened (never the phone that approved)."""

    ip: Text = None
    device: Text = None
    user_agent: Text = None
    country: Text = None


class Resource(_Part):
    """What the action was done to. A sensitivity outside `SENSITIVITIES` counts as missing."""

    type: Text = None
    id: Text = None
    sensitivity: Text = None


class Decision(_Part):
    """The application's own decision whether a step-up was needed."""

    result: Text = None
    reason: Text = None
    policy: Text = None


class Data(_Part):
    """`data` of an event: the known fields, checked on every event but heartbeats whatever its type."""

    tenant: Text = None
    session: Text = None
    root_session: Text = None
    client: Annotated[Client | None, BeforeValidator(_absent)] = None
    action: Text = None
    on_behalf_of: Text = None
    resource: Annotated[Resource | None, BeforeValidator(_absent)] = None
    outcome: Text = None
    transaction: Text = None
    token: Annotated[dict[str, Any] | None, BeforeValidator(_absent)] = Field(
        None,
        description="claims of the access token presented: evidence on record, its members are not checked",
    )
    decision: Annotated[Decision | None, BeforeValidator(_absent)] = None
    verification: Text = None
    challenge: Text = None
    bound_action: Text = None
    amr: Annotated[list[str] | None, BeforeValidator(_without_empty), BeforeValidator(_absent)] = None
    acr: Text = None
    auth_time: Annotated[int | float | None, BeforeValidator(_number), BeforeValidator(_absent)] = Field(
        None, description="seconds since 1970; the fraction is cut"
    )
    credential: Text = None
    otp_step: Annotated[int | None, BeforeValidator(_absent)] = None
    change: Text = None
    reason: Text = None
    failure: Text = None
    approver: Text = None
    approver_verification: Text = None


class Event(_Part):
    """One CloudEvents 1.0 envelope in structured mode. Heartbeats need no `subject`."""

    specversion: Text = None
    id: str
    source: str
    type: str
    time: str
    subject: Text = None
    data: Annotated[Data | None, BeforeValidator(_absent)] = None


class HeartbeatData(BaseModel):
    """`data` of a heartbeat: nothing of it is checked.

    `complete_to` (RFC 3339) says up to which event time the feed has delivered everything; missing or unreadable, it
    is the heartbeat's own `time`.
    """

    model_config = ConfigDict(extra="ignore")
    complete_to: Any = None
