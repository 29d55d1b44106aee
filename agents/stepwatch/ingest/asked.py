"""What a request about alerts asks for: filters, page, decision; each that is wrong is named."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from stepwatch.agents.alert_log import STATES, WantedAlerts
from stepwatch.ingest.alerts import BadCursor, Place, place_from
from stepwatch.ingest.modes import PLAIN
from stepwatch.ingest.problems import Problem
from stepwatch.notifiers.notices import SEVERITIES
from stepwatch.schemas.times import parse_time

ALL: Final = "all"
LIMIT: Final = 50
LIMIT_MAX: Final = 1000
TEXT_MAX: Final = 4000
NAME_MAX: Final = 200


class Parameter(NamedTuple):
    """One parameter of a request.

    Attributes:
        choices: what it may be; none: any text.
        many: it may be repeated.
        where: `query` or `header`.
    """

    name: str
    words: str
    choices: tuple[str, ...] = ()
    many: bool = False
    where: str = "query"


FILTERS: Final = (
    Parameter("state", "of these states", (*STATES, ALL), many=True),
    Parameter("severity", "of these severities", SEVERITIES, many=True),
    Parameter("tenant", "of this tenant of the token"),
    Parameter("kind", "of this kind"),
    Parameter("policy", "of this policy"),
    Parameter("subject", "about this subject"),
    Parameter("since", "changed at or after this time, RFC 3339; a + in it is written %2B"),
)
PAGING: Final = (
    Parameter("limit", f"at most so many, 1 to {LIMIT_MAX}; default {LIMIT}"),
    Parameter("cursor", "`next` of the page before"),
)
LAST_EVENT_ID: Final = "Last-Event-ID"
RESUMING: Final = Parameter(LAST_EVENT_ID, "the last `id` that was read; wins over `since`", where="header")


class Decision(BaseModel):
    """Why an alert is acknowledged or resolved."""

    model_config = ConfigDict(strict=True, extra="forbid")
    note: str = Field(default="", max_length=TEXT_MAX, description="kept in the alert's history")
    seen_version: int | None = Field(
        default=None, ge=1, description="the version that was looked at; default: the last one"
    )
    by: str = Field(default="", max_length=NAME_MAX, description="who decides, as far as the holder of the token says")


def read_wanted(params: QueryParams, *, states: tuple[str, ...], more: tuple[Parameter, ...] = ()) -> WantedAlerts:
    """The alerts that a request wants; a parameter that is empty counts as missing.

    Args:
        params: of the request.
        states: those that are meant where it names none.
        more: what else the request may name.

    Raises:
        Problem: 400, a parameter is unknown, given twice, or wrong.
    """
    known = {parameter.name: parameter for parameter in (*FILTERS, *more)}
    for name in params:
        if name not in known:
            raise Problem(400, f"{name[:60]!r} is no parameter of this page: expected {', '.join(known)}")
        if not known[name].many and len(params.getlist(name)) > 1:
            raise Problem(400, f"{name} is given twice: it has one value")
    chosen = {name: _chosen(known[name], params.getlist(name)) for name in ("state", "severity")}
    since = params.get("since", "")
    return WantedAlerts(
        states=() if ALL in chosen["state"] else chosen["state"] or states,
        severities=chosen["severity"],
        tenant=params.get("tenant") or None,
        kind=params.get("kind") or None,
        policy=params.get("policy") or None,
        subject=params.get("subject") or None,
        since_us=read_time("since", since) if since else None,
    )


def read_time(name: str, text: str) -> int:
    """A time in microseconds since 1970.

    Raises:
        Problem: 400, it is none.
    """
    time_us = parse_time(text)
    if time_us is None:
        raise Problem(400, f"{name}: expected an RFC 3339 time like 2026-11-24T09:00:00Z, got {text[:60]!r}")
    return time_us


def read_limit(params: QueryParams) -> int:
    """How many alerts of a page.

    Raises:
        Problem: 400, no number, or too great a one.
    """
    text = params.get("limit", "") or str(LIMIT)
    if (
        not (text.isascii() and text.isdecimal() and len(text) <= len(str(LIMIT_MAX)))
        or not 1 <= int(text) <= LIMIT_MAX
    ):
        raise Problem(400, f"limit: expected a whole number from 1 to {LIMIT_MAX}, got {text[:60]!r}")
    return int(text)


def read_cursor(params: QueryParams) -> Place | None:
    """The place after which a page begins; None: it is the first.

    Raises:
        Problem: 400, it is no cursor of ours.
    """
    text = params.get("cursor", "")
    try:
        return place_from(text) if text else None
    except BadCursor:
        raise Problem(400, f"cursor: expected `next` of the page before, as it is, got {text[:60]!r}") from None


def read_decision(content_type: str, body: bytes) -> Decision:
    """What the body of a decision says; no body says nothing.

    Raises:
        Problem: 400 with the field; 415 it is no JSON.
    """
    if not body.strip():
        return Decision()
    kind = content_type.partition(";")[0].strip().lower()
    if kind != PLAIN:
        raise Problem(415, f"Content-Type: expected {PLAIN}, got {kind[:60]!r}")
    try:
        return Decision.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "json"
        raise Problem(400, f"{field[:60]}: {first['msg']}; expected {', '.join(Decision.model_fields)}") from None


def _chosen(parameter: Parameter, values: list[str]) -> tuple[str, ...]:
    said = tuple(value for value in values if value)
    for value in said:
        if value not in parameter.choices:
            raise Problem(400, f"{parameter.name}: expected one of {', '.join(parameter.choices)}, got {value[:60]!r}")
    return said
