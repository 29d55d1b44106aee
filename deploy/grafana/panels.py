"""Parts of a Grafana dashboard (classic model, schema version 41) as plain dictionaries, and where they stand on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from stepwatch.store.querybook import Question

Json = dict[str, Any]

PROMETHEUS: Json = {"type": "prometheus", "uid": "stepwatch-prometheus"}
CLICKHOUSE: Json = {"type": "grafana-clickhouse-datasource", "uid": "stepwatch-clickhouse"}
WIDTH = 24
"""Columns of Grafana's grid."""

_STANDS_FOR = {
    "since": "fromUnixTimestamp64Milli(toInt64(${__from}), 'UTC')",
    "until": "fromUnixTimestamp64Milli(toInt64(${__to}), 'UTC')",
    # `All` is sent as it stands in the variable, other values in quotes with their own quotes escaped.
    "tenant": "if(${tenant:singlequote} = '*', '', ${tenant:singlequote})",
    "subject": "${subject:singlequote}",
}
"""Parameter of the query book -> the same in Grafana's words: the dashboard's period and its variables."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+):[A-Za-z0-9_(), ']+\}")
_COLOURS = {
    "verified": "green", "unverified": "red", "blind": "orange", "exempt": "blue", "not_required": "text",
    "low": "blue", "medium": "yellow", "high": "orange", "critical": "red",
    "open": "red", "acknowledged": "yellow", "resolved": "green",
}  # fmt: skip
"""A verdict, severity or state has one colour on every panel; its name stands beside it."""


def sql_of(question: Question) -> str:
    """The query of a question of the book, with a dashboard's period and variables in the place of its parameters.

    Other parameters take the default of the book.

    Raises:
        KeyError: a parameter has no default, and no variable stands for it.
    """
    defaults = {one.name: one.default for one in question.parameters if not one.required}

    def put(found: re.Match[str]) -> str:
        name = found[1]
        return _STANDS_FOR[name] if name in _STANDS_FOR else defaults[name]

    return _PLACEHOLDER.sub(put, question.sql)


def tenants(column: str = "tenant") -> str:
    """The condition that only the chosen tenants are shown."""
    return f"(${{tenant:singlequote}} = '*' OR {column} = ${{tenant:singlequote}})"


def clickhouse(sql: str, *, series: bool = False) -> Json:
    """A query to ClickHouse; of a series the column `time` comes first, and texts become its names."""
    return {
        "refId": "A",
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "format": 0 if series else 1,
        "queryType": "timeseries" if series else "table",
        "rawSql": sql.strip(),
    }


def prometheus(expr: str, legend: str, ref: str = "A", *, instant: bool = False) -> Json:
    """A query to Prometheus, drawn under the name that `legend` makes of its labels."""
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": legend,
        "range": not instant,
        "instant": instant,
    }


def graph(
    title: str, about: str, unit: str, targets: Sequence[Json], *, width: int = 12, stacked: bool = False
) -> Json:
    """Lines over time, or stacked bars."""
    custom: Json = {"drawStyle": "bars" if stacked else "line", "fillOpacity": 60 if stacked else 8, "lineWidth": 1}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    panel = _panel("timeseries", title, about, targets, width, 8)
    panel["fieldConfig"] = {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": _coloured()}
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def number(
    title: str, about: str, unit: str, target: Json, *, bad_from: float | None = None, bad_below: float | None = None
) -> Json:
    """One number. Red from `bad_from` on, or below `bad_below`; its title says what it is, without the colour."""
    steps: list[Json] = [{"color": "red" if bad_below is not None else "text", "value": None}]
    if bad_from is not None:
        steps.append({"color": "red", "value": bad_from})
    if bad_below is not None:
        steps.append({"color": "green", "value": bad_below})
    panel = _panel("stat", title, about, [target], 4, 4)
    thresholds = {"mode": "absolute", "steps": steps}
    panel["fieldConfig"] = {"defaults": {"unit": unit, "thresholds": thresholds}, "overrides": []}
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
    }
    return panel


def table(title: str, about: str, target: Json, *, width: int = WIDTH, height: int = 9) -> Json:
    """Rows and columns as the query gives them."""
    panel = _panel("table", title, about, [target], width, height)
    panel["fieldConfig"] = {"defaults": {"custom": {"filterable": True}}, "overrides": []}
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    return panel


def asked(question: Question, *, width: int = WIDTH, height: int = 9) -> Json:
    """A question of the book as a table, with its purpose and how to read it."""
    about = f"{question.purpose} {question.read_so}\n\nQuery book: `stepwatch query show {question.name}`"
    return table(question.title, about, clickhouse(sql_of(question)), width=width, height=height)


def row(title: str) -> Json:
    """A heading over the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": WIDTH, "h": 1}}


def dashboard(
    uid: str, title: str, about: str, panels: Iterable[Json], variables: Sequence[Json], *, period: str, refresh: str
) -> Json:
    """A dashboard of panels, laid out from left to right and from the top down in their order.

    Args:
        uid: its address ends with it; never changed.
        title: its name.
        about: what it answers.
        panels: in order.
        variables: that a person may choose.
        period: shown at first, as Grafana writes it (`now-6h`).
        refresh: how often it is asked anew.
    """
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["stepwatch"],
        "schemaVersion": 41,
        "timezone": "utc",
        "editable": False,
        "graphTooltip": 1,
        "refresh": refresh,
        "time": {"from": period, "to": "now"},
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards", "title": "Stepwatch", "tags": ["stepwatch"], "asDropdown": False,
                "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "dashboard", "tooltip": "",
                "url": "",
            }
        ],
        "panels": _placed(panels),
    }  # fmt: skip


def tenant_variable() -> Json:
    """Which tenant: those of the last 90 days, or all."""
    return {
        "type": "query",
        "name": "tenant",
        "label": "Tenant",
        "datasource": CLICKHOUSE,
        "query": "SELECT DISTINCT tenant FROM audit_latest WHERE time > now() - INTERVAL 90 DAY ORDER BY tenant",
        "refresh": 1,
        "multi": False,
        "includeAll": True,
        "allValue": "'*'",
        "current": {"text": "All", "value": "$__all"},
    }


def text_variable(name: str, label: str, about: str) -> Json:
    """Something that a person types."""
    return {"type": "textbox", "name": name, "label": label, "description": about, "query": ""}


def _panel(kind: str, title: str, about: str, targets: Sequence[Json], width: int, height: int) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": targets[0]["datasource"],
        "targets": list(targets),
        "gridPos": {"w": width, "h": height},
    }


def _coloured() -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in _COLOURS.items()
    ]


def _placed(panels: Iterable[Json]) -> list[Json]:
    placed: list[Json] = []
    left = top = height = 0
    for number_, panel in enumerate(panels, 1):
        size = panel["gridPos"]
        if left + size["w"] > WIDTH:
            left, top, height = 0, top + height, 0
        placed.append({"id": number_, **panel, "gridPos": {"x": left, "y": top, **size}})
        left, height = left + size["w"], max(height, size["h"])
    return placed
