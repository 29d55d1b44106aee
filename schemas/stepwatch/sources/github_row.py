"""What one GitHub audit log record says: who, from where, on what. `github.py`: what it becomes."""

from __future__ import annotations

from typing import Any, Final

from stepwatch.sources import base
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, Skip, at, ident, text

_ITSELF: Final = frozenset({"github", "github system", "github-system"})
# `ghost` stands for every deleted account, `deploy_key` for every key.
_STAND_INS: Final = frozenset({"ghost", "deploy_key"})
_MACHINES_TOKEN: Final = "github app server-to-server"
_OWN_AGENTS: Final = ("launch/", "github-actions/")
_ENDED: Final = {
    "protected_branch.rejected_ref_update": "denied",
    "public_key.verification_failure": "failure",
    "public_key.unverification_failure": "failure",
}


class Row:
    """One record while it is being read.

    Attributes:
        kind: `action`.
    """

    __slots__ = ("_id", "_more", "_raw", "_source", "_tenant", "_time_us", "kind")

    def __init__(self, raw: dict[str, Any], kind: str, time_us: int, source: str, tenant: str) -> None:
        self._raw = raw
        more = raw.get("data")
        self._more: dict[str, Any] = more if isinstance(more, dict) else {}
        self._time_us = time_us
        self._source = source
        self._tenant = tenant
        document = ident(self.get("_document_id"))
        # An id of zeros is a masked one: it names no row.
        self._id = document if document.strip("0") else base.row_digest(raw)
        self.kind = kind

    def get(self, key: str) -> Any:
        """A field, which Enterprise Server and older records keep under `data`."""
        value = self._raw.get(key)
        return self._more.get(key) if value is None or value == "" else value

    def named(self, key: str) -> str:
        """What a field names, the one of a list too."""
        value = self.get(key)
        return base.only([ident(one) for one in value]) if isinstance(value, list) else ident(value)

    def actor(self) -> str | Skip:
        """Who acts, by login: person, bot or app; GitHub itself and nobody are skips."""
        name = ident(self.get("actor")) or ident(self.get("actor_id")).strip("0")
        if name.lower() in _ITSELF:
            return base.SYSTEM
        return name if name and name.lower() not in _STAND_INS else base.NOBODY

    def person(self) -> str | Skip:
        """Whose account it is, where only a person will do."""
        return base.MACHINE if self._is_machine() else self.owner() or self.actor()

    def owner(self) -> str:
        """Whose account, token or factor it is (`user`)."""
        name = ident(self.get("user"))
        return "" if name.lower() in _STAND_INS else name

    def _is_machine(self) -> bool:
        if self.get("actor_is_bot") is True or self.get("actor_is_agent") is True:
            return True
        token = text(self.get("programmatic_access_type")).lower()
        return token.startswith(_MACHINES_TOKEN) or ident(self.get("actor")).endswith("[bot]")

    def session(self) -> str:
        """`actor_session`, which only Enterprise Server writes."""
        return ident(self.get("actor_session"))

    def client(self) -> dict[str, str]:
        """Whoever initiated it; the address is there only where the enterprise has it recorded."""
        agent = text(self.get("user_agent"))[: base.USER_AGENT_MAX]
        return {
            "ip": base.address(self.get("actor_ip")),
            "user_agent": agent if ident(agent) and not agent.startswith(_OWN_AGENTS) else "",
            "country": ident(at(self.get("actor_location"), "country_code")),
        }

    def outcome(self) -> str:
        """A record is of a deed that happened, but for the events named for a failure and calls of the API."""
        status = self.get("status_code") if self.kind == "api.request" else None
        if isinstance(status, int) and status >= 400:
            return "denied" if status in (401, 403) else "failure"
        return _ENDED.get(self.kind, "success")

    def resource(self, deed: Deed) -> dict[str, str]:
        """What it was done to, where the deed says to look."""
        names = (name for key in deed.where if (name := self.named(key)))
        return {"type": deed.resource, "id": next(names, ""), "sensitivity": deed.sensitivity}

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
        common = {"tenant": self._tenant, "session": self.session(), "client": self.client()}
        return base.build_event(
            kind,
            id=f"{self._id}#{step}",
            source=self._source,
            time_us=self._time_us,
            subject=subject,
            data=common | data,
        )
