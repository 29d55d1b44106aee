"""Names and settings of the topics, and what lies in them (contract section 2)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import SECOND_US
from stepwatch.schemas.topics import DAY_MS, EVENT_BYTES_MAX, Topics
from tests.core.driver import T0_US, TOPICS, Driver

POLICY = 'policies: [{id: p, match: {action: ["payments.*"]}, alert: {grace: 10s}}]'
RESPONSE = {
    "id": "r-1",
    "alert_id": "al_1",
    "seen_version": 3,
    "decision": "resolve",
    "by": "olga",
    "at": "2026-11-24T09:00:00Z",
    "note": "talked to alice",
}


def configs(topics: Topics = TOPICS) -> dict[str, dict[str, str]]:
    return {spec.name: spec.config for spec in topics.specs()}


def test_the_names_of_all_topics_begin_with_the_prefix_that_is_set() -> None:
    assert {spec.name for spec in Topics("acme.prod.").specs()} == {
        "acme.prod.actions",
        "acme.prod.authentications",
        "acme.prod.responses",
        "acme.prod.audit",
        "acme.prod.evidence",
        "acme.prod.alerts",
        "acme.prod.notifications",
        "acme.prod.policies",
        "acme.prod.state",
        "acme.prod.dead-letters",
    }
    assert Topics().actions == "stepwatch.actions"


def test_all_topics_but_policies_have_as_many_partitions_as_the_others() -> None:
    assert [spec.name for spec in TOPICS.specs() if spec.single] == ["stepwatch.policies"]


def test_the_broker_stamps_the_inputs_and_the_policies() -> None:
    stamped = {name for name, config in configs().items() if "message.timestamp.type" in config}
    assert stamped == {*TOPICS.inputs, TOPICS.policies}
    assert {configs()[name]["message.timestamp.type"] for name in stamped} == {"LogAppendTime"}


def test_the_broker_stamps_what_a_worker_writes_too_so_that_its_own_clock_may_be_wrong() -> None:
    wished = {spec.name for spec in TOPICS.specs() if spec.wished == {"message.timestamp.type": "LogAppendTime"}}
    assert wished == set(configs()) - {*TOPICS.inputs, TOPICS.policies}


def test_policies_are_kept_for_ever() -> None:
    assert configs()[TOPICS.policies]["retention.ms"] == "-1"
    assert configs()[TOPICS.policies]["retention.bytes"] == "-1"


def test_alerts_and_state_are_compacted_and_alerts_not_before_seven_days() -> None:
    compacted = {name for name, config in configs().items() if config.get("cleanup.policy") == "compact"}
    assert compacted == {TOPICS.alerts, TOPICS.state, TOPICS.notifications}
    assert configs()[TOPICS.alerts]["min.compaction.lag.ms"] == str(7 * DAY_MS)


def test_state_has_short_segments_so_that_a_restart_reads_little() -> None:
    assert int(configs()[TOPICS.state]["segment.ms"]) < DAY_MS


def test_dead_letters_take_messages_64_kib_larger_than_an_input_takes() -> None:
    kafkas_default = 1024 * 1024 + 12
    assert int(configs()[TOPICS.dead_letters]["max.message.bytes"]) >= kafkas_default + 64 * 1024
    assert kafkas_default > EVENT_BYTES_MAX


def test_a_response_carries_who_decided_what_about_which_version_of_an_alert() -> None:
    response = Response.model_validate(RESPONSE)
    assert response.model_dump() == RESPONSE


@pytest.mark.parametrize(
    ("field", "value"),
    [("decision", "close"), ("decision", None), ("by", ""), ("alert_id", 5), ("seen_version", "3"), ("id", "")],
)
def test_a_response_that_does_not_is_a_dead_letter_that_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Response.model_validate(RESPONSE | {field: value})
    driver = Driver(POLICY)
    driver.send(TOPICS.responses, RESPONSE | {field: value})
    assert driver.faults == [("invalid", field)]


def test_audit_gets_one_record_for_each_revision_with_exactly_the_columns_of_the_table() -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    driver.pulse(T0_US + 10 * SECOND_US)
    driver.evidence("stepup.verified", "v-1", time_us=T0_US)
    assert [row["revision"] for row in driver.revisions("a-1")] == [1, 2]
    assert [row["verdict"] for row in driver.revisions("a-1")] == ["unverified", "verified"]
    columns = {name.removesuffix("_") for name in AuditRow.model_fields}
    assert all(set(row) == columns for row in driver.rows)


def test_evidence_gets_one_row_for_each_accepted_authentication_event_and_none_for_a_copy() -> None:
    driver = Driver(POLICY)
    for kind in ("stepup.required", "stepup.verified", "session.revoked", "session.revoked"):
        driver.evidence(kind, f"{kind}-1", time_us=T0_US)
    driver.evidence("approval.granted", "no-approver")
    driver.heartbeat("/idp")
    assert [row["type"] for row in driver.evidence_rows] == [
        "stepup.required",
        "stepup.verified",
        "session.revoked",
    ]
    assert set(driver.evidence_rows[0]) == {name.removesuffix("_") for name in EvidenceRow.model_fields}


def test_alerts_are_keyed_by_tenant_and_alert_id() -> None:
    driver = Driver(POLICY)
    driver.action("a-1", tenant="acme")
    driver.pulse(T0_US + 10 * SECOND_US, [TOPICS.authentications])
    [alert] = driver.alerts
    assert [key for key, _ in driver.effects.alerts] == [f"acme/{alert['alert_id']}".encode()]
    assert set(alert) == {name.removesuffix("_") for name in AlertRow.model_fields}


def test_a_silence_of_all_records_is_judged_by_pulses_and_the_log_with_them_read_again_decides_the_same() -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    driver.pulse(T0_US + 10 * SECOND_US - 1_000)
    assert driver.rows == []
    assert driver.correlator.due_us() == T0_US + 10 * SECOND_US
    driver.pulse(T0_US + 10 * SECOND_US)
    assert driver.correlator.due_us() is None
    again = Driver(POLICY)
    again.log = driver.log
    again.read()
    assert again.rows == driver.rows
    assert again.verdict("a-1")["verdict"] == "unverified"


def test_a_pulse_is_no_sign_of_life_of_any_feed() -> None:
    driver = Driver("sources: [{name: stepwatch, silent_after: 5m}, {name: /idp, silent_after: 5m}]\n" + POLICY)
    driver.action("a-1")
    driver.pulse(T0_US + 10 * SECOND_US)
    row = driver.verdict("a-1")
    assert (row["verdict"], row["reason"]) == ("blind", "source_silent")
