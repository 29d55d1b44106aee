"""Members of alerts, and what an alert says of them (contract section 7)."""

from __future__ import annotations

import pytest

from stepwatch.schemas.times import format_time
from tests.core.driver import T0_US, TOPICS, Driver, Row, an_event
from tests.core.given import MS, PAYOUT, US, D, H, M, S, action, alerted, policy, replayed, step, verified

FIELDS = [
    "alert_id",
    "version",
    "tenant",
    "kind",
    "severity",
    "state",
    "resolved_by",
    "subject",
    "policy",
    "reason",
    "title",
    "explanation",
    "nearest_miss",
    "runbook",
    "owner",
    "count",
    "actions",
    "first_time",
    "last_time",
    "opened_at",
    "updated_at",
    "closes_at",
    "detection_ms",
    "overdue_ms",
]
GRACE = 10 * S


def alerting(require: str = "", **more: str) -> Driver:
    return Driver(policy(require, **more))


def only(rows: list[Row]) -> Row:
    (row,) = [row for row in rows if row["kind"] == "alert"]
    return row


# members


@pytest.mark.parametrize("outcome", ["success", "unknown", "no such outcome", None])
def test_an_unverified_action_of_outcome_success_or_unknown_is_a_member(outcome: str | None) -> None:
    assert alerted(policy(), action(outcome=outcome))["unverified_action"]["actions"] == ["a"]


@pytest.mark.parametrize("outcome", ["failure", "denied"])
def test_an_action_that_did_not_happen_is_a_member_of_no_alert(outcome: str) -> None:
    rows = replayed(policy(), action(outcome=outcome), step("denied"))
    assert [row["kind"] for row in rows] == ["verdict"]


def test_verified_exempt_and_unmatched_actions_are_members_of_no_alert() -> None:
    exempting = policy().replace("require:", "exempt: {when: \"session == 'svc'\"}, require:")
    rows = replayed(exempting, verified(), action("v"), action("e", session="svc"), action("u", action="x.y"))
    assert sorted(row["verdict"] for row in rows) == ["exempt", "not_required", "verified"]


def test_blind_and_unverified_actions_of_one_bucket_are_two_alerts() -> None:
    rows = alerted(policy(), action("a"), action("late", -D, arrival=US))
    assert {kind: row["actions"] for kind, row in rows.items()} == {"unverified_action": ["a"], "blind": ["late"]}


def test_the_members_of_a_pattern_are_its_anchors() -> None:
    row = alerted(policy(), step("denied", "n1"), action("a"), action("b", S))["denied_then_acted"]
    assert (row["actions"], row["count"]) == (["a", "b"], 2)


# what it says


def test_the_reason_is_that_of_the_first_member_by_time_source_and_id() -> None:
    events = [
        action("b", 0, source="/b", session="no proof at all"),
        action("a", 0, source="/b"),
        action("z", 0, source="/a", session="s9"),
        action("late", M, source="/a"),
    ]
    require = "same_session: true"
    proof = verified(session="s1", at=-6 * M)
    assert only(replayed(policy(require), proof, *events))["reason"] == "wrong_session"
    assert only(replayed(policy(require), proof, *events[:2]))["reason"] == "stale"
    assert only(replayed(policy(require), proof, *events[:1]))["reason"] == "wrong_session"
    assert only(replayed(policy(require), proof, events[3]))["reason"] == "stale"


def test_the_reason_of_a_pattern_is_its_name_and_of_a_silence_its_source() -> None:
    rows = alerted(policy(), step("denied"), action())
    assert rows["denied_then_acted"]["reason"] == "denied_then_acted"
    driver = alerting(sources="{name: /idp, silent_after: 5m}")
    driver.pulse(T0_US)
    driver.pulse(T0_US + 6 * M)
    assert driver.alerts[-1]["reason"] == "/idp"


def test_the_severity_is_the_highest_of_the_members() -> None:
    """The alert of `mfa_fatigue_success` is critical as soon as one of its members is."""
    flood = [step("challenged", f"c{i}", -9 * M + i, challenge=f"c{i}") for i in range(5)]
    proofs = [verified("v1", -8 * M), verified("v2", -M)]
    calm = alerted(policy(), *flood, *proofs)["mfa_fatigue_success"]
    assert (calm["severity"], calm["count"]) == ("high", 2)
    acted = alerted(policy(), *flood, *proofs, action("a", -8 * M + S))["mfa_fatigue_success"]
    assert (acted["severity"], acted["count"]) == ("critical", 2)


@pytest.mark.parametrize(
    ("alert", "defaults", "said"),
    [("", "", "high"), ("", "severity: low", "low"), ("severity: critical", "severity: low", "critical")],
)
def test_the_severity_of_an_action_is_that_of_its_policy(alert: str, defaults: str, said: str) -> None:
    assert only(replayed(policy(alert=alert, defaults=defaults), action()))["severity"] == said


@pytest.mark.parametrize("count", [100, 101])
def test_the_ids_of_the_first_hundred_members_are_named_and_all_are_counted(count: int) -> None:
    driver = alerting()
    for i in range(count):
        event = an_event("action.performed", f"a{i}", time_us=T0_US + count - i, session="s1", action=PAYOUT)
        driver.log.append(TOPICS.actions, event, T0_US + MS)
    driver.read()
    driver.pulse(T0_US + MS + GRACE)
    (row,) = driver.alerts
    assert row["count"] == count
    assert row["actions"] == [f"a{i}" for i in range(count - 1, -1, -1)][:100]
    assert (row["first_time"], row["last_time"]) == (format_time(T0_US + 1), format_time(T0_US + count))
    file = only(replayed(policy(), *(action(f"a{i}", count - i) for i in range(count))))
    assert (file["count"], file["actions"]) == (count, row["actions"])


def test_an_alert_row_has_exactly_the_fields_of_the_contract() -> None:
    driver = alerting()
    driver.action("a")
    driver.pulse(T0_US + GRACE)
    assert sorted(driver.alerts[0]) == sorted([*FIELDS, "schema"])


def test_an_alert_row_says_who_did_what_why_and_whom_to_ask() -> None:
    text = policy().replace("{id: payout,", "{id: payout, owner: payments-oncall, runbook: 'https://r/1',")
    driver = Driver(text)
    driver.evidence("stepup.verified", "v", time_us=T0_US - 6 * M, amr=["hwk"])
    driver.action("a", tenant="acme", resource={"type": "payout", "id": "po_1"})
    driver.action("b", tenant="acme", time_us=T0_US + S)
    driver.evidence("stepup.verified", "w", time_us=T0_US - 6 * M, at_us=T0_US + S, tenant="acme", amr=["hwk"])
    driver.pulse(T0_US + S + GRACE)
    (row,) = driver.alerts
    assert {name: row[name] for name in ("tenant", "subject", "policy", "owner", "runbook", "reason")} == {
        "tenant": "acme",
        "subject": "alice",
        "policy": "payout",
        "owner": "payments-oncall",
        "runbook": "https://r/1",
        "reason": "stale",
    }
    assert row["title"] == "alice: payments.payout.approve on payout po_1: not verified (and 1 more)"
    assert row["explanation"] == "the last proof was too old; nearest: security key tap 1 min too old"
    assert '"verification":"w"' in row["nearest_miss"]
    assert row["closes_at"] == format_time(T0_US + S + GRACE + H)


def test_detection_is_measured_from_the_last_members_arrival_and_overdue_from_the_end_of_its_grace() -> None:
    driver = alerting(alert="grace: 30s")
    driver.action("a", at_us=T0_US + 2 * S, time_us=T0_US)
    driver.wall_us = T0_US + 32 * S + 1_234_999
    driver.pulse(T0_US + 32 * S)
    driver.action("b", at_us=T0_US + 40 * S, time_us=T0_US)
    driver.wall_us = T0_US + 70 * S + 5_000
    driver.pulse(T0_US + 70 * S)
    said = [(row["detection_ms"], row["overdue_ms"]) for row in driver.alerts]
    assert said == [(31_234, 1_234), (30_005, 5)]


def test_opened_at_stays_and_updated_at_moves_with_the_wall_clock() -> None:
    driver = alerting()
    driver.action("a")
    driver.wall_us = T0_US + 11 * S
    driver.pulse(T0_US + GRACE)
    driver.wall_us = T0_US + 5 * M
    driver.evidence("stepup.verified", "v", time_us=T0_US - S)
    opened, updated = format_time(T0_US + 11 * S), format_time(T0_US + 5 * M)
    assert [(row["opened_at"], row["updated_at"]) for row in driver.alerts] == [(opened, opened), (opened, updated)]
