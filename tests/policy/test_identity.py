"""Aliases and canonical subjects (contract sections 1 and 4)."""

from __future__ import annotations

import pytest

from tests.policy.given import a_set, refusal


def identities(*said: str) -> str:
    return "identities:\n" + "".join(f"  - {one}\n" for one in said)


def test_an_alias_is_mapped_to_its_subject_and_anybody_else_to_themselves() -> None:
    made = a_set(identities("{subject: alice, aliases: [alice@acme.example, 00u1]}"))
    assert made.canonical("acme", "00u1") == "alice"
    assert made.canonical("beta", "alice@acme.example") == "alice"
    assert made.canonical("acme", "alice") == "alice"
    assert made.canonical("acme", "Alice@acme.example") == "Alice@acme.example"
    assert a_set().canonical("acme", "bob") == "bob"


@pytest.mark.parametrize("tenant", ["", ", tenant: []", ", tenant: ['*']", ", tenant: [acme, '*']", ", tenant: ~"])
def test_an_identity_without_tenants_or_with_a_star_holds_in_all(tenant: str) -> None:
    made = a_set(identities(f"{{subject: alice, aliases: [x]{tenant}}}"))
    assert made.canonical("any", "x") == "alice"


def test_an_alias_for_one_tenant_holds_there_only_and_goes_before_the_same_alias_for_all() -> None:
    for_all, for_acme = "{subject: alice, aliases: [x]}", "{subject: bob, aliases: [x], tenant: [acme, ag]}"
    for made in (a_set(identities(for_all, for_acme)), a_set(identities(for_acme), identities(for_all))):
        assert [made.canonical(tenant, "x") for tenant in ("acme", "ag", "beta")] == ["bob", "bob", "alice"]
    assert a_set(identities(for_acme)).canonical("beta", "x") == "x"


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ("", "", True),
        ("acme", "acme", True),
        ("acme, beta", "beta, gamma", True),
        ("acme", "beta", False),
        ("acme", "", False),
    ],
)
def test_one_alias_for_two_subjects_of_the_same_tenants_is_refused(first: str, second: str, refused: bool) -> None:
    text = identities(
        f"{{subject: alice, aliases: [x], tenant: [{first}]}}",
        f"{{subject: bob, aliases: [x], tenant: [{second}]}}",
    )
    if not refused:
        assert a_set(text)
        return
    (problem,) = refusal(text).problems
    assert (problem.line, problem.field) == (4, "identities[1].aliases[0]")
    assert "'x' is an alias of two subjects, 'alice' and 'bob'" in problem.message


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [("", "", True), ("acme", "", True), ("", "acme", True), ("acme", "acme", True), ("acme", "beta", False)],
)
def test_an_alias_that_is_also_another_subject_there_is_refused(first: str, second: str, refused: bool) -> None:
    text = identities(
        f"{{subject: alice, aliases: [y, bob], tenant: [{first}]}}", f"{{subject: bob, tenant: [{second}]}}"
    )
    if not refused:
        assert a_set(text).canonical("acme", "bob") == "alice"
        return
    (problem,) = refusal(text).problems
    assert (problem.line, problem.field) == (3, "identities[0].aliases[1]")
    assert "another subject" in problem.message


def test_faults_of_aliases_are_found_across_files() -> None:
    problems = refusal(
        identities("{subject: alice, aliases: [x]}"), identities("{subject: bob, aliases: [x]}")
    ).problems
    assert [(problem.file, problem.line) for problem in problems] == [("p1.yaml", 3)]


def test_an_alias_said_twice_for_one_subject_and_a_subject_as_its_own_alias_are_fine() -> None:
    made = a_set(identities("{subject: alice, aliases: [x, x, alice]}", "{subject: alice, aliases: [x]}"))
    assert made.canonical("acme", "x") == "alice"
