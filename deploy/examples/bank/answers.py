"""Requests in, answers out: a body of JSON with a bound, faults as problem details (RFC 9457), and headers for all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BODY_BYTES_MAX: Final = 16 * 1024
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Problem(Exception):
    """An answer that is no success.

    Args:
        status: of HTTP.
        title: what is wrong, in a few words.
        detail: what to do about it.
        headers: further ones.
        more: further members of the body.
    """

    def __init__(
        self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(title)
        self.status, self.headers = status, dict(headers or {})
        self.body = {"title": title, "status": status, "detail": detail, **more}


async def answer_problem(request: Request, problem: Exception) -> JSONResponse:
    """The problem as Starlette answers it."""
    assert isinstance(problem, Problem)
    return JSONResponse(problem.body, problem.status, headers=problem.headers, media_type="application/problem+json")


async def read_fields(request: Request, *names: str) -> list[str]:
    """Texts of a JSON object in the body, none of them empty, in the order of their names.

    A form of another site can send no such type without being asked first.

    Raises:
        Problem: 415, 413 or 400, with the field that is wrong.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, "not JSON", "send the body as application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES_MAX:
            raise Problem(413, "too large", f"send at most {_BODY_BYTES_MAX} bytes")
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "not JSON", "the body cannot be read as JSON") from None
    if not isinstance(said, dict):
        raise Problem(400, "not an object", f"body: expected an object, got {type(said).__name__}")
    for name in names:
        if not isinstance(said.get(name), str) or not said[name]:
            raise Problem(400, f"{name} is missing", f"{name}: expected a text that is not empty")
    return [said[name] for name in names]


class Guarded:
    """ASGI middleware: every answer has the headers by which a browser keeps to this page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)
