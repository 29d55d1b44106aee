"""A full example of every type of event: each field that means something in it, with a value as it comes in practice.

One story, so that the examples fit together: alice signs in, is asked to prove who she is, does, and approves a payout.
"""

from __future__ import annotations

from typing import Any, Final

from stepwatch.schemas import events as ev
from stepwatch.schemas.fields import FIELDS
from stepwatch.schemas.times import SECOND_US, format_time

Event = dict[str, Any]

_PAYMENTS: Final = "/payments/api"
_IDP: Final = "/idp"
_TRANSACTION: Final = "sha256:5f1c0e8b2a9d4c7f"
_PAYOUT: Final = "payments.payout.approve"


def build_example(kind: str, time_us: int, event_id: str) -> Event:
    """One event with every field that means something in its type.

    Args:
        kind: the full type, one of `EVENT_TYPES`.
        time_us: when it happened, us since 1970.
        event_id: its id; another one for another time, since the same id with another body is a conflict.
    """
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": _PAYMENTS if kind == ev.ACTION_PERFORMED else _IDP,
        "type": kind,
        "time": format_time(time_us),
    }
    if kind == ev.HEARTBEAT:
        return {**event, "data": {"complete_to": format_time(time_us)}}
    return {**event, "subject": "alice", "data": _data(kind, time_us)}


def _data(kind: str, time_us: int) -> dict[str, Any]:
    """The values below, of the fields that mean something in the type, in the order of the contract."""
    values = _values(kind, time_us)
    names = [field.path.split(".")[1] for field in FIELDS if field.path.count(".") == 1 and field.is_of(kind)]
    return {name: values[name] for name in names}


def _values(kind: str, time_us: int) -> dict[str, Any]:
    time_s = time_us // SECOND_US
    return {
        "tenant": "acme",
        "session": "s-81",
        "root_session": "login-17",
        "client": {"ip": "203.0.113.7", "device": "d-3", "user_agent": "Mozilla/5.0", "country": "SE"},
        "action": _PAYOUT,
        "on_behalf_of": "treasury",
        "resource": {"type": "payout", "id": "po_991", "sensitivity": "critical"},
        "outcome": "success",
        "transaction": _TRANSACTION,
        "token": {"acr": "phr", "amr": ["hwk", "user"], "auth_time": time_s - 40},
        "decision": {"result": "required", "reason": "amount_over_limit", "policy": "payouts-over-10k"},
        "verification": "v-login-17" if kind == ev.SESSION_STARTED else "v-7",
        "challenge": "c-7",
        "bound_action": _PAYOUT,
        "amr": ["hwk", "user"],
        "acr": "phr",
        "auth_time": time_s - 2,
        "credential": "key-alice-1",
        "otp_step": time_s // 30,
        "change": "created",
        "reason": "amount_over_limit",
        "failure": "wrong_code",
        "approver": "bob",
        "approver_verification": "v-8",
    }
