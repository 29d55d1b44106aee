"""The TOTP credentials of an application's people: enrol, confirm, revoke, and try a code on one."""

from __future__ import annotations

import base64
import json
import logging
import secrets as random_source
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

import pyotp

from stepwatch.schemas.times import SECOND_US
from stepwatch.sdk.events import Source
from stepwatch.sdk.ids import new_id
from stepwatch.sdk.otp_enrolment import Enrolment
from stepwatch.sdk.otp_events import OtpEvents, Report, hand_over, wall_clock_us
from stepwatch.sdk.otp_rules import DIGESTS, Attempt, OtpRules, is_ahead, judge
from stepwatch.sdk.otp_secrets import Secrets
from stepwatch.sdk.otp_store import OtpCredential, OtpStore
from stepwatch.sdk.parts import Event
from stepwatch.sdk.saying import say

_SWAPS_MAX: Final = 1000
"""Each lost swap is another's progress, and after 100 failures nothing changes any more: more is a broken store."""


_AHEAD: Final = (
    "no code of credential %s is accepted: time step %d was, and by the clock of this machine it is only %d;"
    " set the clock, or revoke the credential and enrol anew"
)


class NotEnrolled(LookupError):
    """The subject has no such credential that can prove: let them enrol first."""


class OtpCredentials:
    """Enrols, confirms and revokes for one source's tenant. Safe for threads, and for processes as its store is.

    Args:
        source: builds the events.
        report: takes each event (`reporter.report`); must not block.
        store: where credentials are kept.
        secrets: seals secrets and challenges.
        issuer: the name above the code in the person's app; no colon in it.
        rules: how patient to be.
        acr: the class of a proof by code, if the application has one for it (OpenID Connect).
        now: the clock, microseconds since 1970.

    Attributes:
        unreported: how many events the reporter raised on.

    Raises:
        ValueError: `issuer` is empty or has a colon in it; `acr` is no text or empty.
    """

    def __init__(
        self,
        *,
        source: Source,
        report: Report,
        store: OtpStore,
        secrets: Secrets,
        issuer: str,
        rules: OtpRules | None = None,
        acr: str | None = None,
        now: Callable[[], int] = wall_clock_us,
    ) -> None:
        if ":" in checked_text("issuer", issuer):
            raise ValueError("issuer: must hold no colon; it parts issuer and account in an otpauth URI")
        if acr is not None:
            checked_text("acr", acr)
        self.unreported = 0
        self._counting = threading.Lock()
        self._tenant = source.tenant
        self._events = OtpEvents(source)
        self._report_to = report
        self._store = store
        self._secrets = secrets
        self._issuer = issuer
        self._rules = rules or OtpRules()
        self._acr = acr
        self._now = now

    def enrol(
        self,
        subject: str,
        *,
        account: str | None = None,
        algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1",
        digits: Literal[6, 7, 8] = 6,
        period_s: int = 30,
    ) -> Enrolment:
        """Make a new secret for a subject. It proves nothing until `confirm`, within `OtpRules.enrolment_s`.

        Ask for a proof by another factor first: whoever may enrol may be the subject from then on.

        Args:
            subject: canonical id.
            account: the name in the person's app; the subject where it is not given.
            algorithm: many apps know SHA1 only, some without a word take every other for it.
            digits: of a code.
            period_s: length of a time step in seconds, 15 to 120 (NIST SP 800-63B-4 section 3.1.4.1).

        Raises:
            ValueError: an argument out of its range; the message names it.
        """
        if algorithm not in DIGESTS:
            raise ValueError(f"algorithm: expected one of {', '.join(DIGESTS)}, got {algorithm!r}")
        if digits not in (6, 7, 8):
            raise ValueError(f"digits: expected 6, 7 or 8, got {digits!r}")
        if not isinstance(period_s, int) or not 15 <= period_s <= 120:
            raise ValueError(f"period_s: expected 15 to 120 seconds, got {period_s!r}")
        name = checked_text("account", checked_text("subject", subject) if account is None else account)
        # As long as the hash's output: RFC 6238 section 3, R6, as RFC 4226 section 4 wants at least 160 bits.
        secret = base64.b32encode(random_source.token_bytes(DIGESTS[algorithm]().digest_size)).decode().rstrip("=")
        now_us = self._now()
        # Who begins again and again leaves one behind each time.
        self._purge(self._store.of_subject(self._tenant, subject), now_us)
        credential = OtpCredential(self._tenant, new_id(), subject, "", algorithm, digits, period_s, created_us=now_us)
        self._store.add(replace(credential, sealed=self._secrets.seal(_purpose(credential), secret.encode())))
        totp = pyotp.TOTP(secret, digits=digits, digest=DIGESTS[algorithm], interval=period_s)
        uri = totp.provisioning_uri(name=name.replace(":", " "), issuer_name=self._issuer)
        return Enrolment(credential.id, subject, secret, uri, self._expires_us(credential))

    def confirm(self, subject: str, credential: str, code: str) -> bool:
        """Take a new credential into use, if the code shows that the person's app holds its secret.

        The code is used up by it. Reported as `credential.changed`, `created`.

        Returns:
            False where the code is wrong, or was tried too often: then enrol anew.

        Raises:
            NotEnrolled: the subject has no pending credential with this id, or it came too late: then enrol anew.
        """
        now_us = self._now()
        pending = self._store.get(self._tenant, credential)
        if pending is not None and pending.subject == subject and self._is_expired(pending, now_us):
            raise NotEnrolled(f"credential: {credential} of {subject} was not confirmed in time; enrol anew")
        kept, attempt = self._attempt(subject, credential, code, now_us, "pending")
        if kept is None or attempt is None:
            raise NotEnrolled(f"credential: {subject} has no pending credential {credential}")
        if attempt.step is None:
            return False
        self._report(self._events.credential_changed(subject, now_us, credential, "created"))
        return True

    def credentials(self, subject: str) -> list[OtpCredential]:
        """The credentials of a subject that can prove, oldest first; also those that are disabled."""
        return [kept for kept in self._store.of_subject(self._tenant, subject) if kept.state == "active"]

    def revoke(self, subject: str, credential: str) -> bool:
        """Take a credential out of use for good, and wipe its secret. Reported as `credential.changed`, `revoked`.

        Returns:
            False where it was revoked before: nothing changed.

        Raises:
            NotEnrolled: the subject has no such credential.
        """
        for _ in range(_SWAPS_MAX):
            kept = self._store.get(self._tenant, credential)
            if kept is None or kept.subject != subject:
                raise NotEnrolled(f"credential: {subject} has no credential {credential}")
            if kept.state == "revoked":
                return False
            if self._store.swap(kept, replace(kept, state="revoked", sealed="", version=kept.version + 1)):
                if kept.state == "active":
                    self._report(self._events.credential_changed(subject, self._now(), credential, "revoked"))
                return True
        raise _broken_store()

    def reseal(self) -> int:
        """Seal every secret of the store with the newest key.

        The older keys can go once the challenges that they sealed are over; for the order see `FernetSecrets`.

        Returns:
            How many were sealed anew.

        Raises:
            SealBroken: a secret that no key opens; those before it are done.
        """
        done = 0
        for listed in self._store.all():
            kept: OtpCredential | None = listed
            while kept is not None and kept.sealed:
                new = replace(kept, sealed=self._secrets.reseal(kept.sealed), version=kept.version + 1)
                if self._store.swap(kept, new):
                    done += 1
                    break
                kept = self._store.get(listed.tenant, listed.id)
        return done

    def purge(self) -> int:
        """Forget every credential of this tenant that was not confirmed in time. Nothing is reported: none ever proved.

        Call it once in a while: `enrol` does it for its own subject only.

        Returns:
            How many there were.
        """
        return self._purge([kept for kept in self._store.all() if kept.tenant == self._tenant], self._now())

    def _purge(self, listed: Sequence[OtpCredential], now_us: int) -> int:
        return sum(self._is_expired(kept, now_us) and self._store.remove(kept) for kept in listed)

    def _is_expired(self, kept: OtpCredential, now_us: int) -> bool:
        return kept.state == "pending" and now_us >= self._expires_us(kept)

    def _expires_us(self, kept: OtpCredential) -> int:
        return kept.created_us + self._rules.enrolment_s * SECOND_US

    def _attempt(
        self, subject: str, credential: str, code: str, now_us: int, state: Literal["pending", "active"]
    ) -> tuple[OtpCredential | None, Attempt | None]:
        """Judge a code, and store what follows from it before anybody hears of it.

        Returns:
            The credential, and no attempt where it is in another state or not the subject's.

        Raises:
            ValueError: `code` is no text, as where a form lacks the field. It is not said what came.
        """
        if not isinstance(code, str):
            raise ValueError(f"code: expected a text, got {type(code).__name__}")
        for _ in range(_SWAPS_MAX):
            kept = self._store.get(self._tenant, credential)
            if kept is None or kept.subject != subject or kept.state != state:
                return kept, None
            secret = self._secrets.open(_purpose(kept), kept.sealed).decode()
            attempt = judge(kept, secret, code, now_us, self._rules)
            if is_ahead(kept, now_us, self._rules):
                say(logging.ERROR, _AHEAD, kept.id, kept.last_step, now_us // (kept.period_s * SECOND_US))
            new = attempt.credential
            if attempt.step is not None:
                new = replace(new, state="active")
            if new is kept or self._store.swap(kept, new):
                return new, attempt
        raise _broken_store()

    def _report(self, event: Event) -> None:
        if not hand_over(self._report_to, event):
            with self._counting:
                self.unreported += 1


def checked_text(field: str, value: object) -> str:
    """The value, if it is a text that is not empty.

    Raises:
        ValueError: it is none; the message names the field, and does not repeat the value.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{field}: expected a text that is not empty, got {type(value).__name__}")
    return value


def _broken_store() -> RuntimeError:
    return RuntimeError(f"store: swap said {_SWAPS_MAX} times that another was faster; is it a compare-and-set?")


def _purpose(credential: OtpCredential) -> str:
    return json.dumps(["otp-secret", credential.tenant, credential.subject, credential.id])
