"""One alert: who did what, which proof is missing, the picture, what became of it, and a person's decision."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stepwatch.agents.alert_log import AlertState, Standing
from stepwatch.agents.controls import write_mute
from stepwatch.agents.errors import RoleError
from stepwatch.agents.logs import get_logger
from stepwatch.agents.responding import ACKNOWLEDGE, NOTE, RESOLVE, build_response, refusal_of, respond
from stepwatch.console.advice import FIRST
from stepwatch.console.alert_picture import Scene, scene_of
from stepwatch.console.requests import Refusal, console_of, form_of, render, viewer_of
from stepwatch.console.tables import TablesAway
from stepwatch.notifiers.mutes import match_like, mute_of
from stepwatch.schemas.responses import Response as Said
from stepwatch.schemas.times import DAY_US, HOUR_US

log = get_logger(__name__)
NOTE_MAX: Final = 1000
"""Characters; also the most that a decision's record takes."""
_WAIT_S: Final = 10.0
_KAFKA_MS: Final = 3000
"""Somebody sits before the page: Kafka is not waited for as long as a role does."""
_DONE: Final = {
    ACKNOWLEDGE: "acknowledged: it is yours",
    RESOLVE: "resolved",
    NOTE: "your note is on record",
    "mute": "muted: nobody is told of alerts like this one for that time; `stepwatch notify mutes` lists it, `unmute` "
    "ends it",
}
MUTES: Final = {"1h": HOUR_US, "8h": 8 * HOUR_US, "24h": DAY_US, "7d": 7 * DAY_US}


async def alert(request: Request) -> Response:
    """The page."""
    done = _DONE.get(request.query_params.get("done", ""), "")
    return await _show(request, _find(request), done=done)


async def acknowledge(request: Request) -> Response:
    """Say that somebody has it in hand."""
    return await _decide(request, ACKNOWLEDGE)


async def resolve(request: Request) -> Response:
    """Say that it is dealt with."""
    return await _decide(request, RESOLVE)


async def note(request: Request) -> Response:
    """Write a word into its history."""
    return await _decide(request, NOTE)


async def mute(request: Request) -> Response:
    """Let nobody be told of alerts like this one for a time, with the reason on record."""
    standing, form, console = _find(request), form_of(request), console_of(request)
    text, span = form.get("note", "").replace("\r\n", "\n").strip(), form.get("for", "")
    if span not in MUTES:
        raise Refusal(400, "No such time", f"for: expected one of {', '.join(MUTES)}")
    if not text or len(text) > NOTE_MAX:
        wrong = f"why should nobody be told? Write a note of at most {NOTE_MAX:,} characters"
        return await _show(request, standing, 400, wrong=wrong, note=text)
    now_us = console.clock()
    said = mute_of(match_like(standing.alert), now_us + MUTES[span], text, viewer_of(request).by, now_us)
    try:
        await write_mute(console.settings.model_copy(update={"start_timeout_ms": _KAFKA_MS}), said)
    except RoleError as error:
        log.warning("a mute was not written", words=str(error))
        raise Refusal(503, "Kafka does not answer", "nothing is muted: do it again when it is back") from error
    log.info("muted", mute=said.words)
    return RedirectResponse(f"/alerts/{standing.alert['alert_id']}?done=mute", 303)


async def _show(request: Request, standing: Standing, status: int = 200, **more: Any) -> Response:
    console, alert = console_of(request), standing.alert
    scene, away = Scene(), ""
    try:
        scene = await scene_of(console, alert)
    except TablesAway as error:
        away = str(error)
    assert console.board.alerts is not None
    steps, omitted = console.board.alerts.history(alert["alert_id"])
    values = {"done": "", "wrong": "", "note": "", **more}
    return render(
        request,
        "alert.html",
        status,
        alert=alert,
        scene=scene,
        tables_away=away,
        steps=steps,
        omitted=omitted,
        sent=console.board.sent.of(alert["alert_id"]),
        board=console.board,
        may_answer=viewer_of(request).user.may("responder"),
        refused={decision: refusal_of(alert, decision) for decision in (ACKNOWLEDGE, RESOLVE)},
        note_max=NOTE_MAX,
        mutes=list(MUTES),
        first=FIRST.get(alert["kind"], ""),
        **values,
    )


def _find(request: Request) -> Standing:
    """The alert that is meant.

    Raises:
        Refusal: 404; one word for what is not there and for what is another tenant's, which is nobody's to know.
    """
    console, alert_id = console_of(request), request.path_params["id"]
    if console.board.alerts is None:
        raise Refusal(503, "The alerts are not read yet", console.board.away, {"Retry-After": "2"})
    standing = console.board.alerts.get(alert_id)
    if standing is None or not viewer_of(request).user.sees(standing.alert["tenant"]):
        raise Refusal(
            404,
            "No such alert",
            "its id is not known here: what is long over is in the tables (`stepwatch alerts show ID`), or it is not "
            "yours to see",
        )
    return standing


async def _decide(request: Request, decision: str) -> Response:
    standing, form = _find(request), form_of(request)
    alert, text = standing.alert, form.get("note", "").replace("\r\n", "\n").strip()
    seen = _seen(form.get("seen", ""), alert)
    if len(text) > NOTE_MAX:
        words = f"the note has {len(text):,} characters: expected at most {NOTE_MAX:,}"
        return await _show(request, standing, 400, wrong=words, note=text)
    if decision == NOTE and not text:
        return await _show(request, standing, 400, wrong="the note is empty: write what is to be known about the alert")
    if refused := refusal_of(alert, decision):
        return await _show(request, standing, 409, wrong=refused, note=text)
    console = console_of(request)
    response = build_response(alert, decision, viewer_of(request).by, text, seen, console.clock())
    wrong = await _respond(request, standing, response)
    if wrong:
        return await _show(request, _find(request), 409, wrong=wrong, note=text)
    return RedirectResponse(f"/alerts/{alert['alert_id']}?done={decision}", 303)


def _seen(said: str, alert: AlertState) -> int:
    """The version that the person was looking at.

    Raises:
        Refusal: 400, no number, or one that nobody has seen yet.
    """
    if not (said.isascii() and said.isdecimal() and len(said) < 19 and 1 <= int(said) <= alert["version"]):
        raise Refusal(
            400, "No such version", f"seen: expected 1 to {alert['version']}, as the page says it: open it again"
        )
    return int(said)


async def _respond(request: Request, standing: Standing, response: Said) -> str:
    """Write a decision, and wait until it is read back; returns why it has no effect, `""` where it has.

    Raises:
        Refusal: 503 Kafka is away, or others decide at the moment.
    """
    console = console_of(request)
    if console.deciding.locked():
        raise Refusal(503, "Others decide at the moment", "do it again in a second", {"Retry-After": "1"})
    settings = console.settings.model_copy(update={"start_timeout_ms": _KAFKA_MS})
    try:
        async with console.deciding:
            effect = await respond(settings, standing, response, _WAIT_S)
    except RoleError as error:
        log.warning("a decision about an alert was not read back", words=str(error))
        raise Refusal(
            503, "Kafka does not answer", "whether your decision is written is not known: do it again, it counts once"
        ) from error
    if not effect.done:
        return effect.words
    await console.board.reads(response.alert_id, effect.alert["version"], response.id, _KAFKA_MS / 1000)
    return ""
