"""Signing in and out: by a password of the file, or on a laptop by the token that was printed at the start."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from stepwatch.console.attempts import Attempts
from stepwatch.console.sessions import Session, Sessions
from stepwatch.console.users import User, Users, UsersRefused, is_password

_HASHING_AT_ONCE: Final = 2
"""Each takes 64 MiB and a core for some 50 ms; who waits here waits for a guesser at most."""


class SignInRefused(Exception):
    """Nobody is let in; the message says why, and never whether there is such a user.

    Attributes:
        wait_s: how long to wait before the next try; 0: no need.
    """

    def __init__(self, words: str, wait_s: int = 0) -> None:
        super().__init__(words)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: the user as the file says now, and the session."""

    user: User
    session: Session

    @property
    def by(self) -> str:
        """How what this person decides is signed."""
        return f"console:{self.user.name}"


class Doors:
    """Who is let in.

    Args:
        users: of the password file.
        token: opens where that file has no user; `""`: nothing does.
        owner: whose name a decision bears that was made with the token.
        sessions, attempts: of this process.
    """

    def __init__(self, users: Users, token: str, owner: str, sessions: Sessions, attempts: Attempts) -> None:
        self.sessions = sessions
        self._users = users
        self._token = token
        self._owner = User(name=owner, hash="", role="admin", tenants=("*",))
        self._attempts = attempts
        self._hashing = asyncio.Semaphore(_HASHING_AT_ONCE)

    @property
    def by_token(self) -> bool:
        """Whether the token opens: nobody has a password yet. Raises UsersRefused."""
        return not self._users.now()

    def viewer(self, secret: str, *, by_person: bool) -> Viewer | None:
        """Who a cookie is of; None where nobody's, or where the user is gone or has another password.

        Raises:
            UsersRefused: the password file cannot be used.
        """
        session = self.sessions.find(secret, by_person=by_person) if secret else None
        if session is None:
            return None
        user = self._owner if self.by_token else self._users.now().get(session.user)
        if user is None or not compare_digest(session.proof, self._proof_of(user)):
            self.sessions.end(secret)
            return None
        return Viewer(user, session)

    def still(self, viewer: Viewer) -> Callable[[], bool]:
        """Asks whether a viewer may go on watching: the session lives, the user is there and sees the same."""

        def lives() -> bool:
            try:
                user = self._owner if self.by_token else self._users.now().get(viewer.user.name)
            except UsersRefused:
                return False
            return user == viewer.user and self.sessions.lives(viewer.session)

        return lives

    async def sign_in(self, name: str, secret: str, address: str) -> str:
        """Let somebody in.

        Args:
            name: of the user; not looked at where the token opens.
            secret: the password, or the token.
            address: from where, for the limits.

        Returns:
            The secret of the new session.

        Raises:
            SignInRefused: wrong, or tried too often.
            UsersRefused: the password file cannot be used.
        """
        by_token = self.by_token
        name = self._owner.name if by_token else name
        wait_s = self._attempts.wait_s(name, address)
        if wait_s:
            raise SignInRefused(f"too many tries: wait {wait_s} s", wait_s)
        user = await self._known(name, secret, by_token=by_token)
        if user is None:
            self._attempts.fail(name, address)
            words = "this is not the token" if by_token else "name or password is wrong"
            raise SignInRefused(words)
        self._attempts.succeed(name, address)
        return self.begin(user)[0]

    def begin(self, user: User) -> tuple[str, Session]:
        """A session of somebody who has proved who they are, and its secret."""
        return self.sessions.begin(user.name, self._proof_of(user))

    async def _known(self, name: str, secret: str, *, by_token: bool) -> User | None:
        if by_token:
            # Of a wrong token every byte is compared: how long it takes says nothing.
            right = compare_digest(secret.strip().encode("utf-8", "surrogateescape"), self._token.encode())
            return self._owner if self._token and right else None
        user = self._users.now().get(name)
        async with self._hashing:
            return user if await asyncio.to_thread(is_password, user, secret) else None

    def _proof_of(self, user: User) -> str:
        return hashlib.sha256((user.hash or self._token).encode()).hexdigest()
