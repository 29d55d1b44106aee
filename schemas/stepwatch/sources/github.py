"""GitHub audit log.

Read are single records as the REST API and audit log streaming give them, JSON arrays of them, records whose
`@timestamp` a collector renamed to `at_sign_timestamp`, those that a collector put into `message` or `log`, as
JSON text too, and those of Enterprise Server: syslog lines with the record behind `github_audit: `, bare or in
such a member.

- **id**: `_document_id` and the step, `pWWW#action-success`.
- **subject**: `actor`, the login: the only name that every record has (`actor_id` where it is missing). The
  name in the identity provider (`external_identity_nameid`) is there for some records only. GitHub itself is
  counted, no event; `ghost` and `deploy_key` stand for many and name nobody.
- **time**: `created_at`, or else `@timestamp`.
- **session**: `actor_session` on Enterprise Server; GitHub.com names none.
- **client**: `actor_ip` (if the enterprise has addresses recorded), `user_agent`,
  `actor_location.country_code`.
- **machines**: `actor_is_bot`, `actor_is_agent`, a login in `[bot]`, a server-to-server token. They act under
  their own name and prove nothing. A person's token (`programmatic_access_type`) acts as the person.

| event | becomes |
|---|---|
| `user.login` | `session.started`; no `amr`, since GitHub does not say how. `user.failed_login`: no event |
| `user.two_factor_requested`, a code sent to a fallback number | `stepup.challenged` |
| `user.two_factor_challenge_success`, `_failure` | `stepup.verified`, `.failed`; with which factor is not said |
| `user.two_factor_recover` | `stepup.bypassed`: a recovery code was used |
| `user.logout` | `session.revoked`, if it names the session |
| `personal_access_token.access_granted`, `_revoked` | the deed, and `approval.granted`, `.revoked` of the owner |
| `*.sso_response` | no event: an answer came, whether it was accepted is not said |
| everything else | `action.performed`, by `github_actions.py` |

A factor that was added or removed is a deed of its owner; the record does not name the credential, so there
is no `credential.changed`. A record is made when the deed has happened, so its outcome is success but for
the events that are named for a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.schemas import events as t
from stepwatch.sources import base
from stepwatch.sources.actions import CRITICAL, HIGH, MODERATE, Deed
from stepwatch.sources.base import Event, Skip, text
from stepwatch.sources.envelopes import COLLECTORS, unwrap
from stepwatch.sources.github_actions import ACTIONS, derive
from stepwatch.sources.github_row import Row

Found = list[Event | Skip]

_STAMPS: Final = ("created_at", "@timestamp", "at_sign_timestamp")
_SIGNS: Final = ("action",)
_MARK: Final = "github_audit"

_NOTICES: Final = frozenset(
    {
        *("user.new_device_used", "user.sign_in_from_unrecognized_device"),
        *("user.sign_in_from_unrecognized_device_and_location", "user.creation_rate_limit_exceeded"),
        *("secret_scanning_alert.create", "repository_vulnerability_alert.create"),
        *("code_scanning.alert_created", "code_scanning.alert_appeared_in_branch"),
    }
)
_SECOND_ROWS: Final = frozenset({"workflows.completed_workflow_run", "workflows.prepared_workflow_job"})
_SSO: Final = frozenset({"org.sso_response", "business.sso_response"})
_OWNERS: Final = frozenset({"admin", "owner"})


@dataclass(frozen=True, slots=True)
class GitHub:
    """The adapter.

    Attributes:
        source: `source` of every event; policies name it under `sources`.
        tenant: `data.tenant` of every event, "" for the default.
    """

    name: ClassVar[str] = "github"
    source: str = "/github"
    tenant: str = ""

    def events(self, line: bytes) -> Found:
        """The events of one line; see the module's text for what becomes what."""
        line = line.strip()
        if not line:
            return []
        value = base.decode_line(line)
        if isinstance(value, Skip):
            value = _behind_prefix(line.decode("utf-8", "replace"))
        found: Found = []
        for row, _ in unwrap(value, COLLECTORS, _SIGNS):
            found += self._of_row(row)
        return found

    def _of_row(self, raw: Any) -> Found:
        if isinstance(raw, dict) and "action" not in raw:
            # A collector's message that is no JSON: a syslog line.
            raw = next((_behind_prefix(said) for name in COLLECTORS if (said := text(raw.get(name)))), raw)
        if not isinstance(raw, dict):
            return [raw if isinstance(raw, Skip) else base.NOT_JSON]
        kind = text(raw.get("action"))
        if not kind:
            return [base.NO_TYPE]
        if (ruling := _ruled_out(kind)) is not None:
            return [ruling]
        time_us = base.first_time(raw.get(name) for name in _STAMPS)
        if time_us is None:
            return [base.NO_TIME]
        return _RULES.get(kind, _action)(Row(raw, kind, time_us, self.source, self.tenant))


def _behind_prefix(line: str) -> Any:
    """The record of a syslog line of Enterprise Server, or a skip."""
    prefix, brace, rest = line.partition("{")
    if _MARK not in prefix:
        return base.NOT_JSON
    return base.decode_line((brace + rest).encode("utf-8", "replace"))


def _ruled_out(kind: str) -> Skip | None:
    if kind in _NOTICES:
        return base.NOTICE
    if kind in _SECOND_ROWS:
        return base.SECOND_ROW
    if kind in _SSO:
        return base.NO_OUTCOME
    return base.FAILED_LOGIN if kind == "user.failed_login" else None


def _login(row: Row) -> Found:
    return [row.event(t.SESSION_STARTED, "login", row.person(), {})]


def _logout(row: Row) -> Found:
    return [row.event(t.SESSION_REVOKED, "revoked", row.person(), {}) if row.session() else base.NO_SESSION]


def _stepup(kind: str) -> Callable[[Row], Found]:
    return lambda row: [row.event(kind, kind.rpartition(".")[2], row.person(), {})]


def _token_ruling(kind: str) -> Callable[[Row], Found]:
    """An owner of the organisation let a member's token in, or put it out again."""

    def found(row: Row) -> Found:
        owner, approver = row.owner(), row.actor()
        events = _action(row)
        # A token that needed nobody's leave is granted by its own owner: that is no approval.
        if owner and isinstance(approver, str) and owner != approver:
            data = base.THEIRS_NOT_SAID | {"approver": approver}
            events.append(row.event(kind, kind.partition(".")[2].replace(".", "-"), owner, data))
        return events

    return found


def _action(row: Row) -> Found:
    deed = ACTIONS.get(row.kind) or derive(row.kind)
    if deed is None:
        return [base.NO_TYPE]
    deed = _refined(row, deed)
    outcome = row.outcome()
    data = {"action": deed.action, "outcome": outcome, "resource": row.resource(deed)}
    return [row.event(t.ACTION_PERFORMED, f"action-{outcome}", row.actor(), data)]


def _refined(row: Row, deed: Deed) -> Deed:
    """The deed as the record tells it further: which role, for whose eyes, on or off."""
    if row.kind == "org.update_member":
        role = text(row.get("permission")).lower()
        return deed if role in _OWNERS or not role else deed._replace(action="idp.role.revoke", sensitivity=HIGH)
    if row.kind in ("repo.create", "repo.access"):
        public = text(row.get("visibility")).lower()
        if row.kind == "repo.create":
            return deed._replace(sensitivity=HIGH) if public == "public" else deed
        return deed if public in ("public", "") else deed._replace(sensitivity=MODERATE)
    if row.kind == "repository_ruleset.update" and text(row.get("ruleset_enforcement")) == "disabled":
        return deed._replace(sensitivity=CRITICAL)
    return deed


_RULES: Final[dict[str, Callable[[Row], Found]]] = {
    "user.login": _login,
    "user.logout": _logout,
    "user.two_factor_requested": _stepup(t.STEPUP_CHALLENGED),
    "two_factor_authentication.sign_in_fallback_sms": _stepup(t.STEPUP_CHALLENGED),
    "two_factor_authentication.password_reset_fallback_sms": _stepup(t.STEPUP_CHALLENGED),
    "user.two_factor_challenge_success": _stepup(t.STEPUP_VERIFIED),
    "user.two_factor_challenge_failure": _stepup(t.STEPUP_FAILED),
    "user.two_factor_recover": _stepup(t.STEPUP_BYPASSED),
    "personal_access_token.access_granted": _token_ruling(t.APPROVAL_GRANTED),
    "personal_access_token.access_revoked": _token_ruling(t.APPROVAL_REVOKED),
}
