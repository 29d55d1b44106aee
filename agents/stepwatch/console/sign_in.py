"""The pages of signing in and out."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stepwatch.console.doors import SignInRefused
from stepwatch.console.requests import (
    check_form_secret,
    console_of,
    cookie_name,
    find_viewer,
    form_of,
    new_form_secret,
    render,
    set_cookie,
)

_FORM: Final = "stepwatch-form"
_FORM_S: Final = 3600


async def show(request: Request) -> Response:
    """The form; whoever is signed in already is led on."""
    if find_viewer(request) is not None:
        return RedirectResponse(_local(request.query_params.get("next", "")), 303)
    params = request.query_params
    return _form(request, _local(params.get("next", "")), token=params.get("token", ""))


async def enter(request: Request) -> Response:
    """Let somebody in, or show the form again with the reason."""
    check_form_secret(request, _FORM)
    console, form = console_of(request), form_of(request)
    address = request.client.host if request.client else ""
    name, after = form.get("name", ""), _local(form.get("next", ""))
    try:
        secret = await console.doors.sign_in(name, form.get("secret", ""), address)
    except SignInRefused as refused:
        status = 429 if refused.wait_s else 403
        answer = _form(request, after, name=name, wrong=str(refused), status=status)
        if refused.wait_s:
            answer.headers["Retry-After"] = str(refused.wait_s)
        return answer
    answer = RedirectResponse(after, 303)
    set_cookie(request, answer, "stepwatch", secret, console.settings.console_session_ms // 1000)
    answer.delete_cookie(cookie_name(request, _FORM), secure=request.url.scheme == "https")
    return answer


async def leave(request: Request) -> Response:
    """End the session."""
    held = cookie_name(request, "stepwatch")
    console_of(request).doors.sessions.end(request.cookies.get(held, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(held, secure=request.url.scheme == "https")
    return answer


def _form(
    request: Request, after: str, *, name: str = "", token: str = "", wrong: str = "", status: int = 200
) -> Response:
    secret = request.cookies.get(cookie_name(request, _FORM), "") or new_form_secret()
    answer = render(
        request,
        "sign_in.html",
        status,
        by_token=console_of(request).doors.by_token,
        csrf=secret,
        after=after,
        name=name[:64],
        token=token[:200],
        wrong=wrong,
    )
    set_cookie(request, answer, _FORM, secret, _FORM_S)
    return answer


def _local(said: str) -> str:
    """Where to go on: a page of ours, whatever an address from elsewhere says."""
    # `//host` and `/\host` are other hosts to a browser, which also drops tabs and line feeds in between.
    fine = said.startswith("/") and not said.startswith(("//", "/\\")) and said.isprintable() and "\\" not in said
    return said if fine else "/"
