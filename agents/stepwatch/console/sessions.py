"""Who is signed in: sessions of this process, which expire, and the secret that each of their forms carries."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

SESSIONS_MAX: Final = 10_000
"""Some 1 KB each; beyond it the one that was used longest ago ends."""


@dataclass(slots=True)
class Session:
    """One signed-in browser.

    Attributes:
        user: name.
        proof: of the password by which it signed in: another one ends the session.
        csrf: the secret that each form of this session carries.
        began_us, used_us: the wall clock at sign-in, and at the last request that a person made.
    """

    user: str
    proof: str
    csrf: str
    began_us: int
    used_us: int

    def allows(self, said: str) -> bool:
        """Whether a form came from a page of this session."""
        return compare_digest(said.encode("utf-8", "surrogateescape"), self.csrf.encode())


class Sessions:
    """The sessions of a process; a restart ends them all.

    Args:
        idle_us: how long one may lie unused.
        most_us: how long one lasts at most.
        clock: microseconds since 1970.
    """

    def __init__(self, idle_us: int, most_us: int, clock: Callable[[], int]) -> None:
        self._idle_us = idle_us
        self._most_us = most_us
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def begin(self, user: str, proof: str) -> tuple[str, Session]:
        """A new session, and the secret by which its browser is known; the secret is kept nowhere."""
        now_us = self._clock()
        if len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used_us)]
        secret = secrets.token_urlsafe(32)
        session = Session(user, proof, secrets.token_urlsafe(32), now_us, now_us)
        self._sessions[_key(secret)] = session
        return secret, session

    def find(self, secret: str, *, by_person: bool) -> Session | None:
        """The live session of a secret.

        Args:
            secret: from the cookie.
            by_person: a page that refreshes itself does not keep its session alive.
        """
        key, now_us = _key(secret), self._clock()
        session = self._sessions.get(key)
        if session is None:
            return None
        if not self.lives(session):
            del self._sessions[key]
            return None
        if by_person:
            session.used_us = now_us
        return session

    def lives(self, session: Session) -> bool:
        """Whether a session has neither lain unused for too long nor lasted too long; at the limit it has ended."""
        now_us = self._clock()
        return now_us < session.used_us + self._idle_us and now_us < session.began_us + self._most_us

    def end(self, secret: str) -> None:
        """End a session, if it is one."""
        self._sessions.pop(_key(secret), None)


def _key(secret: str) -> str:
    # A look-up by the secret itself would take a time that tells of it.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
