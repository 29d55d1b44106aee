"""Keycloak: user events and admin events.

Read are the JSON of the Admin REST API and of event listeners, the server's text log and its JSON console log
(`keycloak_lines.py` has the shapes, and how the time is found where the event does not say it).

- **id**: `id` and the step, `k-13#login`. The server's log has no ids: a digest of the line.
- **subject**: `userId`, of an admin event `authDetails.userId`. Where somebody is impersonated, the
  impersonator (a user name: Keycloak gives no id), and the other person is `on_behalf_of`.
- **time**: `time`. A text log says the local time of the server, without its zone: see `Keycloak.zone`.
- **session**: `sessionId`, or else `details.code_id`. Admin events name none, so `same_session` cannot be met
  on them.
- **client**: `ipAddress`; user agents are not logged.
- **factor**: `details.credential_type`, by `amr.py`, where it is there. It mostly is not: a login by password
  and code looks like one that the cookie of the session answered. So a login without it has no `amr` and
  proves nothing. `auth_method` (`openid-connect`) and `auth_type` (`code`) name protocols, no factors.
- **credential**: `selected_credential_id` of a one-time code, `public_key_credential_id` of a key,
  `credential_id` of a change. The removal of a key names another id than its use.
- **challenge**: `details.code_id`.

| event | becomes |
|---|---|
| LOGIN | `session.started`; a second one in a session is how Keycloak logs a step-up, too |
| LOGIN by a recovery code | `stepup.bypassed` besides |
| LOGIN of an impersonator | `session.started` without any factor |
| LOGIN_ERROR | `stepup.failed` where a second factor was in play, or else counted |
| CLIENT_LOGIN | a service account: counted, no event |
| LOGOUT | `session.revoked`, if it names the session |
| CODE_TO_TOKEN, REFRESH_TOKEN and the like | tokens of a session that has its own row: counted |
| UPDATE_CREDENTIAL, REMOVE_CREDENTIAL | the deed, and `credential.changed` where its id is said |
| UPDATE_TOTP, REMOVE_TOTP, UPDATE_PASSWORD | the same, before Keycloak 26; since then the old name beside the new |
| IMPERSONATE | the impersonator's deed |
| USER_DISABLED_BY_... | Keycloak's own doing: counted |
| admin event on `users/ID/logout` | the deed, and `session.revoked` of all sessions of that user |
| admin event on `users/ID/credentials/ID` | the deed, and `credential.changed` of that user |
| everything else | `action.performed`, by `keycloak_actions.py` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, ClassVar, Final

from stepwatch.schemas import events as t
from stepwatch.sources import base
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, Skip
from stepwatch.sources.keycloak_actions import (
    FACTOR_ENROLL,
    FACTOR_REMOVE,
    IMPERSONATION,
    PASSWORD_CHANGE,
    PASSWORD_REMOVE,
    RECOVERY_CODES,
    deed_of,
    part_of,
)
from stepwatch.sources.keycloak_lines import Found, events_in
from stepwatch.sources.keycloak_row import Row

Made = list[Event | Skip]

_TOKEN: Final = Skip("a token of a session that has its own row", "type")
_CALL: Final = Skip("a call of an application, no deed of a person", "type")
_OLD_NAME: Final = Skip("the old name of a change that has its own row", "type")

_RULED_OUT: Final[dict[str, Skip]] = {
    **dict.fromkeys(("CODE_TO_TOKEN", "REFRESH_TOKEN", "OAUTH2_DEVICE_CODE_TO_TOKEN", "AUTHREQID_TO_TOKEN"), _TOKEN),
    **dict.fromkeys(("PERMISSION_TOKEN", "OAUTH2_EXTENSION_GRANT", "JWT_BEARER"), _TOKEN),
    **dict.fromkeys(("VALIDATE_ACCESS_TOKEN", "INTROSPECT_TOKEN", "USER_INFO_REQUEST", "INVALID_SIGNATURE"), _CALL),
    **dict.fromkeys(("REGISTER_NODE", "UNREGISTER_NODE", "CLIENT_INFO", "PUSHED_AUTHORIZATION_REQUEST"), _CALL),
    **dict.fromkeys(("IDENTITY_PROVIDER_LOGIN", "IDENTITY_PROVIDER_FIRST_LOGIN"), base.LOGIN_STEP),
    **dict.fromkeys(("IDENTITY_PROVIDER_POST_LOGIN", "IDENTITY_PROVIDER_RESPONSE"), base.LOGIN_STEP),
    **dict.fromkeys(("RESTART_AUTHENTICATION", "OAUTH2_DEVICE_AUTH"), base.LOGIN_STEP),
    **dict.fromkeys(("SEND_VERIFY_EMAIL", "SEND_RESET_PASSWORD", "SEND_IDENTITY_PROVIDER_LINK"), base.NOTICE),
    **dict.fromkeys(("USER_DISABLED_BY_PERMANENT_LOCKOUT", "USER_DISABLED_BY_TEMPORARY_LOCKOUT"), base.SYSTEM),
    "CLIENT_LOGIN": base.MACHINE,
}
_OLD_NAMES: Final = frozenset({"UPDATE_TOTP", "REMOVE_TOTP", "UPDATE_PASSWORD"})
_CHANGES: Final = {"UPDATE": "created", "REMOVE": "revoked"}
_ENROLLING: Final = ("webauthn-register", "CONFIGURE_TOTP")
"""What `custom_required_action` begins with where a factor was added, before Keycloak 26."""


@dataclass(frozen=True, slots=True)
class Keycloak:
    """The adapter.

    Attributes:
        source: `source` of every event; policies name it under `sources`.
        tenant: `data.tenant` of every event, "" for the default.
        zone: the server's time zone, for lines of its text log whose times have none. UTC is right for the
            container images; where it is wrong, all times are off by its offset.
    """

    name: ClassVar[str] = "keycloak"
    source: str = "/keycloak"
    tenant: str = ""
    zone: tzinfo = UTC

    def events(self, line: bytes) -> Made:
        """The events of one line; see the module's text for what becomes what."""
        made: Made = []
        if line.strip():
            for found in events_in(line, self.zone):
                made += [found] if isinstance(found, Skip) else self._of_event(found)
        return made

    def _of_event(self, found: Found) -> Made:
        row = Row(found, self.source, self.tenant)
        if not row.kind:
            return [base.NO_TYPE]
        if (ruling := _ruled_out(row)) is not None:
            return [ruling]
        if found.time_us is None:
            return [base.NO_TIME]
        return _admin_action(row) if row.admin else _RULES.get(row.kind, _action)(row)


def _ruled_out(row: Row) -> Skip | None:
    # The row under the new name says the type of the credential; so does its copy under the old one.
    if row.kind in _OLD_NAMES and row.detail("credential_type"):
        return _OLD_NAME
    return _RULED_OUT.get(row.kind)


def _login(row: Row) -> Made:
    data: dict[str, Any] = {"challenge": row.detail("code_id")}
    if not row.failed and row.impersonator():
        # Whatever the session was made by, in it the impersonator proves nothing.
        return [row.event(t.SESSION_STARTED, "login", row.person(), data)]
    if not row.failed:
        factor = {"amr": row.amr(), "credential": row.credential(proved=True)} if row.factors() else {}
        made = [row.event(t.SESSION_STARTED, "login", row.person(), data | {"acr": row.detail("acr")} | factor)]
        return made + [row.event(t.STEPUP_BYPASSED, "bypassed", row.person(), data)] * row.recovery_code()
    if not row.second_factor():
        return [base.FAILED_LOGIN]
    # `expired_code` is the login page that expired, no code of a factor.
    failure = ""
    if row.error == "user_temporarily_disabled":
        failure = "locked_out"
    elif row.error == "invalid_user_credentials" and row.factors() == ["otp"]:
        failure = "wrong_code"
    return [row.event(t.STEPUP_FAILED, "failed", row.person(), data | {"failure": failure})]


def _logout(row: Row) -> Made:
    if row.failed:
        return [base.NO_OUTCOME]
    return [row.event(t.SESSION_REVOKED, "revoked", row.person(), {}) if row.session() else base.NO_SESSION]


def _credential_change(row: Row) -> Made:
    """`UPDATE_` is said of a new factor; only a password is there once, and replaced."""
    change = _CHANGES[row.kind.partition("_")[0]]
    kinds = row.factors()
    deed = deed_of(row.kind, "", False)
    if "password" in kinds or row.kind == "UPDATE_PASSWORD":
        deed = PASSWORD_CHANGE if change == "created" else PASSWORD_REMOVE
        change = "updated" if change == "created" else change
    elif kinds == ["recovery-authn-codes"] and change == "created":
        deed = RECOVERY_CODES
    elif kinds:
        deed = FACTOR_ENROLL if change == "created" else FACTOR_REMOVE
    return _with_change(row, deed, change)


def _required_action(row: Row) -> Made:
    if row.detail("custom_required_action").startswith(_ENROLLING):
        return _with_change(row, FACTOR_ENROLL, "created")
    return _action(row)


def _with_change(row: Row, deed: Deed | None, change: str) -> Made:
    made = _performed(row, deed)
    if not row.failed and (credential := row.credential()):
        theirs = base.THEIRS_NOT_SAID if row.impersonator() else {}
        data = theirs | {"credential": credential, "change": change}
        made.append(row.event(t.CREDENTIAL_CHANGED, "credential", row.user() or base.NOBODY, data))
    return made


def _as_somebody_else(row: Row) -> Made:
    """An impersonation, in the console or by a token; the row is about the other person, who did nothing."""
    if row.impersonator():
        return _performed(row, IMPERSONATION)
    return [base.NOBODY] if row.kind == "IMPERSONATE" else _action(row)


def _action(row: Row) -> Made:
    return _performed(row, deed_of(row.kind, "", False))


def _admin_action(row: Row) -> Made:
    part = part_of(row.kind, row.path)
    made = _performed(row, deed_of(row.kind, part, True))
    owner = row.after("users")
    if row.failed or not owner or not row.kind.endswith(".USER"):
        return made
    if part == "logout":
        # Here, no session named does mean all.
        made.append(row.event(t.SESSION_REVOKED, "revoked", owner, base.THEIRS_NOT_SAID))
    elif part == "credentials" and (credential := row.after("credentials")) and row.kind != "UPDATE.USER":
        data = base.THEIRS_NOT_SAID | {"credential": credential, "change": "revoked"}
        made.append(row.event(t.CREDENTIAL_CHANGED, "credential", owner, data))
    return made


def _performed(row: Row, deed: Deed | None) -> Made:
    if deed is None:
        return [base.NO_TYPE]
    outcome = row.outcome()
    data = {
        "action": deed.action,
        "outcome": outcome,
        "resource": row.resource(deed),
        "on_behalf_of": row.user() if row.impersonator() else "",
    }
    return [row.event(t.ACTION_PERFORMED, f"action-{outcome}", row.actor(), data)]


_RULES: Final[dict[str, Callable[[Row], Made]]] = {
    "LOGIN": _login,
    "LOGOUT": _logout,
    "IMPERSONATE": _as_somebody_else,
    "TOKEN_EXCHANGE": _as_somebody_else,
    "CUSTOM_REQUIRED_ACTION": _required_action,
    **dict.fromkeys(("UPDATE_CREDENTIAL", "REMOVE_CREDENTIAL", *_OLD_NAMES), _credential_change),
}
