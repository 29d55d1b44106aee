"""`stepwatch policy check|test`: complaints with file and line, tests with expected against got."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.console import NOBODY, ROOT, run, write_policy

EXAMPLES = ROOT / "deploy" / "policies"
TESTED = """\
version: 1
sources: [{name: /idp, silent_after: 5m, proves: [step_up, login]}]
policies:
  - id: payout
    match: {action: ["payments.payout.*"]}
    require: {amr_any: [hwk], max_age: 5m}
    tests:
      - name: no proof
        given: [{at: 0s, action: payments.payout.approve}]
        expect: {verdict: unverified, reason: no_step_up}
      - name: a fresh proof
        given: [{at: 0s, type: stepup.verified, verification: v-1}, {at: 5m, action: payments.payout.approve}]
        expect: {verdict: verified, reason: step_up, verification: v-1, policy: payout}
"""


@pytest.mark.parametrize("command", ["check", "test"])
def test_the_example_policies_pass_as_a_folder_and_as_files(tmp_path: Path, command: str) -> None:
    whole = run(tmp_path, "policy", command, EXAMPLES)
    one_by_one = run(tmp_path, "policy", command, *sorted(EXAMPLES.glob("*.yaml")))
    assert (whole.status, whole.err) == (0, "")
    assert whole == one_by_one
    assert "40 tests" in whole.out


@pytest.mark.parametrize("command", ["check", "test", "apply"])
def test_a_refused_set_ends_with_two_and_names_every_line(tmp_path: Path, command: str) -> None:
    write_policy(tmp_path, TESTED.replace("max_age: 5m", "max_age: 5 minutes").replace("match:", "matches:"))
    done = run(tmp_path, "policy", command, "policy.yaml", STEPWATCH_KAFKA_BOOTSTRAP=NOBODY)
    assert (done.status, done.out) == (2, "")
    assert [line.split(": ")[0:2] for line in done.err.splitlines()] == [
        ["policy.yaml:5", "policies[0].matches"],
        ["policy.yaml:6", "policies[0].require.max_age"],
    ]


def test_a_failed_test_shows_expected_against_got_and_ends_with_one(tmp_path: Path) -> None:
    write_policy(tmp_path, TESTED.replace("at: 5m, action", "at: 301s, action"))
    done = run(tmp_path, "policy", "test", "policy.yaml")
    assert done.status == 1
    assert done.out.splitlines() == [
        "policy.yaml:11: payout: a fresh proof",
        "    expected  verified (step_up) by v-1 of policy payout",
        "    got       unverified (stale) by nothing of policy payout: the last proof was too old; "
        "nearest: security key tap 1 s too old",
        "1 of 2 tests failed",
    ]


def test_a_set_without_any_test_ends_with_one_and_says_what_to_write(tmp_path: Path) -> None:
    write_policy(tmp_path, TESTED.partition("    tests:")[0])
    done = run(tmp_path, "policy", "test", "policy.yaml")
    assert (done.status, done.out) == (1, "")
    assert "no tests: write `tests`" in done.err


def test_check_warns_where_a_policy_lacks_a_test_and_where_a_condition_cannot_hold(tmp_path: Path) -> None:
    text = TESTED.partition("      - name: a fresh proof")[0]
    write_policy(tmp_path, text.replace("""["payments.payout.*"]""", """[], when: "subject.startsWith('a') + 1" """))
    done = run(tmp_path, "policy", "check", "policy.yaml")
    assert (done.status, done.err) == (0, "")
    silent, condition, described, ok = done.out.splitlines()
    assert silent.startswith("policy.yaml:7: policies[0].tests: warning: payout: no test that must stay silent")
    assert condition.startswith("policy.yaml:5: policies[0].match.when: warning: ")
    assert described.endswith(": 1 file, 1 policy, 1 test")
    assert ok == "ok, 2 warnings"


def test_a_policy_with_both_kinds_of_tests_gets_no_warning(tmp_path: Path) -> None:
    write_policy(tmp_path, TESTED)
    assert run(tmp_path, "policy", "check", "policy.yaml").out.endswith("2 tests\nok\n")


def test_a_folder_without_policy_files_is_named_and_ends_with_two(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run(tmp_path, "policy", "check", "empty")
    assert (done.status, done.err) == (2, "empty holds no policy file (*.yaml, *.yml)\n")
