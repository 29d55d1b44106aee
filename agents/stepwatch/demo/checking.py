"""Did the day end as it must? ClickHouse against a replay of the same events, and each story against its script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stepwatch.demo.stories import Story, Verdict
from stepwatch.schemas.times import format_time, parse_time

SOURCE_SILENCE = "source_silence"
VERDICT_FIELDS = ("verdict", "reason", "policy", "verification")
ALERT_FIELDS = ("kind", "subject", "policy", "severity", "reason", "count", "actions", "first_time", "last_time")

Row = dict[str, Any]


class InputRecord(NamedTuple):
    """A record as it was read back from an input topic; timestamp: Kafka's append time, ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes


def replay_lines(records: Iterable[InputRecord]) -> list[bytes]:
    """The records as lines of a file, each with its arrival, which never runs backwards in a partition.

    Args:
        records: in the order of their offsets within each partition.
    """
    arrivals: dict[tuple[str, int], int] = {}
    lines = []
    for record in records:
        where = (record.topic, record.partition)
        arrivals[where] = max(arrivals.get(where, 0), record.timestamp)
        value = record.value.strip()
        # What is no object has no place for an arrival; it is rejected as it stands.
        if value.startswith(b"{") and value.endswith(b"}"):
            arrival = format_time(arrivals[where] * 1000).encode()
            value = value[:-1] + b',"arrival":"' + arrival + b'"}'
        lines.append(value.replace(b"\n", b" "))
    return lines


def verdict_differences(stored: Iterable[Row], replayed: Iterable[Row]) -> list[str]:
    """Where `audit_current` and the replay judge otherwise, one line each; empty: nowhere."""
    names = ("tenant", "subject", "source", "action_id")
    mine = {tuple(row[name] for name in names): _said(row) for row in stored}
    wanted = {tuple(row[name] for name in names): _said(row) for row in replayed if row["kind"] == "verdict"}
    return _differences("action", "audit_current", mine, wanted)


def alert_differences(stored: Iterable[Row], replayed: Iterable[Row]) -> list[str]:
    """Where the open alerts and the replay's differ; a source's silence aside, which is judged at the log time.

    Args:
        stored: rows of `alerts_current`, times as microseconds since 1970.
        replayed: rows of the replay.
    """
    mine = {
        (row["alert_id"],): tuple(_listed(row[name]) for name in ALERT_FIELDS)
        for row in stored
        if row["state"] != "resolved" and row["kind"] != SOURCE_SILENCE
    }
    wanted = {
        (row["alert_id"],): tuple(_listed(value) for value in _alert(row))
        for row in replayed
        if row["kind"] == "alert" and row["alert"] != SOURCE_SILENCE
    }
    return _differences("alert", "alerts_current", mine, wanted)


def story_faults(story: Story, revisions: dict[tuple[str, str], list[tuple[str, str]]], alerts: list[Row]) -> list[str]:
    """What of a story did not end as its script says.

    Args:
        story: with what it must end as.
        revisions: (subject, action id) -> (verdict, reason) of each revision, in order.
        alerts: rows of `alerts_current`.
    """
    faults = []
    for verdict in story.verdicts:
        had = revisions.get((verdict.subject, verdict.action_id), [])
        if not _passed(verdict, had):
            faults.append(
                f"{verdict.subject} {verdict.action_id}: expected {_chain(verdict.passed)}, got {_chain(had)}"
            )
    for end in story.alerts:
        found = [row for row in alerts if row["kind"] == end.kind and end.subject in (row["subject"], row["reason"])]
        wanted = (end.severity, end.state, end.resolved_by)
        got = [(row["severity"], row["state"], row["resolved_by"]) for row in found]
        # A source may have been silent once more on a machine that was very busy; the story is one of them.
        if wanted not in got:
            faults.append(f"alert {end.kind} of {end.subject}: expected {_words(wanted)}, got {_each(got)}")
    return faults


def strangers(stories: Sequence[Story], alerts: Iterable[Row]) -> list[str]:
    """Open alerts that no story speaks of: an ordinary day raises none."""
    known = {(end.kind, end.subject) for story in stories for end in story.alerts}
    return [
        f"alert {row['kind']} of {row['subject'] or row['reason']} is open, and no story speaks of it: {row['title']}"
        for row in alerts
        if row["state"] != "resolved" and not {(row["kind"], row["subject"]), (row["kind"], row["reason"])} & known
    ]


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that at least `part` (0 to 1) of the values do not exceed; 0 where there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-part * len(ordered) // 1) - 1))]


def _said(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] or "" for name in VERDICT_FIELDS)


def _alert(row: Row) -> tuple[Any, ...]:
    values = {**row, "kind": row["alert"]}
    values["first_time"], values["last_time"] = parse_time(row["first_time"]), parse_time(row["last_time"])
    return tuple(values[name] for name in ALERT_FIELDS)


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _differences(what: str, where: str, mine: dict[Any, Any], wanted: dict[Any, Any]) -> list[str]:
    found = []
    for key in sorted(mine.keys() | wanted.keys()):
        name = " ".join(part for part in key if part)
        if key not in mine:
            found.append(f"{what} {name}: in the replay ({_words(wanted[key])}), not in {where}")
        elif key not in wanted:
            found.append(f"{what} {name}: in {where} ({_words(mine[key])}), not in the replay")
        elif mine[key] != wanted[key]:
            found.append(f"{what} {name}: {where} says {_words(mine[key])}, the replay {_words(wanted[key])}")
    return found


def _passed(verdict: Verdict, had: list[tuple[str, str]]) -> bool:
    left = iter(had)
    return bool(had) and had[-1] == verdict.passed[-1] and all(step in left for step in verdict.passed)


def _chain(passed: Iterable[tuple[str, str]]) -> str:
    return ", then ".join(f"{verdict} ({reason})" for verdict, reason in passed) or "no verdict"


def _words(values: Iterable[Any]) -> str:
    return " ".join(str(value) for value in values if value not in ("", ()))


def _each(got: Iterable[Iterable[Any]]) -> str:
    return "; ".join(map(_words, got)) or "no such alert"
