"""The routes about alerts (contract section 9): list, one with its history, a person's decision."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stepwatch.agents.alert_log import STATES, Standing
from stepwatch.agents.errors import RoleError
from stepwatch.agents.logs import get_logger
from stepwatch.agents.responding import ACKNOWLEDGE, RESOLVE, Effect, build_response, refusal_of, respond
from stepwatch.ingest import metrics
from stepwatch.ingest.alerts import Alerts
from stepwatch.ingest.asked import PAGING, Decision, read_cursor, read_decision, read_limit, read_wanted
from stepwatch.ingest.bodies import TOO_SLOW, read_away, read_body
from stepwatch.ingest.models import Decided
from stepwatch.ingest.problems import Problem, away
from stepwatch.ingest.routes import check_tenant, ingest_of, token_of
from stepwatch.ingest.service import Ingest
from stepwatch.ingest.tokens import Token
from stepwatch.schemas.responses import Response as Said
from stepwatch.schemas.times import format_time

log = get_logger(__name__)
_NO_STORE: Final = {"Cache-Control": "no-store"}


async def get_alerts(request: Request) -> Response:
    """Alerts, the worst first."""
    token = token_of(request, "read")
    params = request.query_params
    wanted = read_wanted(params, states=STATES[:2], more=PAGING)
    limit, after = read_limit(params), read_cursor(params)
    if wanted.tenant is not None:
        check_tenant(token, wanted.tenant)
    alerts, as_of_us = await ingest_of(request).alerts.up_to_now()
    # Of many alerts it takes some tenths of a second, in which others are answered.
    page, count = await asyncio.to_thread(alerts.page, wanted, token.for_tenant, limit, after)
    said = {"as_of": format_time(as_of_us), "count": count, "alerts": page.rows, "next": page.next}
    return JSONResponse(said, headers=_NO_STORE)


async def get_alert(request: Request) -> Response:
    """One alert and its history."""
    token = token_of(request, "read")
    alerts, as_of_us = await ingest_of(request).alerts.up_to_now()
    alert = _find(alerts, token, request.path_params["id"]).alert
    history, omitted = alerts.history(alert["alert_id"])
    said = {
        "as_of": format_time(as_of_us),
        "alert": alert,
        "history": [asdict(step) for step in history],
        "omitted": omitted,
    }
    return JSONResponse(said, headers=_NO_STORE)


async def acknowledge(request: Request) -> Response:
    """Say that somebody has an alert in hand."""
    return await _decide(request, ACKNOWLEDGE)


async def resolve(request: Request) -> Response:
    """Say that an alert is dealt with."""
    return await _decide(request, RESOLVE)


async def _decide(request: Request, decision: str) -> Response:
    ingest = ingest_of(request)
    body_s = ingest.settings.ingest_body_ms / 1000
    try:
        token = token_of(request, "respond")
        with ingest.held.hold() as hold:
            body = await read_body(request, hold, body_s)
            said = read_decision(request.headers.get("content-type", ""), body)
    except Problem as problem:
        if problem.status != TOO_SLOW:
            await read_away(request, body_s)
        raise
    response, effect = await _respond(ingest, token, request.path_params["id"], decision, said)
    metrics.DECISIONS.labels("pending" if effect.pending else "done" if effect.done else "without effect").inc()
    if not effect.done and not effect.pending:
        raise Problem(409, effect.words)
    await ingest.alerts.has_read(effect.alert, response.id)
    names = ("alert_id", "version", "state", "resolved_by")
    answer = Decided(
        **{name: effect.alert[name] for name in names},
        decision=response.decision,
        by=response.by,
        at=response.at,
        note=response.note,
        seen_version=response.seen_version,
        words=effect.words,
    )
    return JSONResponse(answer.model_dump(), 202 if effect.pending else 200, _NO_STORE)


async def _respond(ingest: Ingest, token: Token, alert_id: str, decision: str, said: Decision) -> tuple[Said, Effect]:
    """Write a decision as the console does, and wait for its effect.

    Raises:
        Problem: 400 that version is still to come; 404 unknown; 409 it would change nothing; 503 Kafka is away.
    """
    alerts, _ = await ingest.alerts.up_to_now()
    standing = _find(alerts, token, alert_id)
    alert = standing.alert
    if refused := refusal_of(alert, decision):
        raise Problem(409, f"{alert_id}: {refused}")
    seen = said.seen_version or alert["version"]
    if seen > alert["version"]:
        words = f"seen_version: the alert is at version {alert['version']}, so nobody has seen {seen} yet"
        raise Problem(400, words)
    if ingest.deciding.locked():
        raise away("other decisions are under way here: repeat it soon", 1)
    response = build_response(alert, decision, name_of(token, said.by), said.note, seen, ingest.clock())
    # Kafka was there a moment ago: whoever waits for an answer does not wait for it to come back.
    settings = ingest.settings.model_copy(update={"start_timeout_ms": ingest.settings.ingest_ack_ms})
    try:
        async with ingest.deciding:
            return response, await respond(settings, standing, response, settings.ingest_respond_ms / 1000)
    except RoleError as error:
        log.warning("a decision about an alert was not read back", words=str(error))
        raise away("Kafka does not answer: whether the decision is written is not known; repeat it") from error


def name_of(token: Token, by: str) -> str:
    """Who decided, for the record: the token, which was proved, and behind it who its holder says it was."""
    return f"token:{token.name}" + (f"/{by}" if by else "")


def _find(alerts: Alerts, token: Token, alert_id: str) -> Standing:
    standing = alerts.get(alert_id)
    if standing is None or not token.for_tenant(standing.alert["tenant"]):
        # One word for both: that there is one of another's is nobody's to know.
        raise Problem(
            404, f"no alert {alert_id[:64]!r}: an id is written in full, and what is long over is in ClickHouse"
        )
    return standing
