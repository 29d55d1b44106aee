"""Okta System Log.

Read are single log objects, JSON arrays of them, EventBridge log streams (`detail`) and event hooks (`data.events`).

| what | from | remarks |
|---|---|---|
| id | `uuid` + step | `u-13#verified` |
| subject | `actor.id`, or `actor.alternateId` where it is `unknown` | `SystemPrincipal` is Okta itself: counted, no event. A client app acts under its own id and proves nothing |
| time | `published` | |
| session, root | `authenticationContext.externalSessionId`, `.rootSessionId` | `unknown` is absent |
| client | `client.ipAddress`, `client.userAgent.rawUserAgent`, `client.geographicalContext.country`, `debugData.dtHash` or `device.id` as device | left out where Okta's own back-end or Okta Verify called. `client.device` is a kind ("Computer"), no device |
| factor | `debugData.factor`; `target[AuthenticatorEnrollment]`; `authenticationContext.credentialType` | by `amr.py`. `auth_via_mfa` by password is a proof by password |
| credential | `target[AuthenticatorEnrollment].id` | |
| challenge | `debugData.authnRequestId`, or `transaction.id` | a prompt, its answer and its refusal share it |

Logins: `user.session.start` (a factor only where the row names one); the `auth_via_*` steps before it are no second login,
a failed login is no step-up. Proofs: `auth_via_mfa`, `user.authentication.verify`. `policy.evaluate_sign_on` with CHALLENGE
asks (`stepup.required`); ALLOW is no proof. Access to an application (`sso`) is an action, not a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.schemas import events as t
from stepwatch.sources import amr, base
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, Skip, at, ident, text
from stepwatch.sources.okta_actions import ACTIONS, derive

_NAMES: Final = {
    name.lower(): name
    for name in (
        "eventType", "authenticationContext", "debugContext", "securityContext", "displayMessage", "legacyEventType"
    )
}  # fmt: skip

_LOGIN_STEP: Final = Skip("a step of a login, which has its own row", "type")
_NOTICE: Final = Skip("a notice of the product, no deed", "type")
_SECOND_ROW: Final = Skip("the end of a deed that has its own row", "type")
_FAILED_LOGIN: Final = Skip("a failed login proves nothing and is no step-up", "outcome")
_NO_OUTCOME: Final = Skip("does not say how it ended", "outcome")
_NO_REQUEST: Final = Skip("the policy asked for nothing", "outcome")
_NO_SESSION: Final = Skip("names no session: as a revocation it would void every proof", "session")

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
    "system.email.", "system.sms.", "system.voice.", "system.push.", "system.org.", "system.client.", "system.operation.",
    "security.threat.", "security.attack.", "security.request.", "user.risk.", "core.concurrency.",
)  # fmt: skip
_STEPS: Final = (
    "user.authentication.auth_via_",
    "user.authentication.authenticate",
    "user.authentication.slo",
)
_SENDS: Final = frozenset(
    {
        "system.push.send_factor_verify_push",
        "system.sms.send_factor_verify_message",
        "system.email.send_factor_verify_message",
        "system.voice.send_mfa_challenge_call",
        "system.voice.send_factor_verify_call",
    }
)
_CHANGES: Final = {
    "user.mfa.factor.activate": "created",
    "user.mfa.factor.deactivate": "revoked",
    "user.mfa.factor.suspend": "updated",
    "user.mfa.factor.unsuspend": "updated",
    "user.mfa.factor.update": "updated",
}
# Okta's libraries are used by customers' own programs; every other agent that begins with "okta" is Okta's back-end
# (Okta-Integrations) or its app on the phone that approved (OktaVerify).
_CUSTOMERS_AGENTS: Final = ("okta-sdk", "okta-auth", "okta-terraform", "okta-signin", "okta-oidc", "okta-cli")
_REASONS: Final = (
    # (words in outcome.reason, type, failure); the first that holds. FastPass "declined": the system refused, not the person.
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

    def events(self, line: bytes) -> list[Event | Skip]:
        """The events of one line; see the module's text for what becomes what."""
        if not line.strip():
            return []
        found: list[Event | Skip] = []
        for row in _rows(base.decode_line(line)):
            found += self._of_row(row)
        return found

    def _of_row(self, row: Any) -> list[Event | Skip]:
        if not isinstance(row, dict):
            return [row if isinstance(row, Skip) else base.NOT_JSON]
        row = base.with_names(row, _NAMES, "eventType")
        kind = text(row.get("eventType"))
        if not kind:
            return [base.NO_TYPE]
        if (ruling := _ruled_out(kind)) is not None:
            return [ruling]
        time_us = base.read_time(row.get("published"))
        if time_us is None:
            return [base.NO_TIME]
        said = _Row(self, row, kind, time_us)
        return _RULES.get(kind, _Row.action)(said)


def _rows(value: Any) -> list[Any]:
    """The log objects in a line, whatever envelope it came in."""
    if isinstance(value, list):
        return value or [base.NO_RECORD]
    if isinstance(hooked := at(value, "data", "events"), list):
        return hooked or [base.NO_RECORD]
    if isinstance(detail := at(value, "detail"), dict) and "eventType" not in value:
        return [detail]
    return [value]


def _ruled_out(kind: str) -> Skip | None:
    if kind in _RULES or kind in ACTIONS:
        return None
    if kind.startswith(_NOTICES) or "rate_limit" in kind:
        return _NOTICE
    if kind.startswith(_STEPS):
        return _LOGIN_STEP
    return _SECOND_ROW if kind == "user.lifecycle.delete.completed" else None


class _Row:
    """One log object while it is being read."""

    __slots__ = ("_adapter", "_id", "_kind", "_raw", "_time_us", "debug", "reason", "result")

    def __init__(self, adapter: Okta, raw: dict[str, Any], kind: str, time_us: int) -> None:
        self._adapter = adapter
        self._raw = raw
        self._kind = kind
        self._time_us = time_us
        self._id = ident(raw.get("uuid")) or base.row_digest(raw)
        self.debug = at(raw, "debugContext", "debugData")
        self.result = text(at(raw, "outcome", "result")).upper()
        self.reason = text(at(raw, "outcome", "reason"))

    # What the row says

    def actor(self) -> str | Skip:
        """Who acts, person or machine; Okta itself and nobody are skips."""
        actor = self._raw.get("actor")
        kind = text(at(actor, "type")).lower()
        login = ident(at(actor, "alternateId"))
        if kind == "systemprincipal" or login.lower() == "system@okta.com":
            return base.SYSTEM
        name = ident(at(actor, "id")) or login
        return name if name and kind != "ip address" else base.NOBODY

    def person(self) -> str | Skip:
        """Who acts, where only a person will do. A row without `actor.type` (trimmed by a collector) names a person."""
        who = self.actor()
        kind = text(at(self._raw, "actor", "type")).lower()
        return base.MACHINE if isinstance(who, str) and kind not in ("", "user") else who

    def targets(self, *kinds: str) -> list[dict[str, Any]]:
        """The targets of these types; all where none is given."""
        targets = self._raw.get("target")
        if not isinstance(targets, list):
            return []
        return [
            one for one in targets if isinstance(one, dict) and (not kinds or text(one.get("type")) in kinds)
        ]

    def target_id(self, *kinds: str) -> str:
        """The id of the one target of these types; "" where there is none or several."""
        return base.only([ident(one.get("id")) for one in self.targets(*kinds)])

    def challenge(self) -> str:
        """What a prompt and its answer share."""
        return ident(at(self.debug, "authnRequestId")) or ident(at(self._raw, "transaction", "id"))

    def client(self) -> dict[str, str]:
        """Whoever initiated it, {} where Okta itself or the approving phone called."""
        client = self._raw.get("client")
        agent = text(at(client, "userAgent", "rawUserAgent"))[: base.USER_AGENT_MAX]
        lower = agent.lower()
        if lower.startswith(("okta", "com.okta.")) and not lower.startswith(_CUSTOMERS_AGENTS):
            return {}
        # A first-party client id belongs to Okta's dashboards too, which people open in a browser.
        if text(at(client, "id")).startswith("okta.") and agent and not lower.startswith("mozilla/"):
            return {}
        ip = base.address(at(client, "ipAddress"))
        return {
            "ip": ip,
            "device": ident(at(self.debug, "dtHash")) or ident(at(self._raw, "device", "id")),
            "user_agent": "" if lower in ("unknown", "null", "...") else agent,
            "country": ident(at(client, "geographicalContext", "country")) if ip else "",
        }

    def factor(self) -> list[str]:
        """RFC 8176 values of what was used; [] where the row does not say."""
        used = self.targets("AuthenticatorEnrollment", "AuthenticatorMethod")
        properties = frozenset(
            word.strip(" []").upper()
            for one in used
            for word in text(at(one, "detailEntry", "methodUsedVerifiedProperties")).split(",")
        ) - {""}
        said: list[Any] = [at(self.debug, "factor")]
        for one in used:
            said += [
                at(one, "detailEntry", "methodTypeUsed"),
                one.get("displayName"),
                at(one, "detailEntry", "authenticatorKey"),
            ]
        said.append(at(self._raw, "authenticationContext", "credentialType"))
        for name in said:
            word = amr.lookup("okta", text(name))
            if word is not None:
                return amr.key_words(word, properties)
        return []

    # What it becomes

    def _event(self, kind: str, step: str, subject: str | Skip, data: dict[str, Any]) -> Event | Skip:
        if isinstance(subject, Skip):
            return subject
        context = self._raw.get("authenticationContext")
        common = {
            "tenant": self._adapter.tenant,
            "session": ident(at(context, "externalSessionId")),
            "root_session": ident(at(context, "rootSessionId")),
            "client": self.client(),
        }
        return base.build_event(
            kind,
            id=f"{self._id}#{step}",
            source=self._adapter.source,
            time_us=self._time_us,
            subject=subject,
            data=common | data,
        )

    def _stepup(
        self, kind: str, data: dict[str, Any] | None = None, subject: str | Skip | None = None
    ) -> list[Event | Skip]:
        who = self.person() if subject is None else subject
        return [
            self._event(kind, kind.rpartition(".")[2], who, {"challenge": self.challenge(), **(data or {})})
        ]

    def login(self) -> list[Event | Skip]:
        """`user.session.start`."""
        if self.result != "SUCCESS":
            return [_FAILED_LOGIN if self.result else _NO_OUTCOME]
        return [self._event(t.SESSION_STARTED, "login", self.person(), {"amr": self.factor()})]

    def logout(self) -> list[Event | Skip]:
        """`user.session.end` and `.expire`: one session ended."""
        if self.result not in ("SUCCESS", ""):
            return [_NO_OUTCOME]
        if not ident(at(self._raw, "authenticationContext", "externalSessionId")):
            return [_NO_SESSION]
        return [self._event(t.SESSION_REVOKED, "revoked", self.person(), {})]

    def cleared(self) -> list[Event | Skip]:
        """`user.session.clear`: an administrator ended all sessions of the target; no session named means all."""
        found = self.action()
        if self.result == "SUCCESS" and (owner := self.target_id("User")):
            nobodys = {"session": "", "root_session": "", "client": {}}
            found.append(self._event(t.SESSION_REVOKED, "revoked", owner, nobodys))
        return found

    def proof(self) -> list[Event | Skip]:
        """`auth_via_mfa`, `user.authentication.verify`: an answer to a prompt."""
        if self.result == "SUCCESS":
            credential = self.target_id("AuthenticatorEnrollment")
            return self._stepup(t.STEPUP_VERIFIED, {"amr": self.factor(), "credential": credential})
        if self.result == "CHALLENGE":
            return self._stepup(t.STEPUP_CHALLENGED)
        if self.result not in ("FAILURE", "DENY"):
            return [_NO_OUTCOME]
        kind, failure = self._ended()
        return self._stepup(kind, {"failure": failure})

    def _ended(self) -> tuple[str, str]:
        reason = self.reason.lower()
        if text(at(self.debug, "pushOnlyResponseType")) == "OV_RESPONSE_DENY":
            return t.STEPUP_DENIED, ""
        for words, kind, failure in _REASONS:
            if any(word in reason for word in words):
                return kind, failure
        typed = bool({"otp", "sms", "tel"} & set(self.factor()))
        return t.STEPUP_FAILED, "wrong_code" if typed and reason == "invalid_credentials" else ""

    def denied(self) -> list[Event | Skip]:
        """`deny_push`: the person said no."""
        return self._stepup(t.STEPUP_DENIED)

    def failed(self) -> list[Event | Skip]:
        """`deny_push_upgrade_needed`: the app refused, not the person."""
        return self._stepup(t.STEPUP_FAILED)

    def bypassed(self) -> list[Event | Skip]:
        """`user.mfa.attempt_bypass`."""
        return self._stepup(t.STEPUP_BYPASSED) if self.result == "SUCCESS" else [_NO_OUTCOME]

    def required(self) -> list[Event | Skip]:
        """`policy.evaluate_sign_on`: CHALLENGE asks for more and proves nothing, ALLOW asked for nothing."""
        if self.result != "CHALLENGE":
            return [_NO_REQUEST]
        policy = base.only([text(one.get("displayName")) for one in self.targets("PolicyEntity")])
        return self._stepup(t.STEPUP_REQUIRED, {"decision": {"result": "required", "policy": policy}})

    def challenged(self) -> list[Event | Skip]:
        """A push, code or call was sent; where Okta itself is the actor, to the one user that it names."""
        if self.result not in ("SUCCESS", ""):
            return [_NO_OUTCOME]
        who = self.person()
        if isinstance(who, Skip):
            who = self.target_id("User") or who
        return self._stepup(t.STEPUP_CHALLENGED, {}, who)

    def factor_change(self) -> list[Event | Skip]:
        """`user.mfa.factor.*`: the deed, and the credential's change where the row names it and its owner."""
        found = self.action()
        credential = self.target_id("AuthenticatorEnrollment")
        owner = self.target_id("User") if self.targets("User") else self.person()
        if self.result == "SUCCESS" and credential and isinstance(owner, str) and owner:
            data = {"credential": credential, "change": _CHANGES[self._kind]}
            if owner != self.actor():
                # The administrator's session and machine are not the owner's.
                data |= {"session": "", "root_session": "", "client": ""}
            found.append(self._event(t.CREDENTIAL_CHANGED, "credential", owner, data))
        return found

    def action(self) -> list[Event | Skip]:
        """Everything else that somebody did."""
        deed = ACTIONS.get(self._kind) or derive(self._kind)
        if deed is None:
            return [base.NO_TYPE]
        outcome = _OUTCOMES.get(self.result, "unknown")
        data = {"action": deed.action, "outcome": outcome, "resource": self._resource(deed)}
        return [self._event(t.ACTION_PERFORMED, f"action-{outcome}", self.actor(), data)]

    def _resource(self, deed: Deed) -> dict[str, str]:
        for kind in deed.where:
            if found := self.target_id(kind):
                return {"type": deed.resource, "id": found, "sensitivity": deed.sensitivity}
        targets = self.targets()
        if not deed.resource and len(targets) == 1:
            kind = "_".join(base_word for base_word in _words(text(targets[0].get("type"))))
            return {"type": kind, "id": ident(targets[0].get("id")), "sensitivity": deed.sensitivity}
        return {"type": deed.resource, "sensitivity": deed.sensitivity}


def _words(name: str) -> list[str]:
    from stepwatch.sources.actions import camel_words

    return camel_words(name)


_RULES: Final[dict[str, Callable[[_Row], list[Event | Skip]]]] = {
    "user.session.start": _Row.login,
    "user.session.end": _Row.logout,
    "user.session.expire": _Row.logout,
    "user.session.clear": _Row.cleared,
    "user.authentication.auth_via_mfa": _Row.proof,
    "user.authentication.verify": _Row.proof,
    "user.mfa.okta_verify.deny_push": _Row.denied,
    "user.mfa.okta_verify.deny_push_upgrade_needed": _Row.failed,
    "user.mfa.attempt_bypass": _Row.bypassed,
    "policy.evaluate_sign_on": _Row.required,
    **dict.fromkeys(_SENDS, _Row.challenged),
    **dict.fromkeys(_CHANGES, _Row.factor_change),
}
