"""What one Duo log row says: who, from where, when. `duo_auth.py`, `duo_admin.py`: what it becomes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from stepwatch.sources import amr, base
from stepwatch.sources.base import Event, Skip, at, ident, text

# "Automatic actions have System for the username", synchronisations the name of the directory.
_ITSELF: Final = ("ad sync", "azure sync", "entra id sync", "openldap sync")
_PEOPLE: Final = frozenset({"", "admin", "user"})


class Row:
    """One row while it is being read."""

    __slots__ = ("_detail", "_raw", "_source", "_tenant", "_time_us")

    def __init__(self, raw: dict[str, Any], time_us: int, source: str, tenant: str) -> None:
        self._raw = raw
        self._detail: dict[str, Any] | None = None
        self._time_us = time_us
        self._source = source
        self._tenant = tenant

    def get(self, *path: str) -> Any:
        """A field, None where it is missing."""
        return at(self._raw, *path)

    def word(self, key: str) -> str:
        """A word of Duo's in its newer spelling: `Duo Push` as `duo_push`."""
        return _newer(text(self._raw.get(key)))

    def user(self) -> str | Skip:
        """Whose authentication it is, by name: the one thing that all of Duo's logs have."""
        user = self._raw.get("user")
        if name := ident(at(user, "name")) or ident(self._raw.get("username")) or ident(at(user, "key")):
            return name
        return ident(self._raw.get("email")) or ident(self._raw.get("alias")) or base.NOBODY

    def actor(self) -> str | Skip:
        """Who acts, by name: administrator, user or programme; Duo itself and nobody are skips."""
        name = ident(self.get("actor", "name")) or ident(self._raw.get("username")) or ident(self.get("actor", "key"))
        kind = text(self.get("actor", "type")).lower()
        if kind == "system" or name.lower() == "system" or name.lower().startswith(_ITSELF):
            return base.SYSTEM
        return name or base.NOBODY

    def person(self) -> str | Skip:
        """Who acts, where only a person will do: `API` stands for whatever programme calls it."""
        who = self.actor()
        if isinstance(who, Skip):
            return who
        programme = who == "API" or text(self.get("actor", "type")).lower() not in _PEOPLE
        return base.MACHINE if programme else who

    def detail(self, key: str) -> Any:
        """What is written beside the event: in `description`, or in the details of action or target."""
        if self._detail is None:
            self._detail = {}
            for path in (("target", "details"), ("action", "details"), ("description",)):
                self._detail |= _opened(self.get(*path))
        return self._detail.get(key)

    def was(self, key: str) -> Any:
        """What the target's detail was before, None where the row does not say."""
        return _opened(self.get("old_target", "details")).get(key)

    def challenge(self) -> str:
        """What a prompt and its answer share."""
        return ident(self._raw.get("txid"))

    def client(self) -> dict[str, str]:
        """Whoever asked for access (`access_device`); never the phone that approved (`auth_device`)."""
        access = self._raw.get("access_device")
        address = at(access, "ip") or self._raw.get("ip")
        agent = ""
        if "action" in self._raw:
            address = address or self.detail("ip_address")
            agent = text(self.detail("user_agent"))[: base.USER_AGENT_MAX]
        place = at(access, "location", "country") or at(self._raw, "location", "country")
        return {
            "ip": _address(at(address, "address") or address),
            "device": ident(at(access, "epkey")),
            "user_agent": agent if ident(agent) else "",
            "country": ident(place),
        }

    def event(self, kind: str, step: str, subject: str | Skip, data: dict[str, Any]) -> Event | Skip:
        """One event of this row.

        Args:
            kind: the event's type.
            step: what tells it from other events of the row; part of its id.
            subject: who; a skip is handed through.
            data: members beside (or instead of) tenant and client.
        """
        if isinstance(subject, Skip):
            return subject
        return base.build_event(
            kind,
            id=f"{self._id()}#{step}",
            source=self._source,
            time_us=self._time_us,
            subject=subject,
            data={"tenant": self._tenant, "client": self.client()} | data,
        )

    def _id(self) -> str:
        if activity := ident(self._raw.get("activity_id")):
            return activity
        # A transaction may have several rows (a wrong code, then a right one): Duo's own cursor over its log
        # is the time and the transaction.
        transaction = self.challenge()
        return f"{transaction}@{base.time_text(self._time_us)}" if transaction else base.row_digest(self._raw)


def factor_words(name: Any) -> list[str]:
    """RFC 8176 values of a factor, [] where the table does not know it."""
    word = amr.lookup("duo", text(name))
    return list(word.amr) if word else []


@lru_cache(maxsize=1024)
def _newer(word: str) -> str:
    return "_".join(word.lower().split())


def _opened(details: Any) -> dict[str, Any]:
    """Details come as the text of a JSON object, or as the object."""
    if isinstance(details, str) and details.startswith("{"):
        details = base.decode_line(details.encode("utf-8", "replace"))
    return details if isinstance(details, dict) else {}


def _address(value: Any) -> str:
    """An address, which may carry a port."""
    found = base.address(value)
    if found or not isinstance(value, str) or value.count(":") != 1:
        return found
    return base.address(value.partition(":")[0])
