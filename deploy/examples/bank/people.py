"""Who may come in, the session of each visit, and the phones of this demonstration."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import pyotp

from stepwatch.sdk.otp import Enrolment, OtpChallenge

from .payouts import Desk

_VISITS_MAX: Final = 1000


class Phone:
    """An authenticator app on the same page. Only a demonstration has that: who holds the page holds the factor too."""

    def __init__(self) -> None:
        self._totp: pyotp.TOTP | None = None

    def scan(self, uri: str) -> None:
        """Take the secret of a QR code, instead of what was there."""
        totp = pyotp.parse_uri(uri)
        assert isinstance(totp, pyotp.TOTP), "the bank enrols nothing else"
        self._totp = totp

    def shows(self) -> tuple[str, int] | None:
        """The code and for how many seconds it is the current one; None where nothing was scanned."""
        if self._totp is None:
            return None
        now_s = time.time_ns() // 1_000_000_000
        return self._totp.at(now_s), self._totp.interval - now_s % self._totp.interval


@dataclass(slots=True)
class Person:
    """Somebody who works at the bank's payments desk."""

    id: str
    name: str
    desk: Desk
    phone: Phone


@dataclass(slots=True)
class Visit:
    """One person from their sign-in to their sign-out.

    Attributes:
        person: who.
        session: as it stands in events; not what the cookie holds.
        enrolment: not confirmed yet; its QR code is on the page.
        challenge: the last one that was not answered, and the payout that it is for.
        used_code: the last code that was accepted here.
    """

    person: Person
    session: str
    enrolment: Enrolment | None = None
    challenge: tuple[str, OtpChallenge] | None = None
    used_code: str = ""


class Lobby:
    """The three people, and who of them is signed in where."""

    def __init__(self) -> None:
        names = {"ada": "Ada Okafor", "ben": "Ben Lindqvist", "chloe": "Chloé Martin"}
        self.people = {
            who: Person(who, name, Desk(1000 * number), Phone()) for number, (who, name) in enumerate(names.items(), 1)
        }
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, person: Person) -> tuple[str, Visit]:
        """A new visit, and the cookie by which it is known; beyond the bound the oldest one ends."""
        cookie, visit = secrets.token_urlsafe(32), Visit(person, f"s-{secrets.token_hex(6)}")
        with self._lock:
            self._visits[cookie] = visit
            while len(self._visits) > _VISITS_MAX:
                self._visits.popitem(last=False)
        return cookie, visit

    def visit(self, cookie: str | None) -> Visit | None:
        """The visit of a cookie."""
        return self._visits.get(cookie or "")

    def leave(self, cookie: str) -> None:
        """End a visit."""
        with self._lock:
            self._visits.pop(cookie, None)
