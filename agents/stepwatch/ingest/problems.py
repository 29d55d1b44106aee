"""What a client is told when its request is refused: RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PROBLEM_JSON = "application/problem+json"
ABOUT_BLANK = "about:blank"
"""RFC 9457: the status says it all."""
AWAY_S = 5


class EventError(BaseModel):
    """What is wrong with one event of a request."""

    index: int = Field(ge=0, description="place of the event in the request, from 0; lines without an event aside")
    field: str = Field(description="path of the first wrong field, `json` where it is no JSON object")
    error: str
    hint: str = ""


class ProblemDetails(BaseModel):
    """RFC 9457, with `errors`: each bad event of a request that was refused whole."""

    type: str = ABOUT_BLANK
    title: str
    status: int
    detail: str
    instance: str
    errors: list[EventError] = []


class Problem(Exception):
    """A request is refused.

    Args:
        status: of the answer.
        detail: what was expected, what came, what to do.
        errors: each bad event.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[EventError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def away(detail: str, after_s: int = AWAY_S) -> Problem:
    """A 503: the same request may succeed later; `after_s` seconds is when to try."""
    return Problem(503, detail, headers={"Retry-After": str(after_s)})


def problem_response(request: Request, problem: Problem) -> Response:
    """The answer that says it."""
    details = ProblemDetails(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        instance=request.url.path,
        errors=problem.errors,
    )
    content: dict[str, Any] = details.model_dump()
    if not problem.errors:
        del content["errors"]
    return JSONResponse(content, problem.status, problem.headers, PROBLEM_JSON)
