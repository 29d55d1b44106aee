"""The table of routes, and the OpenAPI 3.1 document that is made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from stepwatch.ingest import alert_routes, modes, routes, stream_route
from stepwatch.ingest.asked import FILTERS, PAGING, RESUMING, Decision, Parameter
from stepwatch.ingest.models import Accepted, ActionVerdict, AlertPage, AlertShown, Assurance, Decided
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
        also: other statuses that `answer` may have.
        parameters: those that are not in the path.
        body: the model of what it takes, which may be left out.
        kind: content type of an answer that has no model.
        slashes: the parts of its path may hold slashes, so it is cut into them before its escapes are read.
    """

    method: str
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    summary: str
    right: str | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    problems: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    kind: str = "text/plain"
    slashes: bool = False


_DECISION_PROBLEMS: Final = (400, 401, 403, 404, 408, 409, 413, 415, 503)
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
        parameters=(
            Parameter("session", "only those of this session, or of the login that it descends from"),
            Parameter("root_session", "the login that the session descends from, where it is another"),
        ),
        slashes=True,
    ),
    Route(
        "GET",
        "/v1/actions/{tenant}/{source}/{id}",
        routes.get_action,
        "The verdict of an action, with its revisions",
        "read",
        ActionVerdict,
        problems=(400, 401, 403, 404, 503),
        slashes=True,
    ),
    Route(
        "GET",
        "/v1/alerts",
        alert_routes.get_alerts,
        "Alerts, the worst first; those that are not resolved unless asked for others",
        "read",
        AlertPage,
        problems=(400, 401, 403, 503),
        parameters=(*FILTERS, *PAGING),
    ),
    Route(
        "GET",
        "/v1/alerts/{id}",
        alert_routes.get_alert,
        "One alert and its history: versions, and decisions with who, when and why",
        "read",
        AlertShown,
        problems=(401, 403, 404, 503),
    ),
    Route(
        "POST",
        "/v1/alerts/{id}/acknowledge",
        alert_routes.acknowledge,
        "Say that somebody has an alert in hand; answered when its new state is read back",
        "respond",
        Decided,
        problems=_DECISION_PROBLEMS,
        also=(202,),
        body=Decision,
    ),
    Route(
        "POST",
        "/v1/alerts/{id}/resolve",
        alert_routes.resolve,
        "Say that an alert is dealt with; answered when its new state is read back",
        "respond",
        Decided,
        problems=_DECISION_PROBLEMS,
        also=(202,),
        body=Decision,
    ),
    Route(
        "GET",
        "/v1/stream",
        stream_route.get_stream,
        "Alerts as they change, as server-sent events; with `since` first where those stand that changed since",
        "read",
        problems=(400, 401, 403, 503),
        parameters=(*FILTERS, RESUMING),
        kind=stream_route.EVENT_STREAM,
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
        *{model for route in ROUTES for model in (route.answer, route.body) if model is not None},
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
        answers["200"] = {"description": route.summary, "content": {route.kind: {"schema": {"type": "string"}}}}
        if route.path == "/readyz":
            answers["503"] = {**answers["200"], "description": "Something is waited for"}
    else:
        for status in (route.status, *route.also):
            answers[str(status)] = _content("application/json", route.answer)
    operation: dict[str, Any] = {"summary": route.summary, "responses": answers}
    if route.right is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"The token must be one that may {route.right}."
    words = "a slash is written %2F" if route.slashes else "as `alerts` show it, in full"
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters = [_parameter(Parameter(name, words, where="path")) for name in names]
    parameters += [_parameter(parameter) for parameter in route.parameters]
    if parameters:
        operation["parameters"] = parameters
    if route.method == "POST":
        operation["requestBody"] = _events_body() if route.body is None else _body(route.body)
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.many:
        schema = {"type": "array", "items": schema}
    required = parameter.where == "path"
    if required:
        schema["minLength"] = 1
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": required,
        "description": parameter.words,
        "schema": schema,
    }


def _content(kind: str, model: type[BaseModel]) -> dict[str, Any]:
    words = (model.__doc__ or model.__name__).splitlines()[0]
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": words, "content": {kind: {"schema": schema}}}


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": False, "content": {modes.PLAIN: {"schema": schema}}}


def _events_body() -> dict[str, Any]:
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
