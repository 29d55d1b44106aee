"""Entra ID directory audit logs: what one activity becomes. `entra_actions.py` has its names.

| activity | becomes |
|---|---|
| "Add member to role request approved (PIM activation)" | the deed, and `approval.granted` for whoever asked |
| "Update StsRefreshTokenValidFrom Timestamp" | the deed, and `session.revoked` of all sessions of the target |
| "Update user" that touches StrongAuthentication... | `idp.factor.update` |
| "Admin registered security info", of a Temporary Access Pass | `idp.recovery_code.create` |
| a request for a deed, or the way to it | no event: the deed has its own row |
| a role or a group's member set by MS-PIM itself | no event: whoever activated it has a row beside it |
| everything else | `action.performed` |

No row says by which session it came, nor which factor a registration of security info made: neither is said.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from stepwatch.schemas import events as t
from stepwatch.sources import base
from stepwatch.sources.actions import CRITICAL, HIGH, MODERATE, Deed, camel_words, plain_word
from stepwatch.sources.base import Event, Skip, text
from stepwatch.sources.entra_actions import NOTICES, deed_of, is_request
from stepwatch.sources.entra_row import Row, guid

Found = list[Event | Skip]

_REQUESTED: Final = Skip("a step towards a deed that has its own row", "type")
_OUTCOMES: Final = {"success": "success", "failure": "failure"}
_REFUSED: Final = ("denied", "insufficient privileges", "unauthorized", "forbidden")
_APPROVED: Final = frozenset({"add_member_to_role_request_approved_pim_activation", "activationapproved"})
_ALL_SESSIONS: Final = "update_stsrefreshtokenvalidfrom_timestamp"
_FACTOR_UPDATE: Final = Deed("idp.factor.update", "user", HIGH, ("User",))
_PASS: Final = {
    # A Temporary Access Pass is a code to be handed out: it stands in for every factor of the person.
    "admin_registered_security_info": Deed("idp.recovery_code.create", "user", CRITICAL, ("User",)),
    "admin_deleted_security_info": Deed("idp.recovery_code.delete", "user", MODERATE, ("User",)),
}
_PIM: Final = "ms-pim"
_PIM_DEEDS: Final = ("idp.role.", "idp.group.")
"""What Privileged Identity Management does for people. An application may bear its name: it is believed no more."""
_GRANTEES: Final = (("User", "user"), ("ServicePrincipal", "app"), ("Group", "group"))


def activity(row: Row) -> str:
    """The activity of an audit record in plain words; "" where it has none."""
    return _plain(text(row.get("activityDisplayName")) or text(row.get("operationName")))


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return plain_word(name)


def audited(row: Row) -> Found:
    """The events of an audit row whose time is known."""
    name = activity(row)
    if is_request(name):
        return [_REQUESTED]
    if name in NOTICES:
        return [base.NOTICE]
    if text(row.get("loggedByService")).upper() == "B2C" and text(row.get("category")).lower() == "authentication":
        return [base.LOGIN_STEP]
    deed = _deed(row, name)
    if deed is None:
        return [base.NO_TYPE]
    who, is_person = row.initiator()
    if isinstance(who, Skip):
        return [who]
    if not is_person and deed.action.startswith(_PIM_DEEDS) and row.application() == _PIM:
        return [base.SYSTEM]
    outcome = _outcome(row)
    data = {"action": deed.action, "outcome": outcome, "resource": _resource(row, deed, who)}
    found: Found = [row.event(t.ACTION_PERFORMED, f"{deed.action}-{outcome}", who, _common(row) | data)]
    if outcome == "success":
        if name in _APPROVED and is_person and (owner := row.target_id("User")):
            found.append(row.event(t.APPROVAL_GRANTED, "approved", owner, {"approver": who}))
        if name == _ALL_SESSIONS and (owner := row.target_id("User")):
            found.append(row.event(t.SESSION_REVOKED, "revoked", owner, {}))
    return found


def _deed(row: Row, name: str) -> Deed | None:
    if name == "update_user" and _touches_factors(row):
        return _FACTOR_UPDATE
    if name in _PASS and "temporary access pass" in text(row.get("resultReason")).lower():
        return _PASS[name]
    return deed_of(name, text(row.get("category")).lower())


def _common(row: Row) -> dict[str, Any]:
    return {"session": row.session(), "client": row.admin_client()}


def _outcome(row: Row) -> str:
    outcome = _OUTCOMES.get(text(row.get("result")).lower(), "unknown")
    reason = text(row.get("resultReason")).lower()
    return "denied" if outcome == "failure" and any(word in reason for word in _REFUSED) else outcome


def _touches_factors(row: Row) -> bool:
    for target in row.listed("targetResources"):
        changes = target.get("modifiedProperties")
        for one in changes if isinstance(changes, list) else []:
            if isinstance(one, dict) and text(one.get("displayName")).startswith("StrongAuthentication"):
                return True
    return False


def _resource(row: Row, deed: Deed, who: str) -> dict[str, str]:
    if deed.where == ("@self",):
        return {"type": deed.resource, "id": who, "sensitivity": deed.sensitivity}
    if deed.where == tuple(kind for kind, _ in _GRANTEES):
        for kind, name in _GRANTEES:
            if found := row.target_id(kind):
                return {"type": name, "id": found, "sensitivity": deed.sensitivity}
    targets = row.listed("targetResources")
    if not deed.resource and len(targets) == 1:
        kind = "_".join(camel_words(text(targets[0].get("type"))))
        return {"type": kind, "id": guid(targets[0].get("id")), "sensitivity": deed.sensitivity}
    return {"type": deed.resource, "id": row.target_id(*deed.where), "sensitivity": deed.sensitivity}
