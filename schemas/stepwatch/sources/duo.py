"""Duo Security logs.

Read are single rows of the Admin API's authentication (versions 1 and 2), administrator, activity, telephony
and offline enrolment logs, JSON arrays of them, its answers (`response`, `authlogs`, `items`), and what a collector
put into `message` or `log`, as JSON text too.

- **id**: `activity_id`, or `txid` and the time, or the digest of the row; and the step.
- **subject**: the name (`user.name`, `username`, `actor.name`), the one thing that all these logs have; key,
  e-mail and alias only where it is missing. `System` and directory synchronisation are Duo itself: counted,
  no event. `API` stands for any programme: it acts, and proves nothing.
- **time**: `isotimestamp`, or else `timestamp` or `ts`.
- **session**: none; Duo proves for other products' sessions.
- **client**: `access_device`, `ip` or `ip_address`: where access was asked from. `auth_device`, the phone that
  approved, is never the client; its `key` is the credential.
- **challenge**: `txid`.
- **factor**: `factor`, by `amr.py`.

| authentication row | becomes |
|---|---|
| success by `user_approved`, `valid_passcode`, `verification_code_correct` | `stepup.verified` |
| success by `bypass_user`, `remembered_device`, `trusted_network`, `allow_unenrolled_user`, ... | `stepup.bypassed` |
| success with a bypass code, whatever the reason | `stepup.bypassed` |
| success without a reason | version 1: `stepup.verified` if it names a factor; version 2: no event |
| `fraud`; `user_marked_fraud`, `user_mistake` | `stepup.denied`: the person said no |
| `user_cancelled` | `stepup.cancelled` |
| every other refusal (`no_response`, `invalid_passcode`, `anomalous_push`, `user_disabled`, ...) | `stepup.failed` |
| `sms_refresh` | `stepup.challenged` |
| an enrolment | `credential.changed` if it names the device, else no event |

| other rows | become |
|---|---|
| `admin_login` | `session.started` with the factor |
| `admin_2fa_error`, `admin_lockout` | `stepup.failed`, `.denied`, `.cancelled`; `admin_login_error`: no event |
| telephony | no event: it names no person |
| everything else | `action.performed`, by `duo_actions.py`; a user's own device: `credential.changed` too |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stepwatch.sources import base
from stepwatch.sources.base import Event, Skip, at, text
from stepwatch.sources.duo_admin import read_deed
from stepwatch.sources.duo_auth import read_authentication
from stepwatch.sources.duo_row import Row
from stepwatch.sources.envelopes import COLLECTORS, unwrap

_STAMPS: Final = ("isotimestamp", "timestamp", "ts")
_ENVELOPES: Final = ("response", "authlogs", "items", *COLLECTORS)
_SIGNS: Final = ("action", "txid", "factor")


@dataclass(frozen=True, slots=True)
class Duo:
    """The adapter.

    Attributes:
        source: `source` of every event; policies name it under `sources`.
        tenant: `data.tenant` of every event, "" for the default.
    """

    name: ClassVar[str] = "duo"
    source: str = "/duo"
    tenant: str = ""

    def events(self, line: bytes) -> list[Event | Skip]:
        """The events of one line; see the module's text for what becomes what."""
        if not line.strip():
            return []
        found: list[Event | Skip] = []
        for row, _ in unwrap(base.decode_line(line), _ENVELOPES, _SIGNS):
            found += self._of_row(row)
        return found

    def _of_row(self, raw: Any) -> list[Event | Skip]:
        if not isinstance(raw, dict):
            return [raw if isinstance(raw, Skip) else base.NOT_JSON]
        kind = text(raw.get("action")) or text(at(raw, "action", "name"))
        if not kind and "result" not in raw:
            return [_of_no_kind(raw)]
        time_us = base.first_time(raw.get(name) for name in _STAMPS)
        if time_us is None:
            return [base.NO_TIME]
        row = Row(raw, time_us, self.source, self.tenant)
        return read_deed(row, kind) if kind else read_authentication(row)


def _of_no_kind(raw: dict[str, Any]) -> Skip:
    if any(isinstance(raw.get(name), str) for name in COLLECTORS):
        return base.NOT_JSON
    if "telephony_id" in raw or "credits" in raw:
        return base.NOBODY
    # Trust Monitor: what Duo finds noteworthy in rows that stand in the other logs.
    return base.NOTICE if "sekey" in raw else base.NO_TYPE
