"""`alert_id` and the buckets (contract section 7), by an independent few lines."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from stepwatch.streams.alerting import Bucket
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US, Driver
from tests.core.given import MS, US, H, M, Row, S, action, alerted, event, heartbeat, policy, replayed, step, verified

DAY = 24 * H


def the_id(*parts: Any) -> str:
    """As the contract says it: SHA-256 of a JSON array without spaces, non-ASCII as is."""
    text = json.dumps(["stepwatch-alert-1", *parts], ensure_ascii=False, separators=(",", ":"))
    return "al_" + hashlib.sha256(text.encode()).hexdigest()[:32]


def id_of(kind: str, policies: str, *events: Row) -> str:
    """The id of the one alert of that kind, from a file."""
    return str(alerted(policies, *events)[kind]["alert_id"])


# the array


@pytest.mark.parametrize("subject", ["alice", "Bøb", 'a"b\\c', "\u2028", "a/b", "\x01\x1f\x7f", "𝄞", "e\u0301", "<&>"])
@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_an_alert_id_is_the_hash_of_the_stated_array(tenant: str, subject: str) -> None:
    found = id_of("unverified_action", policy(), action(subject=subject, tenant=tenant, at=7 * M))
    assert found == the_id(tenant, "unverified_action", subject, "payout", T0_US, H)


def test_the_subject_of_an_alert_id_is_the_canonical_one() -> None:
    aliased = policy(more="identities: [{subject: alice, aliases: [al]}]")
    found = id_of("unverified_action", aliased, action(subject="al"))
    assert found == the_id("default", "unverified_action", "alice", "payout", T0_US, H)


def test_the_stream_and_a_file_name_an_alert_alike() -> None:
    driver = Driver(policy(alert="dedup: 0s"))
    driver.action("a")
    driver.pulse(T0_US + 10 * S)
    assert list(driver.open_alerts) == [id_of("unverified_action", policy(alert="dedup: 0s"), action())]


def test_a_blind_action_has_an_alert_of_its_own_kind() -> None:
    silent = policy(sources="{name: /idp, silent_after: 5m}")
    assert id_of("blind", silent, action()) == the_id("default", "blind", "alice", "payout", T0_US, H)


# buckets


@pytest.mark.parametrize(
    ("dedup", "dedup_us", "at", "bucket"),
    [
        ("60m", H, 0, 0),
        ("60m", H, H - US, 0),
        ("60m", H, H, H),
        ("60m", H, -US, -H),
        ("90m", 90 * M, 0, 0),
        ("7m", 7 * M, M, M - (T0_US + M) % (7 * M)),
        ("1ms", MS, US, 0),
        ("1d", DAY, 0, -9 * H),
    ],
)
def test_a_bucket_is_the_time_less_its_remainder_by_dedup(dedup: str, dedup_us: int, at: int, bucket: int) -> None:
    found = id_of("unverified_action", policy(alert=f"dedup: {dedup}"), action(at=at))
    assert found == the_id("default", "unverified_action", "alice", "payout", T0_US + bucket, dedup_us)


def test_with_dedup_0_the_bucket_is_the_time_itself_with_source_and_id_appended() -> None:
    found = id_of("unverified_action", policy(alert="dedup: 0s"), action("a-é", at=US, source="/app 2"))
    assert found == the_id("default", "unverified_action", "alice", "payout", T0_US + US, 0, "/app 2", "a-é")


def test_with_dedup_0_actions_of_one_microsecond_are_alerts_of_their_own() -> None:
    events = [action("a"), action("b"), action("a", source="/app2")]
    rows = [row for row in replayed(policy(alert="dedup: 0s"), *events) if row["kind"] == "alert"]
    assert [row["count"] for row in rows] == [1, 1, 1]
    assert len({row["alert_id"] for row in rows}) == 3


def test_parts_of_an_id_do_not_run_into_each_other() -> None:
    one = Bucket.of("t", "blind", "s", "p", 0, 5, "ab", "c").alert_id
    other = Bucket.of("t", "blind", "s", "p", 0, 5, "a", "bc").alert_id
    assert one != other


@pytest.mark.parametrize(
    "differing",
    [
        {"tenant": "acme"},
        {"subject": "bob"},
        {"at": H},
    ],
)
def test_actions_of_another_tenant_subject_or_bucket_have_another_alert(differing: dict[str, Any]) -> None:
    rows = replayed(policy(), action("a"), action("b", **differing))
    assert len({row["alert_id"] for row in rows if row["kind"] == "alert"}) == 2


def test_policies_have_alerts_of_their_own() -> None:
    two = 'policies: [{id: p, match: {action: ["x.*"]}}, {id: q, match: {action: ["y.*"]}}]'
    rows = replayed(two, action("a", action="x.y"), action("b", action="y.x"))
    assert {row["alert_id"] for row in rows if row["kind"] == "alert"} == {
        the_id("default", "unverified_action", "alice", name, T0_US, H) for name in ("p", "q")
    }


# patterns


def test_a_pattern_has_no_policy_and_a_bucket_of_an_hour_whatever_dedup_the_policy_has() -> None:
    denied = [step("denied"), action(at=59 * M)]
    found = id_of("denied_then_acted", policy("max_age: 2h", alert="dedup: 5m"), *denied)
    assert found == the_id("default", "denied_then_acted", "alice", "", T0_US, H)


def test_an_anchor_that_is_evidence_is_bucketed_by_its_own_time() -> None:
    proofs = [verified(at=-M, credential="k", otp_step=5), verified("w", at=61 * M, credential="k", otp_step=5)]
    found = id_of("replayed_code", policy(), *proofs)
    assert found == the_id("default", "replayed_code", "alice", "", T0_US + H, H)


def test_a_policy_gap_has_a_bucket_of_a_day() -> None:
    found = id_of("policy_gap", policy(), action(action="other", decision={"result": "required"}))
    assert found == the_id("default", "policy_gap", "alice", "", T0_US - 9 * H, DAY)


# a silent source

SILENT = policy(sources="{name: /idp, silent_after: 5m}")


def test_a_silence_is_named_by_its_source_and_the_last_heartbeat() -> None:
    events = [heartbeat(0, event_id="h1"), heartbeat(M, event_id="h2"), heartbeat(H, source="stepwatch")]
    assert id_of("source_silence", SILENT, *events) == the_id("", "source_silence", "/idp", "h2")


def test_a_silence_of_a_source_never_heard_is_named_by_nothing() -> None:
    events = [heartbeat(0, source="stepwatch", event_id="p1"), heartbeat(H, source="stepwatch", event_id="p2")]
    assert id_of("source_silence", SILENT, *events) == the_id("", "source_silence", "/idp", "")


def test_the_stream_names_a_silence_alike() -> None:
    driver = Driver(SILENT)
    driver.heartbeat("/idp", "h1")
    driver.pulse(T0_US + H)
    assert list(driver.open_alerts) == [the_id("", "source_silence", "/idp", "h1")]


# members that came late


@pytest.mark.parametrize(("late", "bucket"), [(DAY, 30 * M), (DAY + US, DAY + 30 * M)])
def test_a_member_that_came_later_than_accept_late_is_bucketed_by_its_arrival(late: int, bucket: int) -> None:
    at = 45 * M
    blind = policy(sources="{name: /idp, silent_after: 5m}", alert="dedup: 30m")
    found = id_of("blind", blind, action(at=at, arrival=at + late))
    assert found == the_id("default", "blind", "alice", "payout", T0_US + bucket, 30 * M)


@pytest.mark.parametrize(("late", "bucket"), [(DAY, 0), (DAY + MS, DAY)])
def test_in_the_stream_too_a_late_member_is_bucketed_by_its_arrival(late: int, bucket: int) -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 5m}"))
    driver.action("a", time_us=T0_US, at_us=T0_US + late)
    driver.pulse(T0_US + late + 10 * S)
    assert the_id("default", "blind", "alice", "payout", T0_US + bucket, H) in driver.open_alerts


def test_the_largest_accept_late_of_the_set_decides_and_not_the_policys_own() -> None:
    strict = '{id: strict, match: {action: ["x"]}}'
    files = f"version: 1\ndefaults: {{accept_late: 1h}}\npolicies: [{strict}]\n"
    late = action("a", action="x", arrival=2 * H)
    assert id_of("blind", files, late) == the_id("default", "blind", "alice", "strict", T0_US + 2 * H, H)
    driver = Driver(_with_another_file(files, "version: 1\ndefaults: {accept_late: 3h}\n"))
    driver.action("a", action="x", time_us=T0_US, at_us=T0_US + 2 * H)
    driver.pulse(T0_US + 2 * H + 10 * S)
    assert driver.verdict("a")["reason"] == "too_late"
    assert list(driver.open_alerts) == [the_id("default", "blind", "alice", "strict", T0_US, H)]


@pytest.mark.parametrize(("late", "bucket"), [(DAY, -9 * H), (DAY + US, DAY - 9 * H)])
def test_a_policy_gap_that_came_late_is_bucketed_by_its_arrival(late: int, bucket: int) -> None:
    gap = event("action.performed", "g", arrival=late, action="other", decision={"result": "required"})
    assert id_of("policy_gap", policy(), gap) == the_id("default", "policy_gap", "alice", "", T0_US + bucket, DAY)


def _with_another_file(*texts: str) -> PolicySets:
    return PolicySets([build_set([(f"p{number}.yaml", text) for number, text in enumerate(texts)], None)])
