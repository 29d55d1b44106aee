"""The `_current` views show each verdict and alert once, the last, however the rows came."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.store.rows import alert, at, audit, evidence, load, select

REVISIONS = [
    audit(revision=1),
    audit(revision=2, verdict="verified", reason="step_up"),
    audit(revision=3, verdict="unverified", reason="voided"),
]
CURRENT = "SELECT action_id, revision, verdict, reason FROM audit_current"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_highest_revision_stands_in_every_order_of_insertion(db: Client, order: tuple[int, ...]) -> None:
    for index in order:
        load(db, "audit", REVISIONS[index])
    assert select(db, CURRENT) == [("a1", 3, "unverified", "voided")]


def test_rows_that_come_twice_show_once_before_and_after_merges(db: Client) -> None:
    for _ in range(2):
        load(db, "audit", *REVISIONS)
        load(db, "authentications", evidence(), evidence("e2"))
        load(db, "alerts", alert(), alert(2, count=2))
    for merged in (False, True):
        if merged:
            for table in ("audit", "audit_latest", "authentications", "alerts"):
                db.command(f"OPTIMIZE TABLE {table} FINAL")
        assert select(db, CURRENT) == [("a1", 3, "unverified", "voided")]
        assert select(db, "SELECT revision FROM audit FINAL ORDER BY revision") == [(1,), (2,), (3,)]
        assert select(db, "SELECT count() FROM authentications_current") == [(2,)]
        assert select(db, "SELECT alert_id, version, count FROM alerts_current") == [("al_1", 2, 2)]
        assert select(db, "SELECT version FROM alerts FINAL ORDER BY version") == [(1,), (2,)]


def test_a_redelivered_old_revision_does_not_win_over_a_newer_one(db: Client) -> None:
    load(db, "audit", *REVISIONS)
    load(db, "audit", *REVISIONS[:2])
    assert select(db, CURRENT) == [("a1", 3, "unverified", "voided")]


def test_an_alert_that_comes_in_any_order_shows_its_last_version(db: Client) -> None:
    versions = [alert(n, state=state, updated_at=at(f"09:{15 + n}:00")) for n, state in _STATES]
    random.Random(5).shuffle(versions)
    for row in versions:
        load(db, "alerts", row)
    assert select(db, "SELECT version, state FROM alerts_current") == [(4, "resolved")]


_STATES = [(1, "open"), (2, "acknowledged"), (3, "open"), (4, "resolved")]


def test_versions_of_an_alert_in_two_months_are_one_alert(db: Client) -> None:
    load(db, "alerts", alert(2, updated_at="2026-12-01T00:00:00.000000Z", state="resolved"))
    load(db, "alerts", alert(1, updated_at="2026-11-30T23:59:59.999999Z"))
    assert select(db, "SELECT version, state FROM alerts_current") == [(2, "resolved")]


@pytest.mark.parametrize("column", ["tenant", "subject", "source", "action_id"])
def test_actions_that_differ_in_one_part_of_the_key_are_two(db: Client, column: str) -> None:
    columns: dict[str, Any] = {"action_id": "a1", column: "other"}
    load(db, "audit", audit(), audit(**columns))
    assert select(db, "SELECT count() FROM audit_current") == [(2,)]


@pytest.mark.parametrize("backwards", [False, True])
def test_of_two_bodies_of_one_event_the_one_that_a_policy_matched_stands(db: Client, backwards: bool) -> None:
    # Contract section 3, the limit for memory: the first body matched nothing and was not remembered.
    unmatched = audit(policy="", verdict="not_required", reason="no_policy")
    judged = audit(arrival=at("09:15:09"))
    for row in [judged, unmatched] if backwards else [unmatched, judged]:
        load(db, "audit", row)
    assert select(db, CURRENT) == [("a1", 1, "unverified", "no_step_up")]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_copy_that_comes_after_all_was_forgotten_does_not_replace_the_first(db: Client, backwards: bool) -> None:
    first = audit(verdict="verified", reason="step_up")
    late_copy = audit(arrival="2026-11-29T00:00:00.000000Z", verdict="blind", reason="too_late")
    for row in [late_copy, first] if backwards else [first, late_copy]:
        load(db, "audit", row)
    assert select(db, CURRENT) == [("a1", 1, "verified", "step_up")]
    assert select(db, "SELECT verdict FROM audit FINAL") == [("verified",)]


def test_many_redeliveries_in_random_batches_show_each_action_once(db: Client) -> None:
    chance = random.Random(20261124)
    rows = [(n, r, audit(f"a{n}", r, reason=f"r{r}")) for n in range(40) for r in range(1, 1 + n % 4 + 1)]
    deliveries = rows + chance.choices(rows, k=200)
    chance.shuffle(deliveries)
    while deliveries:
        size = chance.randint(1, 60)
        batch, deliveries = deliveries[:size], deliveries[size:]
        load(db, "audit", *(row for _, _, row in batch))
    wanted = sorted((f"a{n}", n % 4 + 1, "unverified", f"r{n % 4 + 1}") for n in range(40))
    assert sorted(select(db, CURRENT)) == wanted
    assert select(db, "SELECT count() FROM audit FINAL") == [(len(rows),)]


def test_a_view_that_missed_a_batch_is_right_after_the_batch_comes_again(db: Client) -> None:
    # A crash between the table and the table that its view feeds leaves exactly this behind.
    load(db, "audit", audit())
    db.command("TRUNCATE TABLE audit_latest")
    load(db, "audit", audit())
    assert select(db, CURRENT) == [("a1", 1, "unverified", "no_step_up")]
