"""How `stepwatch alerts` shows alerts: a table, one alert with its history, rows for machines."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from stepwatch.agents.alert_log import AlertState, Step
from stepwatch.cli.alerts_found import Alerts
from stepwatch.cli.report import SEVERITY_COLOURS
from stepwatch.cli.screen import counted, paint, say, shown, table, width, wrapped
from stepwatch.notifiers.plain import plain
from stepwatch.schemas.times import parse_time

ID_SHOWN = 11
"""`al_` and 8 digits: of thousands of alerts hardly two begin alike, and a command names those that do."""
_LABEL = 12
_ACTIONS_SHOWN = 10


def show_list(found: Alerts, *, as_json: bool) -> None:
    """Print alerts to standard output; how many there are, and from where, to standard error."""
    if as_json:
        for alert in found.rows:
            print(json.dumps(alert, ensure_ascii=False))
    elif found.rows:
        header = ("ID", "SEVERITY", "STATE", "LAST (UTC)", "ALERT")
        cells = [
            (alert["alert_id"][:ID_SHOWN], alert["severity"], alert["state"], _clock(alert["last_time"]), _title(alert))
            for alert in found.rows
        ]
        print(table(header, [tuple(map(shown, row)) for row in cells], whole={0, 1, 2, 3}))
    more = f"; {found.count - len(found.rows):,} more: --limit 0 shows all" if len(found.rows) < found.count else ""
    say(f"{counted(found.count, 'alert') if found.count else 'no alert'} {found.where}{more}")


def show_alert(alert: AlertState, history: list[Step], where: str, *, as_json: bool) -> None:
    """Print one alert and what became of it, with nothing in it that could move a cursor."""
    if as_json:
        print(json.dumps({**alert, "history": [asdict(step) for step in history]}, ensure_ascii=False))
    else:
        show_facts(alert)
        print(paint("history", "bold"))
        for step in history:
            who = f" by {step.by}" if step.by else ""
            note = f": {step.note}" if step.note and step.what == "decision" else ""
            _line(_clock(step.at), f"version {step.version}: {step.result}{who}{note}")
    say(where)


def show_facts(alert: AlertState) -> None:
    """Print what an alert says: first who did what and which proof is missing, then the rest."""
    colour = SEVERITY_COLOURS.get(alert["severity"], "")
    print(paint(shown(alert["title"]), colour))
    print(wrapped(shown(alert["explanation"]), width(), ""))
    actions = alert["actions"]
    more = f" and {len(actions) - _ACTIONS_SHOWN} more" if len(actions) > _ACTIONS_SHOWN else ""
    facts = {
        "alert": alert["alert_id"],
        "state": alert["state"] + (f" by {alert['resolved_by']}" if alert["resolved_by"] else ""),
        "severity": alert["severity"],
        "kind": f"{alert['kind']} ({alert['reason']})",
        "tenant": alert["tenant"],
        "subject": alert["subject"],
        "policy": alert["policy"],
        "owner": alert["owner"],
        "runbook": alert["runbook"],
        "actions": f"{alert['count']:,}: {', '.join(actions[:_ACTIONS_SHOWN])}{more}" if actions else "",
        "first, last": f"{alert['first_time']}, {alert['last_time']}",
        "may change": f"until {alert['closes_at']}" if _may_change(alert) else "",
    }
    for name, value in facts.items():
        if value:
            _line(name, value)


def _may_change(alert: AlertState) -> bool:
    """Whether later evidence may still take it back."""
    return alert["state"] != "resolved" and (parse_time(alert["closes_at"]) or 0) > time.time_ns() // 1000


def _line(name: str, value: str) -> None:
    room = width()
    size = max(_LABEL, len(name))
    first, *rest = wrapped(shown(value), None if room is None else room - size - 2, "").split("\n")
    print(name.ljust(size) + "  " + first)
    for more in rest:
        print(" " * (size + 2) + more)


def _clock(time: str) -> str:
    """`11-24 09:15:02` of an RFC 3339 time."""
    return plain(time[5:19].replace("T", " "), 14)


def _title(alert: AlertState) -> str:
    return alert["title"] or f"{alert['subject']}: {alert['kind']}"
