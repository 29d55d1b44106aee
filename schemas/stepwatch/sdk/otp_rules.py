"""Whether a submitted code is accepted: a pure function of the credential, the code and the time.

No clock, no store, no chance. Rules: RFC 6238 (time steps, drift), NIST SP 800-63B-4 sections 3.1.4 (a code counts
once) and 3.2.2 (waits that grow, and an end).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import Final, Literal

import pyotp

from stepwatch.schemas.times import SECOND_US
from stepwatch.sdk.otp_store import OtpCredential

Failure = Literal["wrong_code", "replayed_code", "expired_code", "locked_out", "error"]
DIGESTS: Final = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}
FAILURES_END: Final = 100
"""NIST SP 800-63B-4 section 3.2.2: at most 100 consecutive failures, then the authenticator is disabled."""


@dataclass(frozen=True, slots=True)
class OtpRules:
    """How patient the verifier is.

    Attributes:
        drift_steps: how many time steps a person's clock may be off, either way; 0 to 3. RFC 6238 section 5.2
            recommends one.
        expired_steps: how many steps further back a code is still recognised as an expired one, 0 to 20. It decides
            only how a failure is called.
        failures_free: so many consecutive failures cost no wait.
        wait_first_s: the wait after the next one, seconds; each further failure doubles it.
        wait_max_s: the longest wait, seconds.
        failures_max: after so many consecutive failures the credential is disabled for good, 1 to 100.
        challenge_s: how long a challenge can be answered, seconds.
        enrolment_s: how long a new credential can be confirmed, seconds; what was not is gone after that.

    Raises:
        ValueError: a value outside its range; the message names the field.
    """

    drift_steps: int = 1
    expired_steps: int = 10
    failures_free: int = 5
    wait_first_s: int = 30
    wait_max_s: int = 3600
    failures_max: int = FAILURES_END
    challenge_s: int = 300
    enrolment_s: int = 900

    def __post_init__(self) -> None:
        for name, least, most in (
            ("drift_steps", 0, 3),
            ("expired_steps", 0, 20),
            ("failures_max", 1, FAILURES_END),
            ("failures_free", 0, self.failures_max),
            ("wait_first_s", 1, 86_400),
            ("wait_max_s", self.wait_first_s, 86_400),
            ("challenge_s", 1, 86_400),
            ("enrolment_s", 1, 86_400),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one submitted code.

    Attributes:
        credential: as it must be stored before anybody hears of the outcome; the same object where nothing changed.
        failure: why it was refused, or None where it was accepted.
        step: the accepted time step.
    """

    credential: OtpCredential
    failure: Failure | None = None
    step: int | None = None


def judge(credential: OtpCredential, secret: str, code: str, now_us: int, rules: OtpRules) -> Attempt:
    """Whether this code proves, now, that the person holds the secret.

    A code of the last accepted step is `replayed_code` and costs nothing: who submits it holds a right code, so it is
    no guess, and a double click must not make a person wait. A code before that step, or before the drift, is
    `expired_code`. Every failure but a replay counts. While a wait lasts, and after the end, the code is not looked at.

    Where the last accepted step is ahead of the clock by more than the drift, the clock was wrong then or is now. No
    code can be told from a used one there: each is an `error`, and counts as nothing.

    Args:
        credential: as stored.
        secret: its secret, Base32.
        code: as typed; spaces do not count.
        now_us: microseconds since 1970, at least 0.
        rules: how patient to be.
    """
    if is_locked(credential, rules) or wait_us(credential, now_us, rules) > 0:
        if credential.failed_us > now_us:
            # The clock was ahead then: the wait begins now, else it would last until that time has come.
            credential = _changed(credential, failures=credential.failures, failed_us=now_us)
        return Attempt(credential, "locked_out")
    now_step = now_us // (credential.period_s * SECOND_US)
    if is_ahead(credential, now_us, rules):
        return Attempt(credential, "error")
    oldest_fresh = now_step - rules.drift_steps
    matching = _matching(
        credential, secret, code, range(oldest_fresh - rules.expired_steps, now_step + rules.drift_steps + 1)
    )
    fresh = [step for step in matching if step >= oldest_fresh and step > credential.last_step]
    if fresh:
        # The greatest: two steps can have one code by chance, and the earlier would leave it good for the later.
        step = max(fresh)
        return Attempt(_changed(credential, last_step=step, failures=0, failed_us=0), step=step)
    if credential.last_step in matching:
        return Attempt(credential, "replayed_code")
    failed = _changed(credential, failures=credential.failures + 1, failed_us=now_us)
    return Attempt(failed, "expired_code" if matching else "wrong_code")


def is_locked(credential: OtpCredential, rules: OtpRules) -> bool:
    """Whether the credential is disabled for good: revoke it and enrol anew (NIST SP 800-63B-4 section 3.2.2)."""
    return credential.failures >= rules.failures_max


def is_ahead(credential: OtpCredential, now_us: int, rules: OtpRules) -> bool:
    """Whether a code was accepted of a time that is still to come, further off than a person's clock may be."""
    return credential.last_step > now_us // (credential.period_s * SECOND_US) + rules.drift_steps


def wait_us(credential: OtpCredential, now_us: int, rules: OtpRules) -> int:
    """How long no code is looked at, after failures in a row; 0 where one is looked at now.

    Returns:
        Microseconds, never more than the wait that the failures cost, whatever the clock said at the last of them. At
        the very end of a wait it is 0.
    """
    over = credential.failures - rules.failures_free
    if over <= 0:
        return 0
    whole_us = min(rules.wait_first_s << min(over - 1, FAILURES_END), rules.wait_max_s) * SECOND_US
    return min(whole_us, max(0, credential.failed_us + whole_us - now_us))


def code_at(credential: OtpCredential, secret: str, step: int) -> str:
    """The code of a time step.

    Args:
        step: at least 0.
    """
    return _totp(credential, secret).generate_otp(step)


def _matching(credential: OtpCredential, secret: str, code: str, steps: range) -> list[int]:
    """The steps with this code. Each is compared in constant time, and all are, whichever matches."""
    totp = _totp(credential, secret)
    given = "".join(code.split()).encode("utf-8", "replace")
    return [step for step in steps if step >= 0 and compare_digest(given, totp.generate_otp(step).encode())]


def _totp(credential: OtpCredential, secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(
        secret, digits=credential.digits, digest=DIGESTS[credential.algorithm], interval=credential.period_s
    )


def _changed(
    credential: OtpCredential, *, failures: int, failed_us: int, last_step: int | None = None
) -> OtpCredential:
    step = credential.last_step if last_step is None else last_step
    return replace(credential, last_step=step, failures=failures, failed_us=failed_us, version=credential.version + 1)
