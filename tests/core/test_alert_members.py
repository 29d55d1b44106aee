"""Who is a member of an alert, what the members make of it, and by what it resolves (contract section 7)."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.schemas.keys import partition_of
from stepwatch.streams.routing import FIRST_ARRIVAL, MOVES
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US, TOPICS, Driver, an_event, format_time
from tests.core.given import MS, US, H, M, Row, S, action, alerted, event, policy, replayed, step, verified

POLICY = policy("amr_any: [hwk]")
SILENT = policy("amr_any: [hwk]", sources="{name: /idp, silent_after: 5m}")


def last(driver: Driver, kind: str = "unverified_action") -> Row:
    """The last version of the last alert of a kind."""
    return [row for row in driver.alerts if row["kind"] == kind][-1]


def acted(*ids: str, policies: str | PolicySets = POLICY, **fields: Any) -> Driver:
    """Actions a second apart, with the grace of the last one over."""
    driver = Driver(policies)
    for number, action_id in enumerate(ids):
        driver.action(action_id, time_us=T0_US + number * S, **fields)
    driver.pulse(driver.log.now_us + 10 * S)
    return driver


# who is one


@pytest.mark.parametrize(
    ("outcome", "member"),
    [("success", True), ("unknown", True), (None, True), ("maybe", True), ("failure", False), ("denied", False)],
)
@pytest.mark.parametrize("policies", [POLICY, SILENT])
def test_a_member_happened_or_may_have(policies: str, outcome: str | None, member: bool) -> None:
    kind = "blind" if policies is SILENT else "unverified_action"
    driver = acted("a", policies=policies, outcome=outcome)
    assert driver.verdict("a")["verdict"] == kind.removesuffix("_action")
    assert [row["kind"] for row in driver.alerts] == ([kind] if member else [])
    assert (kind in alerted(policies, action(outcome=outcome))) == member


def test_a_blind_action_of_every_reason_is_a_member_of_a_blind_alert() -> None:
    driver = Driver(SILENT)
    driver.action("silent", time_us=T0_US + 25 * H)
    driver.action("late", time_us=T0_US)
    driver.pulse(T0_US + 25 * H + 10 * S)
    last_row = last(driver, "blind")
    assert (last_row["count"], last_row["actions"]) == (2, ["late", "silent"])


# what they make of it


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_reason_is_of_the_first_member_by_time_source_and_id(order: tuple[int, ...]) -> None:
    """Of four the first by time, then by source, then by id is the one that a weak proof nearly covers."""
    events = [
        {"event_id": "z", "source": "/a", "session": "s1"},
        {"event_id": "zz", "source": "/a", "session": "s2"},
        {"event_id": "a", "source": "/b", "session": "s2"},
        {"event_id": "a", "source": "/a", "session": "s2", "time_us": T0_US + US},
    ]
    driver = Driver(POLICY)
    driver.evidence("stepup.verified", "v", amr=["otp"])
    for number in order:
        driver.action(**{"time_us": T0_US, **events[number]})
    driver.pulse(T0_US + 11 * S)
    row = last(driver)
    assert (row["reason"], row["count"]) == ("weak_factor", 4)
    assert row["actions"] == ["z", "zz", "a", "a"]
    assert row["nearest_miss"] == driver.verdict("z", "/a")["nearest_miss"] != ""


def test_when_the_first_member_leaves_the_reason_is_of_the_next() -> None:
    driver = Driver(POLICY)
    driver.evidence("stepup.verified", "weak", amr=["otp"], session="s1")
    driver.action("a", session="s1")
    driver.action("b", session="s2", time_us=T0_US + S)
    driver.pulse(T0_US + 11 * S)
    assert last(driver)["reason"] == "weak_factor"
    driver.evidence("stepup.verified", "v", amr=["hwk"], session="s1", time_us=T0_US)
    assert (last(driver)["reason"], last(driver)["actions"]) == ("wrong_session", ["b"])


def test_the_severity_is_the_highest_of_the_members_of_now() -> None:
    sets = PolicySets(
        [
            build_set([("p.yaml", policy("amr_any: [hwk]", alert=f"severity: {said}"))], begins_us)
            for said, begins_us in (("low", None), ("critical", T0_US + S), ("medium", T0_US + 2 * S))
        ]
    )
    driver = acted("a", "b", "c", policies=sets)
    assert (last(driver)["severity"], last(driver)["count"]) == ("critical", 3)
    proof = {"amr": ["hwk"], "time_us": T0_US + S, "session": "s1"}
    driver = Driver(sets)
    driver.action("a", session="s0")
    driver.action("b", time_us=T0_US + S)
    driver.action("c", time_us=T0_US + 2 * S, session="s2")
    driver.pulse(T0_US + M)
    assert last(driver)["severity"] == "critical"
    driver.evidence("stepup.verified", "v", **proof)
    assert (last(driver)["severity"], last(driver)["actions"]) == ("medium", ["a", "c"])


def test_a_member_beyond_the_hundredth_moves_up_when_another_leaves() -> None:
    driver = Driver(policy("amr_any: [hwk], max_uses: 1"))
    for number in range(101):
        driver.action(f"a{number:03}", time_us=T0_US + number * MS)
    driver.pulse(T0_US + M)
    driver.evidence("stepup.verified", "v", amr=["hwk"], time_us=T0_US)
    row = last(driver)
    assert (row["count"], row["actions"][0], row["actions"][-1]) == (100, "a001", "a100")


def test_ids_of_any_length_leave_a_row_that_fits_and_the_count_of_all() -> None:
    driver = Driver(policy(alert="grace: 0s"))
    for number in range(40):
        driver.action(f"{number:02}" + "\x01" * 10_000)
    driver.pulse(T0_US)
    row = last(driver)
    assert row["count"] == 40
    assert 20 < len(row["actions"]) < 40
    assert len(driver.effects.alerts[-1][1] or b"") < 2 * 1024 * 1024


# members that change


def test_a_verdict_that_changes_moves_the_action_from_one_alert_to_another() -> None:
    driver = acted("a", policies=SILENT)
    driver.heartbeat("/idp", "h")
    driver.pulse(driver.log.now_us + 10 * S)
    assert driver.alerts[0]["kind"] == "blind"
    assert sorted((row["kind"], row["state"], row["resolved_by"], row["count"]) for row in driver.alerts[1:]) == [
        ("blind", "resolved", "source_recovered", 0),
        ("unverified_action", "open", "", 1),
    ]
    assert [row["kind"] for row in driver.open_alerts.values()] == ["unverified_action"]


def test_the_last_one_to_leave_decides_by_what_an_alert_resolves() -> None:
    """Of two blind actions one is proved and later the other is unverified; then the other way round."""
    driver = Driver(SILENT)
    driver.action("a", session="s1")
    driver.action("b", session="s2")
    driver.pulse(T0_US + M)
    driver.evidence("stepup.verified", "v", amr=["hwk"], time_us=T0_US)
    assert (last(driver, "blind")["state"], last(driver, "blind")["count"]) == ("open", 1)
    driver.pulse(T0_US + M + 10 * S)
    assert (last(driver, "blind")["state"], last(driver, "blind")["resolved_by"]) == ("resolved", "source_recovered")
    driver.evidence("stepup.verified", "w", amr=["hwk"], time_us=T0_US, session="s2")
    assert last(driver)["resolved_by"] == "late_verification"


def test_a_fresh_credential_whose_proof_was_void_resolves_by_revision() -> None:
    driver = Driver(POLICY)
    driver.evidence("credential.changed", "c", credential="k", change="created")
    driver.evidence("stepup.verified", "v", amr=["hwk"], credential="k")
    driver.action("a", time_us=T0_US + S)
    driver.pulse(T0_US + M)
    assert last(driver, "fresh_credential")["state"] == "open"
    driver.evidence("session.revoked", "r", time_us=T0_US + S)
    row = last(driver, "fresh_credential")
    assert (row["state"], row["resolved_by"], row["count"]) == ("resolved", "revision", 0)


def test_a_verified_action_that_is_withdrawn_opens_an_alert_and_its_proof_resolves_it() -> None:
    driver = Driver(POLICY)
    driver.evidence("stepup.verified", "v", amr=["hwk"])
    driver.action("a", time_us=T0_US + S)
    driver.pulse(T0_US + M)
    assert driver.alerts == []
    driver.evidence("session.revoked", "r", time_us=T0_US + S)
    assert (last(driver)["state"], last(driver)["reason"]) == ("open", "voided")
    driver.evidence("stepup.verified", "w", amr=["hwk"], time_us=T0_US + S)
    assert (last(driver)["state"], last(driver)["resolved_by"]) == ("resolved", "late_verification")


def test_a_source_that_no_set_lists_any_more_resolves_its_silence_by_revision() -> None:
    sets = PolicySets([build_set([("p.yaml", SILENT)], None), build_set([("p.yaml", POLICY)], T0_US + H)])
    driver = Driver(sets)
    driver.pulse(T0_US)
    driver.pulse(T0_US + 10 * M)
    assert last(driver, "source_silence")["state"] == "open"
    driver.pulse(T0_US + H)
    assert (last(driver, "source_silence")["resolved_by"], last(driver, "source_silence")["count"]) == ("revision", 0)


def test_an_anchor_and_a_verdict_are_members_of_two_alerts() -> None:
    rows = alerted(policy(), step("denied"), action())
    assert set(rows) == {"denied_then_acted", "unverified_action"}
    assert len({row["alert_id"] for row in rows.values()}) == 2


def test_open_alerts_do_not_depend_on_the_order_of_a_file() -> None:
    events = [action("a"), action("b", at=S, session="s2"), verified(at=0), event("session.revoked", "r", S)]
    rows = [row for row in replayed(POLICY, *events) if row["kind"] == "alert"]
    assert rows == [row for row in replayed(POLICY, *reversed(events)) if row["kind"] == "alert"]


# moved records

HOME = partition_of(b"default/alice", 4)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("policies", "kind"), [(POLICY, "unverified_action"), (SILENT, "blind")], ids=["another verdict", "the same"]
)
def test_a_member_whose_arrival_turns_out_earlier_leaves_the_alert_of_the_later(
    policies: str, kind: str, restarts: bool
) -> None:
    """It is bucketed by its arrival while that is later than accept_late, and by its time once it is not."""
    driver = Driver(policies, HOME, 4)
    sent = an_event("action.performed", "a", session="s1", action="payments.x")
    arrival_us = T0_US + 24 * H
    driver.send(TOPICS.actions, sent, arrival_us + M)
    driver.pulse(arrival_us + 2 * M)
    (late,) = driver.open_alerts.values()
    assert late["kind"] == "blind"
    if restarts:
        driver.restart()
    moved = [(FIRST_ARRIVAL, format_time(arrival_us - M).encode()), (MOVES, b"1")]
    driver.send(TOPICS.actions, sent, arrival_us + 3 * M, headers=moved)
    driver.pulse(arrival_us + 4 * M)
    (left,) = driver.open_alerts.values()
    file = alerted(policies, action("a", arrival=24 * H - M, action="payments.x"))
    assert (left["kind"], left["alert_id"], left["count"]) == (kind, file[kind]["alert_id"], 1)
    assert left["alert_id"] != late["alert_id"]


# the two durations


@pytest.mark.parametrize("restarts", [False, True])
def test_the_two_durations_and_when_it_opened_outlive_a_restart(restarts: bool) -> None:
    begun_us = T0_US + 10 * M
    driver = Driver(POLICY)
    driver.action("a", time_us=begun_us - M, at_us=begun_us)
    driver.wall_us = begun_us + 10 * S + 321 * MS
    driver.pulse(begun_us + 10 * S, [TOPICS.authentications])
    assert (last(driver)["detection_ms"], last(driver)["overdue_ms"]) == (10_321, 321)
    driver.action("b", time_us=begun_us, at_us=begun_us + 20 * S)
    if restarts:
        driver.restart()
    driver.wall_us = begun_us + 35 * S
    driver.pulse(begun_us + 30 * S, [TOPICS.authentications])
    assert (last(driver)["count"], last(driver)["detection_ms"], last(driver)["overdue_ms"]) == (2, 15_000, 5_000)
    assert last(driver)["opened_at"] == format_time(begun_us + 10 * S + 321 * MS)
    assert last(driver)["updated_at"] == format_time(begun_us + 35 * S)
