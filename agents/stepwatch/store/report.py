"""The facts of a report: questions of the query book about one period, asked one after the other.

Every number of the page is an answer of the book, so whoever doubts one asks `stepwatch query run NAME` for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from stepwatch.store.answers import Answer, ask
from stepwatch.store.querybook import Question, clickhouse_time, question
from stepwatch.store.report_controls import CONTROLS

EXCEPTIONS_SHOWN: Final = 300
"""Exceptions by name on the page; how many there are is said, and `stepwatch export` writes them all."""
ROWS_SHOWN: Final = 100
"""Rows of any other table on the page."""

QUESTIONS: Final = (
    "verdicts_by_day", "verified_by_day", "bypass_rate_by_policy", "verified_by_owner", "verified_by_resource",
    "blind_minutes", "source_silences", "exemptions",
    "triggers_by_policy", "coverage_by_action", "gaps_by_action", "triggers_without_reason", "policies_never_fired",
    "trigger_drift_by_week", "disagreements_with_application", "condition_errors",
    "methods_by_policy", "reasons_by_policy", "challenges_by_day", "failures_by_kind", "proofs_too_weak",
    "proofs_after_the_fact", "replayed_codes", "shared_credentials", "step_ups_bypassed", "never_matched_subjects",
    "bypasses_newest_first", "approvals", "acted_on_behalf", "sample",
    "actions_in_verdicts_out", "dead_letters_by_error", "late_evidence", "verdicts_that_changed", "alert_handling",
    "detection_time",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PolicyTexts:
    """The policies' text that was in force.

    Attributes:
        files: of each set that held in the period: since when (RFC 3339; empty: from the beginning), file name, text.
        ids: of their policies.
        missing: why there is none, in words; empty where there is.
    """

    files: Sequence[tuple[str, str, str]] = ()
    ids: Sequence[str] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is about.

    Attributes:
        since, until: from the one on, and before the other.
        tenant: empty for all.
        tables: whose tables were asked, in words.
        made_at: when.
        version: of the product.
    """

    since: datetime
    until: datetime
    tenant: str
    tables: str
    made_at: datetime
    version: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says."""

    asked: Asked
    policies: PolicyTexts
    answers: dict[str, Answer]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The answer to a question of the book."""
        return self.answers[name].objects()

    def total(self, name: str, column: str) -> int:
        """The sum of a column."""
        return sum(row[column] for row in self.rows(name))


def build_report(client: Client, asked: Asked, policies: PolicyTexts) -> Report:
    """Ask all the questions of the selected database.

    Raises:
        Exception: whatever the client raises.
    """
    given = {
        "since": asked.since.isoformat(),
        "until": asked.until.isoformat(),
        "tenant": asked.tenant,
        "known": json.dumps(list(policies.ids)),
        "rows": str(EXCEPTIONS_SHOWN),
    }
    answers = {}
    for name in QUESTIONS:
        one = question(name)
        answers[name] = ask(client, one, one.bind(_known(one, given), asked.made_at))
    return Report(asked, policies, answers)


def _known(one: Question, given: dict[str, str]) -> dict[str, str]:
    names = {parameter.name for parameter in one.parameters}
    return {name: value for name, value in given.items() if name in names}


def as_object(report: Report) -> dict[str, Any]:
    """The report for machines: every answer with its question, the policies, the controls."""
    asked = report.asked
    return {
        "since": _iso(asked.since),
        "until": _iso(asked.until),
        "tenant": asked.tenant,
        "tables": asked.tables,
        "made_at": _iso(asked.made_at),
        "version": asked.version,
        "summary": summary(report),
        "answers": {
            name: {"question": question(name).title, "read_so": question(name).read_so, "rows": report.rows(name)}
            for name in report.answers
        },
        "policies": {
            "missing": report.policies.missing,
            "files": [
                {"in_force_since": since, "name": name, "text": text} for since, name, text in report.policies.files
            ],
        },
        "controls": [
            {
                "standard": one.standard,
                "number": one.number,
                "about": one.about,
                "supports_evidence_for": one.evidence,
            }
            for one in CONTROLS
        ],
    }


def summary(report: Report) -> dict[str, Any]:
    """The first numbers that anybody looks at."""
    needed, verified = report.total("verified_by_day", "actions"), report.total("verified_by_day", "verified")
    return {
        "actions": report.total("verdicts_by_day", "actions"),
        "needed_proof": needed,
        "verified": verified,
        "verified_percent": None if needed == 0 else round(100 * verified / needed, 1),
        "unverified": report.total("verified_by_day", "unverified"),
        "blind": report.total("verified_by_day", "blind"),
        "blind_minutes": report.total("verified_by_day", "blind_minutes"),
        "exempted": report.total("verified_by_day", "exempted"),
        "policy_gaps": report.total("gaps_by_action", "actions"),
        "dead_letters": report.total("dead_letters_by_error", "records"),
        "difference": sum(abs(row["difference"]) for row in report.rows("actions_in_verdicts_out")),
        "missing_revisions": sum(
            abs(row["missing_revisions"]) + abs(row["without_event"]) for row in report.rows("actions_in_verdicts_out")
        ),
        "alerts_open": report.total("alert_handling", "open") + report.total("alert_handling", "acknowledged"),
    }


def _iso(moment: datetime) -> str:
    return clickhouse_time(moment.astimezone(UTC)).replace(" ", "T") + "Z"
