"""The overview: is the watcher alive, what is open, what was verified lately."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepwatch.agents.alert_log import AlertState
from stepwatch.console.requests import console_of, render, viewer_of
from stepwatch.console.service import Console
from stepwatch.console.signs import Sign, signs_of
from stepwatch.console.tables import Row, TablesAway, tenants_of
from stepwatch.console.users import User
from stepwatch.notifiers.notices import SEVERITIES
from stepwatch.schemas.times import DAY_US, HOUR_US, SECOND_US, format_time
from stepwatch.store.report_plots import PATTERNS, stacked
from stepwatch.streams.wording import duration

NEWEST: Final = 5
RANGES: Final = {"24h": (DAY_US, HOUR_US), "7d": (7 * DAY_US, 6 * HOUR_US), "30d": (30 * DAY_US, DAY_US)}
"""How far back -> the span of one bar."""
KINDS: Final = ("verified", "unverified", "blind")
_VERDICTS: Final = """
SELECT intDiv(toUnixTimestamp64Micro(time), {step:Int64}) * {step:Int64} AS at, verdict, count() AS actions
FROM audit_current
WHERE time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') AND verdict IN ('verified', 'unverified', 'blind')
  AND outcome IN ('success', 'unknown') AND ({all:Bool} OR has({tenants:Array(String)}, tenant))
GROUP BY at, verdict ORDER BY at
"""


async def overview(request: Request) -> Response:
    """The page, or the piece of it that refreshes itself."""
    console, user = console_of(request), viewer_of(request).user
    span = request.query_params.get("range", "24h")
    span = span if span in RANGES else "24h"
    now_us = console.clock()
    # Of many alerts it takes some tenths of a second, in which others are answered.
    alerts = await asyncio.to_thread(_open_alerts, console, user)
    (counts, tables_away), signs = await asyncio.gather(
        _counts(console, user, span, now_us), signs_of(console, user, alerts)
    )
    by_severity = Counter(alert["severity"] for alert in alerts)
    return render(
        request,
        "overview.html",
        head=_head(console, signs, by_severity, len(alerts)),
        signs=signs,
        by_severity=[(severity, by_severity[severity]) for severity in reversed(SEVERITIES)],
        newest=heapq.nlargest(NEWEST, alerts, key=lambda alert: str(alert["updated_at"])),
        span=span,
        ranges=list(RANGES),
        patterns=PATTERNS,
        plot=stacked(bars_of(counts, span, now_us), KINDS, f"Verdicts of the last {span}", "actions"),
        totals={kind: sum(row["actions"] for row in counts if row["verdict"] == kind) for kind in KINDS},
        tables_away=tables_away,
        board=console.board,
    )


def _open_alerts(console: Console, user: User) -> list[AlertState]:
    """Those that are not over, of the tenants that the user sees."""
    held = console.board.alerts or ()
    return [alert for alert in held if alert["state"] != "resolved" and user.sees(alert["tenant"])]


async def _counts(console: Console, user: User, span: str, now_us: int) -> tuple[list[Row], str]:
    back_us, step_us = RANGES[span]
    since_us = now_us - now_us % step_us - back_us + step_us
    try:
        return await console.tables.recent(_VERDICTS, step=step_us, since=since_us, **tenants_of(user)), ""
    except TablesAway as error:
        return [], str(error)


def bars_of(counts: list[Row], span: str, now_us: int) -> list[tuple[str, dict[str, int]]]:
    """Counts by time, with the spans in which nothing happened; none where nothing happened at all."""
    if not counts:
        return []
    back_us, step_us = RANGES[span]
    first_us = now_us - now_us % step_us - back_us + step_us
    bars: dict[int, dict[str, int]] = {at: {} for at in range(first_us, now_us + 1, step_us)}
    for row in counts:
        # An action may be up to 10 minutes ahead of this clock.
        bars.setdefault(int(row["at"]), {})[row["verdict"]] = row["actions"]
    cut = 10 if step_us == DAY_US else 16
    return [(format_time(at)[:cut].replace("T", " "), bars[at]) for at in sorted(bars)]


def _head(console: Console, signs: list[Sign], by_severity: Counter[str], count: int) -> tuple[str, str, str]:
    """What is wrong and what to do: (tone, first line, second line)."""
    if bad := [sign for sign in signs if sign.tone == "bad"]:
        first = f"{bad[0].name}: {bad[0].value}" + (f", and {len(bad) - 1} more" if len(bad) > 1 else "")
        return "bad", f"The watcher is not well: {first}", bad[0].words
    if console.board.away:
        return "odd", "The alerts are not up to date", console.board.away
    worst = next((severity for severity in reversed(SEVERITIES) if by_severity[severity]), "")
    if worst:
        words = (
            f"{count:,} alert{'s wait' if count > 1 else ' waits'} for somebody, {by_severity[worst]:,} of them {worst}"
        )
        return (
            "bad" if worst in ("critical", "high") else "odd",
            words,
            "Take the first one below: acknowledge it, then ask the person.",
        )
    watched = console.watch.seen
    if watched is None or any(sign.tone == "odd" and sign.name == "worker's page" for sign in signs):
        return "odd", "No alert is open, as far as can be seen", "Whether the watcher is alive is not known: see below."
    ago = duration((console.clock() - watched.at_us) // SECOND_US * SECOND_US)
    return "good", "All is quiet: no alert is open", f"The watcher is alive: it was looked at {ago} ago. Nothing to do."
