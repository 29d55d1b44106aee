"""The verifier for asyncio: the same calls, awaited, so that a store that waits for its disk holds nobody else up."""

from __future__ import annotations

import asyncio
from typing import Literal

from stepwatch.sdk.context import Client
from stepwatch.sdk.otp import Enrolment, OtpChallenge, OtpCredential, OtpResult, OtpVerifier


class AsyncOtpVerifier:
    """`OtpVerifier` with each call in a thread of the loop's pool; what they take, say and raise is said there.

    A call that is cancelled is still done, and reported: a code that was looked at stays looked at.

    Args:
        verifier: does the work.
    """

    def __init__(self, verifier: OtpVerifier) -> None:
        self._verifier = verifier

    async def enrol(
        self,
        subject: str,
        *,
        account: str | None = None,
        algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1",
        digits: Literal[6, 7, 8] = 6,
        period_s: int = 30,
    ) -> Enrolment:
        """As `OtpVerifier.enrol`."""
        return await asyncio.to_thread(
            self._verifier.enrol, subject, account=account, algorithm=algorithm, digits=digits, period_s=period_s
        )

    async def confirm(self, subject: str, credential: str, code: str) -> bool:
        """As `OtpVerifier.confirm`."""
        return await asyncio.to_thread(self._verifier.confirm, subject, credential, code)

    async def credentials(self, subject: str) -> list[OtpCredential]:
        """As `OtpVerifier.credentials`."""
        return await asyncio.to_thread(self._verifier.credentials, subject)

    async def challenge(
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
        """As `OtpVerifier.challenge`."""
        return await asyncio.to_thread(
            self._verifier.challenge,
            subject,
            reason=reason,
            session=session,
            root_session=root_session,
            action=action,
            transaction=transaction,
            credential=credential,
            client=client,
        )

    async def verify(
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
        """As `OtpVerifier.verify`."""
        return await asyncio.to_thread(
            self._verifier.verify,
            token,
            code,
            subject=subject,
            session=session,
            action=action,
            transaction=transaction,
            client=client,
        )

    async def revoke(self, subject: str, credential: str) -> bool:
        """As `OtpVerifier.revoke`."""
        return await asyncio.to_thread(self._verifier.revoke, subject, credential)
