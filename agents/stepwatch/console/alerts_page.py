"""The list of alerts: its filters stand in the address, so a view can be sent to somebody."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepwatch.agents.alert_log import STATES, WantedAlerts
from stepwatch.console.requests import Refusal, console_of, render, viewer_of
from stepwatch.ingest.alerts import BadCursor, Page, place_from
from stepwatch.notifiers.notices import SEVERITIES
from stepwatch.streams.wording import PATTERNS

PAGE_ROWS: Final = 50
KINDS: Final = ("unverified_action", "blind", *PATTERNS)
NOT_OVER: Final = "not_over"
ALL: Final = "all"
_TEXTS: Final = ("policy", "subject", "tenant")


async def alerts(request: Request) -> Response:
    """The page, or the piece of it that refreshes itself."""
    console, user = console_of(request), viewer_of(request).user
    asked = _asked(request)
    wanted = WantedAlerts(
        states={NOT_OVER: STATES[:2], ALL: ()}.get(asked["state"], (asked["state"],)),
        severities=(asked["severity"],) if asked["severity"] else (),
        kind=asked["kind"] or None,
        policy=asked["policy"] or None,
        subject=asked["subject"] or None,
        tenant=asked["tenant"] or None,
    )
    after = request.query_params.get("after", "")
    try:
        place = place_from(after) if after else None
    except BadCursor as error:
        raise Refusal(
            400, "No such place in the list", "the end of the address was cut: begin at the first page"
        ) from error
    page, count = Page([], ""), 0
    if (held := console.board.alerts) is not None:
        # Of many alerts it takes some tenths of a second, in which others are answered.
        page, count = await asyncio.to_thread(held.page, wanted, user.sees, PAGE_ROWS, place)
    # Where nobody asked for a condition it is not in the address either.
    said = {name: value for name, value in asked.items() if value and (name, value) != ("state", NOT_OVER)}
    return render(
        request,
        "alerts.html",
        asked=asked,
        said=said,
        after=after,
        rows=page.rows,
        next=page.next,
        count=count,
        states=(NOT_OVER, *STATES, ALL),
        severities=tuple(reversed(SEVERITIES)),
        kinds=KINDS,
        board=console.board,
        many_tenants=user.sees_all or len(user.tenants) > 1,
    )


def _asked(request: Request) -> dict[str, str]:
    """The filters, each one of those that there are.

    Raises:
        Refusal: 400, another word; said with the words that there are.
    """
    params = request.query_params
    asked = {name: params.get(name, "").strip()[:256] for name in ("state", "severity", "kind", *_TEXTS)}
    asked["state"] = asked["state"] or NOT_OVER
    for name, allowed in (("state", (NOT_OVER, *STATES, ALL)), ("severity", SEVERITIES), ("kind", KINDS)):
        if asked[name] and asked[name] not in allowed:
            raise Refusal(400, "No such filter", f"{name}: expected one of {', '.join(allowed)}")
    return asked
