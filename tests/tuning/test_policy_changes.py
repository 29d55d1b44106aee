"""What a person is shown before another set is applied: each policy that is new, gone or another, and in what."""

from __future__ import annotations

import pytest

from stepwatch.streams.sets import PolicySet, build_set
from stepwatch.streams.tuning.policy_changes import changes_between

BASE = """\
version: 1
defaults: {max_age: 5m}
sources: [{name: /idp, silent_after: 5m}]
identities: [{subject: alice, aliases: [a1]}]
policies:
  - {id: payout, match: {action: [payments.payout.*]}, require: {amr_any: [hwk]}, alert: {severity: critical}}
  - {id: grant, match: {action: [iam.role.grant]}}
"""


def policy_set(text: str) -> PolicySet:
    return build_set([("one.yaml", text)], None)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("version: 1", "version: 1 # the same", []),
        ("max_age: 5m", "max_age: 10m", ["~ payout: require.max_age 5m → 10m", "~ grant: require.max_age 5m → 10m"]),
        ("[hwk]", "[hwk, otp]", ['~ payout: require.amr_any ["hwk"] → ["hwk", "otp"]']),
        ("severity: critical", "severity: high, grace: 30s", [
            "~ payout: alert.severity critical → high; alert.grace 10s → 30s",
        ]),
        ("id: grant", "id: roles", ["+ roles", "- grant"]),
        ("silent_after: 5m", "silent_after: 1h", ["~ source /idp: silent_after 5m → 1h"]),
        ("[{name: /idp, silent_after: 5m}]", "[]", ["- source /idp"]),
        ("[a1]", "[a1, a2]", ['~ identity alice: aliases ["a1"] → ["a1", "a2"]']),
        ("subject: alice,", "subject: alice, tenant: [acme],", ["+ identity alice in acme", "- identity alice"]),
    ],
)  # fmt: skip
def test_each_change_is_one_line_that_names_the_field(old: str, new: str, lines: list[str]) -> None:
    assert old in BASE
    assert changes_between(policy_set(BASE), policy_set(BASE.replace(old, new, 1))) == lines


def test_another_order_of_the_same_policies_is_a_change() -> None:
    head, first, second = BASE.partition("  - {id: payout")[0], *BASE.splitlines()[-2:]
    turned = f"{head}{second}\n{first}\n"
    assert changes_between(policy_set(BASE), policy_set(turned)) == [
        "~ the order in which policies match: grant, payout"
    ]


def test_of_the_first_set_all_is_new() -> None:
    assert changes_between(None, policy_set(BASE)) == ["+ payout", "+ grant", "+ source /idp", "+ identity alice"]
