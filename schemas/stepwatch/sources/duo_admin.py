"""What Duo's administrator, activity and offline rows become: the rules in words are in `duo.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stepwatch.schemas import events as t
from stepwatch.sources import base
from stepwatch.sources.actions import CRITICAL, HIGH, MODERATE, Deed
from stepwatch.sources.base import Event, Skip, ident, text
from stepwatch.sources.duo_actions import ACTIONS, derive
from stepwatch.sources.duo_row import Row, factor_words

Found = list[Event | Skip]

_NOTICES: Final = ("device_change_", "credits_")
_ENDS: Final = ("_sync_finish", "_sync_end", "_by_user_finish", "_by_user_end", "_sync_success", "_export_complete")
_FAILED: Final = ("_error", "_failed", "_failure")
_CHANGES: Final = {
    **dict.fromkeys(("phone_create", "phone_associate"), "created"),
    **dict.fromkeys(("hardtoken_create", "u2ftoken_create", "webauthncredential_create"), "created"),
    **dict.fromkeys(("phone_update", "hardtoken_update", "hardtoken_resync"), "updated"),
    "webauthncredential_rename": "updated",
    **dict.fromkeys(("phone_delete", "phone_disassociate"), "revoked"),
    **dict.fromkeys(("hardtoken_delete", "u2ftoken_delete", "webauthncredential_delete"), "revoked"),
}
_STATUSES: Final = {
    "bypass": ("idp.mfa.disable", CRITICAL),
    "disabled": ("idp.user.suspend", MODERATE),
    "active": ("idp.user.activate", MODERATE),
}
_ERRORS: Final = (
    # Words in the error of a second factor; the first that holds.
    (("fraud", "denied", "declined", "rejected"), t.STEPUP_DENIED, ""),
    (("cancel",), t.STEPUP_CANCELLED, ""),
    (("timed out", "timeout", "no response"), t.STEPUP_FAILED, "no_response"),
    (("locked",), t.STEPUP_FAILED, "locked_out"),
    (("expired",), t.STEPUP_FAILED, "expired_code"),
    (("incorrect", "invalid"), t.STEPUP_FAILED, "wrong_code"),
)


def read_deed(row: Row, kind: str) -> Found:
    """One row of the administrator, activity or offline log.

    Args:
        row: the row.
        kind: `action`, or `action.name`.
    """
    if kind.startswith(_NOTICES):
        return [base.NOTICE]
    if kind.endswith(_ENDS):
        return [base.SECOND_ROW]
    return _RULES.get(kind, _action)(row, kind)


def _login(row: Row, kind: str) -> Found:
    words = factor_words(row.detail("factor"))
    if text(row.detail("primary_auth_method")).lower() == "password":
        words = ["pwd", *words, *(["mfa"] if words else [])]
    return [row.event(t.SESSION_STARTED, "login", row.person(), {"amr": words})]


def _failed_login(row: Row, kind: str) -> Found:
    return [base.FAILED_LOGIN]


def _second_factor_failed(row: Row, kind: str) -> Found:
    error = text(row.detail("error")).lower()
    for words, step, failure in _ERRORS:
        if any(word in error for word in words):
            return [row.event(step, step.rpartition(".")[2], row.person(), {"failure": failure})]
    return [row.event(t.STEPUP_FAILED, "failed", row.person(), {})]


def _locked_out(row: Row, kind: str) -> Found:
    return [row.event(t.STEPUP_FAILED, "failed", row.person(), {"failure": "locked_out"})]


def _action(row: Row, kind: str) -> Found:
    deed = ACTIONS.get(kind) or derive(kind)
    if deed is None:
        return [base.NO_TYPE]
    deed = _refined(row, kind, deed)
    who = row.actor()
    outcome = _outcome(row, kind)
    resource = {"type": deed.resource, "id": _object(row, deed, who), "sensitivity": deed.sensitivity}
    data = {"action": deed.action, "outcome": outcome, "resource": resource}
    return [row.event(t.ACTION_PERFORMED, f"action-{outcome}", who, data), *_own_credential(row, kind, outcome)]


def _refined(row: Row, kind: str, deed: Deed) -> Deed:
    """The deed as the row's details tell it further: a status set, phones taken away, a role given."""
    if kind == "user_update":
        status = text(row.detail("status")).lower()
        if status in _STATUSES and status != text(row.was("status")).lower():
            action, sensitivity = _STATUSES[status]
            return deed._replace(action=action, sensitivity=sensitivity)
        if row.detail("phones") is not None:
            action = "idp.factor.update" if row.detail("phones") else "idp.factor.remove"
            return deed._replace(action=action, sensitivity=HIGH)
    if kind == "admin_update" and text(row.detail("role")) and row.detail("role") != row.was("role"):
        return deed._replace(action="idp.role.grant", sensitivity=CRITICAL)
    return deed


def _object(row: Row, deed: Deed, who: str | Skip) -> str:
    named = ident(row.get("object")) or ident(row.get("target", "name"))
    own = who if isinstance(who, str) and "self" in deed.where else ""
    return named if named and ("object" in deed.where or not deed.where) else own


def _outcome(row: Row, kind: str) -> str:
    said = text(row.get("outcome", "result")).lower()
    return "failure" if kind.endswith(_FAILED) or said in ("failure", "error", "denied") else "success"


def _own_credential(row: Row, kind: str, outcome: str) -> Found:
    """A user's own device was added, changed or removed: of somebody else's, the owner is not named."""
    device = ident(row.get("target", "key"))
    if kind not in _CHANGES or outcome != "success" or not device or text(row.get("actor", "type")) != "user":
        return []
    data = {"credential": device, "change": _CHANGES[kind]}
    return [row.event(t.CREDENTIAL_CHANGED, "credential", row.actor(), data)]


_RULES: Final[dict[str, Callable[[Row, str], Found]]] = {
    "admin_login": _login,
    "admin_login_error": _failed_login,
    "admin_2fa_error": _second_factor_failed,
    "admin_lockout": _locked_out,
}
