"""What the tests of the step-up verifier share: a clock that they move, a verifier on it, and people's phones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp

from stepwatch.schemas.times import SECOND_US
from stepwatch.sdk.events import Source
from stepwatch.sdk.otp import Enrolment, FernetSecrets, MemoryOtpStore, OtpRules, OtpStore, OtpVerifier

START_US = 1_767_225_600 * SECOND_US
"""2026-01-01T00:00:00Z: the beginning of a time step of 30 s, and of one of 60 s."""
STEP_US = 30 * SECOND_US
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SHOP = Source("/shop", tenant="acme")


@dataclass
class Clock:
    """A clock that stands until it is moved; microseconds since 1970."""

    now_us: int = START_US

    def __call__(self) -> int:
        return self.now_us

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * SECOND_US)


@dataclass
class Desk:
    """A verifier, its clock, and all that it reported."""

    store: OtpStore = field(default_factory=MemoryOtpStore)
    rules: OtpRules = field(default_factory=OtpRules)
    clock: Clock = field(default_factory=Clock)
    events: list[dict[str, Any]] = field(default_factory=list)
    otp: OtpVerifier = field(init=False)

    def __post_init__(self) -> None:
        self.otp = OtpVerifier(
            source=SHOP,
            report=self.events.append,
            store=self.store,
            secrets=FernetSecrets([KEY]),
            issuer="Acme Bank",
            rules=self.rules,
            now=self.clock,
        )

    def enrolled(self, subject: str = "alice") -> Enrolment:
        """A confirmed enrolment; the step of the code that confirmed it is over."""
        made = self.otp.enrol(subject)
        assert self.otp.confirm(subject, made.credential, code(made, self.clock.now_us))
        self.clock.advance(30)
        return made

    def challenged(self, subject: str = "alice", session: str | None = "s-1", **said: Any) -> str:
        """The token of a new challenge."""
        return self.otp.challenge(subject, session=session, reason="amount_over_limit", **said).token

    @property
    def last(self) -> dict[str, Any]:
        """The event that was reported last."""
        return self.events[-1]


def code(made: Enrolment, at_us: int) -> str:
    """What the person's phone shows, having scanned the QR code and knowing nothing else."""
    asked = parse_qs(urlsplit(made.uri).query)
    period_s = int(asked.get("period", ["30"])[0])
    digest = getattr(hashlib, asked.get("algorithm", ["SHA1"])[0].lower())
    totp = pyotp.TOTP(
        asked["secret"][0],
        digits=int(asked.get("digits", ["6"])[0]),
        digest=digest,
        interval=period_s,
    )
    return totp.at(at_us // SECOND_US)


def wrong(right: str) -> str:
    """A code of the same length that is not this one."""
    return str((int(right) + 500_000) % 10 ** len(right)).zfill(len(right))


def prove(desk: Desk, made: Enrolment, typed: str | None = None, **challenge: Any) -> Any:
    """A challenge of this subject, answered at once with the right code or with what is typed."""
    token = desk.challenged(made.subject, **challenge)
    right = code(made, desk.clock.now_us)
    return desk.otp.verify(token, right if typed is None else typed, subject=made.subject, session="s-1")
