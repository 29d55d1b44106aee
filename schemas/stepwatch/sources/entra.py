"""Microsoft Entra ID: sign-in logs and directory audit logs.

Read are objects of Microsoft Graph (`/auditLogs/signIns`, `/auditLogs/directoryAudits`), records of Azure
Monitor (`category` and `properties`), rows of Log Analytics (PascalCase, nested JSON as text), in arrays, in
`{"value": [...]}` and `{"records": [...]}`, and in `message` or `log` of a collector, as JSON text too.

- **id**: `id`, and the step with what was proved: `66ea#login-pwd-swk-mfa`. Azure Monitor writes several
  records for one attempt, at times under one id.
- **subject**: `userId`, or `userPrincipalName`; of an audited deed `initiatedBy.user`, or else the
  application's service principal. Service principals and managed identities sign in without any person.
- **time**: of a sign-in `createdDateTime`, `time` or `TimeGenerated`, the first that is there; of an audited
  deed `activityDateTime`, `time` or `TimeGenerated`. A step that came later has its own time.
- **auth_time**: `authenticationStepDateTime` of the first step that was proved.
- **session**: `sessionId`, or else `uniqueTokenIdentifier`; audited deeds rarely name any.
- **factor**: `authenticationDetails[].authenticationMethod`, or `mfaDetail.authMethod`, by `amr.py`.
- **challenge**: `correlationId`.
- **client**: `ipAddress`, `userAgent`, `deviceDetail.deviceId`, `location.countryOrRegion`.

What was required (`authenticationRequirement`) is not what was done; "previously satisfied" and "requirement
satisfied by" a claim, a device or another provider prove nothing anew. `entra_signin.py` and `entra_audit.py`
have the tables of what becomes what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.sources import base
from stepwatch.sources.base import Event, Skip, text
from stepwatch.sources.entra_audit import activity, audited
from stepwatch.sources.entra_row import Row
from stepwatch.sources.entra_signin import sign_in
from stepwatch.sources.envelopes import COLLECTORS, unwrap

Found = list[Event | Skip]

_ENVELOPES: Final = ("records", "value", *COLLECTORS)
_ROW_SIGNS: Final = ("properties", "category", "Category", "createdDateTime", "activityDateTime")
_OTHER_LOG: Final = Skip("neither a sign-in nor an audited activity", "type")
_AUDIT_SIGNS: Final = ("activityDateTime", "activityDisplayName", "initiatedBy")
_SIGN_IN_SIGNS: Final = ("createdDateTime", "authenticationDetails", "status")
_WHO: Final = ("userId", "userPrincipalName", "servicePrincipalId", "signInEventTypes", "correlationId")


@dataclass(frozen=True, slots=True)
class Entra:
    """The adapter.

    Attributes:
        source: `source` of every event; policies name it under `sources`.
        tenant: `data.tenant` of every event, "" for the default.
    """

    name: ClassVar[str] = "entra"
    source: str = "/entra"
    tenant: str = ""

    def events(self, line: bytes) -> Found:
        """The events of one line; see the module's text for what becomes what."""
        if not line.strip():
            return []
        found: Found = []
        for raw, _ in unwrap(base.decode_line(line), _ENVELOPES, _ROW_SIGNS):
            found += self._of_row(raw)
        return found

    def _of_row(self, raw: Any) -> Found:
        if not isinstance(raw, dict):
            return [raw if isinstance(raw, Skip) else base.NOT_JSON]
        row = Row(raw, self.source, self.tenant)
        if (kind := _log_of(row)) is None:
            return [_OTHER_LOG if row.category or activity(row) else base.NO_TYPE]
        if kind is sign_in:
            known = row.find_time("createdDateTime", "time", "timeGenerated")
        elif activity(row):
            known = row.find_time("activityDateTime", "time", "timeGenerated")
        else:
            return [base.NO_TYPE]
        return kind(row) if known else [base.NO_TIME]


def _log_of(row: Row) -> Callable[[Row], Found] | None:
    """Which log a row is of; None for a log that is neither."""
    if "signin" in row.category:
        return sign_in
    if row.category == "auditlogs" or any(row.get(name) is not None for name in _AUDIT_SIGNS):
        return audited
    if any(row.get(name) is not None for name in _SIGN_IN_SIGNS) and any(row.get(name) is not None for name in _WHO):
        return sign_in
    return sign_in if text(row.get("operationName")).lower() == "sign-in activity" else None
