"""AWS CloudTrail.

Read are single records, `{"Records": [...]}` files, EventBridge events (`detail`), LookupEvents (`CloudTrailEvent`, a JSON
text), CloudWatch Logs subscriptions (`logEvents`) and records that came through Logstash (`@timestamp`).

| what | from | remarks |
|---|---|---|
| id | `eventID` + step | `e1#login`, `e2#action-success` |
| subject, session | `userIdentity` | `cloudtrail_identity.py` |
| time | `eventTime`, or else `@timestamp`, or else the envelope's | |
| client | `sourceIPAddress`, `userAgent` | left out where an AWS service or the console called in between |
| action | `eventSource` + `eventName` | `cloudtrail_actions.py`; reads too |
| outcome | `errorCode`; `responseElements.ConsoleLogin` and the like | access refused is `denied`, every other error `failure` |

**Proofs.** CloudTrail has no step-up. What it knows of proofs:

- A console login with `MFAUsed: Yes` is `session.started` with `mfa` and the word of its `MFAIdentifier`. `No` is `pwd` for
  an IAM user or root; for every other login AWS cannot know what the identity provider did: no `amr`. A failed login proves
  nothing.
- `CheckMfa` and `GetSessionToken` / `AssumeRole` with a `serialNumber` that succeeded are `stepup.verified`.
- Identity Center's CredentialChallenge and CredentialVerification of a second factor are challenged, verified and failed;
  its UserAuthentication is the login.
- An action whose session context says `mfaAuthenticated: "true"` tells of the login before it. It becomes one
  `session.started` with `amr: ["mfa"]` and `auth_time` = `creationDate`, the same event with the same id from every row of
  that session, and no more. The factor may be older (a role switched to in the console inherits it), never younger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.schemas import events as t
from stepwatch.sources import amr, base
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, Skip, at, ident, text
from stepwatch.sources.cloudtrail_actions import deed_of
from stepwatch.sources.cloudtrail_identity import Caller, caller_of, user_arn

_NAMES: Final = {
    name.lower(): name
    for name in (
        "additionalEventData", "awsRegion", "errorCode", "errorMessage", "eventCategory", "eventID", "eventName",
        "eventSource", "eventTime", "eventType", "readOnly", "recipientAccountId", "requestParameters", "resources",
        "responseElements", "serviceEventDetails", "sharedEventID", "sourceIPAddress", "userAgent", "userIdentity",
    )
}  # fmt: skip

_DIGEST: Final = Skip("a digest of log files, no record", "type")
_INSIGHT: Final = Skip("an insight or aggregate over records, no record", "type")
_PASSAGE: Final = Skip("the passage through a VPC endpoint of a call that has its own record", "type")
_FAILED_LOGIN: Final = Skip("a failed login proves nothing and is no step-up", "outcome")
_NO_OUTCOME: Final = Skip("does not say how it ended", "outcome")
_FIRST_FACTOR: Final = Skip("a step of a login, which has its own row", "type")
_NOT_SIGNED_IN: Final = Skip("asked for by somebody who is not signed in", "subject")

_VERSION = re.compile(r"_?\d{4}_?\d{2}_?\d{2}(?:v\d+)?$", re.ASCII)
_REFUSED = re.compile(
    r"accessdenied|unauthori[sz]ed|notauthori[sz]ed|forbidden|authfailure|accessdisabled", re.ASCII
)
_CHANGES: Final = {
    "EnableMFADevice": "created",
    "DeactivateMFADevice": "revoked",
    "ResyncMFADevice": "updated",
}
_FIRST_FACTORS: Final = frozenset({"PASSWORD", "EXTERNAL_IDP"})
_RESOURCES_MAX: Final = 20
"""Ids of one call that are named, joined by a comma; further ones are left out."""


@dataclass(frozen=True, slots=True)
class CloudTrail:
    """The adapter.

    Attributes:
        source: `source` of every event; policies name it under `sources`.
        tenant: `data.tenant` of every event, "" for the default.
    """

    name: ClassVar[str] = "cloudtrail"
    source: str = "/aws/cloudtrail"
    tenant: str = ""

    def events(self, line: bytes) -> list[Event | Skip]:
        """The events of one line; see the module's text for what becomes what."""
        if not line.strip():
            return []
        found: list[Event | Skip] = []
        for record, fallback_time in _records(base.decode_line(line)):
            found += self._of_record(record, fallback_time)
        return found

    def _of_record(self, record: Any, fallback_time: Any) -> list[Event | Skip]:
        if not isinstance(record, dict):
            return [record if isinstance(record, Skip) else base.NOT_JSON]
        record = base.with_names(record, _NAMES, "eventName")
        if (ruling := _ruled_out(record)) is not None:
            return [ruling]
        stamps = (
            record.get("eventTime"),
            record.get("@timestamp"),
            record.get("at_sign_timestamp"),
            fallback_time,
        )
        # A time that is there but unreadable is not replaced by another.
        time_us = base.read_time(next((stamp for stamp in stamps if stamp not in (None, "")), None))
        if time_us is None:
            return [base.NO_TIME]
        caller = caller_of(record)
        if isinstance(caller, Skip):
            return [caller]
        return _Record(self, record, caller, time_us).events()


def _records(value: Any, fallback_time: Any = None) -> Iterator[tuple[Any, Any]]:
    """The records in a line, whatever envelope it came in, each with the envelope's time."""
    if isinstance(value, dict) and "eventName" not in value:
        for key in ("Records", "Events"):
            if isinstance(value.get(key), list):
                value = value[key]
                break
        else:
            if isinstance(value.get("CloudTrailEvent"), str):
                value, fallback_time = (
                    base.decode_line(value["CloudTrailEvent"].encode("utf-8", "replace")),
                    value.get("EventTime"),
                )
            elif isinstance(value.get("detail"), dict):
                value, fallback_time = value["detail"], value.get("time")
            elif isinstance(value.get("logEvents"), list):
                value = [
                    base.decode_line(text_of.encode("utf-8", "replace"))
                    for text_of in _messages(value["logEvents"])
                ]
    if not isinstance(value, list):
        yield value, fallback_time
        return
    if not value:
        yield base.NO_RECORD, None
    for one in value:
        if isinstance(one, dict) and "CloudTrailEvent" in one:
            yield from _records(one)
        else:
            yield one, fallback_time


def _messages(log_events: list[Any]) -> list[str]:
    # A message that is no text is no JSON object either: the empty text says so.
    return [message if isinstance(message := at(one, "message"), str) else "" for one in log_events]


def _ruled_out(record: dict[str, Any]) -> Skip | None:
    if "digestStartTime" in record:
        return _DIGEST
    if text(record.get("eventCategory")) in ("Insight", "Aggregated"):
        return _INSIGHT
    if (
        text(record.get("eventCategory")) == "NetworkActivity"
        or text(record.get("eventType")) == "AwsVpceEvent"
    ):
        return _PASSAGE
    if not text(record.get("eventName")) or not text(record.get("eventSource")):
        return base.NO_TYPE
    return _NOT_SIGNED_IN if record["eventName"] == "PasswordRecoveryRequested" else None


class _Record:
    """One record while it is being read."""

    __slots__ = ("_adapter", "_call", "_caller", "_id", "_raw", "_service", "_time_us")

    def __init__(self, adapter: CloudTrail, raw: dict[str, Any], caller: Caller, time_us: int) -> None:
        self._adapter = adapter
        self._raw = raw
        self._caller = caller
        self._time_us = time_us
        self._id = ident(raw.get("eventID")) or base.row_digest(raw)
        self._service = text(raw["eventSource"]).lower().removesuffix(".cn").removesuffix(".amazonaws.com")
        self._call = _VERSION.sub("", text(raw["eventName"]))

    def events(self) -> list[Event | Skip]:
        """The login that the session context tells of, then what the record itself is."""
        found: list[Event | Skip] = [self._login_before()] if self._caller.mfa else []
        if self._service == "signin":
            if self._call == "ConsoleLogin":
                return [*found, self._console_login()]
            if self._call == "CheckMfa":
                return [*found, self._check_mfa()]
            if self._call in ("CredentialChallenge", "CredentialVerification", "UserAuthentication"):
                return [*found, self._identity_center()]
        if self._service == "sts":
            found += self._code_presented()
        found.append(self._action())
        if self._service == "iam" and self._call in _CHANGES:
            found += self._factor_change()
        return found

    # What the record says

    def _client(self) -> dict[str, str]:
        ip = "" if self._caller.service else base.address(self._raw.get("sourceIPAddress"))
        if not ip:
            return {}
        agent = text(self._raw.get("userAgent")).strip()
        if agent.startswith("[") and agent.endswith("]"):
            agent = agent[1:-1].strip()
        own = (
            agent.endswith(".amazonaws.com")
            or agent == "AWS Internal"
            or "aws-internal/" in agent
            or agent.startswith("S3Console/")
        )
        return {"ip": ip, "user_agent": "" if own else agent[: base.USER_AGENT_MAX]}

    def _ended(self, *keys: str) -> str:
        """`Success`, `Failure` or "" of a sign-in record."""
        return next(
            (text(at(self._raw, key, self._call)) for key in keys if at(self._raw, key, self._call)), ""
        )

    def _outcome(self) -> str:
        code = text(self._raw.get("errorCode")) or ("error" if self._raw.get("errorCode") else "")
        if code:
            return "denied" if _REFUSED.search(code.lower()) else "failure"
        if text(at(self._raw, "responseElements", self._call)).lower() == "failure" or text(
            self._raw.get("errorMessage")
        ):
            return "failure"
        return "success"

    # What it becomes

    def _event(self, kind: str, step: str, data: dict[str, Any], subject: str = "") -> Event:
        common = {"tenant": self._adapter.tenant, "session": self._caller.session, "client": self._client()}
        return base.build_event(
            kind,
            id=f"{self._id}#{step}",
            source=self._adapter.source,
            time_us=self._time_us,
            subject=subject or self._caller.subject,
            data=common | data,
        )

    def _login_before(self) -> Event:
        created_us = self._caller.created_us or 0
        return base.build_event(
            t.SESSION_STARTED,
            id=f"{self._caller.session}#mfa",
            source=self._adapter.source,
            time_us=created_us,
            subject=self._caller.subject,
            # Nothing of this row may be in it: each row of the session must give the same body.
            data={
                "tenant": self._adapter.tenant,
                "session": self._caller.session,
                "amr": ["mfa"],
                "auth_time": created_us // base.SECOND_US,
            },
        )

    def _console_login(self) -> Event | Skip:
        more = self._raw.get("additionalEventData")
        used = text(at(more, "MFAUsed")).lower()
        ended = self._ended("responseElements").lower()
        if ended != "success" or self._outcome() != "success":
            if used == "yes" and (ended == "failure" or self._outcome() != "success"):
                # The factor was in play and the login failed; password or code, AWS does not say which.
                return self._event(t.STEPUP_FAILED, "failed", {})
            return _FAILED_LOGIN if ended else _NO_OUTCOME
        device = ident(at(more, "MFAIdentifier"))
        words: list[str] = []
        if used == "yes":
            words = ["mfa", *_device_words(device)]
        elif used == "no" and self._caller.kind in ("IAMUser", "Root") and not at(more, "SamlProviderArn"):
            words = ["pwd"]
        return self._event(
            t.SESSION_STARTED, "login", {"amr": words, "credential": device if used == "yes" else ""}
        )

    def _check_mfa(self) -> Event | Skip:
        ended = self._ended("responseElements").lower()
        if ended not in ("success", "failure"):
            return _NO_OUTCOME
        # The code was checked before there was a session, so none is claimed.
        data: dict[str, Any] = {"session": ""}
        if ended == "failure" or self._outcome() != "success":
            return self._event(t.STEPUP_FAILED, "failed", data)
        word = amr.lookup("aws", text(at(self._raw, "additionalEventData", "MfaType")))
        return self._event(t.STEPUP_VERIFIED, "verified", data | {"amr": list(word.amr) if word else []})

    def _identity_center(self) -> Event | Skip:
        ended = self._ended("serviceEventDetails", "responseElements").lower()
        kinds = [
            kind.strip() for kind in text(at(self._raw, "additionalEventData", "CredentialType")).split(",")
        ]
        found = [word for kind in kinds if (word := amr.lookup("aws", kind)) is not None]
        words = list(dict.fromkeys(value for word in found for value in word.amr))
        data: dict[str, Any] = {"challenge": ident(at(self._raw, "additionalEventData", "AuthWorkflowID"))}
        if self._call == "UserAuthentication":
            words += ["mfa"] if len(words) > 1 else []
            return (
                self._event(t.SESSION_STARTED, "login", data | {"amr": words})
                if ended == "success"
                else _FAILED_LOGIN
            )
        if _FIRST_FACTORS.issuperset(kinds) or not kinds[0]:
            return _FIRST_FACTOR
        if self._call == "CredentialChallenge":
            return self._event(t.STEPUP_CHALLENGED, "challenged", data) if ended == "success" else _NO_OUTCOME
        if ended == "success":
            return self._event(t.STEPUP_VERIFIED, "verified", data | {"amr": words})
        return self._event(t.STEPUP_FAILED, "failed", data) if ended == "failure" else _NO_OUTCOME

    def _code_presented(self) -> list[Event | Skip]:
        """`GetSessionToken` or `AssumeRole` with an MFA device: STS takes a serial number only together with a code."""
        device = ident(at(self._raw, "requestParameters", "serialNumber"))
        if not device or self._call not in ("GetSessionToken", "AssumeRole"):
            return []
        if self._outcome() == "success":
            return [self._event(t.STEPUP_VERIFIED, "verified", {"amr": ["otp"], "credential": device})]
        if "invalid mfa one time pass code" in text(self._raw.get("errorMessage")).lower():
            return [self._event(t.STEPUP_FAILED, "failed", {"failure": "wrong_code"})]
        return []

    def _factor_change(self) -> list[Event | Skip]:
        device = ident(at(self._raw, "requestParameters", "serialNumber"))
        owner = self._named_user()
        if not device or not owner or self._outcome() != "success":
            return []
        data: dict[str, Any] = {"credential": device, "change": _CHANGES[self._call]}
        if owner != self._caller.subject:
            data |= {"session": "", "client": {}}
        return [self._event(t.CREDENTIAL_CHANGED, "credential", data, owner)]

    def _action(self) -> Event | Skip:
        said = self._raw.get("readOnly")
        read_only = said if isinstance(said, bool) else {"true": True, "false": False}.get(text(said).lower())
        deed = deed_of(self._service, self._call, read_only)
        if deed is None:
            return base.NO_TYPE
        outcome = self._outcome()
        resource = {"type": deed.resource, "id": self._resource_id(deed), "sensitivity": deed.sensitivity}
        data = {
            "action": deed.action,
            "outcome": outcome,
            "resource": resource,
            "on_behalf_of": self._caller.on_behalf_of,
        }
        return self._event(t.ACTION_PERFORMED, f"action-{outcome}", data)

    def _named_user(self) -> str:
        name = at(self._raw, "requestParameters", "userName")
        if name is not None:
            return user_arn(self._raw, ident(name))
        return self._caller.subject if self._caller.kind in ("IAMUser", "Root") else ""

    def _resource_id(self, deed: Deed) -> str:
        for where in deed.where:
            if where == "@user":
                found = self._named_user()
            elif "+" in where:
                parts = [_join(_under(self._raw.get("requestParameters"), part)) for part in where.split("+")]
                found = "/".join(parts) if all(parts) else ""
            elif where.startswith(">"):
                found = _join(_under(self._raw.get("responseElements"), where[1:]))
            else:
                found = _join(_under(self._raw.get("requestParameters"), where))
            if found:
                return found[: base.TEXT_MAX]
        resources = self._raw.get("resources")
        listed = resources if isinstance(resources, list) else []
        return base.only([ident(at(one, "ARN")) or ident(at(one, "arn")) for one in listed[:_RESOURCES_MAX]])


def _device_words(device: str) -> list[str]:
    """`arn:aws:iam::111122223333:u2f/user/anaya/default-...` is a security key; a bare serial number a hardware token."""
    kind = device.split(":", 5)[-1].partition("/")[0] if device.startswith("arn:") else ""
    word = amr.lookup("aws", f"arn {kind}" if kind else "hardware totp") if device else None
    return list(word.amr) if word else []


def _under(value: Any, path: str) -> list[str]:
    """The names at a path; lists on the way are gone through."""
    values = [value]
    for key in path.split("."):
        values = [one.get(key) for one in _flat(values) if isinstance(one, dict)]
    return [name for one in _flat(values) if (name := ident(one))]


def _flat(values: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        flat += value[:_RESOURCES_MAX] if isinstance(value, list) else [value]
    return flat


def _join(names: list[str]) -> str:
    return ",".join(dict.fromkeys(names[:_RESOURCES_MAX]))
