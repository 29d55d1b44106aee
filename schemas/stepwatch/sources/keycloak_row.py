"""What one Keycloak event says: who, from where, by what factor. `keycloak.py`: what it becomes."""

from __future__ import annotations

from typing import Any, Final

from stepwatch.sources import amr, base
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, Skip, at, ident
from stepwatch.sources.keycloak_lines import Found

_SERVICE_ACCOUNT: Final = "service-account-"
"""Keycloak reserves this beginning of a user name for the accounts of clients."""
_REFUSED: Final = frozenset({"access_denied", "not_allowed", "forbidden", "unauthorized", "rejected_by_user"})
_FIRST_FACTORS: Final = frozenset({"password", "kerberos"})
_USER_VERIFIED: Final = "web_authn_authenticator_user_verification_checked"
_RESOURCES: Final = {
    "users": "user",
    "groups": "group",
    "clients": "app",
    "client-scopes": "app_scope",
    "roles": "role",
    "roles-by-id": "role",
}
"""Collections in a `resourcePath`, as types of resources."""


class Row:
    """One event while it is being read.

    Attributes:
        kind: the event's type without `_ERROR`, or, of an admin event, the operation and the type of
            resource: `CREATE.USER`.
        admin: an admin event.
        error: `error` in lower case, "" where there is none.
        failed: the event ends in `_ERROR`, or has an error.
        path: the words of an admin event's `resourcePath`.
    """

    __slots__ = ("_details", "_found", "_raw", "_source", "_tenant", "admin", "error", "failed", "kind", "path")

    def __init__(self, found: Found, source: str, tenant: str) -> None:
        raw = self._raw = found.fields
        self._found = found
        self._source = source
        self._tenant = tenant
        # The jsonlog listener and the text log write the details beside the other fields.
        self._details = raw["details"] if isinstance(raw.get("details"), dict) else raw
        self.error = self.field("error").lower()
        self.admin = "operationType" in raw
        self.path: list[str] = []
        if self.admin:
            kind = ident(raw.get("resourceType")) or ident(raw.get("resourceTypeAsString"))
            self.kind = f"{ident(raw.get('operationType')).upper()}.{kind.upper()}" if kind else ""
            self.failed = bool(self.error)
            self.path = ident(raw.get("resourcePath")).strip("/").split("/")
        else:
            said = ident(raw.get("type")).upper()
            self.kind = said.removesuffix("_ERROR")
            self.failed = said != self.kind or bool(self.error)

    def detail(self, name: str) -> str:
        """A detail that names something."""
        value = self._details.get(name)
        return ident(value) if value else ""

    def field(self, name: str) -> str:
        """A field of the event, as Keycloak writes it (`clientId`)."""
        value = self._raw.get(name)
        return ident(value) if value else ""

    def user(self) -> str:
        """The account that the event is about."""
        if self.admin:
            return ident(at(self._raw, "authDetails", "userId")) or self.field("userId")
        # Of a failure, the user name is what somebody typed: it names nobody.
        return self.field("userId") or ("" if self.failed else self.detail("username"))

    def actor(self) -> str | Skip:
        """Who acts, person or service account: in an impersonated session the impersonator."""
        return self.impersonator() or self.user() or base.NOBODY

    def impersonator(self) -> str:
        """The user name of whoever acts as somebody else."""
        return "" if self.admin else self.detail("impersonator")

    def person(self) -> str | Skip:
        """Who acts, where only a person will do."""
        return base.MACHINE if self.detail("username").startswith(_SERVICE_ACCOUNT) else self.actor()

    def session(self) -> str:
        """The session; `code_id` is the same id where Keycloak does not name it. Admin events have none."""
        if self.admin or self.impersonator():
            # The session of an impersonation is the new one of the other person, not the one it was done in.
            return ""
        return self.field("sessionId") or self.detail("code_id")

    def factors(self) -> list[str]:
        """The words for a factor that the event says; [] nearly always (see `keycloak.py`)."""
        said = self.detail("credential_type").replace(",", " ").split()
        # Keycloak writes this after a WebAuthn signature only.
        return said or (["webauthn"] if self.detail(_USER_VERIFIED) else [])

    def second_factor(self) -> bool:
        """A factor beside the password is named: by its kind, or as the one chosen in the form for codes."""
        return not _FIRST_FACTORS.issuperset(self.factors()) or bool(self.detail("selected_credential_id"))

    def amr(self) -> list[str]:
        """RFC 8176 values of what was used; [] where the event does not say."""
        words = [word for name in self.factors() if (word := amr.lookup("keycloak", name)) is not None]
        values = dict.fromkeys(value for word in words for value in word.amr)
        if any(word.key for word in words) and self.detail(_USER_VERIFIED).lower() == "true":
            values["user"] = None
        return [*values, *["mfa"] * (sum(bool(word.amr) for word in words) > 1)]

    def recovery_code(self) -> bool:
        """A code that stands in for the factor was used."""
        return "recovery-authn-codes" in self.factors()

    def credential(self, proved: bool = False) -> str:
        """The id of the credential that the event is about.

        Args:
            proved: it is said to have proved: the credential that somebody chose in the form counts only
                where the event says that one of that kind was used.
        """
        if any(name.startswith("webauthn") for name in self.factors()):
            # What a login names of a key; what a removal names is another id of it.
            if found := self.detail("public_key_credential_id"):
                return found
            return "" if proved else self.detail("credential_id") or self.detail("selected_credential_id")
        if proved and self.factors() != ["otp"]:
            return ""
        return (
            self.detail("credential_id")
            or self.detail("selected_credential_id")
            or self.detail("public_key_credential_id")
        )

    def after(self, word: str) -> str:
        """The id behind this word of the path, "" where there is none."""
        place = self.path.index(word) + 1 if word in self.path else len(self.path)
        return ident(self.path[place]) if place < len(self.path) else ""

    def resource(self, deed: Deed) -> dict[str, str]:
        """What it was done to: where the deed says to look, a word of the path, a field or a detail."""
        for where in deed.where:
            found = self.after(where) if self.admin else self.field(where) or self.detail(where)
            if found:
                kind = _RESOURCES.get(where, deed.resource) if self.admin else deed.resource
                return {"type": kind, "id": found, "sensitivity": deed.sensitivity}
        # Beside `authDetails`, `realmId` is the realm that was changed; in flat rows it may be the administrator's.
        of_realm = deed.resource in ("realm", "event_log") and isinstance(self._raw.get("authDetails"), dict)
        realm = self.field("realmId") if of_realm else ""
        return {"type": deed.resource, "id": realm, "sensitivity": deed.sensitivity}

    def outcome(self) -> str:
        """Of an action: `denied` where access was refused, `failure` for every other error."""
        if not self.failed:
            return "success"
        return "denied" if self.error in _REFUSED else "failure"

    def event(self, kind: str, step: str, subject: str | Skip, data: dict[str, Any]) -> Event | Skip:
        """One event of this row.

        Args:
            kind: the event's type.
            step: what tells it from other events of the row; part of its id.
            subject: who; a skip is handed through.
            data: members beside (or instead of) tenant, session and client.
        """
        if isinstance(subject, Skip):
            return subject
        address = at(self._raw, "authDetails", "ipAddress") or self._raw.get("ipAddress")
        common = {"tenant": self._tenant, "session": self.session(), "client": {"ip": base.address(address)}}
        return base.build_event(
            kind,
            id=f"{self._found.id}#{step}",
            source=self._source,
            time_us=self._found.time_us or 0,
            subject=subject,
            data=common | data,
        )
