"""The tests inside a policy file: what they leave out is filled in as contract section 4 says."""

from __future__ import annotations

import pytest

from stepwatch.streams.policytests import Outcome, run_tests
from stepwatch.streams.sets import PolicySets, build_set

HEAD = "version: 1\ndefaults: {grace: 10s}\n"


def outcomes(tests: str, *, policy: str = "require: {amr_any: [hwk, otp]}", head: str = "") -> list[Outcome]:
    """The outcomes of the tests of one policy, each test as one flow mapping on a line."""
    text = f"{HEAD}{head}policies:\n  - id: p\n    {policy}\n    tests:\n"
    text += "".join(f"      - {{name: t{i}, {line}}}\n" for i, line in enumerate(tests.strip().splitlines()))
    return list(run_tests(PolicySets([build_set([("p.yaml", text)], None)])))


IDP = "sources: [{name: /log}, {name: /idp, silent_after: 5m, proves: [step_up, login]}]\n"
PASSES = {
    "an action alone is of alice in session s1": (
        "",
        "match: {when: \"subject == 'alice' && session == 's1' && tenant == 'default'\"}",
        "given: [{at: 0s, action: a.b}], expect: {verdict: unverified, reason: no_step_up, policy: p}",
    ),
    "a proof has the first accepted amr": (
        "",
        "require: {amr_any: [sc, otp]}",
        "given: [{type: stepup.verified}, {at: 1s, action: a.b}], expect: {verdict: verified, verification: e1}",
    ),
    "a proof may name another amr": (
        "",
        "require: {amr_any: [sc]}",
        "given: [{type: stepup.verified, amr: [pwd]}, {action: a.b}], "
        "expect: {verdict: unverified, reason: weak_factor}",
    ),
    "a type may be written whole": (
        "",
        "owner: x",
        "given: [{type: stepwatch.stepup.verified}, {action: a.b}], expect: {verdict: verified}",
    ),
    "any field of data goes in": (
        "",
        "require: {binding: transaction}",
        "given: [{type: stepup.verified, transaction: t}, {action: a.b, transaction: t}], expect: {verdict: verified}",
    ),
    "the tenant is one that the policy matches": (
        "",
        'match: {tenant: ["acme-*"]}',
        "given: [{action: a.b}], expect: {verdict: unverified, policy: p}",
    ),
    "a proof comes from a source that may prove it": (
        IDP,
        "require: {accept: [step_up, login]}",
        "given: [{type: session.started, amr: [pwd]}, {action: a.b}], expect: {verdict: verified, reason: login}",
    ),
    "a proof of a source that the test names keeps it": (
        IDP,
        "owner: x",
        "given: [{type: stepup.verified, source: /log}, {action: a.b}], "
        "expect: {verdict: unverified, reason: untrusted_source}",
    ),
    "a listed source lives until the end of a long test": (
        IDP,
        "owner: x",
        "given: [{at: 9h, action: a.b}], expect: {verdict: unverified, reason: no_step_up}",
    ),
    "no source lives where silence is expected": (
        IDP,
        "owner: x",
        "given: [{action: a.b}], expect: {verdict: blind, reason: source_silent}",
    ),
    "a source whose heartbeats are given lives by those alone": (
        IDP,
        "owner: x",
        "given: [{type: heartbeat, source: /idp, complete_to: 0s, at: 1h}, {at: 1h, action: a.b}], "
        "expect: {verdict: blind}",
    ),
    "a moment in data may be an offset": (
        "",
        "require: {max_age: 5m}",
        "given: [{at: 10m, type: stepup.verified, auth_time: 1m}, {at: 10m, action: a.b}], "
        "expect: {verdict: unverified, reason: stale}",
    ),
    "arrival is an offset of its own": (
        "",
        "owner: x",
        "given: [{at: 0s, arrival: 25h, action: a.b}], expect: {verdict: blind, reason: too_late}",
    ),
    "an id says which action is meant": (
        "",
        "match: {action: [a.b]}",
        "given: [{id: x, action: a.b}, {action: c.d}], expect: {verdict: unverified, id: x}",
    ),
    "without an id the last action is meant": (
        "",
        "match: {action: [a.b]}",
        "given: [{action: a.b}, {action: c.d}, {type: stepup.denied}], expect: {verdict: not_required}",
    ),
}


@pytest.mark.parametrize(("head", "policy", "test"), PASSES.values(), ids=PASSES)
def test_what_a_test_leaves_out_is_filled_in(head: str, policy: str, test: str) -> None:
    (outcome,) = outcomes(test, policy=policy, head=head)
    assert outcome.passed, outcome


FAILS = {
    "another verdict": ("given: [{action: a.b}], expect: {verdict: verified}", "unverified (no_step_up)", "no proof"),
    "another reason": (
        "given: [{action: a.b}], expect: {verdict: unverified, reason: stale}",
        "unverified (no_step_up)",
        "no proof",
    ),
    "another verification": (
        "given: [{type: stepup.verified, verification: v}, {action: a.b}], "
        "expect: {verdict: verified, verification: w}",
        "verified (step_up) by v",
        "",
    ),
    "another policy": (
        "given: [{action: a.b}], expect: {verdict: unverified, policy: q}",
        "unverified (no_step_up) of policy p",
        "",
    ),
    "no such action": ("given: [{action: a.b}], expect: {verdict: unverified, id: x}", "no verdict", "with id x"),
    "no action at all": ("given: [{type: stepup.denied}], expect: {verdict: blind}", "no verdict", "holds no action"),
    "an event that is none": (
        "given: [{type: stepup.verified, amr: hwk}, {action: a.b}], expect: {verdict: unverified}",
        "unverified (no_step_up)",
        "given[0]: data.amr: ",
    ),
}


@pytest.mark.parametrize(("test", "got", "why"), FAILS.values(), ids=FAILS)
def test_a_test_that_fails_says_what_it_got_and_why(test: str, got: str, why: str) -> None:
    (outcome,) = outcomes(test)
    assert not outcome.passed
    assert outcome.got == got
    assert why in outcome.explanation
    assert (outcome.file, outcome.line, outcome.policy, outcome.name) == ("p.yaml", 7, "p", "t0")


def test_a_set_that_begins_later_judges_its_own_tests() -> None:
    late = build_set(
        [
            (
                "p.yaml",
                HEAD + "policies: [{id: p, tests: [{name: t, given: [{action: a.b}], expect: {verdict: unverified}}]}]",
            )
        ],
        4_000_000_000_000_000,
    )
    early = build_set([("q.yaml", "version: 1\npolicies: []\n")], None)
    assert [outcome.passed for outcome in run_tests(PolicySets([early, late]))] == [True]
