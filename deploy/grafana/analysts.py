"""The dashboard for who asks the tables: the auditor's three questions, and what happened around one subject."""

from __future__ import annotations

from deploy.grafana.panels import (
    Json,
    asked,
    clickhouse,
    dashboard,
    graph,
    number,
    row,
    tenant_variable,
    tenants,
    text_variable,
)
from stepwatch.store.querybook import questions

_OVER_TIME = """
SELECT $__timeInterval(time) AS time, {name} AS name, count() AS actions
FROM audit_current WHERE $__timeFilter(time) AND {tenants}{more}
GROUP BY time, name ORDER BY time
"""


def analysts() -> Json:
    """Built from the query book: a question here is the question there, so a number can be asked again."""
    return dashboard(
        "stepwatch-analysts",
        "Stepwatch: was it verified?",
        "Were triggers appropriately defined, were all high-risk actions verified, were users verified properly? "
        "Actions count by their own time, not by arrival; a verdict may change until its action closes.",
        [*_at_a_glance(), *_over_time(), *_book()],
        [tenant_variable(), text_variable("subject", "Subject", "Canonical id; empty shows no one's timeline.")],
        period="now-7d",
        refresh="5m",
    )


def _count(what: str) -> Json:
    return clickhouse(f"SELECT {what} AS actions FROM audit_current WHERE $__timeFilter(time) AND {tenants()}")


def _at_a_glance() -> list[Json]:
    took_effect = "outcome IN ('success', 'unknown')"
    return [
        number("Verified", "Of the actions that took effect and needed a proof: those that a proof covers.", "percent",
               _count(f"round(100 * countIf(verdict = 'verified' AND {took_effect}) / countIf(verdict IN "
                      f"('verified', 'unverified', 'blind') AND {took_effect}), 1)")),
        number("Unverified", "Actions that took effect without the proof that they needed.", "short",
               _count(f"countIf(verdict = 'unverified' AND {took_effect})"), bad_from=1),
        number("Blind", "Actions about which nobody can tell: a source was silent, or they came too late.", "short",
               _count(f"countIf(verdict = 'blind' AND {took_effect})"), bad_from=1),
        number("Policy gaps", "Actions on high or critical resources, or that the application meant to guard, that no "
               "policy matches.", "short",
               _count(f"countIf(verdict = 'not_required' AND {took_effect} AND (sensitivity IN ('high', 'critical') "
                      "OR decision_result = 'required'))"), bad_from=1),
        number("Actions", "All, of every verdict.", "short", _count("count()")),
        number("Open alerts", "Now, whatever the period: open or acknowledged.", "short",
               clickhouse(f"SELECT count() AS alerts FROM alerts_current WHERE state != 'resolved' AND {tenants()}"),
               bad_from=1),
    ]  # fmt: skip


def _over_time() -> list[Json]:
    alerts = f"""
SELECT $__timeInterval(opened_at) AS time, severity AS name, count() AS alerts
FROM alerts_current WHERE $__timeFilter(opened_at) AND {tenants()}
GROUP BY time, name ORDER BY time
"""
    verdicts = _OVER_TIME.format(name="verdict", tenants=tenants(), more=" AND policy != ''")
    reasons = _OVER_TIME.format(name="reason", tenants=tenants(), more=" AND verdict IN ('unverified', 'blind')")
    return [
        graph("Verdicts of policed actions", "By the action's own time.", "short", [clickhouse(verdicts, series=True)],
              stacked=True, width=24),
        graph("Why not verified", "Reasons of unverified and blind actions.", "short",
              [clickhouse(reasons, series=True)], stacked=True),
        graph("Alerts opened", "By severity.", "short", [clickhouse(alerts, series=True)], stacked=True),
    ]  # fmt: skip


def _book() -> list[Json]:
    book = questions()
    parts = {
        "Were triggers appropriately defined?": (
            "triggers_by_policy", "gaps_by_action", "disagreements_with_application",
        ),
        "Were all high-risk actions verified?": ("bypass_rate_by_policy", "verified_by_owner", "bypasses_newest_first"),
        "Were users verified properly?": ("methods_by_policy", "reasons_by_policy", "failures_by_kind"),
        "Is all of it there?": ("actions_in_verdicts_out", "dead_letters_by_error", "source_silences"),
        "What happened around one subject?": ("subject_timeline",),
    }  # fmt: skip
    panels = []
    for title, names in parts.items():
        panels.append(row(title))
        panels += [
            asked(book[name], width=12 if place < 2 and len(names) > 1 else 24) for place, name in enumerate(names)
        ]
    return panels
