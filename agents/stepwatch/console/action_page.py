"""One action: the verdict in force, how it came to be, and every proof that was looked at."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from stepwatch.console.alert_picture import Scene, requirement_of, scene_of_action
from stepwatch.console.events import revisions_of
from stepwatch.console.requests import Refusal, console_of, render, viewer_of
from stepwatch.console.service import Console
from stepwatch.console.tables import Row, TablesAway
from stepwatch.console.timeline import missed_by
from stepwatch.console.weighing import NotWeighed, Weighed, weigh

_CLIENT: Final = (
    ("client_ip", "Address"),
    ("client_device", "Device"),
    ("client_country", "Country"),
    ("user_agent", "User agent"),
)
_JSON_MAX: Final = 100_000
"""Characters of an event that are shown."""


async def action(request: Request) -> Response:
    """The page."""
    tenant, source, action_id = asked_for(request, "tenant", "source", "id")
    console = console_of(request)
    try:
        rows = await revisions_of(console.tables, tenant, source, action_id)
    except TablesAway as error:
        raise away(error) from error
    if not rows:
        raise Refusal(
            404,
            "No such action",
            "nothing is known of it: an action without proof has its verdict only when its policy's grace has ended",
        )
    # Under one id of a source two subjects may have acted: the page is about the newest, and names the others.
    subject = request.query_params.get("subject", "") or max(rows, key=lambda row: int(row["at_us"]))["subject"]
    revisions = [row for row in rows if row["subject"] == subject]
    if not revisions:
        raise Refusal(404, "No such action", "this subject did nothing under that id")
    scene, weighed, why = await _why(console, revisions)
    first, last = revisions[0], revisions[-1]
    return render(
        request,
        "action.html",
        row=last,
        revisions=[(one, _missed(one)) for one in reversed(revisions)],
        missed=_missed(last),
        others=sorted({row["subject"] for row in rows} - {subject}),
        scene=scene,
        weighed=weighed,
        why_not=why,
        required=requirement_of(console, last),
        event=_pretty(first["event_data"]),
        client_fields=_CLIENT,
    )


def _missed(row: Row) -> str:
    """What came nearest to a proof, as a sentence; `""` where nothing did."""
    return str(missed_by(row).get("sentence") or "")


async def _why(console: Console, revisions: list[Row]) -> tuple[Scene, Weighed | None, str]:
    """The picture, the candidates, and why there are none."""
    last = revisions[-1]
    try:
        scene = await scene_of_action(console, last, [])
        if not last["policy"]:
            return scene, None, "no policy matches it, so no proof was asked for"
        if console.sets is None:
            return scene, None, "the policies are not read yet: look again in a moment"
        sets = console.sets
        weighed = await console.tables.use(lambda client: weigh(client, sets, last))
    except TablesAway as error:
        return Scene(), None, str(error)
    except NotWeighed as error:
        return scene, None, str(error)
    return scene, weighed, ""


def asked_for(request: Request, *names: str) -> list[str]:
    """Parameters of the address that must be there, the tenant first.

    Raises:
        Refusal: 400 one is missing; 404 the tenant is not this viewer's, in the words of what is not there.
    """
    values = [request.query_params.get(name, "") for name in names]
    for name, value in zip(names, values, strict=True):
        if not value:
            raise Refusal(
                400, "The address is not whole", f"{name}: missing; follow a link of another page to come here"
            )
    if not viewer_of(request).user.sees(values[0]):
        raise Refusal(404, "Not known", "there is nothing under this address, or it is not yours to see")
    return values


def away(error: TablesAway) -> Refusal:
    """The refusal of a page that lives from the tables."""
    words = f"{error}. Detection, paging and the alerts go on without it; load the page again when it is back"
    return Refusal(503, "ClickHouse is away", words, {"Retry-After": "5"})


def _pretty(text: str) -> str:
    """The event's data as sent, laid out; as it is where it is no JSON."""
    try:
        said: Any = json.loads(text)
        text = json.dumps(said, ensure_ascii=False, indent=2)
    except ValueError:
        pass
    return text if len(text) <= _JSON_MAX else text[:_JSON_MAX] + "\n…"
