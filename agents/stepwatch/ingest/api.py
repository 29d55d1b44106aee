"""The table of routes, and the OpenAPI 3.1 document that is made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from stepwatch.ingest import modes, routes
from stepwatch.ingest.models import Accepted, ActionVerdict, Assurance
from stepwatch.ingest.problems import PROBLEM_JSON, ProblemDetails
from stepwatch.schemas.events import Event

EXAMPLE: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "01JDEXAMPLE",
    "source": "/payments/api",
    "type": "stepwatch.action.performed",
    "time": "2026-11-24T09:15:02.120Z",
    "subject": "alice",
    "data": {"tenant": "acme", "session": "s-81", "action": "payments.payout.approve"},
}


class Route(NamedTuple):
    """One route.

    Attributes:
        path: as OpenAPI writes it.
        right: what its token must allow; None: no token is asked for.
        answer: the model of what it answers when all is well, with that status.
        problems: the statuses of its problem details.
        query: names of its parameters after `?`, and what they mean.
    """

    method: str
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    summary: str
    right: str | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    problems: tuple[int, ...] = ()
    query: tuple[tuple[str, str], ...] = ()


ROUTES: Final = (
    Route(
        "POST",
        "/v1/events",
        routes.post_events,
        "Report events: one, a batch or lines; all are taken or none",
        "post",
        Accepted,
        202,
        (400, 401, 403, 408, 413, 415, 503),
    ),
    Route(
        "GET",
        "/v1/assurance/{tenant}/{subject}",
        routes.get_assurance,
        "The live verifications of a subject, with their ages",
        "read",
        Assurance,
        problems=(400, 401, 403, 503),
        query=(
            ("session", "only those of this session, or of the login that it descends from"),
            ("root_session", "the login that the session descends from, where it is another"),
        ),
    ),
    Route(
        "GET",
        "/v1/actions/{tenant}/{source}/{id}",
        routes.get_action,
        "The verdict of an action, with its revisions",
        "read",
        ActionVerdict,
        problems=(400, 401, 403, 404, 503),
    ),
    Route("GET", "/healthz", routes.healthz, "Alive"),
    Route("GET", "/readyz", routes.readyz, "Ready, or what is waited for, in words"),
    Route("GET", "/metrics", routes.show_metrics, "Prometheus metrics"),
)


def openapi() -> dict[str, Any]:
    """The document."""
    models: list[type[BaseModel]] = [
        Event,
        ProblemDetails,
        *(route.answer for route in ROUTES if route.answer is not None),
    ]
    _, defined = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stepwatch ingest API", "version": version("stepwatch")},
        "paths": paths,
        "components": {
            "schemas": defined["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    answers: dict[str, Any] = {str(status): _content(PROBLEM_JSON, ProblemDetails) for status in route.problems}
    if route.answer is None:
        answers["200"] = {"description": route.summary, "content": {"text/plain": {"schema": {"type": "string"}}}}
        if route.path == "/readyz":
            answers["503"] = {**answers["200"], "description": "Something is waited for"}
    else:
        answers[str(route.status)] = _content("application/json", route.answer)
    operation: dict[str, Any] = {"summary": route.summary, "responses": answers}
    if route.right is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"The token must be one that may {route.right}."
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters = [_parameter(name, "path", "a slash is written %2F", required=True) for name in names]
    parameters += [_parameter(name, "query", words, required=False) for name, words in route.query]
    if parameters:
        operation["parameters"] = parameters
    if route.method == "POST":
        operation["requestBody"] = _request_body()
    return operation


def _parameter(name: str, where: str, words: str, *, required: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if required:
        schema["minLength"] = 1
    return {"name": name, "in": where, "required": required, "description": words, "schema": schema}


def _content(kind: str, model: type[BaseModel]) -> dict[str, Any]:
    words = (model.__doc__ or model.__name__).splitlines()[0]
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": words, "content": {kind: {"schema": schema}}}


def _request_body() -> dict[str, Any]:
    one: dict[str, Any] = {"$ref": "#/components/schemas/Event"}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": modes.EVENTS_MAX}
    return {
        "required": True,
        "content": {
            modes.STRUCTURED: {"schema": one, "example": EXAMPLE},
            modes.BATCH: {"schema": many, "example": [EXAMPLE]},
            modes.PLAIN: {"schema": {"oneOf": [one, many]}, "example": EXAMPLE},
            modes.NDJSON[0]: {"schema": {"type": "string"}},
        },
    }
