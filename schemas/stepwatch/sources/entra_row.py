"""What one Entra ID row says, in whichever shape it came: who, when, from where. `entra.py`: what it becomes."""

from __future__ import annotations

import re
from typing import Any, Final

from stepwatch.sources import base
from stepwatch.sources.base import Event, Skip, at, ident, text

_FIELDS: Final = (
    *("activityDateTime", "activityDisplayName", "additionalDetails", "appliedConditionalAccessPolicies"),
    *("authenticationDetails", "autonomousSystemNumber", "callerIpAddress", "conditionalAccessPolicies"),
    *("correlationId", "createdDateTime", "deviceDetail", "initiatedBy", "ipAddress", "isInteractive"),
    *("locationDetails", "loggedByService", "mfaDetail", "operationName", "resultReason", "resultType"),
    *("riskLevelDuringSignIn", "servicePrincipalId", "sessionId", "signInEventTypes", "targetResources"),
    *("timeGenerated", "uniqueTokenIdentifier", "userAgent", "userId", "userPrincipalName"),
    *("category", "id", "location", "properties", "records", "result", "status", "time", "type", "value"),
)
NAMES: Final[dict[str, str]] = {
    form: name
    for name in _FIELDS
    for form in (name.lower(), name[0].upper() + name[1:], name.replace("ipA", "IPA"))
    if form != name
}
"""Lower-case (some collectors) and PascalCase (Log Analytics) to Microsoft Graph's spelling."""

_NO_GUID: Final = "00000000-0000-0000-0000-000000000000"
_US_TIME: Final = re.compile(r"(\d\d?)/(\d\d?)/(\d{4}) (\d\d?):(\d\d):(\d\d)[ \u202f]([AP])M", re.ASCII | re.IGNORECASE)
_MACHINE_EVENTS: Final = ("serviceprincipal", "managedidentity")


def read_time(value: Any) -> int | None:
    """A time as microseconds since 1970 UTC: as `base.read_time`, or the US form that Entra ID slips in.

    Returns:
        `11/14/2025 1:48:53 AM` is read month first, 12 AM as midnight, in UTC. Without AM or PM it is None:
        nothing says which number is the month.
    """
    if (time_us := base.read_time(value)) is not None or not isinstance(value, str) or len(value) > 64:
        return time_us
    form = _US_TIME.fullmatch(value.strip())
    if form is None or not 1 <= int(form[4]) <= 12:
        return None
    hour = int(form[4]) % 12 + 12 * (form[7] in "Pp")
    return base.read_time(f"{form[3]}-{form[1]:0>2}-{form[2]:0>2}T{hour:02}:{form[5]}:{form[6]}Z")


def guid(value: Any) -> str:
    """An id; "" for a placeholder and for the GUID of zeros, which stands for none."""
    name = ident(value) if value else ""
    return "" if name == _NO_GUID else name


class Row:
    """One sign-in or audit record while it is being read.

    Attributes:
        time_us: when it happened, microseconds since 1970 UTC; 0 until it is known.
        category: category or table of the record, lower case.
    """

    __slots__ = ("_id", "_inner", "_outer", "_source", "_tenant", "category", "time_us")

    def __init__(self, raw: dict[str, Any], source: str, tenant: str) -> None:
        self._outer = base.with_names(raw, NAMES, "createdDateTime")
        inner = self._outer.get("properties")
        inner = unpacked(inner) if isinstance(inner, str) else inner
        self._inner: dict[str, Any] = (
            base.with_names(inner, NAMES, "createdDateTime") if isinstance(inner, dict) else {}
        )
        self._source = source
        self._tenant = tenant
        self._id = ident(self.get("id"))
        self.category = (text(self._outer.get("category")) or text(self._outer.get("type"))).lower()
        self.time_us = 0

    def get(self, name: str) -> Any:
        """A member of `properties`, or else of the envelope; None where it is empty or missing."""
        value = self._inner.get(name)
        if value is None or value == "":
            value = self._outer.get(name)
        return None if value == "" else value

    def part(self, name: str) -> Any:
        """As `get`; an object or list that Log Analytics wrote as a text is unpacked."""
        value = self.get(name)
        return unpacked(value) if isinstance(value, str) else value

    def listed(self, name: str) -> list[dict[str, Any]]:
        """The objects in a list; [] where there is none."""
        value = self.part(name)
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

    def find_time(self, *names: str) -> bool:
        """Sets `time_us` from the first of these members that is there; False where that is no readable time."""
        said = next((value for name in names if (value := self.get(name)) is not None), None)
        self.time_us = read_time(said) or 0
        return bool(self.time_us)

    def person(self) -> str | Skip:
        """Who signed in. A service principal or a managed identity is no person."""
        if "serviceprincipal" in self.category or "managedidentity" in self.category:
            return base.MACHINE
        who = guid(self.get("userId")) or ident(self.get("userPrincipalName"))
        if who:
            return who
        return base.MACHINE if ident(self.get("servicePrincipalId")) or self._machine_events() else base.NOBODY

    def _machine_events(self) -> bool:
        kinds = self.part("signInEventTypes")
        return isinstance(kinds, list) and any(text(kind).lower() in _MACHINE_EVENTS for kind in kinds)

    def silent(self) -> bool:
        """A client renewed a token on the person's behalf, and the person was asked for nothing."""
        interactive = self.get("isInteractive")
        said_no = interactive is False or text(interactive).lower() == "false"
        return said_no or "noninteractive" in self.category

    def code(self) -> int | None:
        """`status.errorCode`, or `resultType`: 0 is success; None where the row says neither."""
        for value in (at(self.part("status"), "errorCode"), self.get("resultType")):
            said = ident(value).lower()
            if said.isdecimal() and len(said) < 10:
                return int(said)
            if said == "success":
                return 0
        return None

    def initiator(self) -> tuple[str | Skip, bool]:
        """Who did an audited deed, and whether that is a person: a user, or else an application."""
        parts = self.part("initiatedBy")
        user = at(parts, "user")
        if who := guid(at(user, "id")) or ident(at(user, "userPrincipalName")):
            return who, True
        for name in ("servicePrincipalId", "appId", "displayName"):
            if who := guid(at(parts, "app", name)):
                return who, False
        return base.NOBODY, False

    def application(self) -> str:
        """The name of the application that did an audited deed, lower case."""
        return text(at(self.part("initiatedBy"), "app", "displayName")).strip().lower()

    def target_id(self, *kinds: str) -> str:
        """The id of the one target of the first of these types that has one; "" where there are several."""
        targets = self.listed("targetResources")
        for kind in kinds:
            found = [one for one in targets if text(one.get("type")).lower() == kind.lower()]
            if name := base.only([guid(one.get("id")) or ident(one.get("userPrincipalName")) for one in found]):
                return name
        return ""

    def detail(self, key: str) -> str:
        """A value of an audit record's `additionalDetails`."""
        return base.only([text(one.get("value")) for one in self.listed("additionalDetails") if one.get("key") == key])

    def challenge(self) -> str:
        """What the records of one attempt to sign in share."""
        return guid(self.get("correlationId"))

    def client(self) -> dict[str, Any]:
        """The machine signed in from."""
        where = self.part("location")
        where = where if isinstance(where, dict) else self.part("locationDetails")
        asn = self.get("autonomousSystemNumber")
        ip = base.address(self.get("ipAddress")) or base.address(self.get("callerIpAddress"))
        return {
            "ip": ip,
            "device": guid(at(self.part("deviceDetail"), "deviceId")),
            "user_agent": ident(text(self.get("userAgent"))[: base.USER_AGENT_MAX]),
            "country": ident(at(where, "countryOrRegion")) if ip else "",
            "asn": asn if ip and isinstance(asn, int) and not isinstance(asn, bool) and 0 < asn < 1 << 32 else None,
        }

    def admin_client(self) -> dict[str, Any]:
        """The machine that an audited deed came from."""
        ip = at(self.part("initiatedBy"), "user", "ipAddress") or self.detail("ipaddr") or self.get("callerIpAddress")
        agent = text(self.get("userAgent")) or self.detail("User-Agent")
        return {"ip": base.address(ip), "user_agent": ident(agent[: base.USER_AGENT_MAX])}

    def session(self) -> str:
        """The sign-in session; in rows of before there was one, the token that was issued."""
        return guid(self.get("sessionId")) or ident(self.get("uniqueTokenIdentifier"))

    def event(self, kind: str, step: str, subject: str, data: dict[str, Any], time_us: int = 0) -> Event:
        """One event of this record.

        Args:
            kind: the event's type.
            step: what tells it from other events of the record; part of its id.
            subject: who.
            data: members beside the tenant.
            time_us: when, where that is not the record's own time.
        """
        return base.build_event(
            kind,
            id=f"{self._id or base.row_digest(self._outer)}#{step}",
            source=self._source,
            time_us=time_us or self.time_us,
            subject=subject,
            data={"tenant": self._tenant} | data,
        )


def unpacked(value: str) -> Any:
    """The object or list in a text, or the text itself."""
    if value[:1] not in ("{", "["):
        return value
    found = base.decode_line(value.encode())
    return value if isinstance(found, Skip) else found
