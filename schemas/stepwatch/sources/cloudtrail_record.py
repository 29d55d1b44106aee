"""What one CloudTrail record says: how it ended, from where, on what. `cloudtrail.py`: what it becomes."""

from __future__ import annotations

import re
from typing import Any, Final

from stepwatch.sources import base
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, at, ident, text
from stepwatch.sources.cloudtrail_identity import Caller, user_arn

_VERSION = re.compile(r"_?\d{4}_?\d{2}_?\d{2}(?:v\d+)?$", re.ASCII)
_REFUSED = re.compile(r"accessdenied|unauthori[sz]ed|notauthori[sz]ed|forbidden|authfailure", re.ASCII)
_CONSOLES: Final = ("AWS Internal", "S3Console/", "aws-internal/")
_RESOURCES_MAX: Final = 20
"""Ids of one call that are named, joined by commas; further ones are left out."""


class Record:
    """One record while it is being read.

    Attributes:
        caller: who acts.
        service: `eventSource` without `.amazonaws.com`.
        call: `eventName` without a version (`UpdateFunctionCode20150331v2`).
        source: `source` of its events.
        tenant: tenant of its events.
    """

    __slots__ = ("_id", "_raw", "_time_us", "call", "caller", "service", "source", "tenant")

    def __init__(self, raw: dict[str, Any], caller: Caller, time_us: int, source: str, tenant: str) -> None:
        self._raw = raw
        self._time_us = time_us
        self._id = ident(raw.get("eventID")) or base.row_digest(raw)
        self.caller = caller
        self.service = text(raw.get("eventSource")).lower().removesuffix(".cn").removesuffix(".amazonaws.com")
        call = text(raw.get("eventName"))
        self.call = _VERSION.sub("", call) if call[-1:].isdigit() else call
        self.source = source
        self.tenant = tenant

    def more(self, key: str) -> Any:
        """A member of `additionalEventData`."""
        return at(self._raw, "additionalEventData", key)

    def parameter(self, key: str) -> Any:
        """A member of `requestParameters`."""
        return at(self._raw, "requestParameters", key)

    def proof_id(self) -> str:
        """What all reports of this call share: the copy in another account has an `eventID` of its own."""
        return ident(self._raw.get("sharedEventID")) or self._id

    def role_taken(self) -> tuple[str, str]:
        """The ARN of the role's session that the call began, and the session, "" where there is none."""
        arn = ident(at(self._raw, "responseElements", "assumedRoleUser", "arn"))
        # The `creationDate` of the calls in it is the time of this one.
        return arn, f"{arn}@{base.time_text(self._time_us)}" if arn else ""

    def message(self) -> str:
        """`errorMessage` in lower case."""
        return text(self._raw.get("errorMessage")).lower()

    def read_only(self) -> bool | None:
        """`readOnly`, which some collectors write as text; None where it is not said."""
        said = self._raw.get("readOnly")
        return said if isinstance(said, bool) else {"true": True, "false": False}.get(text(said).lower())

    def ended(self) -> str:
        """`success` or `failure` of a sign-in record, "" where it says neither."""
        for part in ("responseElements", "serviceEventDetails"):
            word = text(at(self._raw, part, self.call)).lower()
            if word in ("success", "failure"):
                # An error beside "Success" is none.
                return word if self._error() is None else "failure"
        return ""

    def outcome(self) -> str:
        """Of an action: `denied` where access was refused, `failure` for every other error."""
        if (error := self._error()) is not None:
            return "denied" if _REFUSED.search(error.lower()) else "failure"
        response = text(at(self._raw, "responseElements", self.call))
        return "failure" if response.lower() == "failure" else "success"

    def _error(self) -> str | None:
        code, message = self._raw.get("errorCode"), self._raw.get("errorMessage")
        return text(code) if code or message else None

    def client(self) -> dict[str, str]:
        """Whoever called; {} where an AWS service did it for them. A console's own agent is left out."""
        ip = "" if self.caller.service else base.address(self._raw.get("sourceIPAddress"))
        if not ip:
            return {}
        agent = text(self._raw.get("userAgent")).strip()
        if agent.startswith("[") and agent.endswith("]"):
            agent = agent[1:-1].strip()
        theirs = not agent.endswith(".amazonaws.com") and not any(name in agent for name in _CONSOLES)
        return {"ip": ip, "user_agent": agent[: base.USER_AGENT_MAX] if theirs else ""}

    def named_user(self) -> str:
        """The ARN of the IAM user in `requestParameters.userName`, or else of the caller, if a user."""
        name = self.parameter("userName")
        if name is not None:
            return user_arn(self._raw, ident(name))
        return self.caller.subject if self.caller.kind in ("IAMUser", "Root") else ""

    def resource_id(self, deed: Deed) -> str:
        """What the call was made on, where the deed says to look; else the one `resources[].ARN`."""
        for where in deed.where:
            if found := self._found(where):
                return found[: base.TEXT_MAX]
        resources = self._raw.get("resources")
        listed = resources if isinstance(resources, list) else []
        return base.only([ident(at(one, "ARN")) or ident(at(one, "arn")) for one in listed[:_RESOURCES_MAX]])

    def _found(self, where: str) -> str:
        if where == "@user":
            return self.named_user()
        if where.startswith(">"):
            return _under(self._raw.get("responseElements"), where[1:])
        parameters = self._raw.get("requestParameters")
        if "+" not in where:
            return _under(parameters, where)
        parts = [_under(parameters, part) for part in where.split("+")]
        return "/".join(parts) if all(parts) else ""

    def event(self, kind: str, step: str, data: dict[str, Any], subject: str = "") -> Event:
        """One event of this record.

        Args:
            kind: the event's type.
            step: what tells it from other events of the record; part of its id.
            data: members beside (or instead of) tenant, session and client.
            subject: who; the caller where not given.
        """
        common = {"tenant": self.tenant, "session": self.caller.session, "client": self.client()}
        return base.build_event(
            kind,
            id=f"{self._id}#{step}",
            source=self.source,
            time_us=self._time_us,
            subject=subject or self.caller.subject,
            data=common | data,
        )


def _under(value: Any, path: str) -> str:
    """The names at a path, joined by commas; lists on the way are gone through."""
    if not value:
        return ""
    # Nearly always a text at the top, or nothing there and no dot to go deeper.
    name = value.get(path, "") if isinstance(value, dict) else None
    if isinstance(name, str) and (name or "." not in path):
        return ident(name)
    values = _flat([value])
    for key in path.split("."):
        values = _flat([one.get(key) for one in values if isinstance(one, dict)])
    names = dict.fromkeys(name for one in values if (name := ident(one)))
    return ",".join(list(names)[:_RESOURCES_MAX])


def _flat(values: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        flat += value[:_RESOURCES_MAX] if isinstance(value, list) else [value]
    return flat
