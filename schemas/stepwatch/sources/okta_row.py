"""What one Okta System Log object says: who, from where, by what factor. `okta.py`: what it becomes."""

from __future__ import annotations

from typing import Any, Final

from stepwatch.sources import amr, base
from stepwatch.sources.base import Event, Skip, at, ident, text

# Okta's libraries are used by customers' own programs; every other agent that begins with "okta" is Okta's
# back-end (Okta-Integrations), or its app on the phone that approved (OktaVerify).
_CUSTOMERS_AGENTS: Final = ("okta-sdk", "okta-auth", "okta-terraform", "okta-signin", "okta-oidc", "okta-cli")
_TEMPORARY: Final = frozenset({"temporary access code", "temporary_access_code", "tac"})
"""What an administrator handed out to get in without a factor; no factor itself."""
_ANY_CODE: Final = "enter a code"
_ENROLLED: Final = "AuthenticatorEnrollment"
_USED: Final = (_ENROLLED, "AuthenticatorMethod")


class Row:
    """One log object while it is being read.

    Attributes:
        kind: `eventType`.
        debug: `debugContext.debugData`, of any type.
        result: `outcome.result` in upper case, "" where it is not said.
        reason: `outcome.reason` in lower case.
    """

    __slots__ = ("_id", "_raw", "_source", "_tenant", "_time_us", "debug", "kind", "reason", "result")

    def __init__(self, raw: dict[str, Any], kind: str, time_us: int, source: str, tenant: str) -> None:
        self._raw = raw
        self._time_us = time_us
        self._source = source
        self._tenant = tenant
        self._id = ident(raw.get("uuid")) or base.row_digest(raw)
        self.kind = kind
        self.debug = at(raw, "debugContext", "debugData")
        self.result = text(at(raw, "outcome", "result")).upper()
        self.reason = text(at(raw, "outcome", "reason")).lower()

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
        """Who acts, where only a person will do. Without `actor.type` (trimmed away) it is a person."""
        who = self.actor()
        kind = text(at(self._raw, "actor", "type")).lower()
        return base.MACHINE if isinstance(who, str) and kind not in ("", "user") else who

    def session(self) -> str:
        """`externalSessionId`; "" also for `unknown`, else two unknown sessions would be the same one."""
        return ident(at(self._raw, "authenticationContext", "externalSessionId"))

    def targets(self, *kinds: str) -> list[dict[str, Any]]:
        """The targets of these types; all where none is given."""
        targets = self._raw.get("target")
        if not isinstance(targets, list):
            return []
        found = [one for one in targets if isinstance(one, dict)]
        return [one for one in found if text(one.get("type")) in kinds] if kinds else found

    def target_id(self, *kinds: str) -> str:
        """The id of the one target of these types; "" where there is none, or several."""
        return base.only([ident(one.get("id")) for one in self.targets(*kinds)])

    def credential(self) -> str:
        """The enrolment of the authenticator that the row names."""
        return self.target_id(_ENROLLED)

    def challenge(self) -> str:
        """What a prompt, its answer and its refusal share."""
        return ident(at(self.debug, "authnRequestId")) or ident(at(self._raw, "transaction", "id"))

    def client(self) -> dict[str, str]:
        """Whoever initiated it; {} where Okta itself, or the phone that approved, made the call."""
        client = self._raw.get("client")
        agent = text(at(client, "userAgent", "rawUserAgent"))[: base.USER_AGENT_MAX]
        lower = agent.lower()
        if lower.startswith(("okta", "com.okta.")) and not lower.startswith(_CUSTOMERS_AGENTS):
            return {}
        # Okta's own client ids belong to its dashboards too, and those people open in a browser.
        if text(at(client, "id")).startswith("okta.") and agent and not lower.startswith("mozilla/"):
            return {}
        ip = base.address(at(client, "ipAddress"))
        return {
            "ip": ip,
            # client.device is a kind of device ("Computer"): equal for half the company.
            "device": ident(at(self.debug, "dtHash")) or ident(at(self._raw, "device", "id")),
            "user_agent": agent if ident(agent) else "",
            "country": ident(at(client, "geographicalContext", "country")) if ip else "",
        }

    def _methods(self) -> list[str]:
        """Okta's words for what was used, the most telling first."""
        said = [text(at(self.debug, "factor"))]
        for one in self.targets(*_USED):
            detail = one.get("detailEntry")
            how = text(at(detail, "methodTypeUsed"))
            names = [text(one.get("displayName")), text(at(detail, "authenticatorKey"))]
            # A code may come by e-mail, too: then the authenticator tells more than the method.
            said += [*names, how] if how.strip().lower() == _ANY_CODE else [how, *names]
        return said

    def temporary_code(self) -> bool:
        """A code that stands in for the factor was used."""
        return not _TEMPORARY.isdisjoint(word.strip().lower() for word in self._methods())

    def factor(self) -> list[str]:
        """RFC 8176 values of what was used; [] where the row does not say."""
        properties: set[str] = set()
        for one in self.targets(*_USED):
            verified = text(at(one.get("detailEntry"), "methodUsedVerifiedProperties"))
            properties.update(word.strip(" []").upper() for word in verified.split(","))
        for name in (*self._methods(), text(at(self._raw, "authenticationContext", "credentialType"))):
            if (word := amr.lookup("okta", name)) is not None:
                return amr.key_words(word, frozenset(properties - {""}))
        return []

    def event(self, kind: str, step: str, subject: str | Skip, data: dict[str, Any]) -> Event | Skip:
        """One event of this row.

        Args:
            kind: the event's type.
            step: what tells it from other events of the row; part of its id.
            subject: who; a skip is handed through.
            data: members beside (or instead of) tenant, session, root and client.
        """
        if isinstance(subject, Skip):
            return subject
        common = {
            "tenant": self._tenant,
            "session": self.session(),
            "root_session": ident(at(self._raw, "authenticationContext", "rootSessionId")),
            "client": self.client(),
        }
        return base.build_event(
            kind,
            id=f"{self._id}#{step}",
            source=self._source,
            time_us=self._time_us,
            subject=subject,
            data=common | data,
        )
