"""Whether ClickHouse's tables hold what the topics hold: each key once in the views, at least once beneath them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from stepwatch.agents.settings import Settings
from tests.live.harness import read, until
from tests.live.road import query

_AUDIT_KEY = ("tenant", "subject", "source", "action_id")
_AUDIT = ("verdict", "reason", "policy", "policy_version", "verification", "arrival", "decided_at", "nearest_miss")
_EVIDENCE_KEY = ("tenant", "subject", "source", "event_id")
_EVIDENCE = ("type", "arrival", "session", "kafka_topic", "kafka_partition", "kafka_offset")
_ALERT = ("kind", "state", "severity", "reason", "count", "actions", "updated_at")
_LETTER = ("kafka_topic", "kafka_partition", "kafka_offset")
_TIMES = ("arrival", "decided_at", "updated_at")

Rows = dict[tuple[Any, ...], set[str]]
"""Key -> what may stand there: several where a copy of an unmatched action repeats its row (contract section 3)."""


async def until_tables_exact(settings: Settings, seconds: float = 120.0) -> int:
    """Wait until the views say what the topics say, then look at everything; returns how many rows that is."""
    expected = await _topics(settings)

    async def there() -> bool:
        return all(found.keys() == expected[name].keys() for name, found in _views(settings).items())

    try:
        await until(there, seconds, "tables as the topics")
    finally:
        _compare(expected, _views(settings))
    _compare({name: expected[name] for name in ("audit", "alerts")}, _revisions(settings))
    for table, keys, rows in (
        ("audit", "tenant, subject, source, action_id, revision", expected["audit"]),
        ("authentications", "tenant, subject, source, event_id", expected["authentications_current"]),
        ("alerts", "alert_id, version", expected["alerts"]),
    ):
        raw = query(
            settings, f"select count() as n, uniqExact({keys}) as keys from {table} where {_ours(settings, table)}"
        )
        assert raw[0]["keys"] == len(rows) <= raw[0]["n"], (table, raw, len(rows))
    return sum(map(len, expected.values()))


def repeats(settings: Settings) -> int:
    """How many rows lie in `audit` more than once, before they are merged."""
    keys = "tenant, subject, source, action_id, revision"
    sql = f"select count() - uniqExact({keys}) as n from audit where {_ours(settings, 'audit')}"
    return int(query(settings, sql)[0]["n"])


def settled(settings: Settings) -> tuple[int, int]:
    """Rows of these topics in `audit_current` and in `dead_letters_current`; none where there are no views yet."""
    found = []
    there = {
        row["name"] for row in query(settings, "select name from system.tables where database = currentDatabase()")
    }
    for view in ("audit_current", "dead_letters_current"):
        sql = f"select count() as n from {view} where startsWith(kafka_topic, '{settings.prefix}')"
        found.append(int(query(settings, sql)[0]["n"]) if view in there else 0)
    return found[0], found[1]


async def _topics(settings: Settings) -> dict[str, Rows]:
    topics = settings.topics
    audit, current = await _audit(settings)
    evidence: Rows = defaultdict(set)
    for record in await read(settings, topics.evidence):
        row = json.loads(record.value)
        evidence[_key(row, _EVIDENCE_KEY)].add(_said(row, _EVIDENCE))
    alerts: Rows = defaultdict(set)
    last: Rows = {}
    for record in await read(settings, topics.alerts):
        if record.value is not None:
            row = json.loads(record.value)
            alerts[row["alert_id"], row["version"]].add(_said(row, _ALERT))
            last[(row["alert_id"],)] = {_said(row, _ALERT)}
    letters: Rows = {}
    for record in await read(settings, topics.dead_letters):
        header = {name: value.decode() for name, value in record.headers}
        where = (header["topic"], int(header["partition"]), int(header["offset"]))
        assert where not in letters, f"{where} is a dead letter twice"
        letters[where] = {_text(header, ("error",))}
    return {
        "audit": audit,
        "audit_current": current,
        "authentications_current": evidence,
        "alerts": alerts,
        "alerts_current": last,
        "dead_letters_current": letters,
    }


async def _audit(settings: Settings) -> tuple[Rows, Rows]:
    every: Rows = defaultdict(set)
    newest: dict[tuple[Any, ...], int] = defaultdict(int)
    for record in await read(settings, settings.topics.audit):
        row = json.loads(record.value)
        key = _key(row, _AUDIT_KEY)
        every[*key, row["revision"]].add(_said(row, _AUDIT))
        newest[key] = max(newest[key], row["revision"])
    return every, {key: every[*key, revision] for key, revision in newest.items()}


def _views(settings: Settings) -> dict[str, Rows]:
    """What the views show; a key that is there twice fails."""
    return {
        "audit_current": _select(settings, "audit_current", _AUDIT_KEY, _AUDIT),
        "authentications_current": _select(settings, "authentications_current", _EVIDENCE_KEY, _EVIDENCE),
        "alerts_current": _select(settings, "alerts_current", ("alert_id",), _ALERT),
        "dead_letters_current": _select(settings, "dead_letters_current", _LETTER, ("error",)),
    }


def _revisions(settings: Settings) -> dict[str, Rows]:
    return {
        "audit": _select(settings, "audit final", (*_AUDIT_KEY, "revision"), _AUDIT),
        "alerts": _select(settings, "alerts final", ("alert_id", "version"), _ALERT),
    }


def _select(settings: Settings, view: str, key: tuple[str, ...], columns: tuple[str, ...]) -> Rows:
    wanted = [f"toString({name}) as {name}_" if name in _TIMES else name for name in (*key, *columns)]
    rows: Rows = {}
    for row in query(settings, f"select {', '.join(wanted)} from {view} where {_ours(settings, view)}"):
        plain = {name.rstrip("_"): value for name, value in row.items()}
        at = _key(plain, key)
        assert at not in rows, f"{view}: {at} is there twice"
        rows[at] = {_text(plain, columns)}
    return rows


def _compare(expected: dict[str, Rows], found: dict[str, Rows]) -> None:
    for name, rows in found.items():
        wanted = expected[name]
        missing, more = sorted(wanted.keys() - rows.keys()), sorted(rows.keys() - wanted.keys())
        assert not missing, f"{name}: {len(missing)} of {len(wanted)} keys are missing: {missing[:5]}"
        assert not more, f"{name}: {len(more)} keys that are in no topic: {more[:5]}"
        other = [(key, rows[key], wanted[key]) for key in rows if not rows[key] <= wanted[key]]
        assert not other, f"{name}: {len(other)} rows say other than the topic (key, found, expected): {other[:3]}"


def _ours(settings: Settings, view: str) -> str:
    """The rows of these topics: a database may serve several scenarios."""
    if view.startswith("alerts"):
        return f"startsWith(tenant, '{tenant_of(settings)}')"
    return f"startsWith(kafka_topic, '{settings.prefix}')"


def tenant_of(settings: Settings) -> str:
    """What the tenants of a scenario's events begin with."""
    return settings.prefix.rstrip(".")


def _key(row: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _said(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """A row of a topic as ClickHouse's text has it."""
    times = {name: row[name].replace("T", " ").rstrip("Z") for name in _TIMES if name in row}
    return _text({**row, **times}, names)


def _text(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """What a row says, for comparing."""
    return json.dumps([row[name] or "" for name in names], ensure_ascii=False)
