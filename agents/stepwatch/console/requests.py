"""What every page does first: who asks, may they, does the form come from a page of ours."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stepwatch.agents.logs import get_logger
from stepwatch.console.doors import Viewer
from stepwatch.console.service import Console
from stepwatch.console.shown import environment, path
from stepwatch.console.users import Role, UsersRefused

log = get_logger(__name__)
FORM_BYTES_MAX: Final = 64 * 1024
BODY_S: Final = 10.0
FIELD: Final = "csrf"


class Refusal(Exception):
    """A request is refused: the page says why and what to do.

    Attributes:
        status: of HTTP.
        title, words: what is wrong; what was expected, and what to do.
    """

    def __init__(self, status: int, title: str, words: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.title = title
        self.words = words
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Page:
    """One route.

    Attributes:
        path: as Starlette writes it.
        endpoint: answers.
        role: the least that may ask; None: everybody, and a form looks itself at where it comes from.
        method: GET, or POST for a form.
    """

    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    role: Role | None = "viewer"
    method: str = "GET"


def console_of(request: Request) -> Console:
    """The process that answers."""
    console: Console = request.app.state.console
    return console


def viewer_of(request: Request) -> Viewer:
    """Who asks; of a page that needs a role there always is somebody."""
    viewer: Viewer = request.state.viewer
    return viewer


def form_of(request: Request) -> dict[str, str]:
    """The fields of the form; of several with one name the last."""
    form: dict[str, str] = request.state.form
    return form


def guarded(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a page behind its guards."""

    async def endpoint(request: Request) -> Response:
        # Whoever asks whether we are well is answered whatever the password file is.
        viewer = find_viewer(request) if page.role is not None else None
        request.state.viewer = viewer
        if page.method == "POST":
            _check_origin(request)
            request.state.form = await _read_form(request)
        if page.role is not None:
            if viewer is None:
                return _to_sign_in(request)
            if not viewer.user.may(page.role):
                raise Refusal(
                    403,
                    "You may not do this",
                    f"{viewer.user.name} is a {viewer.user.role}; this needs the role {page.role}: ask whoever runs "
                    "the console (`stepwatch console passwd`)",
                )
            if page.method == "POST" and not viewer.session.allows(form_of(request).get(FIELD, "")):
                raise _foreign_form()
        return await page.endpoint(request)

    return endpoint


def find_viewer(request: Request) -> Viewer | None:
    """Who asks, or None.

    Raises:
        Refusal: 503, the password file cannot be used.
    """
    console = console_of(request)
    try:
        secret = request.cookies.get(cookie_name(request, "stepwatch"), "")
        by_itself = "hx-request" in request.headers or _is_stream(request)
        viewer = console.doors.viewer(secret, by_person=not by_itself)
        console.health.works("users")
        return viewer
    except UsersRefused as error:
        raise users_away(request, error) from error


def users_away(request: Request, error: UsersRefused) -> Refusal:
    """The refusal of everybody; why is for the operator, since the message names a path of this machine."""
    console_of(request).health.waits("users", str(error))
    log.error(str(error), code=error.code)
    return Refusal(503, "Nobody is let in", "the password file cannot be used: /readyz and the log say why")


def cookie_name(request: Request, name: str) -> str:
    """With TLS the browser itself holds such a cookie to this host and to TLS."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that no script reads and no foreign form sends."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        httponly=True,
        # Lax, not strict: whoever comes from an alert's link in a chat is signed in. Forms carry a secret of their own.
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def new_form_secret() -> str:
    """What a form without a session and its cookie both carry."""
    return secrets.token_urlsafe(24)


def check_form_secret(request: Request, name: str) -> None:
    """Refuse a form without a session that comes from elsewhere.

    Raises:
        Refusal: 403.
    """
    held, said = request.cookies.get(cookie_name(request, name), ""), form_of(request).get(FIELD, "")
    if not held or not compare_digest(held.encode("utf-8", "replace"), said.encode("utf-8", "replace")):
        raise _foreign_form()


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        request: says who looks, and whether only a piece is wanted.
        template: its file.
        status: of HTTP.
        values: what the template names.
    """
    console = console_of(request)
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    common = {
        "viewer": viewer,
        "now_us": console.clock(),
        "here": request.url.path,
        "csrf": viewer.session.csrf if viewer is not None else "",
        "piece": request.headers.get("hx-request") == "true",
    }
    # `values` last: the page of a refusal has no viewer, whoever asked.
    return HTMLResponse(environment().get_template(template).render({**common, **values}), status)


def _to_sign_in(request: Request) -> Response:
    if request.method != "GET":
        raise Refusal(401, "You are signed out", "the session has ended: sign in, and do it again")
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = path("/sign-in", {"next": "" if here == "/" else here})
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": path("/sign-in")})
    if _is_stream(request):
        # The browser does not come back by itself after this.
        return Response(status_code=401)
    return RedirectResponse(where, 303)


def _is_stream(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")


def _check_origin(request: Request) -> None:
    """Browsers say where a form comes from; a foreign one is refused before its body is read."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise _foreign_form()
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise _foreign_form()


def _foreign_form() -> Refusal:
    return Refusal(
        403,
        "This form is not from here",
        "it was sent by another page, or by one of a session that has ended: open the page again, and send it from "
        "there",
    )


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        Refusal: 408 it does not come; 413 too long; 415 no form of HTML.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Refusal(
            415, "This is no form", "expected application/x-www-form-urlencoded, as a page of the console sends"
        )
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > FORM_BYTES_MAX:
                    raise Refusal(413, "Too long", f"a form may have {FORM_BYTES_MAX:,} bytes: write a shorter note")
    except TimeoutError as error:
        raise Refusal(408, "Too slow", f"the form did not arrive within {BODY_S:g} s: send it again") from error
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100))
    except ValueError as error:
        raise Refusal(
            400, "This is no form", "its fields cannot be read as UTF-8: send it again from the page"
        ) from error
