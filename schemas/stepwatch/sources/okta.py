"""Okta System Log.

Read are single log objects, JSON arrays of them, log streams (EventBridge's `detail`, Splunk's `event`), event
hooks (`data.events`, `events`), and what a collector put into `message` or `log`, as JSON text too.

- **id**: `uuid` and the step, `u-13#verified`.
- **subject**: `actor.id`, or `actor.alternateId` where that is `unknown`. A `SystemPrincipal` is Okta itself:
  counted, no event. A client app acts under its own id, and proves nothing.
- **time**: `published`.
- **session, root**: `authenticationContext.externalSessionId` and `.rootSessionId`; `unknown` is absent.
- **client**: `client.ipAddress`, `client.userAgent.rawUserAgent`, `client.geographicalContext.country`; as
  device `debugData.dtHash`, or `device.id`. All left out where Okta's own back-end or Okta Verify made the
  call.
- **factor**: `debugData.factor`; `target[AuthenticatorEnrollment]`; `authenticationContext.credentialType`,
  by `amr.py`.
- **credential**: `target[AuthenticatorEnrollment].id`.
- **challenge**: `debugData.authnRequestId`, or `transaction.id`.

| event type | becomes |
|---|---|
| `user.session.start` | `session.started`, `amr` only where the row names a factor; failed: no event |
| `user.authentication.auth_via_mfa`, `.verify` | `stepup.verified`, `.failed`, `.denied`, `.challenged` |
| the same by a temporary access code | `stepup.bypassed` |
| `policy.evaluate_sign_on` | CHALLENGE asks: `stepup.required`. ALLOW ("previously satisfied") is no proof |
| `system.push.send_factor_verify_push` and the like | `stepup.challenged` |
| `user.mfa.okta_verify.deny_push` | `stepup.denied`; `..._upgrade_needed`: `stepup.failed` |
| `user.mfa.attempt_bypass` | `stepup.bypassed` |
| `user.session.end`, `.expire` | `session.revoked`, if it names the session, of the user whom it names |
| `user.session.clear` | the deed, and `session.revoked` of all sessions of the target |
| `user.mfa.factor.*` | the deed, and `credential.changed` where the row names the enrolment |
| `app.access_request.approver.approve` | the deed, and `approval.granted` for the user whom it names |
| other `user.authentication.auth_via_*` | steps of a login: no event |
| everything else | `action.performed`, by `okta_actions.py`; `user.authentication.sso` among them |

An `auth_via_mfa` row whose only method is the password is a proof by password (`pwd`), as the product means
it: the event's name alone is no second factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.schemas import events as t
from stepwatch.sources import base
from stepwatch.sources.actions import Deed, camel_words
from stepwatch.sources.base import Event, Skip, at, ident, text
from stepwatch.sources.envelopes import COLLECTORS, unwrap
from stepwatch.sources.okta_actions import ACTIONS, derive
from stepwatch.sources.okta_row import Row

Found = list[Event | Skip]

_NAMES: Final = {name.lower(): name for name in ("eventType", "authenticationContext", "debugContext")}

_ENVELOPES: Final = ("detail", "event", "events", *COLLECTORS)
_SIGNS: Final = ("eventType", "eventtype")
_NO_REQUEST: Final = Skip("the sign-on policy asked for nothing", "outcome")

_OUTCOMES: Final = {
    "SUCCESS": "success",
    "ALLOW": "success",
    "FAILURE": "failure",
    "DENY": "denied",
    # The policy asked for more, or the deed was left out: it did not happen.
    "CHALLENGE": "failure",
    "SKIPPED": "failure",
    "ABANDONED": "failure",
}
_NOTICES: Final = (
    *("system.email.", "system.sms.", "system.voice.", "system.push.", "system.org.", "system.client."),
    *("system.operation.", "security.threat.", "security.attack.", "security.request.", "user.risk."),
    # What Okta detected, and how its policies reacted.
    *("security.session.", "security.events.", "security.breached_credential.", "user.session.context."),
    *("policy.auth_reevaluate.", "policy.continuous_access.", "policy.entity_risk.", "user.account.lock"),
    *("user.identity_verification", "access.request.expire", "app.access_request.expire"),
)
_STEPS: Final = tuple(f"user.authentication.{step}" for step in ("auth_via_", "authenticate", "slo"))
_CHANGES: Final = {
    "user.mfa.factor.activate": "created",
    "user.mfa.factor.deactivate": "revoked",
    "user.mfa.factor.suspend": "updated",
    "user.mfa.factor.unsuspend": "updated",
    "user.mfa.factor.update": "updated",
}
_REASONS: Final = (
    # Words in outcome.reason, type, failure; the first that holds. Where FastPass "declined", the system did,
    # no person.
    (("user rejected", "rejected by user", "user denied", "user declined"), t.STEPUP_DENIED, ""),
    (("timed out", "timeout", "no response"), t.STEPUP_FAILED, "no_response"),
    (("replay", "already used", "already been used"), t.STEPUP_FAILED, "replayed_code"),
    (("expired",), t.STEPUP_FAILED, "expired_code"),
    (("locked",), t.STEPUP_FAILED, "locked_out"),
)


@dataclass(frozen=True, slots=True)
class Okta:
    """The adapter.

    Attributes:
        source: `source` of every event; policies name it under `sources`.
        tenant: `data.tenant` of every event, "" for the default.
    """

    name: ClassVar[str] = "okta"
    source: str = "/okta"
    tenant: str = ""

    def events(self, line: bytes) -> Found:
        """The events of one line; see the module's text for what becomes what."""
        if not line.strip():
            return []
        found: Found = []
        for row in _rows(base.decode_line(line)):
            found += self._of_row(row)
        return found

    def _of_row(self, raw: Any) -> Found:
        if not isinstance(raw, dict):
            return [raw if isinstance(raw, Skip) else base.NOT_JSON]
        raw = base.with_names(raw, _NAMES, "eventType")
        kind = text(raw.get("eventType"))
        if not kind:
            return [base.NO_TYPE]
        if (ruling := _ruled_out(kind)) is not None:
            return [ruling]
        time_us = base.read_time(raw.get("published"))
        if time_us is None:
            return [base.NO_TIME]
        return _RULES.get(kind, _action)(Row(raw, kind, time_us, self.source, self.tenant))


def _rows(value: Any) -> list[Any]:
    """The log objects in a line, whatever envelope it came in."""
    found: list[Any] = []
    for row, _ in unwrap(value, _ENVELOPES, _SIGNS):
        hooked = at(row, "data", "events")
        found += (hooked or [base.NO_RECORD]) if isinstance(hooked, list) else [row]
    return found


def _ruled_out(kind: str) -> Skip | None:
    if kind in _RULES or kind in ACTIONS:
        return None
    if kind.startswith(_NOTICES) or "rate_limit" in kind:
        return base.NOTICE
    if kind.startswith(_STEPS):
        return base.LOGIN_STEP
    return base.SECOND_ROW if kind == "user.lifecycle.delete.completed" else None


def _stepup(row: Row, kind: str, who: str | Skip, **data: Any) -> Found:
    return [row.event(kind, kind.rpartition(".")[2], who, {"challenge": row.challenge(), **data})]


def _login(row: Row) -> Found:
    if row.result != "SUCCESS":
        return [base.FAILED_LOGIN if row.result else base.NO_OUTCOME]
    return [row.event(t.SESSION_STARTED, "login", row.person(), {"amr": row.factor()})]


def _logout(row: Row) -> Found:
    if row.result not in ("SUCCESS", ""):
        return [base.NO_OUTCOME]
    if not row.session():
        return [base.NO_SESSION]
    # Ended by an administrator or by Okta, it is the session of the user whom the row names.
    who = row.person()
    owner = row.target_id("User") or who
    return [row.event(t.SESSION_REVOKED, "revoked", owner, {} if owner == who else {"client": {}})]


def _cleared(row: Row) -> Found:
    """An administrator ended all sessions of a user: here, no session named does mean all."""
    found = _action(row)
    if row.result == "SUCCESS" and (owner := row.target_id("User")):
        found.append(row.event(t.SESSION_REVOKED, "revoked", owner, base.THEIRS_NOT_SAID))
    return found


def _proof(row: Row) -> Found:
    who = row.person()
    if row.result == "SUCCESS" and row.temporary_code():
        return _stepup(row, t.STEPUP_BYPASSED, who)
    if row.result == "SUCCESS":
        return _stepup(row, t.STEPUP_VERIFIED, who, amr=row.factor(), credential=row.credential())
    if row.result == "CHALLENGE":
        return _stepup(row, t.STEPUP_CHALLENGED, who)
    if row.result not in ("FAILURE", "DENY"):
        return [base.NO_OUTCOME]
    kind, failure = _how_it_failed(row)
    return _stepup(row, kind, who, failure=failure)


def _how_it_failed(row: Row) -> tuple[str, str]:
    if text(at(row.debug, "pushOnlyResponseType")) == "OV_RESPONSE_DENY":
        return t.STEPUP_DENIED, ""
    for words, kind, failure in _REASONS:
        if any(word in row.reason for word in words):
            return kind, failure
    # The same reason stands at pushes that were not answered: only where a code was typed was it a wrong one.
    typed = row.reason == "invalid_credentials" and not {"otp", "sms", "tel"}.isdisjoint(row.factor())
    return t.STEPUP_FAILED, "wrong_code" if typed else ""


def _denied(row: Row) -> Found:
    return _stepup(row, t.STEPUP_DENIED, row.person())


def _refused_by_the_app(row: Row) -> Found:
    return _stepup(row, t.STEPUP_FAILED, row.person())


def _bypassed(row: Row) -> Found:
    return _stepup(row, t.STEPUP_BYPASSED, row.person()) if row.result == "SUCCESS" else [base.NO_OUTCOME]


def _required(row: Row) -> Found:
    if row.result != "CHALLENGE":
        return [_NO_REQUEST]
    policy = base.only([text(one.get("displayName")) for one in row.targets("PolicyEntity")])
    return _stepup(row, t.STEPUP_REQUIRED, row.person(), decision={"result": "required", "policy": policy})


def _challenged(row: Row) -> Found:
    """A push, code or call was sent; where Okta itself is the actor, to the one user whom it names."""
    if row.result not in ("SUCCESS", ""):
        return [base.NO_OUTCOME]
    who = row.person()
    return _stepup(row, t.STEPUP_CHALLENGED, (row.target_id("User") or who) if isinstance(who, Skip) else who)


def _approved(row: Row) -> Found:
    """An approver agreed that the user whom the row names gets into an application."""
    found = _action(row)
    approver = row.person()
    if row.result == "SUCCESS" and isinstance(approver, str) and (owner := row.target_id("User")):
        data = base.THEIRS_NOT_SAID | {"approver": approver}
        found.append(row.event(t.APPROVAL_GRANTED, "approved", owner, data))
    return found


def _factor_change(row: Row) -> Found:
    found = _action(row)
    credential = row.credential()
    actor = row.person()
    owner = row.target_id("User") if row.targets("User") else actor
    if row.result == "SUCCESS" and credential and owner:
        data = {"credential": credential, "change": _CHANGES[row.kind]}
        theirs = {} if owner == actor else base.THEIRS_NOT_SAID
        found.append(row.event(t.CREDENTIAL_CHANGED, "credential", owner, theirs | data))
    return found


def _action(row: Row) -> Found:
    deed = ACTIONS.get(row.kind) or derive(row.kind)
    if deed is None:
        return [base.NO_TYPE]
    outcome = _OUTCOMES.get(row.result, "unknown")
    data = {"action": deed.action, "outcome": outcome, "resource": _resource(row, deed)}
    return [row.event(t.ACTION_PERFORMED, f"action-{outcome}", row.actor(), data)]


def _resource(row: Row, deed: Deed) -> dict[str, str]:
    for kind in deed.where:
        if found := row.target_id(kind):
            return {"type": deed.resource, "id": found, "sensitivity": deed.sensitivity}
    targets = row.targets()
    if not deed.resource and len(targets) == 1:
        kind = "_".join(camel_words(text(targets[0].get("type"))))
        return {"type": kind, "id": ident(targets[0].get("id")), "sensitivity": deed.sensitivity}
    return {"type": deed.resource, "sensitivity": deed.sensitivity}


_RULES: Final[dict[str, Callable[[Row], Found]]] = {
    "user.session.start": _login,
    "user.session.end": _logout,
    "user.session.expire": _logout,
    "user.session.clear": _cleared,
    "user.authentication.auth_via_mfa": _proof,
    "user.authentication.verify": _proof,
    "user.mfa.okta_verify": _proof,
    "user.mfa.okta_verify.deny_push": _denied,
    "user.mfa.okta_verify.deny_push_upgrade_needed": _refused_by_the_app,
    "user.mfa.attempt_bypass": _bypassed,
    "policy.evaluate_sign_on": _required,
    "app.access_request.approver.approve": _approved,
    "system.push.send_factor_verify_push": _challenged,
    "system.sms.send_factor_verify_message": _challenged,
    "system.email.send_factor_verify_message": _challenged,
    "system.voice.send_factor_verify_call": _challenged,
    "system.voice.send_mfa_challenge_call": _challenged,
    **dict.fromkeys(_CHANGES, _factor_change),
}
