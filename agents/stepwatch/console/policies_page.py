"""The policies in force: how often each was asked, what came of it, what never fires, and the text of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from stepwatch.console.action_page import away
from stepwatch.console.overview import KINDS, RANGES, bars_of
from stepwatch.console.requests import Refusal, console_of, render, viewer_of
from stepwatch.console.service import Console
from stepwatch.console.tables import Row, TablesAway, tenants_of
from stepwatch.console.weighing import policy_text
from stepwatch.schemas.policy import Policy, show_duration
from stepwatch.store.report_plots import PATTERNS, stacked
from stepwatch.streams.sets import PolicySet

SPAN: Final = "30d"
_OURS: Final = """time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
  AND ({all:Bool} OR has({tenants:Array(String)}, tenant))"""
_COUNTS: Final = f"""
SELECT policy, count() AS actions, countIf(verdict = 'verified') AS verified,
  countIf(verdict = 'unverified') AS unverified, countIf(verdict = 'blind') AS blind,
  countIf(verdict = 'exempt') AS exempt, toUnixTimestamp64Micro(max(time)) AS last_us
FROM audit_current WHERE policy != '' AND {_OURS} GROUP BY policy
"""
_ALERTS: Final = """
SELECT whose AS policy, count() AS raised, countIf(last = 'resolved' AND how = 'person') AS by_person,
  countIf(last = 'resolved' AND how IN ('late_verification', 'revision', 'source_recovered')) AS withdrawn,
  countIf(last != 'resolved') AS waiting
FROM (
  SELECT alert_id, any(policy) AS whose, argMax(state, version) AS last, argMax(resolved_by, version) AS how
  FROM alerts WHERE policy != '' AND opened_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND ({all:Bool} OR has({tenants:Array(String)}, tenant))
  GROUP BY alert_id)
GROUP BY whose
"""
_VERDICTS: Final = f"""
SELECT intDiv(toUnixTimestamp64Micro(time), {{step:Int64}}) * {{step:Int64}} AS at, verdict, count() AS actions
FROM audit_current WHERE policy = {{policy:String}} AND {_OURS} AND verdict IN ('verified', 'unverified', 'blind')
GROUP BY at, verdict
"""
_REASONS: Final = f"""
SELECT verdict, reason, count() AS actions, uniqExact(tenant, subject) AS subjects
FROM audit_current WHERE policy = {{policy:String}} AND {_OURS}
GROUP BY verdict, reason ORDER BY actions DESC, verdict, reason LIMIT 30
"""
_NONE: Final = {"actions": 0, "verified": 0, "unverified": 0, "blind": 0, "exempt": 0, "last_us": 0}
_NO_ALERTS: Final = {"raised": 0, "by_person": 0, "withdrawn": 0, "waiting": 0}


async def policies(request: Request) -> Response:
    """All of the set in force, in the order in which they match, with what came of each."""
    console, span = console_of(request), _span(request)
    in_force = _in_force(console)
    counts: dict[str, Row] = {}
    alerts: dict[str, Row] = {}
    words = ""
    try:
        counts, alerts = await asyncio.gather(_by_policy(request, _COUNTS, span), _by_policy(request, _ALERTS, span))
    except TablesAway as error:
        words = str(error)
    said = _policies(in_force)
    return render(
        request,
        "policies.html",
        503 if words else 200,
        away=words,
        in_force=in_force,
        span=span,
        spans=list(RANGES),
        rows=[(one, _line(one), counts.get(one.id, _NONE), alerts.get(one.id, _NO_ALERTS)) for one in said.values()],
        gone=[(name, row) for name, row in sorted(counts.items()) if name not in said],
    )


async def policy(request: Request) -> Response:
    """One policy: its text, what it said over time, and why."""
    console, span, name = console_of(request), _span(request), request.query_params.get("id", "")
    in_force, user = _in_force(console), viewer_of(request).user
    back_us, step_us = RANGES[span]
    now_us = console.clock()
    asked = {"since": now_us - now_us % step_us - back_us + step_us, "policy": name, **tenants_of(user)}
    try:
        verdicts, reasons, alerts = await asyncio.gather(
            console.tables.recent(_VERDICTS, step=step_us, **asked),
            console.tables.recent(_REASONS, **asked),
            _by_policy(request, _ALERTS, span),
        )
    except TablesAway as error:
        raise away(error) from error
    said = _policies(in_force).get(name)
    if said is None and not reasons:
        raise Refusal(404, "No such policy", "the set in force has none of this name, and no action was judged by one")
    file, text = policy_text(in_force, name) if in_force is not None else ("", "")
    return render(
        request,
        "policy.html",
        name=name,
        said=said,
        line=_line(said) if said else "",
        file=file,
        text=text,
        in_force=in_force,
        span=span,
        spans=list(RANGES),
        patterns=PATTERNS,
        plot=stacked(bars_of(verdicts, span, now_us), KINDS, f"Verdicts of {name}, the last {span}", "actions"),
        reasons=reasons,
        alerts=alerts.get(name, _NO_ALERTS),
    )


def _span(request: Request) -> str:
    span = request.query_params.get("range", SPAN)
    return span if span in RANGES else SPAN


async def _by_policy(request: Request, query: str, span: str) -> dict[str, Row]:
    console, user = console_of(request), viewer_of(request).user
    # To the minute: many open pages ask one question.
    since_us = (console.clock() - RANGES[span][0]) // 60_000_000 * 60_000_000
    rows = await console.tables.recent(query, since=since_us, **tenants_of(user))
    return {row["policy"]: row for row in rows}


def _in_force(console: Console) -> PolicySet | None:
    return console.sets.at(console.clock()) if console.sets is not None else None


def _policies(in_force: PolicySet | None) -> Mapping[str, Policy]:
    return {one.id: one for file in in_force.files for _, one in file.policies} if in_force is not None else {}


def _line(said: Policy) -> str:
    """What a policy demands, in a line."""
    match, require = said.match, said.require
    what: list[Any] = [", ".join(match.action) or "every action"]
    if match.sensitivity:
        what.append(f"of sensitivity {', '.join(match.sensitivity)}")
    what.append("needs " + (" or ".join(require.amr_any) if require.amr_any else "a proof"))
    if require.max_age is not None:
        what.append(f"at most {show_duration(require.max_age)} old")
    return " ".join(what)
