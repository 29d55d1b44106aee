"""Step-up by one-time code: enrol, challenge, verify, revoke (RFC 6238, NIST SP 800-63B-4 sections 3.1.4 and 3.2.2).

    otp = OtpVerifier(
        source=Source("/payments/api", tenant="acme"),
        report=reporter.report,
        store=SqliteOtpStore("otp.db"),
        secrets=FernetSecrets([os.environ["OTP_KEY"]]),
        issuer="Acme Bank",
    )
    challenge = otp.challenge("alice", session="s-81", action="payments.payout.approve", reason="amount_over_limit")
    if otp.verify(challenge.token, form["code"], subject="alice", session="s-81", action="payments.payout.approve"):
        ...

Each outcome is reported as its event; no event, log line or `repr` holds a code or a secret. A reporter that raises is
logged and counted, and changes no answer. A store that raises is the application's to handle: nobody is verified.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stepwatch.schemas.times import SECOND_US
from stepwatch.sdk.building import context_of
from stepwatch.sdk.context import Client
from stepwatch.sdk.ids import new_id
from stepwatch.sdk.otp_credentials import NotEnrolled, OtpCredentials, checked_text
from stepwatch.sdk.otp_enrolment import Enrolment
from stepwatch.sdk.otp_events import About
from stepwatch.sdk.otp_rules import Failure, OtpRules, is_locked, wait_us
from stepwatch.sdk.otp_secrets import FernetSecrets, SealBroken, Secrets
from stepwatch.sdk.otp_store import MemoryOtpStore, OtpCredential, OtpStore, SqliteOtpStore
from stepwatch.sdk.parts import Event

__all__ = [
    "Enrolment",
    "FernetSecrets",
    "InvalidChallenge",
    "MemoryOtpStore",
    "NotEnrolled",
    "OtpChallenge",
    "OtpCredential",
    "OtpResult",
    "OtpRules",
    "OtpStore",
    "OtpVerifier",
    "SealBroken",
    "Secrets",
    "SqliteOtpStore",
]

Outcome = Literal["verified", "expired_challenge", "error"] | Failure


class InvalidChallenge(ValueError):
    """The token was changed, sealed with another key, or is for another subject, session or action: answer 400."""


@dataclass(frozen=True, slots=True)
class OtpChallenge:
    """A code was demanded.

    Attributes:
        id: of the challenge, as in its events.
        token: sealed; give it to the form as it is, and its answer to `OtpVerifier.verify`. Not in `repr`.
        credential: id of the credential whose code is demanded.
        expires_us: from then on it cannot be answered, microseconds since 1970.
    """

    id: str
    token: str = field(repr=False)
    credential: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class OtpResult:
    """What became of a submitted code; true in a condition if it proved the subject.

    Attributes:
        outcome: `verified`, or why not. `expired_challenge`: it came after the challenge's end, its code was not looked
            at. `error`: the credential was revoked in the meantime; or its last code was of a time that is still to
            come by this machine's clock, which the log says.
        retry_after_s: seconds until a code is looked at again (HTTP `Retry-After`); 0: now, or nobody knows.
        disabled: too many failures in a row: only a new enrolment helps.
        challenge, credential, action, transaction: as challenged.
        verification: id of the proof, for `verification` of the action's event; None where there is none.
        event: as reported.
    """

    outcome: Outcome
    retry_after_s: int
    disabled: bool
    challenge: str
    credential: str
    action: str | None
    transaction: str | None
    verification: str | None
    event: Event

    def __bool__(self) -> bool:
        return self.outcome == "verified"


class OtpVerifier(OtpCredentials):
    """Demands and verifies codes, and does all that `OtpCredentials` does; made with the arguments said there."""

    def challenge(
        self,
        subject: str,
        *,
        reason: str,
        session: str | None = None,
        root_session: str | None = None,
        action: str | None = None,
        transaction: str | None = None,
        credential: str | None = None,
        client: Client | None = None,
    ) -> OtpChallenge:
        """Demand a code of a subject. Reported as `stepup.challenged`.

        Args:
            subject: canonical id.
            reason: why (`amount_over_limit`, `new_payee`, ...); `unknown` counts as a defect.
            session, root_session: where it happens, named as the identity provider names it; those of the request's
                context (`middleware.py`) where no session is given.
            action: the action that it is for; a policy may bind the proof to it.
            transaction: hash of what the person is shown; a policy may bind the proof to it.
            credential: which one, where the subject has several.
            client: whoever initiated it.

        Raises:
            NotEnrolled: no active credential, or not this one.
            ValueError: an argument that is none; `credential` missing though there are several.
        """
        mine = [kept for kept in self.credentials(checked_text("subject", subject)) if credential in (None, kept.id)]
        if not mine:
            raise NotEnrolled(f"credential: {subject} has no active credential{f' {credential}' if credential else ''}")
        if len(mine) > 1:
            raise ValueError(f"credential: {subject} has {len(mine)} of them; say which one is asked for")
        if not session:
            known = context_of(subject)
            session, root_session = known.session, root_session or known.root_session
        now_us = self._now()
        about = About(subject, new_id(), mine[0].id, session, root_session, action, transaction)
        event = self._events.challenged(about, now_us, checked_text("reason", reason), client)
        expires_us = now_us + self._rules.challenge_s * SECOND_US
        sealed = json.dumps({**asdict(about), "expires_us": expires_us}).encode()
        token = self._secrets.seal(_challenge_purpose(self._tenant), sealed)
        self._report(event)
        return OtpChallenge(about.challenge, token, about.credential, expires_us)

    def verify(
        self,
        token: str,
        code: str,
        *,
        subject: str,
        session: str | None = None,
        action: str | None = None,
        transaction: str | None = None,
        client: Client | None = None,
    ) -> OtpResult:
        """Whether this code answers this challenge. Reported as `stepup.verified`, `.failed` or `.expired`.

        Args:
            token: of the challenge, as it came back.
            code: as typed.
            subject: who is signed in here: another's challenge is no answer for them.
            session: where they are, by default the context's; must be the challenge's if that has one.
            action: what is about to be done; must be the challenge's. Not given, a challenge for any action will do:
                then look at `OtpResult.action` before acting.
            transaction: the same of the hash of what the person was shown.
            client: whoever submits it.

        Raises:
            InvalidChallenge: the token is none, or not of this subject, session, action and transaction. The code was
                not looked at, and nothing is reported.
            ValueError: `code` is no text, as where a form lacks the field; or `client` is wrong. The code is not used
                up by it.
            SealBroken: the key with which the credential's secret was sealed is not among the keys any more.
        """
        about, expires_us = self._opened(token)
        if about.subject != subject or about.session not in (None, session or context_of(subject).session):
            raise InvalidChallenge("token: the challenge of another subject or session")
        if action not in (None, about.action) or transaction not in (None, about.transaction):
            raise InvalidChallenge("token: the challenge of another action or transaction")
        now_us = self._now()
        # Before the code is looked at: a wrong argument of the event must not use up a right one.
        event = self._events.verified(about, now_us, self._acr, client)
        if now_us >= expires_us:
            return self._refused(about, now_us, "expired_challenge", None, client)
        kept, attempt = self._attempt(subject, about.credential, code, now_us, "active")
        if attempt is None:
            return self._refused(about, now_us, "error", kept, client)
        if attempt.step is None:
            return self._refused(about, now_us, attempt.failure or "error", attempt.credential, client)
        event["data"]["otp_step"] = attempt.step
        return self._result(about, "verified", event, event["data"]["verification"])

    def _opened(self, token: str) -> tuple[About, int]:
        try:
            said: dict[str, Any] = json.loads(self._secrets.open(_challenge_purpose(self._tenant), token))
        except SealBroken as broken:
            raise InvalidChallenge(f"token: {broken}") from None
        expires_us = said.pop("expires_us")
        return About(**said), expires_us

    def _refused(
        self,
        about: About,
        now_us: int,
        outcome: Literal["expired_challenge"] | Failure,
        kept: OtpCredential | None,
        client: Client | None,
    ) -> OtpResult:
        event = self._events.refused(about, now_us, outcome, client)
        disabled = kept is not None and is_locked(kept, self._rules)
        left_us = 0 if kept is None or disabled else wait_us(kept, now_us, self._rules)
        return self._result(about, outcome, event, None, -(-left_us // SECOND_US), disabled)

    def _result(
        self,
        about: About,
        outcome: Outcome,
        event: Event,
        verification: str | None,
        retry_after_s: int = 0,
        disabled: bool = False,
    ) -> OtpResult:
        self._report(event)
        return OtpResult(
            outcome=outcome,
            retry_after_s=retry_after_s,
            disabled=disabled,
            challenge=about.challenge,
            credential=about.credential,
            action=about.action,
            transaction=about.transaction,
            verification=verification,
            event=event,
        )


def _challenge_purpose(tenant: str) -> str:
    return json.dumps(["otp-challenge", tenant])
