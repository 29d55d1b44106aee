"""Row by row: what was found in the output topics beside what ought to be there."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tests.faults.expected import Expected, Taken, Where
from tests.judge.judge import Row as JudgedRow
from tests.judge.reading import parse_time

SHOWN = 12
"""Differences that a failure names, of each kind."""
PERSONAL = {"version", "updated_at", "detection_ms", "overdue_ms"}
"""What may change in an alert without being a change of it."""
ALERT = {"kind": "alert", "reason": "reason", "severity": "severity", "count": "count", "actions": "actions"}
ALERT |= {name: name for name in ("tenant", "subject", "policy", "first_time", "last_time")}
"""Column of an alert -> its name in the judge's row."""


class AuditRow(msgspec.Struct):
    """The columns of a row of `audit` that are looked at."""

    tenant: str
    subject: str
    source: str
    action_id: str
    revision: int
    arrival: str
    verdict: str
    reason: str
    policy: str
    policy_version: str
    verification: str
    verification_age_ms: int | None
    nearest_miss: str
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int

    @property
    def where(self) -> Where:
        """The record of the action."""
        return Where(self.kafka_topic, self.kafka_partition, self.kafka_offset)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of table `audit`, but for the revision."""
        return self.tenant, self.subject, self.source, self.action_id

    @property
    def said(self) -> tuple[Any, ...]:
        """What makes a new revision."""
        nearest = nearest_of(self.nearest_miss)
        return self.verdict, self.reason, self.policy, self.policy_version, self.verification, nearest


class EvidenceRow(msgspec.Struct):
    """The columns of a row of `evidence` that are looked at."""

    tenant: str
    subject: str
    source: str
    event_id: str
    arrival: str
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int


class Differences:
    """Collects what is not as it must be, the first of each kind in words."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, words: object) -> None:
        """One more."""
        self._found[kind].append(str(words))

    def equal(self, kind: str, what: object, found: object, wanted: object) -> None:
        """One more where these two differ."""
        if found != wanted:
            self.add(kind, f"{what}: found {found}, wanted {wanted}")

    def require_none(self) -> None:
        """Raises AssertionError with all of them."""
        if self._found:
            lines = []
            for kind, all_words in self._found.items():
                lines.append(f"{kind}: {len(all_words)}")
                lines += [f"    {words}" for words in all_words[:SHOWN]]
            raise AssertionError("the outputs are not exact:\n" + "\n".join(lines))


def check_audit(
    audit: Sequence[Taken], expected: Expected, differences: Differences
) -> tuple[dict[tuple[str, ...], AuditRow], Counter[str], int]:
    decoder = msgspec.json.Decoder(AuditRow)
    revisions: dict[Where, list[AuditRow]] = defaultdict(list)
    current: dict[tuple[str, ...], AuditRow] = {}
    for taken in audit:
        row = decoder.decode(taken.value or b"")
        revisions[row.where].append(row)
        known = current.get(row.key)
        if known is None or row.revision >= known.revision:
            current[row.key] = row
        if row.kafka_partition != taken.where.partition:
            differences.add("a row in a wrong partition", (row.where, taken.where))
    for where in expected.rows.keys() - revisions.keys():
        differences.add("an action without a row", (where, expected.rows[where], expected.verdicts[where]["verdict"]))
    for where in revisions.keys() - expected.rows.keys():
        differences.add("rows of a record that calls for none", (where, expected.classes.get(where), revisions[where]))
    verdicts: Counter[str] = Counter()
    for where in expected.rows.keys() & revisions.keys():
        rows, judged = revisions[where], expected.verdicts[where]
        numbers = [row.revision for row in rows]
        differences.equal("revisions", (where, rows[-1].key), numbers, list(range(1, len(rows) + 1)))
        for one, next_one in itertools.pairwise(rows):
            if one.said == next_one.said:
                differences.add("a revision that says what the one before said", (where, next_one))
        _compare(rows[-1], judged, differences)
        known = expected.events[expected.rows[where]]
        if known.where == where and not {parse_time(row.arrival) for row in rows} <= known.arrivals:
            differences.add("arrivals", (where, [row.arrival for row in rows], known.arrivals))
        verdicts[judged["verdict"]] += 1
    return current, verdicts, len(audit)


def _compare(row: AuditRow, judged: JudgedRow, differences: Differences) -> None:
    names = ("tenant", "subject", "source", "action_id", "verdict", "reason", "policy")
    found = {name: getattr(row, name) for name in names}
    wanted = {name: judged[name] for name in names}
    found["verification"], wanted["verification"] = row.verification, judged["verification"] or ""
    found["age_ms"] = row.verification_age_ms
    wanted["age_ms"] = None if judged["age_us"] is None else judged["age_us"] // 1000
    nearest = judged["nearest_miss"]
    found["nearest_miss"] = nearest_of(row.nearest_miss)
    wanted["nearest_miss"] = None if nearest is None else tuple_of(nearest)
    if found != wanted:
        odd = {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}
        differences.add("current verdicts", f"{row.where} {row.key} revision {row.revision}: (found, wanted) {odd}")


def tuple_of(nearest: Mapping[str, Any]) -> tuple[Any, ...]:
    """A nearest miss without the sentence that is shown for it."""
    return nearest["verification"], tuple(nearest["failed"]), nearest.get("by_us")


def nearest_of(text: str) -> tuple[Any, ...] | None:
    """The nearest miss of a row."""
    return tuple_of(json.loads(text)) if text else None


def check_evidence(evidence: Sequence[Taken], expected: Expected, differences: Differences) -> None:
    """One row for each accepted authentication event."""
    decoder = msgspec.json.Decoder(EvidenceRow)
    wanted = {known.where: key for key, known in expected.events.items() if not key[2]}
    told: Counter[Where] = Counter()
    for taken in evidence:
        row = decoder.decode(taken.value or b"")
        where = Where(row.kafka_topic, row.kafka_partition, row.kafka_offset)
        told[where] += 1
        if where in wanted:
            said = (row.tenant, row.subject, False, row.source, row.event_id)
            differences.equal("evidence", where, (said, taken.where.partition), (wanted[where], where.partition))
            if parse_time(row.arrival) not in expected.events[said].arrivals:
                differences.add("arrivals", (where, row.arrival))
    _check_once("evidence rows", told, wanted, expected, differences)


def check_letters(
    letters: Sequence[Taken], inputs: Sequence[Taken], expected: Expected, differences: Differences
) -> None:
    """One dead letter for each record that the judge's reading rejects, with its bytes as they came."""
    told: Counter[Where] = Counter()
    by_where = {taken.where: taken for taken in inputs if taken.where in expected.letters}
    for taken in letters:
        said = {name: (value or b"").decode() for name, value in taken.headers}
        where = Where(said["topic"], int(said["partition"]), int(said["offset"]))
        told[where] += 1
        if where in expected.letters:
            kind, at = expected.letters[where]
            error = said["error"].split(":")[0]
            differences.equal("dead letters", where, error, kind if kind != "invalid" else said["field"])
            if at:
                differences.equal("dead letters", (where, said["error"]), said["field"], at)
            came = by_where[where]
            if (came.key, came.value, where.partition) != (taken.key, taken.value, taken.where.partition):
                differences.add("dead letters that are not the record as it came", where)
    _check_once("dead letters", told, expected.letters, expected, differences)


def _check_once(
    what: str, told: Counter[Where], wanted: Mapping[Where, Any], expected: Expected, differences: Differences
) -> None:
    for where in wanted.keys() - told.keys():
        differences.add(f"records without {what}", (where, wanted[where]))
    for where, times in told.items():
        if where not in wanted:
            differences.add(f"{what} of records that call for none", (where, expected.classes.get(where)))
        elif times != 1:
            differences.add(f"{what} more than once", (where, times))


def check_alerts(
    alerts: Sequence[Taken], expected: Expected, differences: Differences
) -> tuple[dict[str, dict[str, Any]], int]:
    """Versions without gap or repeat, and the last state of each alert.

    Returns:
        The last version of each alert, and how many versions there are.
    """
    last: dict[str, dict[str, Any]] = {}
    gone: dict[str, dict[str, Any]] = {}
    for taken in alerts:
        name = (taken.key or b"").decode().split("/", 1)[1]
        if taken.value is None:
            gone[name] = last.pop(name, {})
            continue
        row = json.loads(taken.value)
        before = last.get(name, {"version": 0, "alert_id": name})
        differences.equal("versions of an alert", (name, taken.where), row["version"], before["version"] + 1)
        differences.equal("keys of an alert", taken.where, (row["tenant"] + "/" + row["alert_id"]).encode(), taken.key)
        if all(row[column] == before.get(column) for column in row.keys() - PERSONAL):
            differences.add("a version of an alert that changes nothing", (name, taken.where))
        last[name] = row
    opened = {name for name, row in last.items() if row["state"] != "resolved"}
    for name in expected.alerts.keys() - opened - expected.answered:
        state = last[name]["state"] if name in last else "never opened"
        differences.add("alerts that must be open", (name, state, expected.alerts[name]))
    for name in opened - expected.alerts.keys() - expected.answered:
        differences.add("alerts that must be resolved", last[name])
    for name in opened & expected.alerts.keys() - expected.answered:
        found = {column: last[name][column] for column in ALERT}
        wanted = {column: expected.alerts[name][its] for column, its in ALERT.items()}
        if found != wanted:
            odd = {column: (found[column], wanted[column]) for column in ALERT if found[column] != wanted[column]}
            differences.add("open alerts", f"{name}: (found, wanted) {odd}")
    return gone | last, len(alerts)


def check_views(
    views: Mapping[str, Sequence[Mapping[str, Any]]],
    current: Mapping[tuple[str, ...], AuditRow],
    alerts: Mapping[str, Mapping[str, Any]],
    counts: Mapping[str, int],
    differences: Differences,
) -> None:
    """ClickHouse's `_current` views equal the topics.

    Args:
        views: name of the view -> its rows.
        current: the last row of each action by the topic.
        alerts: the last version of each alert by the topic.
        counts: `authentications_current` and `dead_letters_current` -> how many rows they must have.
        differences: to add to.
    """
    stored: Counter[tuple[str, ...]] = Counter()
    for row in views["audit_current"]:
        key = (row["tenant"], row["subject"], row["source"], row["action_id"])
        stored[key] += 1
        if (known := current.get(key)) is None:
            differences.add("audit_current: an action that the topic does not have", key)
            continue
        found = tuple(row[name] for name in ("revision", "verdict", "reason", "policy", "verification"))
        wanted = (known.revision, known.verdict, known.reason, known.policy, known.verification)
        differences.equal("audit_current", key, found, wanted)
    for key in current.keys() - stored.keys():
        differences.add("audit_current: an action is missing", key)
    for key, times in stored.items():
        if times != 1:
            differences.add("audit_current: an action more than once", (key, times))
    shown = {row["alert_id"]: row for row in views["alerts_current"]}
    differences.equal("alerts_current", "ids", sorted(shown), sorted(alerts))
    differences.equal("alerts_current", "rows", len(views["alerts_current"]), len(shown))
    for name in shown.keys() & alerts.keys():
        columns = ("version", "state", "kind", "severity", "reason", "count", "actions")
        found, wanted = (tuple(row[column] for column in columns) for row in (shown[name], alerts[name]))
        differences.equal("alerts_current", name, found, wanted)
    for view, count in counts.items():
        differences.equal(view, "rows", len(views[view]), count)
