"""Where `stepwatch alerts` reads: ClickHouse, and where that is away Kafka's compacted topic; one alert by its id."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import msgspec

from stepwatch.agents.alert_log import (
    AlertState,
    Standing,
    Step,
    WantedAlerts,
    change_of,
    decision_of,
    read_past,
    read_standing,
    worst_first,
)
from stepwatch.agents.settings import Settings
from stepwatch.cli.errors import Misused, NoTables, ServerAway
from stepwatch.cli.screen import shown
from stepwatch.cli.sql import ask
from stepwatch.schemas.compiled import FastAlertRow

FROM_CLICKHOUSE = "from ClickHouse"
_TIMES = ("first_time", "last_time", "opened_at", "updated_at", "closes_at")
_CANDIDATES_MAX = 5


@dataclass(frozen=True, slots=True)
class Alerts:
    """Some alerts, those to look at first.

    Attributes:
        rows: at most as many as were asked for.
        count: how many there are.
        where: from where they were read, and why from there.
    """

    rows: list[AlertState]
    count: int
    where: str


def find_alerts(settings: Settings, wanted: WantedAlerts, limit: int) -> Alerts:
    """The alerts that are wanted, the worst first; `limit` 0: all of them.

    Raises:
        RoleError: ClickHouse is away, and Kafka too.
        Misused: ClickHouse refuses us.
    """
    try:
        rows = _from_clickhouse(settings, wanted)
        where = FROM_CLICKHOUSE
    except (ServerAway, NoTables) as away:
        rows = [one.alert for one in asyncio.run(read_standing(settings)).values() if wanted.holds(one.alert)]
        where = f"from Kafka's {settings.topics.alerts}, which forgets what is long over: {away}"
    ordered = worst_first(rows)
    return Alerts(ordered[:limit] if limit else ordered, len(ordered), where)


def find_alert(settings: Settings, prefix: str) -> tuple[AlertState, list[Step], str]:
    """One alert by its id or the beginning of it, its history, and from where they were read.

    Raises:
        Misused: no alert, or more than one, begins so.
    """
    try:
        alert = _the_one(_from_clickhouse(settings, WantedAlerts(), _of_id(prefix)), prefix)
        return alert, _history(settings, alert), FROM_CLICKHOUSE
    except (ServerAway, NoTables) as away:
        where = f"from Kafka, which keeps every change for 7 days and then the last: {away}"
    standing = find_standing(settings, prefix)
    states, decisions = asyncio.run(read_past(settings, standing))
    steps = [*map(change_of, states), *(decision_of(said, arrival_us) for said, arrival_us in decisions)]
    return standing.alert, sorted(steps, key=lambda step: step.at), where


def find_standing(settings: Settings, prefix: str) -> Standing:
    """An alert as it stands in Kafka, by its id or the beginning of it.

    Raises:
        Misused: no alert, or more than one, begins so.
    """
    held = asyncio.run(read_standing(settings))
    wanted = _of_id(prefix)
    alert = _the_one([one.alert for alert_id, one in held.items() if alert_id.startswith(wanted)], prefix)
    return held[alert["alert_id"]]


def _of_id(prefix: str) -> str:
    """The beginning of an id, with or without its `al_`."""
    wanted = prefix if prefix.startswith("al_") else f"al_{prefix}"
    if len(wanted) <= len("al_") or not wanted[3:].isalnum():
        raise Misused(f"{shown(prefix)}: expected an id like al_3f2a, as `stepwatch alerts list` shows it")
    return wanted


def _the_one(alerts: list[AlertState], prefix: str) -> AlertState:
    if not alerts:
        raise Misused(f"{shown(prefix)}: no alert's id begins so; `stepwatch alerts list --state all` shows all")
    if len(alerts) > 1:
        named = ", ".join(sorted(alert["alert_id"][:15] for alert in alerts)[:_CANDIDATES_MAX])
        more = ", …" if len(alerts) > _CANDIDATES_MAX else ""
        raise Misused(f"{shown(prefix)}: {len(alerts)} alerts' ids begin so: {named}{more}; write more of the one")
    return alerts[0]


def _from_clickhouse(settings: Settings, wanted: WantedAlerts, id_prefix: str = "") -> list[AlertState]:
    conditions = ["startsWith(alert_id, {id:String})"] if id_prefix else []
    values: dict[str, Any] = {"id": id_prefix}
    for name in ("states", "severities"):
        if chosen := getattr(wanted, name):
            column = "state" if name == "states" else "severity"
            conditions.append(f"{column} IN {{{name}:Array(String)}}")
            values[name] = list(chosen)
    for name, value in wanted.fields.items():
        conditions.append(f"{name} = {{{name}:String}}")
        values[name] = value
    if wanted.since_us is not None:
        conditions.append("toUnixTimestamp64Micro(updated_at) >= {since:Int64}")
        values["since"] = wanted.since_us
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return [_state_of(row) for row in _ask(settings, f"SELECT * FROM alerts_current{where}", values)]


def _history(settings: Settings, alert: AlertState) -> list[Step]:
    query = (
        "SELECT at, what, version, result, by, note FROM alert_history "
        "WHERE tenant = {tenant:String} AND alert_id = {id:String} ORDER BY at, version"
    )
    rows = _ask(settings, query, {"tenant": alert["tenant"], "id": alert["alert_id"]})
    return [Step(**{**row, "at": _rfc3339(row["at"]), "version": int(row["version"])}) for row in rows]


def _ask(settings: Settings, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ask(settings, query, "JSONEachRow", values=values).splitlines()]


def _state_of(row: dict[str, Any]) -> AlertState:
    """A row of ClickHouse as the alert that it was."""
    times = {name: _rfc3339(row[name]) for name in _TIMES}
    # Some versions of ClickHouse write whole numbers as texts.
    state: AlertState = msgspec.to_builtins(msgspec.convert({**row, **times}, FastAlertRow, strict=False))
    return state


def _rfc3339(time: str) -> str:
    return time.replace(" ", "T").rstrip("Z") + "Z"
