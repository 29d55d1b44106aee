"""AWS CloudTrail.

Read are single records, `{"Records": [...]}` files, EventBridge events (`detail`), LookupEvents
(`CloudTrailEvent`, a JSON text), CloudWatch Logs (subscriptions with `logEvents`, Insights with `@message`), and
records that came through a collector: as fields beside `@timestamp`, or as JSON text in `message`, `log` or
`Message` (SNS).

- **id**: `eventID` and the step: `e1#login`, `e2#action-success`.
- **subject, session**: `userIdentity`, by `cloudtrail_identity.py`.
- **time**: `eventTime`, or else `@timestamp`, or else the envelope's.
- **client**: `sourceIPAddress` and `userAgent`; left out where an AWS service or a console's own agent is
  named.
- **action**: `eventSource` and `eventName`, by `cloudtrail_actions.py`; calls that only read, too.
- **outcome**: `errorCode`, or `responseElements`; access refused is `denied`, every other error `failure`.

**Proofs.** What CloudTrail knows of them:

- A console login with `MFAUsed: Yes` is `session.started` with `mfa` and the word of its `MFAIdentifier`.
  `No` is `pwd` for an IAM user or root; for every other login AWS cannot know what the identity provider did,
  so there is no `amr`. A failed login proves nothing.
- `CheckMfa`, and `GetSessionToken` or `AssumeRole` with a `serialNumber`, are `stepup.verified` if they
  succeeded. Such an `AssumeRole` is besides the login of the role's session, which it names: `session.started` of
  that ARN with the same `verification`, the `sharedEventID` that the other account's copy of the row has, too.
- Identity Center's CredentialChallenge and CredentialVerification of a second factor are challenged, verified
  and failed; its UserAuthentication is the login. Both tell of one proof, `verification` is `AuthWorkflowID`.
- An action of a user whose session context says `mfaAuthenticated: "true"` tells of the login before it. It
  becomes one `session.started` with `amr: [mfa]` and `auth_time` = `creationDate`: the same event, with the same
  id, from every row of that session, and no more. Of a role's session it says only that there was a proof at some
  time (each switch of roles makes a new `creationDate`, and inherits the factor): no event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.schemas import events as t
from stepwatch.sources import base, cloudtrail_proofs
from stepwatch.sources.base import Event, Skip, text
from stepwatch.sources.cloudtrail_actions import deed_of
from stepwatch.sources.cloudtrail_identity import caller_of
from stepwatch.sources.cloudtrail_record import Record
from stepwatch.sources.envelopes import COLLECTORS, unwrap

_NAMES: Final = {
    name.lower(): name
    for name in (
        *("additionalEventData", "awsRegion", "errorCode", "errorMessage", "eventCategory", "eventID"),
        *(
            "eventName",
            "eventSource",
            "eventTime",
            "eventType",
            "readOnly",
            "recipientAccountId",
            "requestParameters",
        ),
        *("responseElements", "serviceEventDetails", "sourceIPAddress", "userAgent", "userIdentity"),
    )
}
_ENVELOPES: Final = ("Records", "Events", "CloudTrailEvent", "detail", "logEvents", *COLLECTORS)
_SIGNS: Final = ("eventName",)
_STAMPS: Final = ("eventTime", "@timestamp", "at_sign_timestamp")

_DIGEST: Final = Skip("a digest of log files, no record", "type")
_INSIGHT: Final = Skip("an insight or aggregate over records, no record", "type")
_PASSAGE: Final = Skip("the passage through a VPC endpoint of a call that has its own record", "type")
_NOT_SIGNED_IN: Final = Skip("asked for by somebody who is not signed in", "subject")


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
        for record, envelope_time in unwrap(base.decode_line(line), _ENVELOPES, _SIGNS):
            found += self._of_record(record, envelope_time)
        return found

    def _of_record(self, raw: Any, envelope_time: Any) -> list[Event | Skip]:
        if not isinstance(raw, dict):
            return [raw if isinstance(raw, Skip) else base.NOT_JSON]
        raw = base.with_names(raw, _NAMES, "eventName")
        if (ruling := _ruled_out(raw)) is not None:
            return [ruling]
        time_us = base.first_time((*(raw.get(name) for name in _STAMPS), envelope_time))
        if time_us is None:
            return [base.NO_TIME]
        caller = caller_of(raw)
        if isinstance(caller, Skip):
            return [caller]
        return _events(Record(raw, caller, time_us, self.source, self.tenant))


def _ruled_out(raw: dict[str, Any]) -> Skip | None:
    if "digestStartTime" in raw:
        return _DIGEST
    category = text(raw.get("eventCategory"))
    if category in ("Insight", "Aggregated"):
        return _INSIGHT
    if category == "NetworkActivity" or text(raw.get("eventType")) == "AwsVpceEvent":
        return _PASSAGE
    if not text(raw.get("eventName")) or not text(raw.get("eventSource")):
        return base.NO_TYPE
    return _NOT_SIGNED_IN if raw["eventName"] == "PasswordRecoveryRequested" else None


def _events(record: Record) -> list[Event | Skip]:
    """The login that the session context tells of, then what the record itself is."""
    found: list[Event | Skip] = [cloudtrail_proofs.login_before(record)] if record.caller.mfa else []
    if (sign_in := cloudtrail_proofs.sign_in(record)) is not None:
        return [*found, sign_in]
    found += cloudtrail_proofs.code_presented(record)
    return [*found, _action(record), *cloudtrail_proofs.factor_change(record)]


def _action(record: Record) -> Event | Skip:
    deed = deed_of(record.service, record.call, record.read_only())
    if deed is None:
        return base.NO_TYPE
    outcome = record.outcome()
    data = {
        "action": deed.action,
        "outcome": outcome,
        "resource": {"type": deed.resource, "id": record.resource_id(deed), "sensitivity": deed.sensitivity},
        "on_behalf_of": record.caller.on_behalf_of,
    }
    return record.event(t.ACTION_PERFORMED, f"action-{outcome}", data)
