"""One subject: what happened around it, by which factors it proved who it is, and where its sessions were."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepwatch.agents.alert_log import WantedAlerts
from stepwatch.console.action_page import asked_for, away
from stepwatch.console.drawing import NARROW, WIDE, draw
from stepwatch.console.events import EVENTS_MAX, events_of
from stepwatch.console.requests import Refusal, console_of, render
from stepwatch.console.service import Console
from stepwatch.console.shown import us_of
from stepwatch.console.tables import Row, TablesAway
from stepwatch.console.timeline import Mark, Picture, around_span, marks_of
from stepwatch.schemas.times import DAY_US, HOUR_US, parse_time

SPANS: Final = {"1h": HOUR_US, "24h": DAY_US, "7d": 7 * DAY_US, "30d": 30 * DAY_US}
SHOWN_MAX: Final = 200
_SINCE: Final = """tenant = {tenant:String} AND subject = {subject:String}
  AND time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')"""
_LAST: Final = f"""
SELECT toUnixTimestamp64Micro(max(at)) AS last_us, count() AS events FROM (
  SELECT time AS at FROM audit WHERE {_SINCE}
  UNION ALL
  SELECT time FROM authentications WHERE {_SINCE})
"""
_LATELY_US: Final = 31 * DAY_US
_WHEN: Final = f"{_SINCE} AND time <= fromUnixTimestamp64Micro({{until:Int64}}, 'UTC')"
_FACTORS: Final = f"""
SELECT arrayStringConcat(arraySort(amr), ' + ') AS methods, credential, count() AS proofs,
  toUnixTimestamp64Micro(max(time)) AS last_us, uniqExact(client_device) AS devices
FROM authentications_current WHERE {_WHEN} AND proved_at IS NOT NULL
GROUP BY methods, credential ORDER BY proofs DESC, methods, credential LIMIT 50
"""
_SESSIONS: Final = f"""
SELECT session, count() AS actions, countIf(verdict = 'unverified') AS unverified, uniqExact(action) AS kinds,
  toUnixTimestamp64Micro(min(time)) AS first_us, toUnixTimestamp64Micro(max(time)) AS last_us,
  arraySort(groupUniqArray(3)(client_ip)) AS addresses, uniqExact(client_ip) AS address_count
FROM audit_current WHERE {_WHEN} AND session != ''
GROUP BY session ORDER BY last_us DESC, session LIMIT 50
"""


async def subject(request: Request) -> Response:
    """The page: the span that is asked for, or else the last day in which something happened."""
    tenant, name = asked_for(request, "tenant", "subject")
    console, params = console_of(request), request.query_params
    span = params.get("span", "24h") if params.get("span", "24h") in SPANS else "24h"
    whose = {"tenant": tenant, "subject": name}
    try:
        known = await _last(console, whose)
        if not known["events"]:
            raise Refusal(404, "No such subject", "nothing is known of it: a subject is shown under its canonical id")
        until_us = us_of(params.get("until", "")) or min(int(known["last_us"]), console.clock())
        since_us = until_us - SPANS[span]
        when = {**whose, "since": max(since_us, 0), "until": until_us}
        (proofs, actions), factors, sessions = await asyncio.gather(
            events_of(console.tables, tenant, name, since_us, until_us),
            console.tables.rows(_FACTORS, **when),
            console.tables.rows(_SESSIONS, **when),
        )
    except TablesAway as error:
        raise away(error) from error
    marks = marks_of(proofs, actions)
    picture = _picture(marks)
    title = f"What happened around {name}"
    held = console.board.alerts or ()
    wanted = WantedAlerts(tenant=tenant, subject=name)
    # Of many alerts it takes some tenths of a second, in which others are answered.
    alerts = await asyncio.to_thread(lambda: [one for one in held if wanted.holds(one)])
    return render(
        request,
        "subject.html",
        tenant=tenant,
        name=name,
        span=span,
        spans=list(SPANS),
        until=params.get("until", "") if parse_time(params.get("until", "")) else "",
        until_us=until_us,
        since_us=since_us,
        marks=list(reversed(marks))[:SHOWN_MAX],
        omitted=max(len(marks) - SHOWN_MAX, 0),
        cut=len(proofs) == EVENTS_MAX or len(actions) == EVENTS_MAX,
        picture=picture,
        wide=draw(picture, WIDE, title) if picture else "",
        narrow=draw(picture, NARROW, title) if picture else "",
        factors=factors,
        sessions=sessions,
        counts=_counts(actions),
        alerts=sorted(alerts, key=lambda one: str(one["updated_at"]), reverse=True)[:20],
    )


async def _last(console: Console, whose: dict[str, str]) -> Row:
    """The time of the last event of a subject, and how many there are: of a month, or of all time where it has none."""
    known: Row = {"events": 0}
    for since_us in (console.clock() - _LATELY_US, 0):
        # A table is in months: most subjects spare the older ones.
        (known,) = await console.tables.rows(_LAST, since=since_us, **whose)
        if known["events"]:
            break
    return known


def _picture(marks: list[Mark]) -> Picture | None:
    """All of the span's events, from the first to the last."""
    return around_span(marks, marks[0].at_us, marks[-1].at_us) if marks else None


def _counts(actions: list[Row]) -> list[tuple[str, int]]:
    """How many actions of each verdict, those first that somebody should look at."""
    order = ("unverified", "blind", "verified", "exempt", "not_required")
    return [(verdict, count) for verdict in order if (count := sum(row["verdict"] == verdict for row in actions))]
