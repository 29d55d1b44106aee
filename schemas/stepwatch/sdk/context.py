"""What is known of the request that is being answered: filled by the middleware, read by the builders.

One object for each request, in a context variable. It is filled in place, so what an inner layer learns (the session,
once the token was checked) is known to the outer ones and to worker threads of the same request too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

CLAIMS: Final = frozenset(
    {"acr", "amr", "auth_time", "iss", "sub", "aud", "azp", "client_id", "sid", "jti", "iat", "exp", "scope"}
)
"""The claims of a token that are evidence (OpenID Connect Core 2, RFC 9068). No other member is copied, so a raw token
or a person's data in a custom claim never gets into an event."""


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever initiated what happened, never the phone that approved it (contract section 3)."""

    ip: str | None = None
    device: str | None = None
    user_agent: str | None = None
    country: str | None = None
    asn: str | int | None = None


@dataclass(slots=True)
class Context:
    """What is known of one request.

    Attributes:
        subject: who is signed in. Where it is known, events about anybody else take nothing from here.
        session, root_session: contract section 1.
        client: filled by the middleware.
        token: claims of the access token, only those of `CLAIMS`; never the token.
    """

    subject: str | None = None
    session: str | None = None
    root_session: str | None = None
    client: Client | None = None
    token: Mapping[str, Any] | None = None

    def fill(
        self,
        *,
        subject: str | None = None,
        session: str | None = None,
        root_session: str | None = None,
        client: Client | None = None,
        token: Mapping[str, Any] | None = None,
    ) -> None:
        """Add what an inner layer learned; what is None stays as it was.

        Args:
            subject: who is signed in.
            session: as the identity provider names it too.
            root_session: the login that the session descends from.
            client: instead of what the middleware found.
            token: the claims of the checked token, of which those of `CLAIMS` are kept.

        Raises:
            TypeError: `token` is no mapping: claims are wanted, the token itself must not get into an event.
        """
        self.subject = subject or self.subject
        self.session = session or self.session
        self.root_session = root_session or self.root_session
        self.client = client or self.client
        if token is not None:
            if not isinstance(token, Mapping):
                raise TypeError(f"token: expected a mapping of claims, got {type(token).__name__}")
            self.token = {name: value for name, value in token.items() if name in CLAIMS} or None


_current: ContextVar[Context | None] = ContextVar("stepwatch.sdk.context", default=None)


def current() -> Context:
    """The context of this request; an empty one, of no effect, where there is none."""
    return _current.get() or Context()


@contextmanager
def use(context: Context) -> Iterator[Context]:
    """Answer in this context: for a job, a queue's message, a test; `use(Context())` for no context at all."""
    before = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(before)


def members_of(part: Any) -> dict[str, Any]:
    """What a small dataclass with slots says, without what is None."""
    return {name: value for name in part.__slots__ if (value := getattr(part, name)) is not None}
