"""Columns that queries may rely on are there, and are only ever added (contract section 8)."""

from __future__ import annotations

import re

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.store.migrate import Migration, load_migrations, statements
from tests.store.rows import select

AUDIT = """tenant subject on_behalf_of source action_id revision time arrival decided_at closes_at session root_session
action resource_type resource_id sensitivity outcome client_ip client_device client_country user_agent policy
policy_version trigger_reason verdict reason failed verification verification_time verification_age_ms amr acr challenge
credential decision_result decision_reason claimed_verification nearest_miss notes kafka_topic kafka_partition
kafka_offset event_data schema engine_version"""
ALERTS = """alert_id version tenant kind severity state resolved_by subject policy reason title explanation nearest_miss
runbook owner count actions first_time last_time opened_at updated_at closes_at detection_ms overdue_ms schema"""
AUTHENTICATIONS = """tenant subject source event_id type time arrival proved_at session root_session client_ip
client_device client_country user_agent amr acr challenge verification credential credential_change bound_action
transaction otp_step reason failure approver approver_verification decision_result decision_reason late kafka_topic
kafka_partition kafka_offset event_data schema"""
DEAD_LETTERS = """tenant subject error field kafka_topic kafka_partition kafka_offset time key value encoding
dead_letter_partition dead_letter_offset"""
RESPONSES = """tenant alert_id subject response_id seen_version decision by at note arrival kafka_partition
kafka_offset"""
HISTORY = "tenant alert_id subject at what version result by note count"
STATED = {
    "audit": AUDIT,
    "audit_current": AUDIT,
    "alerts": ALERTS,
    "alerts_current": ALERTS,
    "authentications": AUTHENTICATIONS,
    "authentications_current": AUTHENTICATIONS,
    "dead_letters": DEAD_LETTERS,
    "responses": RESPONSES,
    "responses_current": RESPONSES,
    "alert_history": HISTORY,
}
"""A name here stays here: a column that came later is added to its list."""

TAKES_AWAY = re.compile(
    r"\b(DROP|RENAME|CLEAR|MODIFY)\s+COLUMN|\b(DROP|TRUNCATE|DETACH|RENAME)\s+(TABLE|DATABASE)", re.I
)


def test_every_table_and_view_has_the_columns_that_queries_may_rely_on(db: Client) -> None:
    there = {table: {row[0] for row in select(db, f"DESCRIBE TABLE {table}")} for table in STATED}
    missing = {table: sorted(set(names.split()) - there[table]) for table, names in STATED.items()}
    assert missing == {table: [] for table in STATED}


@pytest.mark.parametrize("migration", load_migrations(), ids=lambda migration: migration.name)
def test_no_migration_takes_a_column_away_or_gives_it_another_meaning(migration: Migration) -> None:
    said = [statement for statement in statements(migration.text) if TAKES_AWAY.search(statement)]
    assert said == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit DROP COLUMN IF EXISTS notes",
        "alter table audit rename  column a to b",
        "ALTER TABLE alerts MODIFY COLUMN count Int8",
        "DROP TABLE alerts",
    ],
)
def test_what_takes_a_column_away_is_known_when_it_is_seen(statement: str) -> None:
    assert TAKES_AWAY.search(statement)
