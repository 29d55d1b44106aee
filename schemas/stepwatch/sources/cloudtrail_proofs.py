"""What CloudTrail records say of proofs and devices that prove. `cloudtrail.py` has the rules in words."""

from __future__ import annotations

from typing import Any, Final

from stepwatch.schemas import events as t
from stepwatch.schemas.times import SECOND_US
from stepwatch.sources import amr, base
from stepwatch.sources.base import Event, Skip, ident, text
from stepwatch.sources.cloudtrail_record import Record

_CHANGES: Final = {
    "EnableMFADevice": "created",
    "DeactivateMFADevice": "revoked",
    "ResyncMFADevice": "updated",
}
_FIRST_FACTORS: Final = frozenset({"PASSWORD", "EXTERNAL_IDP", ""})


def login_before(record: Record) -> Event:
    """The login with MFA that the session context tells of; the same from every record of the session."""
    caller = record.caller
    created_us = caller.created_us or 0
    return base.build_event(
        t.SESSION_STARTED,
        id=f"{caller.session}#mfa",
        source=record.source,
        time_us=created_us,
        subject=caller.subject,
        # Nothing of this record may be in it: a copy with another body would be a conflict.
        data={
            "tenant": record.tenant,
            "session": caller.session,
            "amr": ["mfa"],
            "auth_time": created_us // SECOND_US,
        },
    )


def sign_in(record: Record) -> Event | Skip | None:
    """A console login, the check of its second factor, a step of Identity Center's; None for all else."""
    if record.service != "signin":
        return None
    if record.call == "ConsoleLogin":
        return _console_login(record)
    if record.call == "CheckMfa":
        return _check_mfa(record)
    if record.call in ("CredentialChallenge", "CredentialVerification", "UserAuthentication"):
        return _identity_center(record)
    return None


def _console_login(record: Record) -> Event | Skip:
    used = text(record.more("MFAUsed")).lower()
    ended = record.ended()
    if ended != "success":
        if ended and used == "yes":
            # The factor was in play and the login failed; whether by password or by code, AWS does not say.
            return record.event(t.STEPUP_FAILED, "failed", {})
        return base.FAILED_LOGIN if ended else base.NO_OUTCOME
    words: list[str] = []
    device = ""
    if used == "yes":
        device = ident(record.more("MFAIdentifier"))
        words = ["mfa", *_device_words(device)]
    elif used == "no" and record.caller.kind in ("IAMUser", "Root") and not record.more("SamlProviderArn"):
        words = ["pwd"]
    return record.event(t.SESSION_STARTED, "login", {"amr": words, "credential": device})


def _check_mfa(record: Record) -> Event | Skip:
    ended = record.ended()
    # Checked before there was a session, so none is claimed.
    data: dict[str, Any] = {"session": ""}
    if ended == "success":
        word = amr.lookup("aws", text(record.more("MfaType")))
        return record.event(t.STEPUP_VERIFIED, "verified", data | {"amr": list(word.amr) if word else []})
    return record.event(t.STEPUP_FAILED, "failed", data) if ended else base.NO_OUTCOME


def _identity_center(record: Record) -> Event | Skip:
    ended = record.ended()
    kinds = [kind.strip().upper() for kind in text(record.more("CredentialType")).split(",")]
    found = [word for kind in kinds if (word := amr.lookup("aws", kind)) is not None]
    words = list(dict.fromkeys(value for word in found for value in word.amr))
    workflow = ident(record.more("AuthWorkflowID"))
    data: dict[str, Any] = {"challenge": workflow}
    # The verification of a second factor and the login that it was for tell of one proof.
    proof = data if _FIRST_FACTORS.issuperset(kinds) else data | {"verification": workflow}
    if record.call == "UserAuthentication":
        if ended != "success":
            return base.FAILED_LOGIN
        return record.event(t.SESSION_STARTED, "login", proof | {"amr": words + ["mfa"] * (len(words) > 1)})
    if _FIRST_FACTORS.issuperset(kinds):
        return base.LOGIN_STEP
    if record.call == "CredentialChallenge":
        return record.event(t.STEPUP_CHALLENGED, "challenged", data) if ended == "success" else base.NO_OUTCOME
    if ended == "success":
        return record.event(t.STEPUP_VERIFIED, "verified", proof | {"amr": words})
    return record.event(t.STEPUP_FAILED, "failed", data) if ended else base.NO_OUTCOME


def code_presented(record: Record) -> list[Event | Skip]:
    """`GetSessionToken` or `AssumeRole` with an MFA device: STS takes its number only with its code.

    A role's session that is begun with a code begins with a proof.
    """
    if record.service != "sts" or record.call not in ("GetSessionToken", "AssumeRole"):
        return []
    device = ident(record.parameter("serialNumber"))
    if not device:
        return []
    if record.outcome() == "success":
        proof = {"amr": ["otp"], "credential": device, "verification": record.proof_id()}
        found: list[Event | Skip] = [record.event(t.STEPUP_VERIFIED, "verified", proof)]
        role, session = record.role_taken()
        if role:
            found.append(record.event(t.SESSION_STARTED, "role", proof | {"session": session}, role))
        return found
    if "invalid mfa one time pass code" in record.message():
        return [record.event(t.STEPUP_FAILED, "failed", {"failure": "wrong_code"})]
    return []


def factor_change(record: Record) -> list[Event | Skip]:
    """`EnableMFADevice` and the like: a credential of the named user, or of the caller."""
    if record.service != "iam" or record.call not in _CHANGES or record.outcome() != "success":
        return []
    device, owner = ident(record.parameter("serialNumber")), record.named_user()
    if not device or not owner:
        return []
    data: dict[str, Any] = {"credential": device, "change": _CHANGES[record.call]}
    if owner != record.caller.subject:
        # The administrator's session and machine are not the owner's.
        data |= {"session": "", "client": {}}
    return [record.event(t.CREDENTIAL_CHANGED, "credential", data, owner)]


def _device_words(device: str) -> list[str]:
    """`arn:aws:iam::111122223333:u2f/user/anaya/...` is a key; a bare serial number a hardware token."""
    if not device:
        return []
    kind = device.split(":", 5)[-1].partition("/")[0] if device.startswith("arn:") else ""
    word = amr.lookup("aws", f"arn {kind}" if kind else "hardware totp")
    return list(word.amr) if word else []
