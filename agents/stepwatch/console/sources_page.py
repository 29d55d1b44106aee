"""The sources: when each was last heard of, how late its events come, whose clock is ahead, and which are silent."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from stepwatch.console.requests import console_of, render, viewer_of
from stepwatch.console.tables import Row, TablesAway, tenants_of
from stepwatch.schemas.policy import SourceSpec, show_duration
from stepwatch.schemas.times import DAY_US, MINUTE_US

_SEEN: Final = """
SELECT source, countIf(acts) AS actions, countIf(NOT acts) AS proofs, toUnixTimestamp64Micro(max(arrival)) AS last_us,
  quantiles(0.5, 0.99)(late_us) AS late, min(late_us) AS least_us
FROM (
  SELECT source, true AS acts, arrival, toUnixTimestamp64Micro(arrival) - toUnixTimestamp64Micro(time) AS late_us
  FROM audit_current WHERE arrival >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND time >= fromUnixTimestamp64Micro({since:Int64} - 86400000000, 'UTC')
    AND ({all:Bool} OR has({tenants:Array(String)}, tenant))
  UNION ALL
  SELECT source, false, arrival, toUnixTimestamp64Micro(arrival) - toUnixTimestamp64Micro(time)
  FROM authentications_current WHERE arrival >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND time >= fromUnixTimestamp64Micro({since:Int64} - 86400000000, 'UTC')
    AND ({all:Bool} OR has({tenants:Array(String)}, tenant)))
GROUP BY source ORDER BY source
"""
AHEAD_US: Final = 1_000_000
"""An event that is so much later than its own arrival tells of a clock that is ahead."""


async def sources(request: Request) -> Response:
    """All that a policy names, and all that were heard of in the last day."""
    console, user = console_of(request), viewer_of(request).user
    # To the minute: many open pages ask one question.
    since_us = (console.clock() - DAY_US) // MINUTE_US * MINUTE_US
    seen: list[Row] = []
    words = ""
    try:
        seen = await console.tables.recent(_SEEN, since=since_us, **tenants_of(user))
    except TablesAway as error:
        words = str(error)
    in_force = console.sets.at(console.clock()) if console.sets is not None else None
    named = {one.name: one for file in in_force.files for _, one in file.sources} if in_force is not None else {}
    heard = {row["source"]: row for row in seen}
    held = console.board.alerts or ()
    return render(
        request,
        "sources.html",
        503 if words else 200,
        away=words,
        rows=[(name, _demands(named.get(name)), heard.get(name)) for name in sorted({*named, *heard})],
        silent=[
            one
            for one in held
            if one["kind"] == "source_silence" and one["state"] != "resolved" and user.sees(one["tenant"])
        ],
        ahead_us=AHEAD_US,
    )


def _demands(said: SourceSpec | None) -> str:
    """What the policies say of a source, in a line."""
    if said is None:
        return "no policy names it"
    parts = [f"must be heard of every {show_duration(said.silent_after)}"] if said.silent_after is not None else []
    if said.proves is not None:
        parts.append(f"may prove {', '.join(said.proves)}" if said.proves else "proves nothing")
    return "; ".join(parts) or "named, with nothing demanded"
