"""The tables of a run say what `replay` says of the same file, however few subjects are judged at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwatch.streams.replay import Gathered, gather, replay
from stepwatch.streams.replay_rows import table_rows
from tests.judge.worlds import World, world
from tests.laws.worldsets import sets_of

VERDICT = ("tenant", "subject", "source", "action_id", "verdict", "reason", "policy")
ALERT = ("alert_id", "tenant", "subject", "policy", "severity", "reason", "count", "actions", "first_time", "last_time")
Row = dict[str, Any]


def said(rows: Iterable[Row], names: tuple[str, ...]) -> list[str]:
    """Some columns of rows, in an order of their own."""
    return sorted(json.dumps([row[name] for name in names]) for row in rows)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(some_world=world(), events_at_once=st.sampled_from([1, 3, 100_000]))
def test_tables_and_replay_say_the_same(some_world: World, events_at_once: int) -> None:
    sets, gathered = sets_of(some_world), Gathered()
    rejected = len(list(gather(some_world.lines, sets, gathered)))
    tables: dict[str, list[Row]] = {"audit": [], "authentications": [], "alerts": []}
    for table, value in table_rows(gathered, sets, 0, events_at_once=events_at_once):
        tables[table].append(json.loads(value))
    rows = list(replay(some_world.lines, sets))
    last = {(row["tenant"], row["subject"], row["source"], row["action_id"]): row for row in tables["audit"]}
    assert said(last.values(), VERDICT) == said((row for row in rows if row["kind"] == "verdict"), VERDICT)
    assert said(tables["alerts"], ALERT) == said((row for row in rows if row["kind"] == "alert"), ALERT)
    assert rejected == len([row for row in rows if row["kind"] == "rejected"])
    nearest = {key: json.loads(row["nearest_miss"] or "null") for key, row in last.items()}
    for row in (row for row in rows if row["kind"] == "verdict"):
        key = (row["tenant"], row["subject"], row["source"], row["action_id"])
        assert last[key]["verification"] == (row["verification"] or "")
        assert {**(nearest[key] or {}), "sentence": ""} == {**(row["nearest_miss"] or {}), "sentence": ""}
