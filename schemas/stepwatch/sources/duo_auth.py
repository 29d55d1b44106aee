"""What Duo's authentication rows (version 1 and 2) become: the rules in words are in `duo.py`."""

from __future__ import annotations

from typing import Final

from stepwatch.schemas import events as t
from stepwatch.sources import base
from stepwatch.sources.base import Event, Skip, ident
from stepwatch.sources.duo_row import Row, factor_words

Found = list[Event | Skip]

_ENROLMENT: Final = Skip("an enrolment proves nothing, and this one names no credential", "credential")
_OTHER: Final = Skip("neither an authentication nor an enrolment", "type")

_PROVED: Final = frozenset({"user_approved", "valid_passcode", "verification_code_correct"})
_LET_THROUGH: Final = frozenset(
    {
        *("allow_unenrolled_user", "allow_unenrolled_user_on_trusted_network", "allowed_by_policy"),
        *("bypass_user", "remembered_device", "trusted_location", "trusted_network"),
    }
)
_NO_FACTORS: Final = frozenset({"bypass_code", "remembered_device", "trusted_network", "trusted_location"})
_BY_THE_PERSON: Final = frozenset({"user_marked_fraud", "user_mistake", "user_denied"})
_FAILURES: Final = {
    # The system refused, or nobody answered: no person said no.
    "no_response": "no_response",
    "call_timed_out": "no_response",
    "no_keys_pressed": "no_response",
    "invalid_passcode": "wrong_code",
    "verification_code_incorrect": "wrong_code",
    "locked_out": "locked_out",
    "error": "error",
}
_REFUSED: Final = frozenset({"failure", "denied", "error"})


def read_authentication(row: Row) -> Found:
    """One row of the authentication log."""
    result = row.word("result")
    kind = row.word("event_type")
    if kind == "enrollment" or (result == "success" and row.get("new_enrollment") is True):
        return _enrolment(row) if result == "success" else [_ENROLMENT]
    if kind not in ("authentication", ""):
        return [_OTHER]
    reason = row.word("reason")
    if result == "fraud" or (reason in _BY_THE_PERSON and result in _REFUSED):
        return _stepup(row, t.STEPUP_DENIED)
    if row.word("factor") == "sms_refresh" and not reason:
        # Codes were asked for and sent: said as a failure in the older log.
        return _stepup(row, t.STEPUP_CHALLENGED)
    if result == "success":
        return _passed(row, reason)
    if result not in _REFUSED:
        return [base.NO_OUTCOME]
    if reason == "user_cancelled":
        return _stepup(row, t.STEPUP_CANCELLED)
    return _stepup(row, t.STEPUP_FAILED, _FAILURES.get(reason, "error" if result == "error" else ""))


def _passed(row: Row, reason: str) -> Found:
    """Access was given: by a proof, or without one. The reason decides."""
    factor = row.word("factor")
    if reason in _LET_THROUGH or factor in _NO_FACTORS:
        return _stepup(row, t.STEPUP_BYPASSED)
    words = factor_words(factor)
    # The first version of the log has rows without a reason: there a factor that only a person can have
    # answered says how. The second version always gives one.
    if reason in _PROVED or (not reason and words and not row.get("event_type")):
        credential = ident(row.get("auth_device", "key"))
        data = {"challenge": row.challenge(), "amr": words, "credential": credential}
        return [row.event(t.STEPUP_VERIFIED, "verified", row.user(), data)]
    return [base.NO_OUTCOME]


def _stepup(row: Row, kind: str, failure: str = "") -> Found:
    data = {"challenge": row.challenge(), "failure": failure}
    return [row.event(kind, kind.rpartition(".")[2], row.user(), data)]


def _enrolment(row: Row) -> Found:
    """The person is new to Duo, or the device is."""
    credential = ident(row.get("auth_device", "key"))
    if not credential:
        return [_ENROLMENT]
    return [row.event(t.CREDENTIAL_CHANGED, "credential", row.user(), {"credential": credential, "change": "created"})]
