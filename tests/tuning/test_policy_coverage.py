"""`policy test --coverage`: what the tests inside policy files touch, and what they never do."""

from __future__ import annotations

from pathlib import Path

from stepwatch.streams.tuning.coverage import Spot, coverage
from tests.cli.console import run
from tests.tuning.world import sets_of

FILE = """\
version: 1
sources: [{name: /idp, silent_after: 5m, proves: [step_up]}]
policies:
  - id: first
    match: {action: ["a.*", "b.*"], sensitivity: [high], when: "subject != 'root'"}
    require: {amr_any: [otp], same_session: false, max_uses: 1}
    exempt: {when: "subject == 'robot'"}
    tests: TESTS
  - id: second
    tests: []
"""
ACTED = "{action: a.x, resource: {sensitivity: high}}"
SILENT = f"{{name: s, given: [{{type: stepup.verified}}, {ACTED}], expect: {{verdict: verified}}}}"
WEAK = "{name: w, given: [{type: stepup.verified, amr: [sms]}, {action: a.x}], expect: {verdict: unverified}}"
ROBOT = "{name: r, given: [{action: b.x, subject: robot}], expect: {verdict: exempt}}"
ROOT = "{name: o, given: [{action: b.x, subject: root}], expect: {verdict: unverified, policy: second}}"


def spots(*tests: str) -> list[Spot]:
    return coverage(sets_of(FILE.replace("TESTS", f"[{', '.join(tests)}]")))


def touched(*tests: str, policy: str = "first", kind: str) -> set[str]:
    """What these tests touch, each by the last word of the sentence about it."""
    return {one.what for one in spots(*tests) if one.touched and (one.policy, one.kind) == (policy, kind)}


def test_without_tests_nothing_is_touched_and_everything_is_listed() -> None:
    assert not any(one.touched for one in spots())
    kinds = [one.kind for one in spots() if one.policy == "first"]
    assert (kinds.count("pattern"), kinds.count("condition")) == (3, 4)
    filters = [one.what.split()[-1] for one in spots() if (one.policy, one.kind) == ("first", "filter")]
    assert filters == ["untrusted_source", "voided", "weak_factor", "stale", "over_used"]


def test_a_pattern_is_touched_by_an_action_that_meets_it_and_the_whole_match() -> None:
    assert touched(SILENT, kind="pattern") == {"no action meets 'a.*'", "no action meets 'high'"}
    assert touched(ROOT, kind="pattern") == set()


def test_a_condition_has_to_hold_once_and_to_fail_once() -> None:
    holds, fails = "the condition holds for no action", "the condition fails for no action"
    conditions = [
        (one.field.split(".")[1], one.what) for one in spots(SILENT) if one.touched and one.kind == "condition"
    ]
    assert conditions == [("match", holds), ("exempt", fails)]
    conditions = [
        (one.field.split(".")[1], one.what) for one in spots(ROBOT, ROOT) if one.touched and one.kind == "condition"
    ]
    assert conditions == [("match", holds), ("match", fails), ("exempt", holds)]


def test_a_filter_is_touched_by_a_proof_that_fails_it() -> None:
    assert touched(SILENT, kind="filter") == set()
    assert touched(WEAK, kind="filter") == {"no proof fails the filter weak_factor"}


def test_a_filter_that_strikes_the_last_proof_is_touched_though_another_came_nearer() -> None:
    weak, strange = "{type: stepup.verified, amr: [sms]}", "{type: stepup.verified, source: /else, at: 5s}"
    test = f"{{name: w, given: [{weak}, {strange}, {{action: a.x, at: 9s}}], expect: {{verdict: unverified}}}}"
    names = {what.split()[-1] for what in touched(test, kind="filter")}
    assert names == {"untrusted_source", "weak_factor"}


def test_a_reason_is_touched_by_a_verdict_of_its_policy_whoever_has_the_test() -> None:
    assert touched(SILENT, kind="reason") == {"no test ends with the reason step_up"}
    assert touched(ROBOT, kind="reason") == {"no test ends with the reason exemption"}
    assert touched(ROOT, policy="second", kind="reason") == {"no test ends with the reason no_step_up"}


def test_reasons_that_no_verdict_of_the_policy_can_have_are_not_asked_for() -> None:
    reasons = {one.what.split()[-1] for one in spots() if (one.policy, one.kind) == ("second", "reason")}
    assert reasons & {"exemption", "login"} == set()
    assert {"step_up", "source_silent", "too_late", "denied"} <= reasons


def test_the_command_lists_what_is_missed_and_counts_beside_the_outcome(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FILE.replace("TESTS", f"[{SILENT}, {ROBOT}]"))
    done = run(tmp_path, "policy", "test", "--coverage", "p.yaml")
    assert (done.status, done.err) == (0, "")
    assert "p.yaml:5: policies[0].match.when: first: the condition fails for no action" in done.out.splitlines()
    missed = "no proof fails the filter untrusted_source, voided, weak_factor, stale, over_used"
    assert f"p.yaml:6: policies[0].require: first: {missed}" in done.out.splitlines()
    assert "touched by a test: 3 of 3 patterns, 3 of 4 conditions, 0 of 9 filters, 2 of " in done.out
    assert done.out.endswith("ok: 2 tests of 2 policies passed\n")
    assert "touched" not in run(tmp_path, "policy", "test", "p.yaml").out
