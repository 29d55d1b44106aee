"""The Starlette app: the routes, a problem for everything that goes wrong, and the page that explains it."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route as Path_
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepwatch.agents.logs import get_logger
from stepwatch.ingest import metrics
from stepwatch.ingest.api import EXAMPLE, ROUTES, Route, openapi
from stepwatch.ingest.problems import Problem, problem_response
from stepwatch.ingest.service import Ingest
from stepwatch.ingest.verdicts import Verdicts

log = get_logger(__name__)


class Counting:
    """Counts each request by route and status, and measures it. A path that is no route is `other`: anybody may ask."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, answered = time.perf_counter(), 500, 0.0

        async def note(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                # A stream goes on for hours after that.
                status, answered = message["status"], time.perf_counter()
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = _route_of(scope)
            metrics.REQUESTS.labels(route, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(route).observe((answered or time.perf_counter()) - begun)


def build_app(ingest: Ingest) -> Starlette:
    """The app of one ingest process."""
    paths = [Path_(_starlettes(route), route.endpoint, methods=[route.method]) for route in ROUTES]
    paths += [Path_("/openapi.json", _openapi, methods=["GET"]), Path_("/docs", _docs, methods=["GET"])]
    app = Starlette(
        routes=paths,
        middleware=[Middleware(Counting)],
        exception_handlers={Problem: _problem, HTTPException: _http_problem, Exception: _unforeseen},
    )
    app.router.redirect_slashes = False
    app.state.ingest = ingest
    app.state.verdicts = Verdicts(ingest.settings)
    return app


def _starlettes(route: Route) -> str:
    """Its way to write the path: of one with slashes the end is taken whole, and cut by `routes` before unescaping."""
    return route.path.partition("/{")[0] + "/{rest:path}" if route.slashes else route.path


_PATHS: dict[Any, str] = {route.endpoint: route.path for route in ROUTES}


def _route_of(scope: Scope) -> str:
    return _PATHS.get(scope.get("endpoint"), "other")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request, error)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "no such page; /docs lists them", 405: f"{request.method} is not for this page; /docs lists what is"}
    problem = Problem(error.status_code, words.get(error.status_code, error.detail), headers=error.headers)
    return problem_response(request, problem)


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("a request failed by a fault of ours", route=_route_of(request.scope), exc_info=error)
    return problem_response(request, Problem(500, "a fault of ours, which is in our log; the request may be repeated"))


@cache
def _document() -> dict[str, Any]:
    return openapi()


async def _openapi(request: Request) -> Response:
    return JSONResponse(_document())


@cache
def _page() -> str:
    text = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
    return template.render(document=_document(), example=json.dumps(EXAMPLE))


async def _docs(request: Request) -> Response:
    return HTMLResponse(_page(), headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})
