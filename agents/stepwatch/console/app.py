"""The Starlette app: every route with the role that it needs, the headers of answers, a page for what goes wrong."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepwatch.agents.logs import get_logger
from stepwatch.console import (
    action_page,
    alert_page,
    alerts_page,
    letters_page,
    overview,
    policies_page,
    search_page,
    sign_in,
    sources_page,
    subject_page,
)
from stepwatch.console.requests import Page, Refusal, console_of, guarded, render, users_away, viewer_of
from stepwatch.console.service import Console
from stepwatch.console.users import UsersRefused

log = get_logger(__name__)
_HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it browsers send forms without saying where they come from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


async def live(request: Request) -> Response:
    """Server-sent events: something has changed, ask again."""
    console = console_of(request)
    if console.changes.full:
        raise Refusal(
            503, "Too many live pages", "this page does not refresh itself: load it again", {"Retry-After": "30"}
        )
    stream = console.changes.stream(console.doors.still(viewer_of(request)))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def healthz(request: Request) -> Response:
    """Alive is whoever answers."""
    return PlainTextResponse("alive\n")


async def readyz(request: Request) -> Response:
    """Ready, or what is waited for, in words."""
    health = console_of(request).health
    return PlainTextResponse(health.words() + "\n", 200 if health.ready else 503)


PAGES: Final = (
    Page("/", overview.overview),
    Page("/alerts", alerts_page.alerts),
    Page("/alerts/{id}", alert_page.alert),
    Page("/alerts/{id}/acknowledge", alert_page.acknowledge, "responder", "POST"),
    Page("/alerts/{id}/resolve", alert_page.resolve, "responder", "POST"),
    Page("/alerts/{id}/note", alert_page.note, "responder", "POST"),
    Page("/alerts/{id}/mute", alert_page.mute, "responder", "POST"),
    Page("/action", action_page.action),
    Page("/subject", subject_page.subject),
    Page("/search", search_page.search),
    Page("/search.csv", search_page.as_csv),
    Page("/search.parquet", search_page.as_parquet),
    Page("/policies", policies_page.policies),
    Page("/policy", policies_page.policy),
    Page("/sources", sources_page.sources),
    Page("/dead-letters", letters_page.letters),
    Page("/dead-letters/{id}", letters_page.letter),
    Page("/dead-letters/{id}/replay", letters_page.replay, "admin", "POST"),
    Page("/live", live),
    Page("/sign-in", sign_in.show, None),
    Page("/sign-in", sign_in.enter, None, "POST"),
    Page("/sign-out", sign_in.leave, "viewer", "POST"),
    Page("/healthz", healthz, None),
    Page("/readyz", readyz, None),
)
"""Every route, and who may ask; the tests walk this table."""


def build_app(console: Console) -> Starlette:
    """The app of one console process."""
    routes = [Route(page.path, guarded(page), methods=[page.method]) for page in PAGES]
    files = [Mount(f"/{name}", StaticFiles(directory=_HERE / name), name=name) for name in ("static", "vendored")]
    app = Starlette(
        routes=[*routes, *files],
        middleware=[Middleware(Guarding)],
        exception_handlers={Refusal: _refusal, UsersRefused: _users, HTTPException: _http, Exception: _unforeseen},
    )
    app.router.redirect_slashes = False
    app.state.console = console
    return app


class Guarding:
    """Puts onto every answer what keeps it from being framed, sniffed, kept, or run with any script but our own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guard(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                is_file = scope["path"].startswith(("/static/", "/vendored/"))
                headers["Cache-Control"] = "no-cache" if is_file else "no-store"
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, guard)


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    answer = render(request, "refused.html", error.status, title=error.title, words=error.words)
    answer.headers.update(error.headers)
    return answer


async def _users(request: Request, error: Exception) -> Response:
    assert isinstance(error, UsersRefused)
    return await _refusal(request, users_away(request, error))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {
        404: "there is no such page: see the address, or begin at the overview",
        405: "this page takes no such request",
    }
    title = "No such page" if error.status_code == 404 else HTTPStatus(error.status_code).phrase
    return await _refusal(request, Refusal(error.status_code, title, words.get(error.status_code, error.detail)))


async def _unforeseen(request: Request, error: Exception) -> Response:
    # The path without its query: a subject's name is nobody's business in a log.
    log.error("a page failed by a fault of ours", page=request.url.path, exc_info=error)
    words = "a fault of ours, which is in the console's log: load the page again; if it stays, report it with that"
    return await _refusal(request, Refusal(500, "This should not have happened", words))
