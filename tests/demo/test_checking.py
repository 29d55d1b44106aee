"""A day that did not end as it must is told apart from one that did, and the difference is said."""

from __future__ import annotations

import json
from typing import Any

from stepwatch.demo.checking import (
    InputRecord,
    alert_differences,
    percentile,
    replay_lines,
    story_faults,
    strangers,
    verdict_differences,
)
from stepwatch.demo.stories import stories
from stepwatch.schemas.times import parse_time
from tests.demo.day import LENGTH_US, START_US

VERDICT = {
    "kind": "verdict",
    "tenant": "default",
    "subject": "alice",
    "source": "/payments/api",
    "action_id": "a-1",
    "verdict": "verified",
    "reason": "step_up",
    "policy": "payout-approve",
    "verification": "v-1",
}
ALERT: dict[str, Any] = {
    "kind": "alert",
    "alert_id": "al_1",
    "alert": "unverified_action",
    "subject": "alice",
    "policy": "payout-approve",
    "severity": "critical",
    "reason": "stale",
    "count": 1,
    "actions": ["a-1"],
    "first_time": "2026-11-24T09:00:00.000000Z",
    "last_time": "2026-11-24T09:00:00.000000Z",
}
LATE = stories(START_US, LENGTH_US)[4]


def stored_alert(**changes: Any) -> dict[str, Any]:
    time_us = parse_time(ALERT["first_time"])
    row = {**ALERT, "kind": ALERT["alert"], "first_time": time_us, "last_time": time_us, "state": "open"}
    return {**row, "resolved_by": "", "title": "alice: did it: not verified", **changes}


def test_the_arrival_of_a_record_never_runs_backwards_in_its_partition_and_does_in_another() -> None:
    records = [
        InputRecord("t", 0, 0, 2000, b'{"id":"a"}'),
        InputRecord("t", 0, 1, 1000, b'{"id":"b"}'),
        InputRecord("t", 1, 0, 1500, b'{"id":"c"}'),
    ]
    arrivals = [json.loads(line)["arrival"][17:] for line in replay_lines(records)]
    assert arrivals == ["02.000000Z", "02.000000Z", "01.500000Z"]


def test_a_record_that_is_no_object_stays_one_line_as_it_is() -> None:
    assert replay_lines([InputRecord("t", 0, 0, 1, b'{"id":\n"a')]) == [b'{"id": "a']


def test_equal_verdicts_have_no_difference() -> None:
    assert verdict_differences([VERDICT], [VERDICT, ALERT]) == []


def test_a_verdict_that_differs_is_missing_or_is_too_many_is_said_with_both_sides() -> None:
    other = {**VERDICT, "verdict": "unverified", "reason": "stale", "verification": ""}
    [said] = verdict_differences([other], [VERDICT])
    assert said == (
        "action default alice /payments/api a-1: audit_current says unverified stale payout-approve, "
        "the replay verified step_up payout-approve v-1"
    )
    assert "not in audit_current" in verdict_differences([], [VERDICT])[0]
    assert "not in the replay" in verdict_differences([VERDICT], [])[0]


def test_no_verification_is_equal_to_an_empty_one() -> None:
    assert verdict_differences([{**VERDICT, "verification": ""}], [{**VERDICT, "verification": None}]) == []


def test_equal_alerts_have_no_difference_and_resolved_ones_are_not_compared() -> None:
    resolved = stored_alert(alert_id="al_2", state="resolved")
    assert alert_differences([stored_alert(), resolved], [ALERT, VERDICT]) == []


def test_an_alert_with_another_member_is_a_difference() -> None:
    assert len(alert_differences([stored_alert(actions=["a-2"])], [ALERT])) == 1


def test_a_silent_source_is_not_compared_since_it_is_judged_at_the_log_time() -> None:
    assert alert_differences([], [{**ALERT, "alert": "source_silence"}]) == []


def test_a_story_that_ended_well_has_no_fault() -> None:
    [verdict] = LATE.verdicts
    had = {(verdict.subject, verdict.action_id): [("unverified", "no_step_up"), ("verified", "step_up")]}
    alert = stored_alert(subject=verdict.subject, state="resolved", resolved_by="late_verification")
    assert story_faults(LATE, had, [alert]) == []


def test_a_story_that_missed_a_step_or_its_alert_says_what_was_expected_and_what_came() -> None:
    [verdict] = LATE.verdicts
    had = {(verdict.subject, verdict.action_id): [("verified", "step_up")]}
    faults = story_faults(LATE, had, [])
    assert "expected unverified (no_step_up), then verified (step_up), got verified (step_up)" in faults[0]
    assert "got no such alert" in faults[1]


def test_an_open_alert_of_nobodys_story_is_a_stranger_and_a_resolved_one_is_none() -> None:
    assert len(strangers([LATE], [stored_alert()])) == 1
    assert strangers([LATE], [stored_alert(state="resolved")]) == []
    assert strangers([LATE], [stored_alert(subject="sofia.rossi")]) == []


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert (percentile([3.0], 0.99), percentile([], 0.5)) == (3.0, 0.0)
