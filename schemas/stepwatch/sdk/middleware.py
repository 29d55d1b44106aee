"""ASGI and WSGI middleware: what the request says of its session, client and token, for the builders.

    app = AsgiContext(app, trusted_proxies=["192.0.2.0/24"])
    current().fill(subject="alice", session="s-81", token=claims)  # in the authentication layer, further in

The middleware checks no token and reads none. What an authentication layer further in has found out it fills in from
there; one further out (its words are in the scope or environ by then) is asked by `who`. Say the subject with it: a
session of nobody in particular is filled into events about anybody.

A task that a request starts and that outlives it, such as a worker started lazily, keeps the request's context: let
it run in `use(Context())`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from stepwatch.sdk.context import Client, Context, use
from stepwatch.sdk.proxies import TrustedProxies
from stepwatch.sdk.saying import say_error

USER_AGENT_MAX: Final = 1024
"""Characters; the rest is cut."""
_LOG_EVERY_S: Final = 60.0
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Who:
    """What an authentication layer knows of a request.

    Attributes:
        subject: the canonical id of whoever is signed in. Without it the rest is said of whomever an event concerns.
        session, root_session: contract section 1.
        token: the claims of the checked access token, never the token; those of `context.CLAIMS` are kept.
    """

    subject: str | None = None
    session: str | None = None
    root_session: str | None = None
    token: Mapping[str, Any] | None = None


class _Filling:
    """What both middlewares do."""

    def __init__(self, who: Callable[[Any], Who | None] | None, trusted_proxies: Iterable[str]) -> None:
        self._who = who
        self._proxies = TrustedProxies(trusted_proxies)
        self._said_at = float("-inf")

    def context(self, request: Any, peer: str | None, forwarded_for: str, user_agent: str) -> Context:
        agent = user_agent.encode("utf-8", "replace").decode()[:USER_AGENT_MAX] or None
        ip = self._proxies.client_of(peer, forwarded_for)
        context = Context(client=Client(ip=ip, user_agent=agent) if ip or agent else None)
        try:
            who = self._who(request) if self._who is not None else None
            if who is not None:
                context.fill(subject=who.subject, session=who.session, root_session=who.root_session, token=who.token)
        except Exception:
            # The request is answered all the same; what is reported in it lacks a session, and that is said.
            if time.monotonic() - self._said_at >= _LOG_EVERY_S:
                self._said_at = time.monotonic()
                say_error("`who` raised: events of this request name no session")
        return context


class AsgiContext:
    """ASGI middleware: a context for each request and each websocket."""

    def __init__(
        self, app: AsgiApp, *, who: Callable[[Scope], Who | None] | None = None, trusted_proxies: Iterable[str] = ()
    ) -> None:
        """Wrap an application.

        Args:
            app: ASGI 3.
            who: from the scope, what is known of the request.
            trusted_proxies: whose `X-Forwarded-For` is believed, see `TrustedProxies`.

        Raises:
            ValueError: a proxy is no address and no network.
        """
        self._app = app
        self._filling = _Filling(who, trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request in its context."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, str] = {}
        for name, value in scope.get("headers", ()):
            said = value.decode("latin-1")
            headers[name] = f"{headers[name]},{said}" if name in headers else said
        peer = (scope.get("client") or [None])[0]
        context = self._filling.context(
            scope, peer, headers.get(b"x-forwarded-for", ""), headers.get(b"user-agent", "")
        )
        with use(context):
            await self._app(scope, receive, send)


class WsgiContext:
    """WSGI middleware: a context for each request, until its function returned.

    A body that is produced while it is sent is outside of it: report before.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        who: Callable[[dict[str, Any]], Who | None] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        """Wrap an application.

        Args:
            app: PEP 3333.
            who: from the environ, what is known of the request.
            trusted_proxies: whose `X-Forwarded-For` is believed, see `TrustedProxies`.

        Raises:
            ValueError: a proxy is no address and no network.
        """
        self._app = app
        self._filling = _Filling(who, trusted_proxies)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request in its context."""
        context = self._filling.context(
            environ,
            environ.get("REMOTE_ADDR"),
            environ.get("HTTP_X_FORWARDED_FOR", ""),
            environ.get("HTTP_USER_AGENT", ""),
        )
        with use(context):
            return self._app(environ, start_response)
