"""Revisions: one verdict at a time, a row for each change that shows, and what is on each row (contract section 5)."""

import json
from typing import Any

import pytest

from stepwatch.schemas.times import format_time
from stepwatch.streams import intake, limits, settling
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.given import (
    BLIND,
    MS,
    US,
    VERIFIED,
    D,
    H,
    M,
    Row,
    S,
    action,
    judged,
    policy,
    says,
    verdict,
    verified,
)

GRACE_END = T0_US + 10 * S
EXEMPTING = """version: 1
sources: [{name: /idp, silent_after: 5m}]
policies: [{id: payout, match: {action: ["payments.*"]}, require: {}, exempt: {when: "session == 'batch'"}}]
"""


def verify(driver: Driver, event_id: str = "v", at: int = -M, **fields: Any) -> None:
    driver.evidence("stepup.verified", event_id, time_us=T0_US + at, **fields)


# the order of the verdicts


def test_where_no_policy_matches_nothing_is_required_whatever_else_holds() -> None:
    rows = judged(EXEMPTING, action(action="x.y", session="batch", arrival=2 * D))
    assert verdict(rows) == ("not_required", "no_policy")
    assert rows["a"]["policy"] == ""


def test_an_exemption_is_looked_at_before_any_proof_and_before_lateness_and_silence() -> None:
    assert says(EXEMPTING, verified(session="batch"), action(session="batch")) == ("exempt", "exemption")
    assert says(EXEMPTING, action(session="batch", arrival=2 * D)) == ("exempt", "exemption")


def test_too_late_goes_before_overload_and_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SUBJECT_FACTS_MAX", 1)
    assert says(policy(), verified(), action(arrival=D + US)) == ("blind", "too_late")


def test_overload_goes_before_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SUBJECT_FACTS_MAX", 1)
    assert says(policy(), verified(), action()) == ("blind", "overload")


def test_verified_goes_before_the_silence_of_a_source() -> None:
    assert says(EXEMPTING, verified(source="/other"), action()) == VERIFIED
    assert says(EXEMPTING, action()) == BLIND


def test_every_action_has_exactly_one_verdict_of_the_batch() -> None:
    rows = judged(EXEMPTING, verified(), *(action(f"a{i}", i * M) for i in range(9)))
    assert sorted(rows) == [f"a{i}" for i in range(9)]


# overload


@pytest.mark.parametrize(("facts", "said"), [(4, VERIFIED), (5, ("blind", "overload"))], ids=["just full", "one more"])
def test_a_subject_with_more_live_facts_than_the_bound_is_overloaded(
    facts: int, said: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SUBJECT_FACTS_MAX", 5)
    proofs = [verified(f"v{i}", -M + i) for i in range(facts)]
    assert says(policy(), *proofs, action()) == said


def test_the_bound_is_fifty_thousand_facts_and_actions() -> None:
    assert limits.SUBJECT_FACTS_MAX == 50_000


def test_facts_beyond_the_bound_are_stored_and_counted_but_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SUBJECT_FACTS_MAX", 3)
    driver = Driver(policy())
    for i in range(9):
        verify(driver, f"v{i}")
    driver.action("a")
    driver.action("b", subject="bob")
    driver.pulse(GRACE_END)
    assert (len(driver.evidence_rows), driver.counts["overload.evidence"]) == (9, 6)
    assert (driver.verdict("a")["reason"], driver.verdict("b")["reason"]) == ("overload", "no_step_up")


def test_an_action_beyond_the_bound_is_let_go_once_its_overload_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SUBJECT_FACTS_MAX", 3)
    monkeypatch.setattr(settling, "OVERLOADED_MEMBERS_MAX", 2)
    driver = Driver(policy())
    for i in range(9):
        driver.action(f"a{i}")
    driver.pulse(GRACE_END)
    assert [driver.verdict(f"a{i}")["reason"] for i in range(9)] == ["no_step_up"] * 3 + ["overload"] * 6
    assert driver.correlator.known.ledgers["default", "alice"].live_facts == 3
    blind = [alert for alert in driver.open_alerts.values() if alert["kind"] == "blind"]
    assert [alert["count"] for alert in blind] == [2]
    driver.restart()
    driver.pulse(GRACE_END + 2 * H)
    assert driver.correlator.open_count == 0
    assert len(driver.rows) == 9


def test_exempt_actions_beyond_the_bound_are_not_remembered_and_a_copy_of_one_repeats_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "SUBJECT_FACTS_MAX", 2)
    driver = Driver(EXEMPTING)
    for event_id in ("a", "b", "c", "b", "c"):
        driver.action(event_id, session="batch", time_us=driver.log.now_us)
    assert [row["action_id"] for row in driver.rows] == ["a", "b", "c", "c"]


# revisions


def test_revisions_start_at_one_and_grow_by_one() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(GRACE_END)
    verify(driver)
    driver.restart()
    driver.evidence("session.revoked", "r", time_us=T0_US - S)
    verify(driver, "w", at=0)
    assert [row["revision"] for row in driver.revisions("a")] == [1, 2, 3, 4]


def test_of_one_batch_only_what_holds_at_its_end_is_published() -> None:
    driver = Driver(policy())
    driver.action("a")
    for at, kind in ((T0_US, "stepup.verified"), (T0_US - MS, "session.revoked")):
        driver.log.append(TOPICS.authentications, an_event(kind, kind, time_us=at, session="s1", amr=["hwk"]))
    driver.read()
    assert [row["verdict"] for row in driver.revisions("a")] == ["verified"]


def test_nothing_is_published_where_nothing_that_shows_has_changed() -> None:
    driver = Driver(policy())
    verify(driver)
    driver.action("a")
    verify(driver, "older", at=-2 * M)
    verify(driver, "other", session="s2")
    driver.evidence("stepup.denied", "d")
    driver.pulse(GRACE_END + 2 * H)
    assert len(driver.revisions("a")) == 1


@pytest.mark.parametrize(
    ("before", "after", "column"),
    [
        ([], [("stepup.denied", {})], "reason"),
        ([("stepup.verified", {})], [("stepup.verified", {"time_us": T0_US - S})], "verification"),
        (
            [("stepup.verified", {"session": "s2"})],
            [("stepup.verified", {"session": "s2", "time_us": T0_US - S})],
            "nearest_miss",
        ),
        ([], [("stepup.verified", {})], "verdict"),
    ],
    ids=["reason", "verification", "nearest miss", "verdict"],
)
def test_a_row_is_published_where_one_of_these_differs(
    before: list[tuple[str, Row]], after: list[tuple[str, Row]], column: str
) -> None:
    driver = Driver(policy())
    for i, (kind, fields) in enumerate(before):
        driver.evidence(kind, f"b{i}", **{"time_us": T0_US - M, **fields})
    driver.action("a")
    driver.pulse(GRACE_END)
    for i, (kind, fields) in enumerate(after):
        driver.evidence(kind, f"c{i}", **{"time_us": T0_US - M, **fields})
    first, second = driver.revisions("a")
    assert first[column] != second[column]


def test_two_reports_of_one_proof_make_no_new_row() -> None:
    driver = Driver(policy())
    verify(driver, "r1", verification="p")
    driver.action("a")
    verify(driver, "r2", at=-30 * S, verification="p")
    assert [row["verification"] for row in driver.revisions("a")] == ["p"]


# what is on each row


def test_closes_at_is_on_every_row_and_does_not_move() -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(GRACE_END)
    verify(driver)
    assert [row["closes_at"] for row in driver.revisions("a")] == [format_time(GRACE_END + H)] * 2


def test_closes_at_is_the_arrival_where_no_policy_matches_or_an_exemption_holds() -> None:
    driver = Driver(EXEMPTING)
    driver.action("a", time_us=T0_US - H, at_us=T0_US, session="batch")
    driver.action("b", time_us=T0_US - H, at_us=T0_US, action="x.y")
    for name in ("a", "b"):
        row = driver.verdict(name)
        assert (row["closes_at"], row["arrival"]) == (format_time(T0_US), format_time(T0_US))


def test_the_chosen_proof_and_its_age_are_on_record() -> None:
    driver = Driver(policy())
    verify(driver, at=-90 * S, verification="p", credential="k", challenge="ch", acr="phr", amr=["hwk", "pin"])
    driver.action("a")
    row = driver.verdict("a")
    assert {
        name: row[name]
        for name in (
            "verification",
            "verification_age_ms",
            "verification_time",
            "credential",
            "challenge",
            "acr",
            "amr",
        )
    } == {
        "verification": "p",
        "verification_age_ms": 90_000,
        "verification_time": format_time(T0_US - 90 * S),
        "credential": "k",
        "challenge": "ch",
        "acr": "phr",
        "amr": ["hwk", "pin"],
    }


def test_nothing_of_a_withdrawn_proof_stays_on_the_row() -> None:
    driver = Driver(policy())
    verify(driver, credential="k", challenge="ch", acr="phr", amr=["hwk"])
    driver.action("a", challenge="own")
    driver.evidence("session.revoked", "r", time_us=T0_US - S)
    driver.pulse(GRACE_END)
    row = driver.verdict("a")
    assert (row["verification"], row["credential"], row["acr"], row["amr"]) == ("", "", "", [])
    assert (row["challenge"], row["verification_time"], row["verification_age_ms"]) == ("own", None, None)


def test_the_policy_its_version_and_its_reason_are_on_the_row() -> None:
    driver = Driver(
        'version: 1\npolicies: [{id: payout, reason: money_movement, match: {action: ["payments.*"]}, require: {}}]'
    )
    driver.action("a")
    driver.pulse(GRACE_END)
    row = driver.verdict("a")
    assert (row["policy"], row["trigger_reason"], len(row["policy_version"])) == ("payout", "money_movement", 12)


def test_a_restart_makes_no_row_of_its_own() -> None:
    driver = Driver(policy())
    verify(driver, "near", session="s2")
    driver.action("a")
    driver.pulse(GRACE_END)
    count = len(driver.rows)
    for moment in (GRACE_END + M, GRACE_END + H, GRACE_END + 2 * H):
        driver.restart()
        driver.pulse(moment)
    assert len(driver.rows) == count


def test_a_copy_of_an_action_or_a_proof_changes_nothing() -> None:
    driver = Driver(policy("max_uses: 1"))
    for _ in range(3):
        verify(driver)
        driver.action("a", time_us=T0_US)
    driver.pulse(GRACE_END + M)
    assert [(row["verdict"], row["revision"]) for row in driver.revisions("a")] == [("verified", 1)]
    assert driver.counts["copies"] == 4


def test_the_last_row_says_what_the_nearest_miss_is_when_it_has_closed() -> None:
    driver = Driver(policy())
    verify(driver, "near", session="s2")
    driver.action("a")
    driver.pulse(GRACE_END + 2 * H)
    assert json.loads(driver.verdict("a")["nearest_miss"])["failed"] == ["wrong_session"]


def test_a_set_applied_now_does_not_judge_anew_what_was_read_before_it() -> None:
    first = build_set([("p.yaml", policy())], None)
    second = build_set([("p.yaml", policy().replace("payout,", "other,").replace("payments", "x"))], T0_US - S)
    driver = Driver(PolicySets([first]))
    driver.action("a")
    driver.correlator.use(PolicySets([first, second]))
    driver.sets = PolicySets([first, second])
    driver.restart()
    driver.pulse(GRACE_END)
    verify(driver)
    driver.action("b", at_us=GRACE_END + S, time_us=GRACE_END + S)
    driver.pulse(GRACE_END + 2 * H)
    assert [(row["verdict"], row["policy"]) for row in driver.revisions("a")] == [
        ("unverified", "payout"),
        ("verified", "payout"),
    ]
    assert driver.verdict("b")["verdict"] == "not_required"
